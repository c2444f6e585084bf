"""What a session of the behaving fake has written, and who follows it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from bai_tui.app.backend.ports import (
    JournalRecord,
)

T = TypeVar("T")


class Journal:
    def __init__(self) -> None:
        self.records: list[JournalRecord] = []
        self.closed = False
        self._grown = asyncio.Condition()

    async def add(self, run_id: str | None, kind: str, data: Any) -> None:
        raw = json.dumps([kind, data]).encode()
        self.records.append(JournalRecord(len(self.records) + 1, time.time(), run_id, kind, raw))
        await self.touch()

    async def touch(self) -> None:
        async with self._grown:
            self._grown.notify_all()

    async def close(self) -> None:
        self.closed = True
        await self.touch()

    async def follow(self, after: int) -> AsyncGenerator[Sequence[JournalRecord]]:
        while True:
            if batch := self.records[after:]:
                after = len(self.records)
                yield batch
            if self.closed:
                return

            def grown(seen: int = after) -> bool:
                return len(self.records) > seen or self.closed

            async with self._grown:
                await self._grown.wait_for(grown)


class Newest(Generic[T]):
    """Keeps one thing for its reader: what comes before that is taken replaces it."""

    def __init__(self) -> None:
        self._items: list[T | None] = []
        self._come = asyncio.Event()

    def put(self, item: T | None) -> None:
        self._items = [item]
        self._come.set()

    async def get(self) -> T | None:
        await self._come.wait()
        self._come.clear()
        return self._items[0]


@dataclass
class FakeRun:
    run_id: str
    journal: Journal
    answers: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    answered: list[int] = field(default_factory=list)
    start: int = 0
    fail_reading: Exception | None = None
    notice: str | None = None

    async def batches(self) -> AsyncGenerator[Sequence[JournalRecord]]:
        if self.fail_reading is not None:
            raise self.fail_reading
        if self.notice is not None:
            raw = json.dumps(["stderr", self.notice]).encode()
            yield [JournalRecord(self.start, time.time(), self.run_id, "stderr", raw)]
        async for batch in self.journal.follow(self.start):
            if found := [record for record in batch if record.run_id == self.run_id]:
                yield found
                if found[-1].kind in ("run-finished", "kernel-died"):
                    return

    async def records(self) -> AsyncIterator[JournalRecord]:
        async for batch in self.batches():
            for record in batch:
                yield record

    async def send_input(self, text: str, prompt: int | None = None) -> bool:
        if prompt is not None and prompt in self.answered:
            return False
        self.answered.append(prompt or 0)
        await self.answers.put(text)
        return True
