"""Runs, seen by those who watch them."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from ..ports import JournalRecord, Kernel


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

    async def records(self) -> AsyncIterator[JournalRecord]:
        """Yields this run's records, `run-finished` or `kernel-died` last. Safe to cancel."""
        last = self._after
        if self._notice is not None:
            # Not in the journal: it is for the one who runs, and journal numbers are the runner's to give.
            yield _record(last, self.run_id, "stderr", self._notice)
        async with reading(self._kernel, self._after) as records:
            async for record in records:
                last = record.seq
                if record.run_id == self.run_id or record.kind == "kernel-died":
                    yield record
                    if record.kind in ("run-finished", "kernel-died"):
                        return
        yield _record(last, self.run_id, "kernel-died", {"exitCode": None, "reason": "the session has ended"})

    async def send_input(self, text: str) -> None:
        """Answers a `waiting-input` record."""
        await self._kernel.send_input(self.run_id, text)


def _record(seq: int, run_id: str, kind: str, data: object) -> JournalRecord:
    return JournalRecord(seq, time.time(), run_id, kind, json.dumps([kind, data]).encode())
