"""From admission to the end: launches, watches, ends. Every way in and out of the scheduler passes here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Final, assert_never

from ...model.errors import BaiTuiError, IllegalState, LaunchFailed
from ...model.metrics import wire_metrics
from ...model.sessions import ANSWERING, Session, SessionResult, SessionStatus, SessionType
from ...model.slots import CPU, MEM, ResourceSlots
from ...policies import JournalSettings, SandboxSettings
from ..ports import Devices, Engine, Exit, Kernel, Keypair, LaunchSpec, Sampler, Watched
from ..scheduler import GiveUp, Instruction, Scheduler, Start
from ..store.rows import dump_session
from .admission import process_environment
from .alarm import Alarm
from .batch import BatchRuns
from .elapsed import Elapsed
from .ends import ended_before, how_it_ended
from .entries import Entry, Register
from .folders import Folders
from .idlechecks import IdleChecks
from .idling import Idling
from .imagework import ImageWork
from .queue import Queue
from .states import States
from .tasks import Tasks

log = logging.getLogger(__name__)
S = SessionStatus
GRACE_S: Final = 2.0
_ASKED_FOR: Final = frozenset({"user-requested", "force-terminated", "task-finished", "task-failed"})
"""Ends that need no explaining to who reads the output of the session."""
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
        images: ImageWork,
        devices: Devices,
        sampler: Sampler,
        folders: Folders,
        states: States,
        register: Register,
        tasks: Tasks,
        alarm: Alarm,
        checks: IdleChecks,
        keypairs: Mapping[str, Keypair],
        lifetime_s: Callable[[str], float],
        journal: JournalSettings,
        sandbox: SandboxSettings,
        elapsed: Elapsed,
    ) -> None:
        """`lifetime_s` is access key -> longest life of its sessions; 0 = no limit."""
        self._engine = engine
        self._images = images
        self._devices = devices
        self._sampler = sampler
        self._folders = folders
        self._states = states
        self._register = register
        self._tasks = tasks
        self._keypairs = keypairs
        self._journal = journal
        self._sandbox = sandbox
        self._elapsed = elapsed
        self.queue = Queue(scheduler, alarm, elapsed.unix, register.name_of, lifetime_s, self.carry_out)
        self.idling = Idling(alarm, checks, states, elapsed, self.end)
        self._batch = BatchRuns(alarm, elapsed, self.end)

    # --- in -----------------------------------------------------------------------------------------------

    def admit(self, entry: Entry) -> None:
        """Queues a session that was checked; it may start at once.

        Raises:
            ImpossibleRequest, InvalidAmount, QuotaExceeded: it can never be granted, or as many of its owner's
                sessions wait as may; nothing has changed then.
        """
        instructions = self.queue.enqueue(entry.session)
        self._register.add(entry)
        self._states.admit(entry.session)
        self.carry_out(instructions)

    def requeue(self, entry: Entry) -> None:
        """Queues a session of an earlier daemon again; limits or a machine that have changed meanwhile make it wait.

        Raises:
            InvalidAmount: nobody can ever have asked for that.
        """
        instructions = self.queue.enqueue(entry.session, again=True)
        self._register.add(entry)
        self.carry_out(instructions)

    def carry_out(self, instructions: Sequence[Instruction]) -> None:
        """Does what the scheduler says."""
        for instruction in instructions:
            entry = self._register.get(instruction.session_id)
            if entry is None:  # pragma: no cover - it speaks only of what was enqueued and has not ended
                raise AssertionError(f"the scheduler speaks of the unknown session {instruction.session_id}")
            match instruction:
                case Start():
                    self._start(entry, instruction)
                case GiveUp():
                    self._finish(entry, S.CANCELLED, self.queue.with_names(entry.session, instruction.reason))
                    self.clear_start(entry.session.id)
                case _:
                    assert_never(instruction)

    def _start(self, entry: Entry, instruction: Start) -> None:
        session = entry.session
        session.allocation = instruction.allocation.wire()
        session.occupied_slots = instruction.allocation.slots()
        self._states.move(session, S.SCHEDULED)
        entry.launch = self._tasks.spawn(self._launch(entry), name=f"launch {session.id}")

    async def _launch(self, entry: Entry) -> None:
        session = entry.session
        try:
            self._states.move(session, S.PREPARING)
            image = entry.image = await self._images.prepare(entry)
            if image is None or _is_ending(session):
                return
            if self._folders.exists(session.id):
                await self._remove_start(session.id)
            folder, work = self._folders.make(session.id)
            self._states.move(session, S.CREATING)
            # There is no runner without this record, wherever the database stands when we are killed.
            self._folders.note(session.id, dump_session(session))
            owner = self._keypairs.get(session.access_key)
            await self._devices.prepare(session)
            if _is_ending(session):
                return
            kernel = await self._engine.start(
                LaunchSpec(
                    session_id=session.id,
                    session_dir=folder,
                    work_dir=work,
                    image=image,
                    environ=process_environment(session, owner, image),
                    granted=self._devices.environment(session),
                    bootstrap_script=session.bootstrap_script,
                    grace_s=GRACE_S,
                    cores=self._devices.cores(session),
                    mem_limit_bytes=int(session.occupied_slots.amount(MEM)),
                    cpu_limit_cores=int(session.occupied_slots.amount(CPU)),
                    max_tasks=self._sandbox.max_tasks,
                    wall_time_s=session.wall_time_s,
                    work_quota_bytes=self._sandbox.work_quota_bytes,
                    isolation=session.isolation,
                    network=not session.no_network,
                    journal_max_bytes=self._journal.max_size_bytes,
                    journal_overflow=self._journal.overflow,
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
        if _is_ending(session):
            return  # it was ended meanwhile: `_end` waits for us and takes the kernel from here
        session.starts_at = session.last_used_at = self._states.now()
        self._states.move(session, S.RUNNING)
        self.watch(entry)
        self.queue.set_end(session)
        entry.settled.set()
        # later: it must not stand in the way of the first run, and most short sessions never need it
        asyncio.get_running_loop().call_later(_RECORD_DELAY_S, self.keep_record, entry)

    def keep_record(self, entry: Entry) -> None:
        """Writes the record of a session that runs into its folder as well, in the background."""
        session = entry.session
        if session.status in ANSWERING and not self._tasks.closed:
            self._tasks.spawn(self._keep_record(session.id, dump_session(session)), name=f"record {session.id}")

    async def _keep_record(self, session_id: str, record: str) -> None:
        try:
            await asyncio.to_thread(self._folders.note, session_id, record)
        except LaunchFailed as exc:
            log.warning("%s", exc.message)

    def keep_records(self) -> None:
        """Writes the records that `keep_record` has not come to yet: this daemon ends. Blocks."""
        for entry in self._register:
            session = entry.session
            if session.status in ANSWERING:
                try:
                    self._folders.note(session.id, dump_session(session))
                except LaunchFailed as exc:
                    log.warning("%s", exc.message)

    def watch(self, entry: Entry) -> None:
        """Begins to look after a session that runs: its runner, its kernel, its idling, its batch command."""
        session, kernel = entry.session, entry.kernel
        if kernel is None:
            raise AssertionError("only a session with a kernel can be watched")
        entry.count(self._elapsed)
        watchers = [
            self._tasks.spawn(self._watch_runner(entry, kernel), name=f"runner {session.id}"),
            self._tasks.spawn(self._watch_kernel(entry, kernel), name=f"kernel {session.id}"),
        ]
        if session.type is SessionType.BATCH:
            watchers.append(self._tasks.spawn(self._batch.run(entry, kernel), name=f"batch {session.id}"))
            self._batch.watch_time(entry)
        entry.watchers = watchers
        self.idling.watch(entry)

    # --- while it runs --------------------------------------------------------------------------------------

    async def _watch_runner(self, entry: Entry, kernel: Kernel) -> None:
        ended = await kernel.wait()
        if entry.session.status in ANSWERING or entry.session.status is S.RESTARTING:
            entry.session.exit_code = ended.code
            final, reason = how_it_ended(ended)
            log.warning("session %s: %s", entry.session.id, reason)
            if entry.session.type is SessionType.BATCH:
                entry.session.result = SessionResult.FAILURE
            self.end(entry, reason, final=final)

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
            session.status_info = f"kernel died: {died.reason}; the next run starts a new kernel"
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
            IllegalState: it does not run, or cannot restart and goes on: its image was removed.
            LaunchFailed: the new kernel does not start; the session is ended then.
        """
        session, kernel = entry.session, entry.kernel
        async with entry.reviving:
            if kernel is None or session.status not in ANSWERING:
                raise IllegalState(f"the session {session.name} is {session.status}: only a running one can restart")
            self._states.move(session, S.RESTARTING)
            try:
                await kernel.restart()
            except IllegalState:  # refused: the kernel that it has goes on
                if session.status is S.RESTARTING:
                    self._states.move(session, S.RUNNING)
                raise
            except BaiTuiError as exc:
                if session.status is S.RESTARTING:
                    self.end(entry, f"restarting failed: {exc.message}", final=S.ERROR)
                raise
            if session.status is S.RESTARTING:
                self._revived(entry)
                entry.touch(self._elapsed)
                self._states.move(session, S.RUNNING)

    def _revived(self, entry: Entry) -> None:
        entry.death = None
        entry.session.status_info = None
        entry.session.exit_code = None
        entry.revived.set()

    # --- out ------------------------------------------------------------------------------------------------

    def cancel(self, entry: Entry, info: str) -> None:
        """Takes a PENDING session out of the queue; those that depend on it are given up."""
        instructions = self.queue.cancel(entry.session.id)
        self._finish(entry, S.CANCELLED, info)
        self.clear_start(entry.session.id)
        self.carry_out(instructions)

    def end(
        self, entry: Entry, info: str, *, final: SessionStatus = S.TERMINATED, grace_s: float | None = None
    ) -> asyncio.Task[None]:
        """Ends a session that holds resources; the task is done when nothing of it is left. Idempotent."""
        if entry.ending is None:
            if entry.session.status is not S.TERMINATING:
                self._states.move(entry.session, S.TERMINATING, info)
            self._images.give_up(entry)
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
        session = entry.session
        try:
            if entry.kernel is not None:
                await self._sampler.look(Watched(session, entry.kernel.pid))
                why = "" if info in _ASKED_FOR else info
                await entry.kernel.terminate(grace_s=GRACE_S if grace_s is None else grace_s, why=why)
                if info in _ASKED_FOR and entry.kernel.pid:
                    info = ended_before(await entry.kernel.wait()) or info
            elif entry.launch is None:  # of an earlier daemon, and not adopted
                await self._engine.sweep(session.id, self._folders.session(session.id), session.runner)
        except Exception as exc:
            log.exception("the processes of the session %s could not be ended", session.id)
            final, info = S.ERROR, f"{info}; its processes could not be ended: {exc}"
        self._finish(entry, final, info)
        await self._clean(entry)

    def _finish(self, entry: Entry, final: SessionStatus, info: str) -> None:
        """Gives back what the session holds and makes its end known."""
        session = entry.session
        for watcher in entry.watchers:
            if watcher is not asyncio.current_task():
                watcher.cancel()
        self.idling.forget(session.id)
        self._batch.forget(session.id)
        session.last_stat = wire_metrics(self._sampler.forget(session.id)) or session.last_stat
        session.allocation = {}
        session.occupied_slots = ResourceSlots()
        session.runner = {}
        self._states.move(session, final, info)
        self._register.remove(entry)
        entry.settled.set()
        entry.ended.set()
        self.carry_out(self.queue.release(session.id, succeeded=session.result is SessionResult.SUCCESS))

    def clear_start(self, session_id: str) -> None:
        """Removes, in the background, what is left of a start that an earlier daemon could not finish, if anything."""
        if self._folders.exists(session_id) and not self._tasks.closed:
            self._tasks.spawn(self._remove_start(session_id), name=f"remove the start of {session_id}")

    async def _remove_start(self, session_id: str) -> None:
        await self._engine.sweep(session_id, self._folders.session(session_id), {})
        await asyncio.to_thread(self._folders.remove, session_id)

    async def _clean(self, entry: Entry) -> None:
        """Undoes what was made ready for a session; removes its work folder, in the background when it is large."""
        session_id = entry.session.id
        await self._devices.forget(session_id)
        removal = self._tasks.spawn(
            asyncio.to_thread(self._folders.remove_work, session_id), name=f"remove the folder of {session_id}"
        )
        await asyncio.wait([removal], timeout=_REMOVAL_WAIT_S)


def _is_ending(session: Session) -> bool:
    """Whether somebody ends a session that is on its way up: asked again after each step."""
    return session.status is S.TERMINATING
