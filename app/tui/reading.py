"""The journals of sessions in the TUI: what was said before we came, elsewhere, or after our websocket broke.

The server pushes what is new of the session that is looked at, and of every one whose run we follow.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final

from textual.message import Message

from ...widgets.transcript import MAX_LINES, RunState, Transcript
from ..model.errors import BaiTuiError, IllegalState, NotFound, RemoteError, Unreachable
from ..model.sessions import TERMINAL
from .feed import Feed
from .messages import ConsoleChanged, InputAsked, SessionsChanged
from .pace import Pace
from .run_queue import RunQueue
from .store import LAUNCHING, SessionStore

if TYPE_CHECKING:
    from ..client.api import ApiClient, ExecuteStream
    from ..client.views import JournalLine
    from .sync import Connection

log = logging.getLogger(__name__)

_PAGE: Final = 1000
"""Journal records that are asked for at a time at most."""
_PAGE_LEAST: Final = 2
_PAGE_CHARS: Final = 200_000
"""Characters of output that are taken at a time: what keeps the screen waiting for some milliseconds only."""
TAIL_RECORDS: Final = 5000
"""Journal records that are loaded of a session that ran before we came."""
TAIL_CHARS: Final = 4_000_000
"""Characters of output that are loaded of it at most: what scrolls by for an hour fills more records than one reads."""
_END: Final = 2**53
"""A number above those of all records."""
_AGAIN_S: Final = 1.0
"""Pause before a server is asked again that said it could not answer now."""
_NOT_NOW: Final = frozenset({502, 503, 504})
LOST: Final = "connection lost"

Spawn = Callable[[Coroutine[None, None, None], str], object]
"""Runs a coroutine under an owner, by name."""


class SessionConsole:
    """One session's feed and the streams that fill it."""

    def __init__(self, scrollback_lines: int = MAX_LINES) -> None:
        self.feed = Feed(Transcript(max_lines=scrollback_lines))
        self.loaded = False
        """What was said before we came is in the transcript."""
        self.stream: ExecuteStream | None = None
        self.streaming = False
        """A run of ours is being started or goes on over a websocket."""
        self.limit: asyncio.Timeout | None = None
        """Ends the stream of a session that ended; not every server closes it."""
        self.idle = asyncio.Event()
        """Set while not `streaming`."""
        self.idle.set()
        self.unsure: tuple[int, str] | None = None
        """The answer that was sent last over the stream of a run of ours, after the number of its prompt: whether it
        arrived is not known if the stream breaks."""
        self.pace = Pace()
        """Lets the screen have its share while much comes in."""
        self.queue = RunQueue()
        """What is run after the run that goes on."""
        self.loading = asyncio.Lock()
        self.pushed: AsyncGenerator[Sequence[JournalLine]] | None = None
        """What the server pushes of the journal."""
        self.reader: asyncio.Task[object] | None = None
        """Waits for the next of that."""
        self.followed = False
        self.page = 8
        """Journal records to ask for next, while we catch up."""

    def sized(self, lines: Sequence[JournalLine]) -> None:
        """Learns from records how many of them to ask for at a time."""
        if lines:
            chars = sum(len(line.data) if isinstance(line.data, str) else len(str(line.data)) for line in lines)
            self.page = max(_PAGE_LEAST, min(_PAGE, _PAGE_CHARS * len(lines) // max(1, chars)))


async def _next(batches: AsyncGenerator[Sequence[JournalLine]]) -> Sequence[JournalLine] | None:
    return await anext(batches, None)


class Reading:
    """Fills the consoles of sessions from their journals. The base of `Runs`, which owns the consoles."""

    _store: SessionStore
    _connection: Connection
    _post: Callable[[Message], object]
    _clock: Callable[[], float]
    _spawn: Spawn
    _consoles: dict[str, SessionConsole]
    _watched: str | None
    scrollback_lines: int = MAX_LINES
    """Of the console of a session that is seen from now on."""

    def of(self, session_id: str) -> SessionConsole:
        """Returns the console of a session, a fresh one at first."""
        console = self._consoles.get(session_id)
        if console is None:
            console = self._consoles[session_id] = SessionConsole(self.scrollback_lines)
        return console

    def _client(self) -> ApiClient:
        client = self._connection.client
        if client is None:
            raise Unreachable(f"not connected to {self._connection.place}: {self._connection.trouble or 'starting'}")
        return client

    @property
    def _has_journal(self) -> bool:
        """Whether the server keeps journals, and pushes them."""
        return "follow" in self._connection.capabilities

    def _lives(self, session_id: str) -> bool:
        view = self._store.view(session_id)
        return view is not None and view.status not in TERMINAL

    def _ended(self, session_id: str) -> bool:
        view = self._store.view(session_id)
        return view is not None and view.status in TERMINAL

    def _epitaph(self, session_id: str) -> str:
        row = self._store.row(session_id)
        reason = f": {row.note}" if row is not None and row.note else ""
        return f"the session ended under this run{reason}; ^r starts another"

    def _mark(self, session_id: str, console: SessionConsole) -> None:
        """Tells the row and the screen how a session stands."""
        run = console.feed.current
        self._store.running(session_id, here=run is not None and run.going, asks=run is not None and run.waiting)
        self._post(SessionsChanged())
        self._post(ConsoleChanged(session_id))
        self._run_next(session_id, console)

    def _run_next(self, session_id: str, console: SessionConsole) -> None:
        """Begins what waits behind a run that has ended."""
        raise NotImplementedError

    def watch(self, session_id: str | None) -> None:
        """Takes which session is looked at: what it said before is loaded, what it says is followed."""
        self._watched = session_id
        if session_id is not None and not session_id.startswith(LAUNCHING):
            self._follow(session_id)

    def reconnected(self) -> None:
        """Takes that the connection stands again: broken runs are resumed."""
        for session_id, console in list(self._consoles.items()):
            self._run_next(session_id, console)
            if session_id == self._watched or (console.feed.current is not None and not console.streaming):
                self._follow(session_id)

    def _follow(self, session_id: str) -> None:
        console = self.of(session_id)
        if not console.followed and self._connection.client is not None:
            console.followed = True
            self._spawn(self._read_on(session_id, console), f"follow {session_id}")

    async def _read_on(self, session_id: str, console: SessionConsole) -> None:
        """Reads the journal while the session is looked at, or a run that broke off goes on."""
        try:
            while not await self._read_until_refused(session_id, console):
                log.info("the journal of %s is asked for again", session_id)
        except NotFound as error:
            log.info("the journal of %s: %s", session_id, error)
            self._give_up(session_id, console, self._epitaph(session_id), RunState.ENDED)
        except BaiTuiError as error:
            console.feed.transcript.note(f"its output cannot be read: {error.message}", "error")
            if self._ended(session_id):
                self._give_up(session_id, console, self._epitaph(session_id), RunState.ENDED)
            self._post(ConsoleChanged(session_id))
        finally:
            console.followed = False
            await self._stop_pushing(console)

    async def _read_until_refused(self, session_id: str, console: SessionConsole) -> bool:
        """Reads the journal; returns whether that is over, False after a pause where the server cannot answer now."""
        try:
            await self._load(session_id, console)
            await self._resume(session_id, console)
            while self._has_journal:
                run = console.feed.current
                if session_id != self._watched and (run is None or console.streaming):
                    break
                await console.idle.wait()
                new = await self._read(session_id, console)
                self._resolve_lost(session_id, console, new)
                if not new:
                    break
        except RemoteError as error:
            if not isinstance(error, Unreachable) and error.http_status not in _NOT_NOW:
                raise
            # a server that stops, or one in between: who is there next is asked for what follows
            log.info("the journal of %s: %s", session_id, error)
            await asyncio.sleep(_AGAIN_S)
            # without a connection that is over: it is read on when there is one again
            return self._connection.client is None
        return True

    async def _resume(self, session_id: str, console: SessionConsole) -> None:
        """Takes what a run said while the connection was lost, and that it is followed again."""
        run = console.feed.current
        if run is None or run.note != LOST or run.run_id is None or not self._has_journal:
            return
        client = self._client()
        async for _ in self._pages(client, session_id, console):
            pass
        if run.going and console.unsure is not None and console.unsure[0] == run.prompt:
            try:
                await client.answer(session_id, run.run_id, console.unsure[1], run.prompt)
            except IllegalState as error:
                log.info("an answer to %s was not taken: %s", session_id, error)
            console.unsure = None
        if run.going and run.note == LOST:
            run.note = ""
            console.feed.transcript.touch(run)
            self._mark(session_id, console)

    def _resolve_lost(self, session_id: str, console: SessionConsole, new: bool) -> None:
        """Ends a run of ours of which the journal knows nothing: it never reached the session."""
        run = console.feed.current
        view = self._store.view(session_id)
        if run is None or console.streaming or new:
            return
        if self._ended(session_id):
            self._give_up(session_id, console, self._epitaph(session_id), RunState.ENDED)
        elif run.run_id is None and run.note == LOST and (view is None or not view.busy):
            self._give_up(session_id, console, "the run did not reach the session: run it again")

    def _give_up(self, session_id: str, console: SessionConsole, reason: str, state: RunState = RunState.LOST) -> None:
        run = console.feed.current
        if run is not None and not console.streaming:
            console.feed.fail(run, reason, self._clock(), state=state)
            self._mark(session_id, console)

    async def _read(self, session_id: str, console: SessionConsole) -> bool:
        """Takes what the server pushes next; False at the end of the session. Broken off, losing nothing, when a run
        of ours begins.
        """
        if console.pushed is None:
            console.pushed = self._client().follow(session_id, after=console.feed.last_seq).batches()
        task = asyncio.ensure_future(_next(console.pushed))
        console.reader = task
        try:
            lines = await task
        except asyncio.CancelledError:
            if task.cancelled() and (own := asyncio.current_task()) is not None and not own.cancelling():
                # another look, at a run of ours or at a session that ended, not the end
                await self._stop_pushing(console)
                return True
            task.cancel()
            await asyncio.wait([task])
            raise
        except BaiTuiError:
            console.pushed = None  # what has failed has ended
            raise
        finally:
            console.reader = None
        if lines is None:
            console.pushed = None
            return False
        self._take(session_id, console, lines)
        await console.pace.step()
        return True

    async def _stop_pushing(self, console: SessionConsole) -> None:
        pushed, console.pushed = console.pushed, None
        if pushed is not None:
            await pushed.aclose()

    def _take(self, session_id: str, console: SessionConsole, lines: Sequence[JournalLine]) -> None:
        """Takes new journal records, and tells what is new of them."""
        before = console.feed.current
        waited = before is not None and before.waiting
        console.feed.journal(lines)
        now = console.feed.current
        if now is not None and now.waiting and not (waited and now is before):
            self._post(InputAsked(session_id))
        if before is not now or now is not None:
            self._mark(session_id, console)
        self._post(ConsoleChanged(session_id))

    async def _load(self, session_id: str, console: SessionConsole) -> None:
        """Loads what a session said before we came, once."""
        async with console.loading:
            if console.loaded or session_id.startswith(LAUNCHING):
                return
            client, feed = self._client(), console.feed
            if self._has_journal:
                feed.transcript.store.where = "the session's journal has them"
                newest = await self._newest(client, session_id, console)
                start = newest[0][0].seq - 1 if newest else 0
                if start:
                    feed.last_seq = start
                    feed.transcript.note(f"{start:,} earlier records are in the session's journal", "quiet")
                    await self._show_run_of(client, session_id, feed, newest[0][0])
                for lines in newest:
                    self._take(session_id, console, lines)
                    await console.pace.step()
                async for _ in self._pages(client, session_id, console):
                    pass
            else:
                feed.transcript.write(await client.logs(session_id))
            console.loaded = True
            self._mark(session_id, console)

    async def _show_run_of(self, client: ApiClient, session_id: str, feed: Feed, first: JournalLine) -> None:
        """Begins the run that the first record is in the middle of."""
        if first.run_id is None or first.kind == "run-started":
            return
        for run in await client.list_runs(session_id):
            if run.id == first.run_id:
                feed.begun_before(run.id, run.code, run.started_s)

    async def _newest(self, client: ApiClient, session_id: str, console: SessionConsole) -> list[Sequence[JournalLine]]:
        """Returns the newest part of a journal, piece by piece: as much as is worth to be shown."""
        found: list[Sequence[JournalLine]] = []
        records = chars = 0
        before = _END
        while records < TAIL_RECORDS and chars < TAIL_CHARS:
            lines = await client.journal(session_id, before=before, limit=min(console.page, TAIL_RECORDS - records))
            if not lines:
                break
            console.sized(lines)
            found.insert(0, lines)
            records += len(lines)
            chars += sum(len(line.data) if isinstance(line.data, str) else 0 for line in lines)
            before = lines[0].seq
        return found

    async def _pages(self, client: ApiClient, session_id: str, console: SessionConsole) -> AsyncIterator[None]:
        """Takes what the journal holds after what we have, and yields after each part of it."""
        more = True
        while more:
            asked = console.page
            lines = await client.journal(session_id, after=console.feed.last_seq, limit=asked)
            console.sized(lines)
            if lines:
                self._take(session_id, console, lines)
            yield
            await console.pace.step()
            more = len(lines) >= asked

    async def _catch_up(self, session_id: str, console: SessionConsole) -> None:
        """Takes what the journal holds already, so that a new run comes after it."""
        if session_id.startswith(LAUNCHING) or not self._lives(session_id):
            return
        try:
            await self._load(session_id, console)
            if self._has_journal:
                async for _ in self._pages(self._client(), session_id, console):
                    pass
        except NotFound:
            console.loaded = True
        except RemoteError as error:
            if isinstance(error, Unreachable):
                raise
            log.warning("the journal of %s: %s", session_id, error)
