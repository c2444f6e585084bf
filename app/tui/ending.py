"""How sessions are ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final

from textual.message import Message

from ..model.errors import BaiTuiError, NotFound
from ..model.sessions import SessionStatus
from .messages import SessionsChanged
from .store import SessionStore
from .sync import Sync

if TYPE_CHECKING:
    from ..client.api import ApiClient

CONFIRM_S: Final = 3.0
"""Within which a second press ends a session that runs code."""


class Ending:
    """Ends sessions.

    Args:
        connected: Waits for the connection.
        forget: Drops what was kept of a session that left the list.
    """

    def __init__(
        self,
        store: SessionStore,
        sync: Sync,
        post: Callable[[Message], object],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        clock: Callable[[], float],
        connected: Callable[[], Awaitable[ApiClient]],
        forget: Callable[[str], None],
    ) -> None:
        self._store = store
        self._sync = sync
        self._post = post
        self._spawn = spawn
        self._clock = clock
        self._connected = connected
        self._forget = forget
        self._killing: dict[str, float] = {}

    def kill(self, session_id: str) -> None:
        """Ends a session: at once when idle, after a second press when it runs code. Dismisses an ended one."""
        row = self._store.row(session_id)
        if row is None:
            return
        if row.ended:
            self._store.dismiss(session_id)
            self._forget(session_id)
            self._post(SessionsChanged())
            return
        confirmed = self._clock() < self._killing.get(session_id, 0.0)
        if not confirmed and row.answering and self._store.is_busy(session_id):
            self._ask_to_confirm(session_id)
            return
        forced = row.status is SessionStatus.TERMINATING
        self._killing.pop(session_id, None)
        self._store.alarm(session_id, "")
        self._store.ending(session_id)
        self._post(SessionsChanged())
        self._spawn(self._kill(session_id, confirmed=confirmed or forced, forced=forced), f"kill {session_id}")

    def _ask_to_confirm(self, session_id: str) -> None:
        self._killing[session_id] = self._clock() + CONFIRM_S
        self._store.ending(session_id, False)
        self._store.alarm(session_id, f"busy: x again in {CONFIRM_S:.0f} s ends it")
        self._post(SessionsChanged())
        self._spawn(self._forget_confirm(session_id), f"confirm {session_id}")

    async def _forget_confirm(self, session_id: str) -> None:
        await asyncio.sleep(CONFIRM_S)
        if self._clock() >= self._killing.get(session_id, 0.0):
            self._killing.pop(session_id, None)
            self._store.alarm(session_id, "")
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
            self._store.lost(session_id)
        except BaiTuiError as error:
            self._store.ending(session_id, False)
            self._store.note(session_id, error.message)
        finally:
            self._post(SessionsChanged())
            self._sync.poke()
