"""Runs in sessions that are live, and what else is done inside of them; their output, also when they have ended."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from ...model.console import ExecuteRequest
from ...model.errors import BadRequest, IllegalState, KernelNotReady, NotFound
from ...model.inspection import Completions, Inspection
from ...model.sessions import ANSWERING, LIVE
from ..ports import JournalRecord, Kernel
from . import journal
from .elapsed import Elapsed
from .entries import Entry
from .folders import Folders
from .lifecycle import Lifecycle
from .recorder import Recorder
from .runs import WatchedRun, reading
from .terminals import WatchedTerminal

_RUN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class Inside:
    """Speaks to the kernels of sessions. Whose session it is was checked before."""

    def __init__(self, lifecycle: Lifecycle, recorder: Recorder, folders: Folders, elapsed: Elapsed) -> None:
        self._lifecycle = lifecycle
        self._recorder = recorder
        self._folders = folders
        self._elapsed = elapsed

    @asynccontextmanager
    async def run(self, entry: Entry, request: ExecuteRequest, run_id: str) -> AsyncIterator[WatchedRun]:
        """Starts a run and keeps its session from idling while the context is open."""
        if not _RUN_ID.fullmatch(run_id):
            raise BadRequest(f"{run_id[:64]!r} cannot be the id of a run: take at most 128 letters, digits, '_.:-'")
        kernel = answering(entry)
        if entry.run_start(run_id) is not None:
            raise IllegalState(f"there was a run {run_id} in the session {entry.session.name} already")
        entry.open_streams += 1
        try:
            death = await self._lifecycle.revive(entry, kernel)
            after = kernel.last_seq
            try:
                await kernel.execute(run_id, request)
            except KernelNotReady:
                if death is not None or entry.session.status not in ANSWERING:
                    raise
                # the runner knows of the kernel's death before we do
                death = await self._lifecycle.revive(entry, kernel, dead=True)
                await kernel.execute(run_id, request)
            entry.remember_run(run_id, after)
            entry.session.num_queries += 1
            notice = f"The kernel had died ({death}) and was started anew: earlier variables are gone.\n"
            yield WatchedRun(kernel, run_id, after, notice if death else None)
        finally:
            entry.open_streams -= 1
            entry.touch(self._elapsed)
            if entry.session.status in LIVE:
                self._recorder.note_soon(entry.session)

    @contextmanager
    def attached(self, entry: Entry) -> Iterator[None]:
        """Keeps a session from idling while the context is open."""
        entry.open_streams += 1
        try:
            yield
        finally:
            entry.open_streams -= 1
            entry.touch(self._elapsed)

    @asynccontextmanager
    async def terminal(self, entry: Entry) -> AsyncIterator[WatchedTerminal]:
        """Attaches to the terminal. What is typed, and programs that run in it, keep the session from idling."""
        terminal = WatchedTerminal(await answering(entry).terminal(), lambda: entry.touch(self._elapsed))
        watch = asyncio.create_task(terminal.watch(), name=f"terminal of {entry.session.id}")
        terminal.keep()
        try:
            yield terminal
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await terminal.close()
            if entry.session.status in LIVE:
                self._recorder.note_soon(entry.session)

    async def find_run(self, entry: Entry, run_id: str) -> WatchedRun:
        """Returns a run that was begun before, also under an earlier daemon."""
        kernel = answering(entry)
        after = entry.run_start(run_id)
        if after is None:
            after = await asyncio.to_thread(journal.find_start, self._folders.journal(entry.session.id), run_id)
            if after is None:
                raise NotFound(f"there is no run {run_id!r} in the session {entry.session.name}")
            entry.remember_run(run_id, after)
        return WatchedRun(kernel, run_id, after)

    async def interrupt(self, entry: Entry) -> None:
        """Interrupts the run that is going on."""
        await answering(entry).interrupt()

    async def complete(self, entry: Entry, code: str, cursor: int) -> Completions:
        """Returns completions for `code` at character `cursor`; `busy`, at once, while a run is going on."""
        kernel = answering(entry)
        entry.touch(self._elapsed)
        return await kernel.complete(code, cursor)

    async def inspect(self, entry: Entry, code: str, cursor: int, detail: int) -> Inspection:
        """Returns what the name at character `cursor` stands for; `busy`, at once, while a run is going on."""
        kernel = answering(entry)
        entry.touch(self._elapsed)
        return await kernel.inspect(code, cursor, detail)

    def work_dir(self, entry: Entry) -> Path:
        """Returns the folder that uploads go to and `files` lists."""
        answering(entry)
        entry.touch(self._elapsed)
        return self._folders.work(entry.session.id)

    async def logs(self, session_id: str) -> str:
        """Returns the text of stdout and stderr of all runs, newest last; of very much, the newest."""
        return await asyncio.to_thread(journal.log_text, self._folders.journal(session_id))

    async def journal(
        self, entry: Entry | None, session_id: str, *, after: int, limit: int, wait_s: float
    ) -> Sequence[JournalRecord]:
        """Returns records after a number; waits up to `wait_s` when there is none yet. `entry` None = it has ended."""
        try:
            async with asyncio.timeout(wait_s):
                if entry is not None and entry.kernel is None:
                    await entry.settled.wait()
                if entry is not None and entry.kernel is not None and entry.kernel.last_seq <= after:
                    async with reading(entry.kernel, after) as records:
                        await anext(records, None)
        except TimeoutError:
            pass
        return await asyncio.to_thread(journal.page, self._folders.journal(session_id), after, limit)


def answering(entry: Entry) -> Kernel:
    """Returns the kernel of a session that takes code.

    Raises:
        KernelNotReady: it does not (yet, or any more).
    """
    session = entry.session
    if entry.kernel is None or session.status not in ANSWERING:
        why = f" ({session.status_info})" if session.status_info else ""
        raise KernelNotReady(f"the session {session.name} is {session.status}{why}: it takes code once it runs")
    return entry.kernel
