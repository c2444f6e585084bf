"""Watches what runs in a session, answers it and interrupts it: what `bai-tui attach` does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence
from contextlib import aclosing

from ..client.api import ApiClient
from ..client.follow import Following
from ..client.patience import persist
from ..client.views import JournalLine, RunView
from ..model.errors import BaiTuiError
from . import exit_codes
from .ahead import Ahead
from .endpoint import patience
from .journals import JournalPrinter, Start, find_run, find_session, needs_follow, newest, tail
from .printing import Printer
from .prompts import StdinLines
from .talk import say

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ENDS = frozenset({"run-finished", "kernel-died"})


class Attachment:
    """One `bai-tui attach`."""

    def __init__(self, client: ApiClient, ref: str, lines: int | None, run_ref: str | None) -> None:
        self._client = client
        self._ref = ref
        self._lines = lines
        self._run_ref = run_ref
        self._printer = Printer()
        self._patience = patience(self._talk)
        self._stdin = StdinLines()
        self._session_id = ""
        self._going: str | None = None
        """The run that goes on, as far as we have read."""
        self._interrupted: str | None = None
        """The run that we have interrupted."""
        self._signal: int | None = None
        self._work: asyncio.Task[int] | None = None
        self._side: asyncio.Task[None] | None = None

    def _talk(self, text: str) -> None:
        self._printer.end_line()
        say(text)

    async def run(self) -> int:
        """Does everything, and returns the exit status."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            self._work = asyncio.create_task(self._do(), name="attach")
            await asyncio.wait({self._work})
            if self._signal is not None:
                return exit_codes.SIGNALLED + self._signal
            return self._work.result()
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)
            if self._side is not None:
                self._side.cancel()
                await asyncio.gather(self._side, return_exceptions=True)
            self._printer.end_line()

    def _on_signal(self, number: int) -> None:
        run = self._going
        if number == signal.SIGINT and run is not None and self._interrupted != run:
            self._interrupted = run
            self._talk("interrupting the code; ctrl+c again leaves it")
            self._side = asyncio.create_task(self._interrupt(), name="interrupt")
        elif self._work is not None:
            self._signal = number
            self._work.cancel()

    async def _interrupt(self) -> None:
        try:
            await self._client.interrupt(self._session_id)
        except BaiTuiError as exc:
            self._talk(f"the code could not be interrupted: {exc.message}")
            self._interrupted = None

    async def _do(self) -> int:
        self._session_id = await find_session(self._client, self._patience, self._ref)
        await needs_follow(self._client, "attach")
        run = await self._target()
        top = await newest(self._client, self._patience, self._session_id)
        if run is None:
            self._talk(f"nothing runs in {self._ref} now: what runs next is shown as it comes, ctrl+c leaves")
            start = Start(top)
            if self._lines is not None:
                start = await self._tail(self._lines, 0, top, None)
            return await self._watch(None, start)
        self._going = run.id if run.last_seq is None else None
        self._talk(f"run {run.id[:12]}: {run.title[:60]}")
        start = Start(run.after)
        if self._lines is not None:
            start = await self._tail(self._lines, run.after, run.last_seq or top, run.id)
        return await self._watch(run, start)

    async def _tail(self, count: int, floor: int, top: int, run_id: str | None) -> Start:
        return await tail(self._client, self._patience, self._session_id, count, floor=floor, top=top, run_id=run_id)

    async def _target(self) -> RunView | None:
        """Returns the run that was asked for, else the one that goes on; None when none does."""
        if self._run_ref is not None:
            return await find_run(self._client, self._patience, self._session_id, self._run_ref)
        runs = await persist(self._client, self._patience, lambda: self._client.list_runs(self._session_id))
        return runs[-1] if runs and runs[-1].last_seq is None else None

    async def _watch(self, run: RunView | None, start: Start) -> int:
        """Shows a run until it ends, or all runs until the session ends."""
        journal = JournalPrinter(self._printer, start, None if run is None else run.id)
        following = self._client.follow(
            self._session_id, after=start.after, attach=True, patience=self._patience, refused=self._talk
        )
        async with aclosing(following.batches()) as batches, Ahead(batches) as coming:
            async for lines in coming:
                await journal.show(lines)
                end = self._note(lines, None if run is None else run.id)
                if end is not None:
                    return self._status_of(end)
                asked = lines[-1]
                if asked.kind == "waiting-input" and asked.run_id == self._going:
                    await self._answer(asked, coming, following)
        ending = following.ending
        why = f": {ending.reason}" if ending is not None and ending.reason else ""
        if run is None:
            self._talk(f"the session {self._ref} has ended{why}")
            return exit_codes.OK
        self._talk(f"the session {self._ref} ended while its code ran{why}")
        return exit_codes.FAILED

    def _note(self, lines: Sequence[JournalLine], run_id: str | None) -> JournalLine | None:
        """Notes which run goes on; returns the end of the run that is watched."""
        for line in lines:
            if line.kind == "run-started":
                self._going = line.run_id
            elif line.kind in _ENDS and line.run_id == self._going:
                self._going = None
            if run_id is not None and line.run_id == run_id and line.kind in _ENDS:
                return line
        return None

    def _status_of(self, end: JournalLine) -> int:
        code = end.data.get("exitCode") if isinstance(end.data, dict) else None
        if self._interrupted == end.run_id and code:
            return exit_codes.INTERRUPTED
        return exit_codes.of_code(code) if isinstance(code, int) else exit_codes.FAILED

    async def _answer(self, asked: JournalLine, coming: Ahead[Sequence[JournalLine]], following: Following) -> None:
        """Answers a prompt from stdin, unless somebody else does, or the run goes on without."""
        password = bool(asked.data.get("is_password")) if isinstance(asked.data, dict) else False
        answered, line = await coming.unless_one_comes(self._stdin.line(password=password))
        if not answered:
            return
        if line is None:
            self._talk("the code asks for input and stdin has ended: it waits for an answer from elsewhere")
            return
        await following.send_input(asked.run_id or "", line, asked.seq)
