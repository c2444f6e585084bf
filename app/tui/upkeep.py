"""What the user does to keep a session or move it in the queue: extend, prioritize."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from textual.message import Message

from ...widgets.text import duration
from ..model.errors import BaiTuiError
from ..model.sessions import ANSWERING, SessionStatus
from .messages import Complained, SessionsChanged, Told
from .store import SessionStore
from .sync import Sync

if TYPE_CHECKING:
    from ..client.api import ApiClient

EXTEND_S: Final = 1800.0
"""How much later a session ends after one press."""
PRIORITY_STEP: Final = 5
_HIGHEST: Final = 100


class Upkeep:
    """Calls that change how long a session lives and when it starts.

    Args:
        connected: Waits for the connection.
    """

    def __init__(
        self,
        store: SessionStore,
        sync: Sync,
        post: Callable[[Message], object],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        clock: Callable[[], float],
        connected: Callable[[], Awaitable[ApiClient]],
    ) -> None:
        self._store = store
        self._sync = sync
        self._post = post
        self._spawn = spawn
        self._clock = clock
        self._connected = connected

    def extend(self, session_id: str) -> str | None:
        """Lets a session end half an hour later than it would; returns why that cannot be, else None."""
        view = self._store.view(session_id)
        if view is None or view.status not in ANSWERING:
            return "only a session that runs can be extended"
        ends_at_s = self._store.ends_at_s(session_id)
        remaining_s = max(0.0, ends_at_s - self._clock()) if ends_at_s is not None else 0.0
        self._spawn(self._extend(session_id, view.name, remaining_s + EXTEND_S), f"extend {session_id}")
        return None

    def take_back(self, session_id: str) -> str | None:
        """Lets the idle checks of a session count as if it had not been extended; returns why not, else None."""
        view = self._store.view(session_id)
        if view is None or view.status not in ANSWERING:
            return "only a session that runs can be extended"
        self._spawn(self._extend(session_id, view.name, 0.0), f"extend {session_id}")
        return None

    async def _extend(self, session_id: str, name: str, seconds: float) -> None:
        try:
            given = await (await self._connected()).extend(session_id, round(seconds))
        except BaiTuiError as error:
            self._refused(session_id, error)
            return
        now_s = self._clock()
        self._store.extended(session_id, None if given.remaining_s is None else now_s + given.remaining_s)
        left_text = "" if given.remaining_s is None else f", ends in {duration(given.remaining_s)} if nobody uses it"
        if given.kept_until is None:
            self._post(Told(f"{name} is not extended any more{left_text}"))
        else:
            self._post(Told(f"{name} is kept until {given.kept_until.astimezone():%H:%M}{left_text}"))
        self._post(SessionsChanged())
        self._sync.poke()

    def prioritize(self, session_id: str, direction: int) -> str | None:
        """Moves a waiting session up (1) or down (-1) in the queue; returns why that cannot be, else None."""
        view = self._store.view(session_id)
        if view is None or view.status is not SessionStatus.PENDING:
            return "only a session that waits has use for a priority"
        if view.priority is None:
            return "this server tells no priorities"
        priority = max(0, min(_HIGHEST, view.priority + direction * PRIORITY_STEP))
        if priority == view.priority:
            return f"its priority is {priority} already"
        self._store.prioritized(session_id, priority)
        self._post(SessionsChanged())
        self._spawn(self._prioritize(session_id, view.name, priority), f"prioritize {session_id}")
        return None

    async def _prioritize(self, session_id: str, name: str, priority: int) -> None:
        try:
            given = await (await self._connected()).prioritize(session_id, priority)
        except BaiTuiError as error:
            self._refused(session_id, error)
            return
        self._store.prioritized(session_id, given)
        self._post(Told(f"{name} has priority {given} now"))
        self._post(SessionsChanged())
        self._sync.poke()

    def _refused(self, session_id: str, error: BaiTuiError) -> None:
        """Says why the server did not: in full, and in the row, which has place for a few words."""
        self._post(Complained(error.message))
        self._store.note(session_id, error.message)
        self._post(SessionsChanged())
        self._sync.poke()
