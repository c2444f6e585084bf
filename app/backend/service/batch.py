"""Batch sessions: their start-up command, its result, its time."""

from __future__ import annotations

import asyncio
from typing import Any, Final, Protocol

from ...model.console import ExecuteRequest, RunMode
from ...model.errors import BaiTuiError
from ...model.sessions import ANSWERING, TERMINAL, SessionResult, SessionStatus
from ..ports import Kernel
from .alarm import Alarm
from .elapsed import Elapsed
from .ends import batch_run, conclude
from .entries import Entry
from .runs import WatchedRun, reading

S = SessionStatus
_LOOK_AGAIN_S: Final = 1.0
_TOLD_WITHIN_S: Final = 5.0
"""How long it may take to hear of the end of a runner that does not answer any more."""
_PATIENCE_S: Final = 5.0
"""How long after its time a command that seems to have ended may take to be read to its end."""


class EndSession(Protocol):
    def __call__(
        self, entry: Entry, info: str, *, final: SessionStatus = ..., grace_s: float | None = ...
    ) -> asyncio.Task[Any]: ...


class BatchRuns:
    """Runs start-up commands and ends their sessions."""

    def __init__(self, alarm: Alarm, elapsed: Elapsed, end: EndSession) -> None:
        self._alarm = alarm
        self._elapsed = elapsed
        self._end = end

    async def run(self, entry: Entry, kernel: Kernel) -> None:
        """Runs the start-up command, or follows the one that an earlier daemon started, and ends the session."""
        session = entry.session
        run_id = batch_run(session)
        run = WatchedRun(kernel, run_id, 0)
        exit_code: int | None = None
        why = ""
        try:
            if not await _has_begun(kernel, run_id):
                options = {"exec": session.startup_command}
                await kernel.execute(run_id, ExecuteRequest(RunMode.BATCH, "", options))
                session.num_queries += 1
            async for record in run.records():
                if record.kind in ("run-finished", "kernel-died"):
                    code, why = record.exit_code, record.reason
                    exit_code = code if record.kind == "run-finished" or code else None
        except BaiTuiError as exc:
            if await _is_gone(kernel, within_s=_TOLD_WITHIN_S):
                return  # a connection is lost a moment before it is known how the runner has ended
            if session.status in ANSWERING:
                session.result = SessionResult.FAILURE
            self._end(entry, f"task-failed: {exc.message}", final=S.ERROR)
            return
        if exit_code is None and await _is_gone(kernel):
            return  # in the middle of it: whoever watches the runner knows the reason
        if session.status in ANSWERING:
            self._end(entry, conclude(session, exit_code, why))

    def watch_time(self, entry: Entry) -> None:
        """Has the command ended when its time is up, counted from the start of the session."""
        session = entry.session
        if session.batch_timeout_s > 0 and session.starts_at is not None:
            self._look_at(entry, entry.began_s + session.batch_timeout_s)

    def _look_at(self, entry: Entry, when_s: float) -> None:
        self._alarm.set(("batch", entry.session.id), self._elapsed.unix_at(when_s), lambda: self._look(entry))

    def forget(self, session_id: str) -> None:
        """Looks after a session no more: it has ended."""
        self._alarm.drop(("batch", session_id))

    def _look(self, entry: Entry) -> None:
        session, now = entry.session, self._elapsed.now()
        if session.status in TERMINAL or session.status is S.TERMINATING:
            return
        deadline = entry.began_s + session.batch_timeout_s
        if now < deadline:  # the clock of the machine was set, or it has slept
            self._look_at(entry, deadline)
            return
        runs = entry.kernel is not None and entry.kernel.busy_run is not None
        if session.status not in ANSWERING or (not runs and now < deadline + _PATIENCE_S):
            # it has ended in time, maybe under an earlier daemon: `run` is about to read how
            self._look_at(entry, now + _LOOK_AGAIN_S)
            return
        session.result = SessionResult.FAILURE
        self._end(entry, "task-timeout")


async def _has_begun(kernel: Kernel, run_id: str) -> bool:
    last = kernel.last_seq
    if not last:
        return False
    async with reading(kernel, 0) as records:
        async for record in records:
            if record.run_id == run_id:
                return True
            if record.seq >= last:
                break
    return False


async def _is_gone(kernel: Kernel, *, within_s: float = 0.0) -> bool:
    """Whether the runner has ended, or does so within that time."""
    try:
        async with asyncio.timeout(within_s):
            await kernel.wait()
    except TimeoutError:
        return False
    return True
