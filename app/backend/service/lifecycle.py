"""From admission to the end: launches, watches, ends. Every way in and out of the scheduler passes here."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from ...model.console import ExecuteRequest, RunMode
from ...model.errors import BaiTuiError, IllegalState
from ...model.sessions import ANSWERING, TERMINAL, SessionResult, SessionStatus, SessionType
from ...model.slots import ResourceSlots
from ..ports import Devices, Engine, Exit, ImageCatalogue, Kernel, Keypair, LaunchSpec
from ..scheduler import Instruction, PendingRequest, Scheduler, Start
from ..store.rows import dump_session
from .admission import process_environment
from .entries import Entry, Register
from .folders import Folders
from .idle import IdleTimer
from .runs import WatchedRun, reading
from .states import States
from .tasks import Tasks

log = logging.getLogger(__name__)
S = SessionStatus
GRACE_S: Final = 2.0
_RECORD_DELAY_S: Final = 1.0
_REMOVAL_WAIT_S: Final = 2.0
"""How long an ending waits for its work folder to be removed; a large one is removed after it."""


class Lifecycle:
    """Carries out what the scheduler says, and tells it what happened."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        engine: Engine,
        catalogue: ImageCatalogue,
        devices: Devices,
        folders: Folders,
        states: States,
        register: Register,
        tasks: Tasks,
        keypairs: Mapping[str, Keypair],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scheduler = scheduler
        self._engine = engine
        self._catalogue = catalogue
        self._devices = devices
        self._folders = folders
        self._states = states
        self._register = register
        self._tasks = tasks
        self._keypairs = keypairs
        self._clock = clock
        self.idle = IdleTimer(clock, self._idle_due)

    # --- in -----------------------------------------------------------------------------------------------

    def admit(self, entry: Entry) -> None:
        """Queues a session that was checked; it may start at once.

        Raises:
            ImpossibleRequest, InvalidAmount: it can never be granted; nothing has changed then.
        """
        instructions = self._enqueue(entry)
        self._register.add(entry)
        self._states.admit(entry.session)
        self.carry_out(instructions)

    def requeue(self, entry: Entry) -> None:
        """Queues a session of an earlier daemon again. Raises like `admit`."""
        instructions = self._enqueue(entry)
        self._register.add(entry)
        self.carry_out(instructions)

    def _enqueue(self, entry: Entry) -> Sequence[Instruction]:
        session = entry.session
        return self._scheduler.enqueue(
            PendingRequest(
                session_id=session.id,
                slots=session.requested_slots,
                order=session.enqueue_order,
                priority=session.priority,
                access_key=session.access_key,
            ),
            self._clock(),
        )

    def carry_out(self, instructions: Sequence[Instruction]) -> None:
        """Does what the scheduler says."""
        for instruction in instructions:
            match instruction:
                case Start():
                    self._start(instruction)
                case _:
                    assert_never(instruction)

    def _start(self, instruction: Start) -> None:
        entry = self._register.get(instruction.session_id)
        if entry is None:  # pragma: no cover - the scheduler starts only what was enqueued and not cancelled
            raise AssertionError(f"the scheduler starts the unknown session {instruction.session_id}")
        session = entry.session
        session.allocation = instruction.allocation.wire()
        session.occupied_slots = instruction.allocation.slots()
        self._states.move(session, S.SCHEDULED)
        entry.launch = self._tasks.spawn(self._launch(entry), name=f"launch {session.id}")

    async def _launch(self, entry: Entry) -> None:
        session = entry.session
        try:
            self._states.move(session, S.PREPARING)
            if entry.image is None:  # it was queued by an earlier daemon
                entry.image = (await self._catalogue.resolve(session.image)).image
                if session.status is S.TERMINATING:
                    return
            folder, work = self._folders.make(session.id)
            self._states.move(session, S.CREATING)
            owner = self._keypairs.get(session.access_key)
            kernel = await self._engine.start(
                LaunchSpec(
                    session_id=session.id,
                    session_dir=folder,
                    work_dir=work,
                    image=entry.image,
                    environ=process_environment(session, owner, self._devices.environment(session)),
                    bootstrap_script=session.bootstrap_script,
                    grace_s=GRACE_S,
                )
            )
        except Exception as exc:
            if not isinstance(exc, BaiTuiError):
                log.exception("the launch of the session %s failed", session.id)
            await self._clean(entry)
            if session.status is not S.TERMINATING:
                reason = exc.message if isinstance(exc, BaiTuiError) else f"{type(exc).__name__}: {exc}"
                self._finish(entry, S.ERROR, f"failed-to-start: {reason}")
            return
        entry.kernel = kernel
        session.runner = self._engine.runner_info(kernel)
        if session.status is S.TERMINATING:
            return  # it was ended meanwhile: `_end` waits for us and takes the kernel from here
        session.starts_at = session.last_used_at = datetime.now(UTC)
        self._states.move(session, S.RUNNING)
        self.watch(entry)
        entry.settled.set()
        # later: it must not stand in the way of the first run, and most short sessions never need it
        asyncio.get_running_loop().call_later(_RECORD_DELAY_S, self.keep_record, entry)

    def keep_record(self, entry: Entry) -> None:
        """Writes the record of a session that runs into its folder as well, in the background."""
        session = entry.session
        if session.status in ANSWERING and not self._tasks.closed:
            self._tasks.spawn(
                asyncio.to_thread(self._folders.note, session.id, dump_session(session)), name=f"record {session.id}"
            )

    def keep_records(self) -> None:
        """Writes the records that `keep_record` has not come to yet: this daemon ends. Blocks."""
        for entry in self._register:
            session = entry.session
            if session.status in ANSWERING and not self._folders.is_noted(session.id):
                self._folders.note(session.id, dump_session(session))

    def watch(self, entry: Entry) -> None:
        """Begins to look after a session that runs: its runner, its kernel, its idling, its batch command."""
        session, kernel = entry.session, entry.kernel
        if kernel is None:
            raise AssertionError("only a session with a kernel can be watched")
        entry.watchers = [
            self._tasks.spawn(self._watch_runner(entry, kernel), name=f"runner {session.id}"),
            self._tasks.spawn(self._watch_kernel(entry, kernel), name=f"kernel {session.id}"),
        ]
        if session.type is SessionType.BATCH:
            entry.watchers.append(self._tasks.spawn(self._run_batch(entry, kernel), name=f"batch {session.id}"))
        if session.idle_timeout_s > 0:
            self.idle.set(session.id, self.last_activity(entry) + session.idle_timeout_s)

    # --- while it runs --------------------------------------------------------------------------------------

    async def _watch_runner(self, entry: Entry, kernel: Kernel) -> None:
        ended = await kernel.wait()
        if entry.session.status in ANSWERING or entry.session.status is S.RESTARTING:
            entry.session.exit_code = ended.code
            reason = f"self-terminated: the session's runner has ended ({ended.reason})"
            log.warning("session %s: %s", entry.session.id, reason)
            self.end(entry, reason, final=S.ERROR)

    async def _watch_kernel(self, entry: Entry, kernel: Kernel) -> None:
        while True:
            died = await kernel.kernel_died()
            self._kernel_died(entry, died)
            await entry.revived.wait()

    def _kernel_died(self, entry: Entry, died: Exit) -> None:
        session = entry.session
        entry.death = died.reason
        entry.revived.clear()
        session.exit_code = died.code
        if session.status in ANSWERING:
            session.status_info = f"kernel died: {died.reason}; the next run starts a new one"
            self._states.tell(session, "bai_kernel_died", reason=died.reason)

    async def revive(self, entry: Entry, kernel: Kernel, *, dead: bool = False) -> str | None:
        """Gives a session whose kernel has died a new one; returns how it died, None when it lives.

        Args:
            dead: it is known to be dead even though nobody has told us how it died.

        Raises:
            KernelNotReady, LaunchFailed: there is no new one.
        """
        async with entry.reviving:
            death = entry.death or ("its process has ended" if dead else None)
            if death is None:
                return None
            await kernel.restart()
            self._revived(entry)
            self._states.tell(entry.session, "kernel_started", reason="restarted")
            return death

    async def restart(self, entry: Entry) -> None:
        """Replaces the kernel of a session that runs. To be run to its end: not safe to cancel.

        Raises:
            IllegalState: it does not run.
            LaunchFailed: the new kernel does not start; the session is ended then.
        """
        session, kernel = entry.session, entry.kernel
        async with entry.reviving:
            if kernel is None or session.status not in ANSWERING:
                raise IllegalState(f"the session {session.name} is {session.status}: only a running one can restart")
            self._states.move(session, S.RESTARTING)
            try:
                await kernel.restart()
            except BaiTuiError as exc:
                if session.status is S.RESTARTING:
                    self.end(entry, f"restarting failed: {exc.message}", final=S.ERROR)
                raise
            if session.status is S.RESTARTING:
                self._revived(entry)
                self.touch(entry)
                self._states.move(session, S.RUNNING)

    def _revived(self, entry: Entry) -> None:
        entry.death = None
        entry.session.status_info = None
        entry.session.exit_code = None
        entry.revived.set()

    async def _run_batch(self, entry: Entry, kernel: Kernel) -> None:
        """Runs the start-up command, or follows the one that an earlier daemon started, and ends the session."""
        session = entry.session
        run_id = f"batch-{session.id}"
        run = WatchedRun(kernel, run_id, 0)
        exit_code: int | None = None
        try:
            if not await self._has_begun(kernel, run_id):
                options = {"exec": session.startup_command}
                await kernel.execute(run_id, ExecuteRequest(RunMode.BATCH, "", options))
                session.num_queries += 1
            async for record in run.records():
                if record.kind in ("run-finished", "kernel-died"):
                    code = record.data.get("exitCode")
                    exit_code = code if record.kind == "run-finished" or code else None
        except BaiTuiError as exc:
            self.end(entry, f"task-failed: {exc.message}", final=S.ERROR)
            return
        if session.status not in ANSWERING:
            return
        session.exit_code = exit_code if exit_code is not None else -1
        success = session.exit_code == 0
        session.result = SessionResult.SUCCESS if success else SessionResult.FAILURE
        self.end(entry, "task-finished" if success else "task-failed")

    async def _has_begun(self, kernel: Kernel, run_id: str) -> bool:
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

    # --- idling ---------------------------------------------------------------------------------------------

    def touch(self, entry: Entry) -> None:
        """Notes that something of the session was used just now."""
        entry.session.last_used_at = datetime.fromtimestamp(self._clock(), UTC)

    def last_activity(self, entry: Entry) -> float:
        """Returns the Unix time at which the last activity ended."""
        used = entry.session.last_used_at or entry.session.created_at
        return max(used.timestamp(), entry.kernel.last_activity if entry.kernel else 0.0)

    def is_active(self, entry: Entry) -> bool:
        """Whether a run is going on or watched."""
        return entry.open_streams > 0 or (entry.kernel is not None and entry.kernel.busy_run is not None)

    def _idle_due(self, session_id: str) -> None:
        entry = self._register.get(session_id)
        if entry is None or entry.session.status in TERMINAL or entry.session.status is S.TERMINATING:
            return
        timeout_s, now = entry.session.idle_timeout_s, self._clock()
        ends_at = now + timeout_s if self.is_active(entry) else self.last_activity(entry) + timeout_s
        if ends_at > now or entry.session.status not in ANSWERING:
            self.idle.set(session_id, max(ends_at, now + 1.0))
            return
        self.end(entry, "idle-timeout")

    # --- out ------------------------------------------------------------------------------------------------

    def cancel(self, entry: Entry, info: str) -> None:
        """Takes a PENDING session out of the queue."""
        instructions = self._scheduler.cancel(entry.session.id, self._clock())
        entry.promised = False
        self._finish(entry, S.CANCELLED, info)
        self.carry_out(instructions)

    def end(
        self, entry: Entry, info: str, *, final: SessionStatus = S.TERMINATED, grace_s: float | None = None
    ) -> asyncio.Task[None]:
        """Ends a session that holds resources; the task is done when nothing of it is left. Idempotent."""
        if entry.ending is None:
            if entry.session.status is not S.TERMINATING:
                self._states.move(entry.session, S.TERMINATING, info)
            self.idle.drop(entry.session.id)
            entry.ending = self._tasks.spawn(self._end(entry, info, final, grace_s), name=f"end {entry.session.id}")
        return entry.ending

    async def force(self, entry: Entry) -> None:
        """Ends, without grace, a session that is being ended already; returns when nothing of it is left."""
        if entry.kernel is not None:
            await entry.kernel.terminate(grace_s=0)
        elif entry.launch is not None:
            entry.launch.cancel()
        if entry.ending is not None:
            await asyncio.shield(entry.ending)

    async def _end(self, entry: Entry, info: str, final: SessionStatus, grace_s: float | None) -> None:
        if entry.launch is not None:
            await asyncio.wait([entry.launch])
        if entry.kernel is not None:
            try:
                await entry.kernel.terminate(grace_s=GRACE_S if grace_s is None else grace_s)
            except Exception as exc:
                log.exception("the processes of the session %s could not be ended", entry.session.id)
                final, info = S.ERROR, f"{info}; its processes could not be ended: {exc}"
        self._finish(entry, final, info)
        await self._clean(entry)

    def _finish(self, entry: Entry, final: SessionStatus, info: str) -> None:
        """Gives back what the session holds and makes its end known."""
        session = entry.session
        for watcher in entry.watchers:
            if watcher is not asyncio.current_task():
                watcher.cancel()
        self.idle.drop(session.id)
        held, entry.promised = entry.promised and self._scheduler.allocation(session.id) is not None, False
        session.allocation = {}
        session.occupied_slots = ResourceSlots()
        session.runner = {}
        self._states.move(session, final, info)
        self._register.remove(entry)
        entry.settled.set()
        entry.ended.set()
        if held:
            self.carry_out(self._scheduler.release(session.id, self._clock()))

    async def _clean(self, entry: Entry) -> None:
        """Removes the work folder, in the background when it is large."""
        session_id = entry.session.id
        removal = self._tasks.spawn(
            asyncio.to_thread(self._folders.remove_work, session_id), name=f"remove the folder of {session_id}"
        )
        await asyncio.wait([removal], timeout=_REMOVAL_WAIT_S)
