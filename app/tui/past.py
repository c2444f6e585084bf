"""The sessions that ended, as the server remembers them: page by page, with what they wrote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from ...widgets.rows import SessionRow
from ...widgets.transcript import Transcript
from ..client.views import SessionView
from ..model.sessions import TERMINAL, SessionStatus
from .feed import Feed
from .reading import TAIL_RECORDS
from .reasons import why_ended
from .session_rows import row_of

if TYPE_CHECKING:
    from ..client.api import ApiClient

PAGE: Final = 100
"""Sessions that are asked for at a time."""
_RECORDS: Final = 200
"""Journal records that are asked for at a time."""
_END: Final = 2**53
"""A number above those of all records."""
_ENDED: Final = [status for status in SessionStatus if status in TERMINAL]


class Past:
    """Ended sessions, the newest first.

    Args:
        connected: Waits for the connection.
        has_journal: Whether the server keeps journals.
    """

    def __init__(self, connected: Callable[[], Awaitable[ApiClient]], has_journal: Callable[[], bool]) -> None:
        self._connected = connected
        self._has_journal = has_journal
        self._views: dict[str, SessionView] = {}
        self._asked = 0
        self.total: int | None = None
        """How many there are on the server; None = not asked yet."""

    @property
    def complete(self) -> bool:
        """Whether all of them are known here."""
        return self.total is not None and self._asked >= self.total

    def view(self, session_id: str) -> SessionView | None:
        """Returns what the server said of one."""
        return self._views.get(session_id)

    async def more(self) -> list[SessionRow]:
        """Returns the next page of rows; empty when there are no more.

        Raises:
            BaiTuiError: the server cannot be asked now; asked again later, nothing is left out.
        """
        client = await self._connected()
        views, self.total = await client.list_sessions(
            statuses=_ENDED, limit=PAGE, offset=self._asked, order="-terminated_at"
        )
        self._asked += len(views)
        if not views:
            self._asked = self.total
        fresh = [view for view in views if view.id not in self._views]
        self._views.update((view.id, view) for view in fresh)
        return [past_row(view) for view in fresh]

    async def output(self, session_id: str, transcript: Transcript) -> AsyncIterator[None]:
        """Writes what a session wrote, and yields after each part of it. Stopped early, the rest is left out.

        Raises:
            BaiTuiError: it cannot be had.
        """
        client = await self._connected()
        if not self._has_journal():
            transcript.write(await client.logs(session_id))
            yield
            return
        feed = Feed(transcript)
        newest = await client.journal(session_id, before=_END, limit=1)
        start = max(0, newest[-1].seq - TAIL_RECORDS) if newest else 0
        if start:
            feed.last_seq = start
            transcript.note(f"{start:,} earlier records are in the session's journal", "quiet")
        while True:
            lines = await client.journal(session_id, after=feed.last_seq, limit=_RECORDS)
            feed.journal(lines)
            yield
            # the screen is painted in between, whether or not the answer was there already
            await asyncio.sleep(0)
            if len(lines) < _RECORDS:
                return


def past_row(view: SessionView) -> SessionRow:
    """Returns the row of a session that ended."""
    ended = view.terminated_at or view.status_changed
    return replace(
        row_of(view, None), note="", why=why_ended(view), ended_s=None if ended is None else ended.timestamp()
    )
