"""What the app does, apart from showing it: store, connection and runs together, and the calls that keys lead to.

Screens read it and call it; it posts facts back. Everything that waits runs as a named worker of the app.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from textual.message import Message

from ...widgets.glyphs import ASCII, UNICODE, Glyphs
from ...widgets.rows import SessionRow
from ...widgets.transcript import Transcript
from ..model.errors import BaiTuiError, NotFound, SessionExists, Unreachable
from ..model.sessions import SessionStatus
from ..model.slots import ResourceSlots
from .messages import Complained, ConsoleChanged, Launched, LaunchFailed, SessionsChanged
from .runs import Runs
from .state import Remembered, StateFile
from .store import LaunchRequest, SessionStore, default_image, free_name
from .sync import Locator, Sync
from .upkeep import Upkeep

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import CreatedSession
    from ..model.endpoint import Endpoint

log = logging.getLogger(__name__)

CONFIRM_S: Final = 3.0
"""Within which a second press ends a session that runs code."""

_NAMES_TRIED: Final = 20
"""Free names that may turn out to be taken before a launch gives up."""

WELCOME: Final = "bai-tui runs code in sessions, each with its own share of this machine."
WELCOME_KEYS: Final = (
    "^r  runs the text above in a new session",
    "n   picks an image and launches",
    "?   lists every key",
)
SAMPLE: Final = """\
# ^r runs this in a session of its own: watch it below
import platform
import time

print("hello from Python", platform.python_version())

steps = 24
for step in range(1, steps + 1):
    bar = "█" * step + "░" * (steps - step)
    print(f"\\r\\x1b[36m{bar}\\x1b[0m {step:2}/{steps}", end="", flush=True)
    time.sleep(0.05)
print("  done")
"""


class Workbench:
    """The app without its screens.

    Args:
        post: Takes messages for the app.
        spawn: Runs a coroutine as a worker, by name.
        folder: Where things are remembered; None = nowhere.
    """

    def __init__(
        self,
        locator: Locator,
        *,
        post: Callable[[Message], object],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        clock: Callable[[], float],
        folder: Path | None,
        place: str,
        ascii_only: bool = False,
        connect: Callable[[Endpoint], ApiClient] | None = None,
    ) -> None:
        self.clock = clock
        self.glyphs: Glyphs = ASCII if ascii_only else UNICODE
        self.store = SessionStore()
        self.sync = Sync(locator, self.store, post, clock, connect)
        self.runs = Runs(self.store, self.sync.connection, post, clock, spawn)
        self.upkeep = Upkeep(self.store, self.sync, post, spawn, clock, self._connected)
        self.welcome = Transcript()
        self._post = post
        self._spawn = spawn
        self._state = StateFile(folder, place) if folder is not None else None
        self.remembered = self._state.load() if self._state is not None else Remembered()
        self._baseline: str | None = None
        self._killing: dict[str, float] = {}
        if self.remembered.text is None:
            self.remembered.text = SAMPLE
            self.welcome.note(WELCOME)
            self.welcome.note("")
        for line in WELCOME_KEYS:
            self.welcome.note(line)

    # -- what is remembered ----------------------------------------------------------------------------------------

    @property
    def file_name(self) -> str:
        """What the editor's title says."""
        return Path(self.remembered.file).name if self.remembered.file else "scratch"

    @property
    def file_changed(self) -> bool:
        """Whether the text differs from its file; a scratch text never does."""
        return bool(self.remembered.file) and self.remembered.changed

    def remember(self, **changes: Any) -> None:
        """Notes something for the next start."""
        self.remembered = replace(self.remembered, **changes)

    def edited(self, text: str) -> None:
        """Takes the editor's text."""
        changed = self.remembered.changed
        if self._baseline is not None:
            changed = text != self._baseline
        elif text != self.remembered.text:
            changed = True
        self.remember(text=text, changed=changed)

    def file_is(self, path: str, text: str) -> None:
        """Takes that the editor's text is that of a file."""
        self._baseline = text
        self.remember(file=str(Path(path).expanduser().absolute()), text=text, changed=False)

    def save_state(self) -> None:
        """Writes what is remembered; blocks for a few milliseconds."""
        if self._state is None:
            return
        try:
            self._state.save(self.remembered)
        except OSError as error:
            log.warning("what the TUI remembers cannot be written: %s", error)
            self.complain(f"the editor's text cannot be kept: {error.strerror or error}")
            self._state = None

    def complain(self, text: str) -> None:
        """Tells of a failure that has no place."""
        self._post(Complained(text))

    # -- launching -------------------------------------------------------------------------------------------------

    @property
    def default_image(self) -> str:
        return default_image([(image.reference, image.aliases) for image in self.sync.connection.images])

    def launch(self, request: LaunchRequest) -> str:
        """Asks for a session; returns the passing id of its row, which is there at once."""
        slots = ResourceSlots.parse(request.resources)
        now = datetime.fromtimestamp(self.clock(), UTC)
        passing_id = self.store.launching(request.name, request.image, slots, now)
        self._post(SessionsChanged())
        self._spawn(self._launch(passing_id, request), f"launch {request.name}")
        return passing_id

    def launch_default(self, image: str = "") -> str:
        """Asks for a session with default slots, of the default image unless another one is given."""
        image = image or self.default_image
        return self.launch(LaunchRequest(image, free_name(image, self.store.names()), {}, any_name=True))

    async def _launch(self, passing_id: str, request: LaunchRequest) -> None:
        try:
            created = await self._create(passing_id, await self._connected(), request)
        except BaiTuiError as error:
            self.store.launch_failed(passing_id)
            self.welcome.note(f"{request.image} could not be started: {error.message}", "error")
            self._post(LaunchFailed(error.message))
        else:
            self.store.launched(passing_id, created.id, created.name)
            self._post(SessionsChanged())
            self._post(Launched(created.id))
        finally:
            await self.runs.news()
            self._post(SessionsChanged())
            self.sync.poke()

    async def _create(self, passing_id: str, client: ApiClient, request: LaunchRequest) -> CreatedSession:
        """Creates a session; where we chose the name, somebody who was faster only costs us another one."""
        taken = self.store.names()
        for _ in range(_NAMES_TRIED):
            try:
                return await client.create_session(
                    request.image,
                    name=request.name,
                    resources=request.resources or None,
                    enqueue_only=True,
                    reuse=False,
                )
            except SessionExists:
                if not request.any_name:
                    raise
                taken.add(request.name)
                request = replace(request, name=free_name(request.image, taken))
                self.store.launching_as(passing_id, request.name)
                self._post(SessionsChanged())
        raise BaiTuiError(f"{_NAMES_TRIED} names were taken: give one, with n")

    async def _connected(self) -> ApiClient:
        """Waits for the connection while the first one is being made.

        Raises:
            Unreachable: it was tried and failed.
        """
        connection = self.sync.connection
        while connection.client is None:
            if connection.trouble:
                raise Unreachable(f"not connected to {connection.place}: {connection.trouble}")
            await self.runs.wait()
        return connection.client

    # -- runs ------------------------------------------------------------------------------------------------------

    def execute(self, session_id: str, code: str) -> str | None:
        """Runs code in a session; returns why that cannot be, else None."""
        return self.runs.execute(session_id, code)

    def execute_in_place_of(self, ended: SessionRow | None, code: str) -> str:
        """Runs code in a session that is started for it, like the one that ended if there is one; returns its id."""
        session_id = self.launch_default(ended.image if ended is not None else "")
        if ended is not None:
            self.runs.of(session_id).feed.transcript.note(f"{ended.name} has ended: this is a new one like it")
        self.runs.execute(session_id, code)
        return session_id

    def answer(self, session_id: str, text: str) -> None:
        """Answers the run that asks."""
        self._spawn(self._tell(session_id, self.runs.answer(session_id, text)), f"answer {session_id}")

    def interrupt(self, session_id: str) -> str | None:
        """Interrupts what runs in a session; returns why that cannot be, else None."""
        if not self.store.is_busy(session_id):
            return "nothing runs here"
        self._spawn(self._tell(session_id, self.runs.interrupt(session_id)), f"interrupt {session_id}")
        return None

    async def _tell(self, session_id: str, doing: Coroutine[Any, Any, str | None]) -> None:
        wrong = await doing
        if wrong is not None:
            self.runs.of(session_id).feed.transcript.note(wrong, "error")
            self._post(ConsoleChanged(session_id))

    def refresh_images(self) -> None:
        """Asks for the images anew."""
        self._spawn(self.sync.refresh_images(), "images")

    # -- ending ----------------------------------------------------------------------------------------------------

    def kill(self, session_id: str) -> None:
        """Ends a session: at once when idle, after a second press when it runs code. Dismisses an ended one."""
        row = self.store.row(session_id)
        if row is None:
            return
        if row.ended:
            self.store.dismiss(session_id)
            self.runs.forget(session_id)
            self._post(SessionsChanged())
            return
        confirmed = self.clock() < self._killing.get(session_id, 0.0)
        if not confirmed and row.answering and self.store.is_busy(session_id):
            self._ask_to_confirm(session_id)
            return
        forced = row.status is SessionStatus.TERMINATING
        self._killing.pop(session_id, None)
        self.store.alarm(session_id, "")
        self.store.ending(session_id)
        self._post(SessionsChanged())
        self._spawn(self._kill(session_id, confirmed=confirmed or forced, forced=forced), f"kill {session_id}")

    def _ask_to_confirm(self, session_id: str) -> None:
        self._killing[session_id] = self.clock() + CONFIRM_S
        self.store.ending(session_id, False)
        self.store.alarm(session_id, f"busy: x again in {CONFIRM_S:.0f} s ends it")
        self._post(SessionsChanged())
        self._spawn(self._forget_confirm(session_id), f"confirm {session_id}")

    async def _forget_confirm(self, session_id: str) -> None:
        await asyncio.sleep(CONFIRM_S)
        if self.clock() >= self._killing.get(session_id, 0.0):
            self._killing.pop(session_id, None)
            self.store.alarm(session_id, "")
            self._post(SessionsChanged())

    async def _kill(self, session_id: str, *, confirmed: bool, forced: bool) -> None:
        try:
            client = await self._connected()
            if not confirmed and (await client.session(session_id)).busy:
                # somebody else runs code there: the list did not know yet
                self._ask_to_confirm(session_id)
                return
            await client.terminate(session_id, forced=forced)
        except NotFound:
            self.store.lost(session_id)
        except BaiTuiError as error:
            self.store.ending(session_id, False)
            self.store.note(session_id, error.message)
        finally:
            self._post(SessionsChanged())
            self.sync.poke()


def wants_ascii() -> bool:
    """Whether plain ASCII shapes are wanted: BAI_TUI_ASCII is set, or the locale is not UTF-8."""
    if os.environ.get("BAI_TUI_ASCII", "") not in ("", "0"):
        return True
    locale = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "UTF-8")
    return "UTF8" not in locale.upper().replace("-", "")
