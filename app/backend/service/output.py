"""What sessions have written: followed to the end of the session, from the newest backwards, and as a list of runs.

The journal on disk is the buffer for every reader: one that is slow is read for later, and holds up nobody.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Final

from ..engines.journal import JournalFollower, bytes_of, last_seq, parse, segments
from ..ports import JournalRecord, Keypair, RunSummary
from . import journal
from .entries import Entry, Register
from .finder import Finder
from .folders import Folders
from .inside import Inside

_CODE_CHARS: Final = 500
_MARK: Final = re.compile(rb'"rec":\["(?:run-started|run-finished|kernel-died)"')
"""Begins what a run list is made of. In the text of a record its quotes would be escaped."""


class Output:
    """Reads journals for those who may see their sessions. The base of the service that holds the calls of readers."""

    _finder: Finder
    _register: Register
    _folders: Folders
    _inside: Inside

    async def logs(self, caller: Keypair, ref: str) -> str:
        """Returns the text of stdout and stderr of all runs, newest last; of very much, the newest."""
        return await self._inside.logs((await self._finder.get(caller, ref)).id)

    async def journal(
        self, caller: Keypair, ref: str, *, after: int, limit: int, wait_s: float
    ) -> Sequence[JournalRecord]:
        """Returns records after a number; waits up to `wait_s` when there is none yet. Works for ended sessions too."""
        session_id = (await self._finder.get(caller, ref)).id
        entry = self._register.get(session_id)
        return await self._inside.journal(entry, session_id, after=after, limit=limit, wait_s=wait_s)

    async def journal_before(self, caller: Keypair, ref: str, *, before: int, limit: int) -> Sequence[JournalRecord]:
        """Returns the records that come before a number, at most `limit`, in their order."""
        session_id = (await self._finder.get(caller, ref)).id
        return await asyncio.to_thread(page_before, self._folders.journal(session_id), before, limit)

    async def list_runs(self, caller: Keypair, ref: str) -> Sequence[RunSummary]:
        """Returns the runs that the journal knows of, newest last."""
        session_id = (await self._finder.get(caller, ref)).id
        return await asyncio.to_thread(runs_of, self._folders.journal(session_id))

    async def follow(self, caller: Keypair, ref: str, after: int) -> AsyncGenerator[Sequence[JournalRecord]]:
        """Yields the records after a number, then what is added, until the session has ended and all of it was read.

        Waits for a session that has not started. Safe to cancel: go on from the last number. To be closed by whoever
        does not read to the end.

        Raises:
            SessionNotFound, AmbiguousReference: at the first step.
        """
        session_id = (await self._finder.get(caller, ref)).id
        async with aclosing(_follow(self._register.get(session_id), self._folders.journal(session_id), after)) as all_:
            async for batch in all_:
                yield batch


async def _follow(entry: Entry | None, folder: Path, after: int) -> AsyncGenerator[Sequence[JournalRecord]]:
    if entry is not None:
        await entry.settled.wait()
        if entry.kernel is not None:
            async with aclosing(entry.kernel.batches(after)) as batches:
                async for batch in batches:
                    after = batch[-1].seq
                    yield batch
        # the runner has ended; what of the session becomes of that is settled a moment later
        await entry.ended.wait()
    follower = JournalFollower(folder, after)
    try:
        while found := await follower.read():
            yield found
    finally:
        follower.close()


def page_before(folder: Path, before: int, limit: int) -> list[JournalRecord]:
    """Returns at most `limit` records below `before`, the newest of them; of very long ones fewer. Blocks."""
    stop = min(before, last_seq(folder) + 1)
    found: deque[JournalRecord] = deque()
    size = 0
    for record in journal.read(folder, max(0, stop - 1 - limit)):
        if record.seq >= stop:
            break
        found.append(record)
        size += len(record.raw)
        while size > journal.PAGE_BYTES and len(found) > 1:
            size -= len(found.popleft().raw)
    return list(found)


def runs_of(folder: Path) -> list[RunSummary]:
    """Returns the runs of a journal, newest last. Blocks on the disk; takes about a millisecond for 4 MiB."""
    runs: dict[str, RunSummary] = {}
    for segment in segments(folder):
        data = bytes_of(segment)
        for mark in _MARK.finditer(data):
            end = data.find(b"\n", mark.end())
            record = parse(data[data.rfind(b"\n", 0, mark.start()) + 1 : end]) if end >= 0 else None
            if record is None:
                continue
            if record.kind == "run-started" and record.run_id is not None:
                runs[record.run_id] = _begun(record, record.run_id)
            elif (run := runs.get(record.run_id or "")) is not None:
                _ended(run, record)
    return list(runs.values())


def _begun(record: JournalRecord, run_id: str) -> RunSummary:
    data = record.told
    options = data.get("options")
    code = data.get("code") or (options.get("exec") if isinstance(options, dict) else "") or ""
    return RunSummary(run_id, record.seq - 1, record.time_s, str(data.get("mode") or ""), str(code)[:_CODE_CHARS])


def _ended(run: RunSummary, record: JournalRecord) -> None:
    run.last_seq, run.ended_s = record.seq, record.time_s
    run.exit_code = record.exit_code
    run.died = record.kind == "kernel-died"
    run.reason = record.reason or str(record.told.get("signal") or "")
