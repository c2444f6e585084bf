"""Runs in sessions: each one's stream goes on whichever session is looked at, and a broken one is resumed.

Output comes by the websocket of a run that we started, and by the journal (where the server keeps one) for what
happened before, elsewhere, or after our websocket broke. Never both at once for one session; `Feed` joins them by
sequence number.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Final

from textual.message import Message

from ...widgets.transcript import Run, RunState
from ..model.console import ExecuteRequest, RunMode
from ..model.errors import BaiTuiError, NotFound, RemoteError, Unreachable
from ..model.sessions import TERMINAL
from .feed import Feed
from .messages import ConsoleChanged, InputAsked, SessionsChanged
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
_POLL_S: Final = 20.0
"""How long one question for new journal records stays open."""
_AGAIN_S: Final = 1.0
"""Pause before a server is asked again that said it could not answer now."""
_NOT_NOW: Final = frozenset({502, 503, 504})
_LOST: Final = "connection lost"
LAST_WORDS_S: Final = 2.0
"""How long a stream may go on after its session ended: what the session said last may still be on the way."""

Spawn = Callable[[Coroutine[None, None, None], str], object]
"""Runs a coroutine under an owner, by name."""


class SessionConsole:
    """One session's feed and the streams that fill it."""

    def __init__(self) -> None:
        self.feed = Feed()
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
        self.loading = asyncio.Lock()
        self.reader: asyncio.Task[object] | None = None
        """The question for new journal records that is open."""
        self.followed = False
        self.page = 8
        """Journal records to ask for next."""

    def sized(self, lines: Sequence[JournalLine]) -> None:
        """Learns from records how many of them to ask for at a time."""
        if lines:
            chars = sum(len(line.data) if isinstance(line.data, str) else len(str(line.data)) for line in lines)
            self.page = max(_PAGE_LEAST, min(_PAGE, _PAGE_CHARS * len(lines) // max(1, chars)))


class Runs:
    """The consoles of all sessions."""

    def __init__(
        self,
        store: SessionStore,
        connection: Connection,
        post: Callable[[Message], object],
        clock: Callable[[], float],
        spawn: Spawn,
    ) -> None:
        self._store = store
        self._connection = connection
        self._post = post
        self._clock = clock
        self._spawn = spawn
        self._consoles: dict[str, SessionConsole] = {}
        self._changed = asyncio.Condition()
        self._watched: str | None = None

    def of(self, session_id: str) -> SessionConsole:
        """Returns the console of a session, a fresh one at first."""
        console = self._consoles.get(session_id)
        if console is None:
            console = self._consoles[session_id] = SessionConsole()
        return console

    def renamed(self, old_id: str, new_id: str) -> None:
        """Takes that a launch got its real id."""
        console = self._consoles.pop(old_id, None)
        if console is not None:
            console.loaded = True
            self._consoles[new_id] = console
        if self._watched == old_id:
            self.watch(new_id)

    def forget(self, session_id: str) -> None:
        """Drops the console of a session that left the list."""
        if session_id != self._watched:
            self._consoles.pop(session_id, None)

    async def news(self) -> None:
        """Wakes the runs that wait for their session and ends those whose session did; for when the store changed."""
        for session_id, console in list(self._consoles.items()):
            if console.feed.current is not None and self._ended(session_id):
                self._session_ended(session_id, console)
        async with self._changed:
            self._changed.notify_all()

    async def wait(self) -> None:
        """Returns at the next news."""
        async with self._changed:
            await self._changed.wait()

    # -- running code --------------------------------------------------------------------------------------------

    def execute(self, session_id: str, code: str) -> str | None:
        """Begins a run and returns at once; returns why not, when one goes on already."""
        console = self.of(session_id)
        current = console.feed.current
        if console.streaming or (current is not None and current.going):
            number = f" [{current.number}]" if current is not None else ""
            return f"run{number} goes on: f6 interrupts it"
        console.streaming = True
        console.idle.clear()
        if console.reader is not None:
            console.reader.cancel()
        self._spawn(self._execute(session_id, console, code), f"run {session_id}")
        return None

    async def _execute(self, session_id: str, console: SessionConsole, code: str) -> None:
        feed = console.feed
        try:
            await self._catch_up(session_id, console)
            run = feed.begin(code, self._clock())
            session_id = await self._answering(session_id, console)
            self._mark(session_id, console)
            client = self._client()
            async with asyncio.timeout(None) as console.limit:
                async with client.execute(session_id, ExecuteRequest(RunMode.QUERY, code)) as stream:
                    console.stream = stream
                    await self._stream(session_id, console, run, stream)
            self._store.idle(session_id)
            if run.going:
                feed.fail(run, "the server ended the stream without saying how the run ended", self._clock())
        except TimeoutError:
            log.info("the stream of %s stayed open after the session's end", session_id)
        except Unreachable as error:
            self._broken(session_id, console, error)
        except BaiTuiError as error:
            if feed.current is not None:
                feed.fail(feed.current, error.message, self._clock())
            else:
                feed.transcript.note(error.message, "error")
        finally:
            console.stream, console.limit, console.streaming = None, None, False
            console.idle.set()
            self._mark(session_id, console)
            if self._lives(session_id) and (session_id == self._watched or feed.current is not None):
                self._follow(session_id)

    async def _stream(self, session_id: str, console: SessionConsole, run: Run, stream: ExecuteStream) -> None:
        """Takes frames until the run ends."""
        async for frame in stream:
            waited = run.waiting
            console.feed.frame(run, frame, self._clock())
            if run.waiting and not waited:
                self._post(InputAsked(session_id))
            if run.waiting != waited:
                self._mark(session_id, console)
            self._post(ConsoleChanged(session_id))
            # a flood that is in the buffer already must let the screen be painted
            await asyncio.sleep(0)

    def _session_ended(self, session_id: str, console: SessionConsole) -> None:
        """Ends the run that is open in a session that ended, after what can still be had of its output."""
        if console.streaming:
            if console.limit is not None and console.limit.when() is None:
                console.limit.reschedule(asyncio.get_running_loop().time() + LAST_WORDS_S)
        elif "journal" not in self._connection.capabilities or self._connection.client is None:
            self._give_up(session_id, console, self._epitaph(session_id), RunState.ENDED)
        elif console.reader is not None:
            # it waits for records that will not come
            console.reader.cancel()
        else:
            self._follow(session_id)

    def _broken(self, session_id: str, console: SessionConsole, error: Unreachable) -> None:
        """Takes that a stream broke: the run may go on without us."""
        log.info("the stream of %s: %s", session_id, error)
        run = console.feed.current
        if run is None:
            console.feed.transcript.note(error.message, "error")
        elif "journal" in self._connection.capabilities:
            # a prompt stays one: nobody has answered it
            run.note = _LOST
            console.feed.transcript.touch(run)
        else:
            console.feed.fail(
                run, f"{error.message}: what it said after that is lost", self._clock(), state=RunState.LOST
            )

    async def _answering(self, session_id: str, console: SessionConsole) -> str:
        """Waits until a session takes code; returns its id, which a launch only gets on the way.

        Raises:
            BaiTuiError: it ended before, or could not be started.
        """
        run = console.feed.current
        while True:
            session_id = self._store.real_id(session_id)
            row = self._store.row(session_id)
            if row is None:
                raise BaiTuiError("the session could not be started")
            if row.answering and not session_id.startswith(LAUNCHING):
                return session_id
            if row.ended:
                raise BaiTuiError(f"{row.name} has ended: n starts another" + (f" ({row.note})" if row.note else ""))
            if run is not None and run.note != "waits for its session":
                run.note = "waits for its session"
                console.feed.transcript.touch(run)
                # once: each mark is news, and news wakes this loop
                self._mark(session_id, console)
            await self.wait()

    def _client(self) -> ApiClient:
        client = self._connection.client
        if client is None:
            raise Unreachable(f"not connected to {self._connection.place}: {self._connection.trouble or 'starting'}")
        return client

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

    # -- answering and interrupting ------------------------------------------------------------------------------

    async def answer(self, session_id: str, text: str) -> str | None:
        """Sends a line of input to the run that asks for it; returns what went wrong, else None."""
        console = self.of(session_id)
        feed, run, stream = console.feed, console.feed.current, console.stream
        if run is None or not run.waiting:
            return "nothing asks for input any more"
        try:
            if stream is not None:
                await stream.send_input(text)
            elif run.run_id is None or not self.can_answer(session_id):
                return "this run was started elsewhere: answer it there, or interrupt it with f6"
        except BaiTuiError as error:
            return error.message
        secret = run.is_password
        # before it is sent, where what the run says to it may come from the journal before the call returns
        feed.answered(run, text)
        self._mark(session_id, console)
        if stream is None and run.run_id is not None:
            try:
                await self._client().answer(session_id, run.run_id, text)
            except BaiTuiError as error:
                feed.asks_again(run, secret)
                self._mark(session_id, console)
                return error.message
        return None

    def can_answer(self, session_id: str) -> bool:
        """Whether a prompt can be answered from here: over the stream that we hold, else where there is a journal."""
        connection = self._connection
        journal = connection.client is not None and "journal" in connection.capabilities
        return journal or self.of(session_id).stream is not None

    async def interrupt(self, session_id: str) -> str | None:
        """Interrupts the run of a session; returns what went wrong, else None."""
        console = self.of(session_id)
        try:
            console.feed.interrupting()
            await self._client().interrupt(session_id)
        except BaiTuiError as error:
            return error.message
        return None

    # -- what we did not start -----------------------------------------------------------------------------------

    def watch(self, session_id: str | None) -> None:
        """Takes which session is looked at: what it said before is loaded, what it says is followed."""
        self._watched = session_id
        if session_id is not None and not session_id.startswith(LAUNCHING):
            self._follow(session_id)

    def reconnected(self) -> None:
        """Takes that the connection stands again: broken runs are resumed."""
        for session_id, console in self._consoles.items():
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
        except Unreachable as error:
            log.info("the journal of %s: %s", session_id, error)
        except BaiTuiError as error:
            console.feed.transcript.note(f"its output cannot be read: {error.message}", "error")
            if self._ended(session_id):
                self._give_up(session_id, console, self._epitaph(session_id), RunState.ENDED)
            self._post(ConsoleChanged(session_id))
        finally:
            console.followed = False

    async def _read_until_refused(self, session_id: str, console: SessionConsole) -> bool:
        """Reads the journal; returns whether that is over, False after a pause where the server cannot answer now."""
        try:
            await self._load(session_id, console)
            await self._resume(session_id, console)
            while "journal" in self._connection.capabilities:
                run = console.feed.current
                if session_id != self._watched and (run is None or console.streaming):
                    break
                await console.idle.wait()
                alive = self._lives(session_id)
                new = await self._read(session_id, console, wait_s=_POLL_S if alive else 0)
                self._resolve_lost(session_id, console, new)
                if not alive and not new:
                    break
        except RemoteError as error:
            if error.http_status not in _NOT_NOW:
                raise
            # a server that stops, or one in between: who is there next is asked for what follows
            log.info("the journal of %s: %s", session_id, error)
            await asyncio.sleep(_AGAIN_S)
            return False
        return True

    async def _resume(self, session_id: str, console: SessionConsole) -> None:
        """Takes what a run said while the connection was lost, and that it is followed again."""
        run = console.feed.current
        if run is None or run.note != _LOST or run.run_id is None or "journal" not in self._connection.capabilities:
            return
        asked = console.page
        while await self._read(session_id, console, wait_s=0) >= asked:
            asked = console.page
        if run.going and run.note == _LOST:
            run.note = ""
            console.feed.transcript.touch(run)
            self._mark(session_id, console)

    def _resolve_lost(self, session_id: str, console: SessionConsole, new: int) -> None:
        """Ends a run of ours of which the journal knows nothing: it never reached the session."""
        run = console.feed.current
        view = self._store.view(session_id)
        if run is None or console.streaming or new:
            return
        if self._ended(session_id):
            self._give_up(session_id, console, self._epitaph(session_id), RunState.ENDED)
        elif run.run_id is None and run.note == _LOST and (view is None or not view.busy):
            self._give_up(session_id, console, "the run did not reach the session: run it again")

    def _give_up(self, session_id: str, console: SessionConsole, reason: str, state: RunState = RunState.LOST) -> None:
        run = console.feed.current
        if run is not None and not console.streaming:
            console.feed.fail(run, reason, self._clock(), state=state)
            self._mark(session_id, console)

    async def _read(self, session_id: str, console: SessionConsole, *, wait_s: float) -> int:
        """Takes new journal records; returns how many. Broken off, losing nothing, when a run of ours begins."""
        client = self._client()
        task = asyncio.ensure_future(
            client.journal(session_id, after=console.feed.last_seq, limit=console.page, wait_s=wait_s)
        )
        console.reader = task
        try:
            lines = await task
        except asyncio.CancelledError:
            if task.cancelled() and (own := asyncio.current_task()) is not None and not own.cancelling():
                # another look, at a run of ours or at a session that ended, not the end
                return 1
            task.cancel()
            raise
        finally:
            console.reader = None
        console.sized(lines)
        before = console.feed.current
        waited = before is not None and before.waiting
        console.feed.journal(lines)
        if lines:
            now = console.feed.current
            if now is not None and now.waiting and not (waited and now is before):
                self._post(InputAsked(session_id))
            if before is not console.feed.current or console.feed.current is not None:
                self._mark(session_id, console)
            self._post(ConsoleChanged(session_id))
        return len(lines)

    async def _load(self, session_id: str, console: SessionConsole) -> None:
        """Loads what a session said before we came, once."""
        async with console.loading:
            if console.loaded or session_id.startswith(LAUNCHING):
                return
            client, feed = self._client(), console.feed
            if "journal" in self._connection.capabilities:
                start = await self._tail(client, session_id)
                if start:
                    feed.last_seq = start
                    feed.transcript.note(f"{start:,} earlier records are in the session's journal", "quiet")
                async for _ in self._pages(client, session_id, console):
                    self._post(ConsoleChanged(session_id))
            else:
                feed.transcript.write(await client.logs(session_id))
            console.loaded = True
            self._mark(session_id, console)

    async def _pages(self, client: ApiClient, session_id: str, console: SessionConsole) -> AsyncIterator[None]:
        """Takes what the journal holds after what we have, and yields after each part of it."""
        more = True
        while more:
            asked = console.page
            lines = await client.journal(session_id, after=console.feed.last_seq, limit=asked)
            console.sized(lines)
            console.feed.journal(lines)
            yield
            # the screen is painted in between, whether or not the answer was there already
            await asyncio.sleep(0)
            more = len(lines) >= asked

    async def _tail(self, client: ApiClient, session_id: str) -> int:
        """Returns the number after which the last `TAIL_RECORDS` records follow; 0 = all of them."""
        low, high = 0, TAIL_RECORDS
        while await client.journal(session_id, after=high, limit=1):
            low, high = high, high * 2
        while high - low > TAIL_RECORDS // 10:
            middle = (low + high) // 2
            if await client.journal(session_id, after=middle, limit=1):
                low = middle
            else:
                high = middle
        return max(0, high - TAIL_RECORDS)

    async def _catch_up(self, session_id: str, console: SessionConsole) -> None:
        """Takes what the journal holds already, so that a new run comes after it."""
        if session_id.startswith(LAUNCHING) or not self._lives(session_id):
            return
        try:
            await self._load(session_id, console)
            if "journal" in self._connection.capabilities:
                async for _ in self._pages(self._client(), session_id, console):
                    pass
        except NotFound:
            console.loaded = True
        except RemoteError as error:
            if isinstance(error, Unreachable):
                raise
            log.warning("the journal of %s: %s", session_id, error)
