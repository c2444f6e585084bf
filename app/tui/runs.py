"""Runs in sessions: each one's stream goes on whichever session is looked at, and a broken one is resumed.

Output comes by the websocket of a run that we started, and by the journal (where the server keeps one) for what
happened before, elsewhere, or after our websocket broke. Never both at once for one session; `Feed` joins them by
sequence number.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from textual.message import Message

from ...widgets.image_words import percent
from ...widgets.transcript import Run, RunState
from ..model.console import ExecuteRequest, RunMode
from ..model.errors import BaiTuiError, Unreachable
from .messages import ConsoleChanged, InputAsked
from .reading import LOST, Reading, SessionConsole, Spawn
from .run_queue import Queued
from .store import LAUNCHING, SessionStore

if TYPE_CHECKING:
    from ..client.api import ExecuteStream
    from .sync import Connection

log = logging.getLogger(__name__)

LAST_WORDS_S: Final = 2.0
"""How long a stream may go on after its session ended: what the session said last may still be on the way."""


class Runs(Reading):
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
            elif console.queue:
                self._run_next(session_id, console)
        async with self._changed:
            self._changed.notify_all()

    async def wait(self) -> None:
        """Returns at the next news."""
        async with self._changed:
            await self._changed.wait()

    # -- running code --------------------------------------------------------------------------------------------

    def execute(self, session_id: str, code: str) -> Queued | None:
        """Begins a run and returns at once; behind one that goes on it is queued, and that is what is returned."""
        console = self.of(session_id)
        if self._is_taken(console):
            queued = console.queue.add(code)
            self._post(ConsoleChanged(session_id))
            return queued
        self._begin(session_id, console, code)
        return None

    def _is_taken(self, console: SessionConsole) -> bool:
        current = console.feed.current
        return console.streaming or (current is not None and current.going)

    def _run_next(self, session_id: str, console: SessionConsole) -> None:
        queue = console.queue
        if self._is_taken(console):
            return
        queue.judge(console.feed.transcript.runs[-1] if console.feed.transcript.runs else None)
        if not queue:
            return
        if self._ended(session_id):
            gone = queue.clear()
            console.feed.transcript.note(f"the session has ended: {gone} queued, which will not run", "error")
            self._post(ConsoleChanged(session_id))
        elif self._connection.client is not None and (queued := queue.take()) is not None:
            self._begin(session_id, console, queued.code)

    def go_on(self, session_id: str) -> None:
        """Runs what is queued in a session although the run before it did not succeed."""
        console = self.of(session_id)
        console.queue.go_on()
        self._run_next(session_id, console)
        self._post(ConsoleChanged(session_id))

    def _begin(self, session_id: str, console: SessionConsole, code: str) -> None:
        console.streaming = True
        console.idle.clear()
        if console.reader is not None:
            console.reader.cancel()
        self._spawn(self._execute(session_id, console, code), f"run {session_id}")

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
                    self._post(ConsoleChanged(session_id))
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
                console.queue.pause("the run before could not begin")
        finally:
            console.stream, console.limit, console.streaming = None, None, False
            if feed.current is None:
                console.unsure = None
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
            await console.pace.step()

    def _session_ended(self, session_id: str, console: SessionConsole) -> None:
        """Ends the run that is open in a session that ended, after what can still be had of its output."""
        if console.streaming:
            if console.limit is not None and console.limit.when() is None:
                console.limit.reschedule(asyncio.get_running_loop().time() + LAST_WORDS_S)
        elif not self._has_journal or self._connection.client is None:
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
            console.queue.pause("the run before could not begin")
        elif self._has_journal:
            # a prompt stays one: nobody has answered it
            run.note = LOST
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
            note = self._waits_for(session_id)
            if run is not None and run.note != note:
                run.note = note
                console.feed.transcript.touch(run)
                # once for each note: each mark is news, and news wakes this loop
                self._mark(session_id, console)
            await self.wait()

    def _waits_for(self, session_id: str) -> str:
        progress = self._store.image_progress(session_id)
        if progress is None:
            return "waits for its session"
        return "waits for its image" + ("" if progress.fraction is None else f" {percent(progress.fraction)}")

    # -- answering and interrupting ------------------------------------------------------------------------------

    async def answer(self, session_id: str, text: str) -> str | None:
        """Sends a line of input to the run that asks for it; returns what went wrong, else None."""
        console = self.of(session_id)
        feed, run, stream = console.feed, console.feed.current, console.stream
        if run is None or not run.waiting:
            return "nothing asks for input any more"
        run_id, prompt, secret = run.run_id, run.prompt, run.is_password
        if stream is None and (run_id is None or not self.can_answer(session_id)):
            return "this run was started elsewhere: answer it there, or interrupt it with f6"
        # before it is sent, where what the run says to it may come from the journal before the call returns
        feed.answered(run, text)
        self._mark(session_id, console)
        try:
            if stream is not None:
                console.unsure = (prompt, text) if self._has_journal else None
                await stream.send_input(text)
            elif run_id is not None:
                await self._client().answer(session_id, run_id, text, prompt)
        except BaiTuiError as error:
            if stream is not None and console.unsure is not None:
                log.info("an answer to %s is sent again when the connection stands: %s", session_id, error)
                return None
            feed.asks_again(run, secret)
            self._mark(session_id, console)
            return error.message
        return None

    def can_answer(self, session_id: str) -> bool:
        """Whether a prompt can be answered from here: over the stream that we hold, else where there is a journal."""
        connection = self._connection
        journal = connection.client is not None and self._has_journal
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
