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

        Safe to cancel. To be closed by whoever does not read to the end.
        """
        last = self._after
        if self._notice is not None:
            # Not in the journal: it is for the one who runs, and journal numbers are the runner's to give.
            yield [_record(last, self.run_id, "stderr", self._notice)]
        async with aclosing(self._kernel.batches(self._after)) as batches:
            async for batch in batches:
                last = batch[-1].seq
                if found := self._of_this_run(batch):
                    yield found
                    if found[-1].kind in _ENDS:
                        return
        yield [_record(last, self.run_id, "kernel-died", {"exitCode": None, "reason": "the session has ended"})]

    def _of_this_run(self, batch: Sequence[JournalRecord]) -> list[JournalRecord]:
        found = []
        for record in batch:
            # A kernel that dies beside a batch command is no end of it: the runner names the run that a death ends.
            if record.run_id == self.run_id:
                found.append(record)
                if record.kind in _ENDS:
                    break
        return found

    async def records(self) -> AsyncIterator[JournalRecord]:
        """Yields what `batches` yields, one by one."""
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for record in batch:
                    yield record

    async def send_input(self, text: str) -> None:
        """Answers a `waiting-input` record."""
        await self._kernel.send_input(self.run_id, text)


def _record(seq: int, run_id: str, kind: str, data: object) -> JournalRecord:
    return JournalRecord(seq, time.time(), run_id, kind, json.dumps([kind, data]).encode())
