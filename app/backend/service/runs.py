"""Runs, seen by those who watch them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

from ..ports import JournalRecord, Kernel

_ENDS = frozenset({"run-finished", "kernel-died"})


@asynccontextmanager
async def reading(kernel: Kernel, after: int) -> AsyncIterator[AsyncIterator[JournalRecord]]:
    """Gives a kernel's records and closes their source, also when they are not read to the end."""
    records = kernel.records(after)
    try:
        yield records
    finally:
        if isinstance(records, AsyncGenerator):
            await records.aclose()


class WatchedRun:
    """A run of a living kernel: its part of the journal. Any number may watch one run."""

    def __init__(self, kernel: Kernel, run_id: str, after: int, notice: str | None = None) -> None:
        """`after` is a journal number before the run's first record; `notice` is told as stderr before it."""
        self.run_id = run_id
        self._kernel = kernel
        self._after = after
        self._notice = notice

    async def batches(self) -> AsyncGenerator[Sequence[JournalRecord]]:
        """Yields this run's records, each time all that there are by now; `run-finished` or `kernel-died` last.

        Where some were given up, `dropped` stands for them. Safe to cancel. To be closed by whoever does not read to
        the end.
        """
        last = self._after
        if self._notice is not None:
            # Not in the journal: it is for the one who runs, and journal numbers are the runner's to give.
            yield [_record(last, self.run_id, "stderr", self._notice)]
        part = PartOfJournal(self.run_id, self._after)
        async with aclosing(self._kernel.batches(self._after)) as batches:
            async for batch in batches:
                last = batch[-1].seq
                found = part.of(batch)
                kernel = self._kernel
                if part.doubtful and kernel.busy_run != self.run_id and last >= kernel.last_seq:
                    found += part.lost_end()
                if found:
                    yield found
                if part.ended:
                    return
        yield [_record(last, self.run_id, "kernel-died", {"exitCode": None, "reason": "the session has ended"})]

    async def records(self) -> AsyncIterator[JournalRecord]:
        """Yields what `batches` yields, one by one."""
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for record in batch:
                    yield record

    async def send_input(self, text: str, prompt: int | None = None) -> bool:
        """Answers a `waiting-input` record, that of number `prompt` if given; False when it was answered already."""
        return await self._kernel.send_input(self.run_id, text, prompt)


class PartOfJournal:
    """Picks the records of one run from the whole of a journal, up to its end."""

    def __init__(self, run_id: str, after: int) -> None:
        """`after` is the number before the run's first record, or one before that."""
        self._run_id = run_id
        self._first = after + 1
        self._begun = False
        self._gap: JournalRecord | None = None
        """What was dropped just before, where nobody knows of which runs it was."""
        self.doubtful: JournalRecord | None = None
        """Such a gap after the beginning of the run: its end may have been there."""
        self.ended = False

    def of(self, batch: Sequence[JournalRecord]) -> list[JournalRecord]:
        """Returns what of `batch` belongs to the run; with its last record it has `ended`."""
        found: list[JournalRecord] = []
        for record in batch:
            # A kernel that dies beside a batch command is no end of it: the runner names the run that a death ends.
            ours = record.run_id == self._run_id
            if record.kind == "dropped" and not ours:
                self._gap = record
                continue
            gap, self._gap = self._gap, None
            begins = ours and record.kind == "run-started"
            if gap is not None and not begins and (self._begun or ours or gap.told.get("first") == self._first):
                found.append(gap)
                self.doubtful = gap
            if ours:
                self._begun, self.doubtful = True, None
                found.append(record)
                if record.kind in _ENDS:
                    self.ended = True
                    break
            elif self.doubtful is not None and record.run_id is not None:
                found += self.lost_end()  # another run has begun
                break
        return found

    def lost_end(self) -> list[JournalRecord]:
        """Ends the run, whose end was dropped: returns a `run-finished` that tells so."""
        assert self.doubtful is not None
        self.ended = True
        data = {"exitCode": None, "reason": "how the run ended was dropped with its output"}
        return [_record(self.doubtful.seq, self._run_id, "run-finished", data)]


def _record(seq: int, run_id: str, kind: str, data: object) -> JournalRecord:
    return JournalRecord(seq, time.time(), run_id, kind, json.dumps([kind, data]).encode())
