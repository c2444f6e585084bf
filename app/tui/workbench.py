"""What the app does, apart from showing it: store, connection and runs together, and the calls that keys lead to.

Screens read it and call it; it posts facts back. Everything that waits runs as a named worker of the app.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from textual.message import Message

from ...widgets.glyphs import ASCII, UNICODE, Glyphs
from ...widgets.rows import SessionRow
from ...widgets.transcript import Transcript
from ..model.errors import Unreachable
from ..tui_settings import TuiSettings
from .abouts import Abouts
from .acting import Means
from .actions import ACTIONS
from .actions.keys import Keys
from .code_history import CodeHistory, Entry
from .documents import Documents
from .ending import Ending
from .happenings import Happenings
from .image_work import ImageWork
from .launch_memory import LaunchMemory
from .launching import Launching
from .messages import Complained, ConsoleChanged
from .read_only import Switch
from .run_queue import Queued
from .runs import Runs
from .samples import SAMPLE
from .state import Memory
from .store import SessionStore
from .sync import Locator, Sync, api_client
from .upkeep import Upkeep

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..model.endpoint import Endpoint

log = logging.getLogger(__name__)

WELCOME: Final = "bai-tui runs code in sessions, each with its own share of this machine."
WELCOME_KEYS: Final = (
    ("run", "runs the text above in a new session"),
    ("list-new", "picks an image and launches"),
    ("help", "explains the pane you are in, lists all keys"),
    ("jump", "goes to any pane"),
)
"""Action -> what the first screen says of it."""


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
        settings: TuiSettings | None = None,
        connect: Callable[[Endpoint], ApiClient] | None = None,
    ) -> None:
        self.clock = clock
        self.settings = settings or TuiSettings()
        self.glyphs: Glyphs = ASCII if ascii_only else UNICODE
        self.store = SessionStore()
        self.keys = Keys(self.settings.keys, ACTIONS)
        self.switch = Switch(self.settings.read_only)
        self.sync = Sync(locator, self.store, post, clock, self.switch.guard(connect or api_client))
        self.runs = Runs(self.store, self.sync.connection, post, clock, spawn)
        self.runs.scrollback_lines = self.settings.scrollback_lines
        self.welcome = Transcript()
        self.folder = folder
        self.memory = Memory(folder, place)
        self.happenings = Happenings(post, clock)
        means = Means(
            store=self.store,
            sync=self.sync,
            post=post,
            spawn=spawn,
            clock=clock,
            connected=self.connected,
            did=self.did,
        )
        self.launching = Launching(means, self.runs.news, self.welcome, self.memory.of(LaunchMemory))
        self.ending = Ending(means, self.runs.forget)
        self.upkeep = Upkeep(means)
        self.image_work = ImageWork(means)
        self.abouts = Abouts(means)
        self.sync.heard = self.happenings.event
        self._post = post
        self._spawn = spawn
        self.history = CodeHistory(folder, place)
        self.documents = Documents(self.memory, SAMPLE)
        self._forgetful = False
        """What is remembered cannot be written."""
        if self.documents.first_start:
            self.welcome.note(WELCOME)
            self.welcome.note("")
        for action, does in WELCOME_KEYS:
            self.welcome.note(f"{self.keys.first(action):<3} {does}")

    # -- what is remembered ----------------------------------------------------------------------------------------

    def save_state(self) -> None:
        """Writes what is remembered; blocks for a few milliseconds."""
        if self._forgetful:
            return
        self.documents.remember()
        try:
            self.memory.save()
        except OSError as error:
            log.warning("what the TUI remembers cannot be written: %s", error)
            self.complain(f"the editor's text cannot be kept: {error.strerror or error}")
            self._forgetful = True

    def did(self, *argv: str, session_id: str | None = None) -> None:
        """Notes what was just done, as the arguments of `bai-tui` that do the same."""
        self.happenings.did(*argv, session_id=session_id)

    @property
    def read_only(self) -> bool:
        """Whether nothing may be started, changed or ended."""
        return self.switch.on

    def refuse_changes(self) -> str | None:
        """Returns in a word why nothing may be changed; None when everything may."""
        return self.switch.refuse()

    def complain(self, text: str) -> None:
        """Tells of a failure that has no place."""
        self._post(Complained(text))

    # -- the server ------------------------------------------------------------------------------------------------

    async def connected(self) -> ApiClient:
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

    def execute(self, session_id: str, code: str) -> Queued | None:
        """Runs code in a session; returns what was queued where another run goes on, else None."""
        self._remember_code(session_id, code)
        return self.runs.execute(session_id, code)

    def _remember_code(self, session_id: str, code: str) -> None:
        view = self.store.view(session_id)
        name, image = ("", "") if view is None else (view.name, view.image)
        self._spawn(self._add_to_history(Entry(code, self.clock(), name, image)), "history")
        if name:
            short = "\n" not in code.strip()
            self.did("run", "-t", name, image, "-c", code.strip() if short else "-", session_id=session_id)

    async def _add_to_history(self, entry: Entry) -> None:
        try:
            await asyncio.to_thread(self.history.add, entry)
        except OSError as error:
            log.warning("what was run cannot be kept: %s", error)

    def execute_in_place_of(self, ended: SessionRow | None, code: str) -> str:
        """Runs code in a session that is started for it, like the one that ended if there is one; returns its id."""
        session_id = self.launching.default(ended.image if ended is not None else "")
        if ended is not None:
            self.runs.of(session_id).feed.transcript.note(f"{ended.name} has ended: this is a new one like it")
        self.execute(session_id, code)
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
        self.sync.refresh_images()


def wants_ascii() -> bool:
    """Whether plain ASCII shapes are wanted: BAI_TUI_ASCII is set, or the locale is not UTF-8."""
    if os.environ.get("BAI_TUI_ASCII", "") not in ("", "0"):
        return True
    locale = next((os.environ[name] for name in ("LC_ALL", "LC_CTYPE", "LANG") if os.environ.get(name)), "UTF-8")
    return "UTF8" not in locale.upper().replace("-", "")
