"""The service: all that the outside can ask of the backend, and the only writer of session records. Fulfils
`ports.Service`. Who asks is checked here; what happens is in `lifecycle`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from ...model.errors import IllegalState, SessionExists
from ...model.metrics import Metrics
from ...model.sessions import Session, SessionStatus, check_session_name
from ...model.slots import ResourceSlots
from ...policies import LimitSettings
from ..ports import (
    IMAGE_PROGRESS,
    CreateOutcome,
    CreateRequest,
    Devices,
    DeviceUse,
    Engine,
    IdleCheck,
    ImageCatalogue,
    Keypair,
    Layer,
    Sampled,
    Sampler,
    SessionEvent,
    SessionStore,
)
from ..scheduler import Scheduler
from .admission import check_priority
from .alarm import Alarm
from .backgroundtasks import BackgroundTasks
from .devicewatch import DeviceWatch
from .door import Door
from .elapsed import Elapsed
from .entries import Register
from .events import EventBus
from .finder import Finder
from .folders import Folders
from .health import Health
from .idlechecks import IdleChecks
from .imagewatch import ImageWatch
from .imagework import ImageWork
from .inside import Inside
from .keypairs import LocalKeyring, OwnKeypair
from .layers import is_held, layers_of
from .lifecycle import Lifecycle
from .limits import Policies, slot_limit
from .lookup import find
from .output import Output
from .overuse import OveruseWatch
from .recorder import Recorder
from .recovery import Recovery
from .retention import Retention
from .running import Running
from .sampling import Sampling
from .shelf import Shelf
from .states import States
from .tasks import Tasks
from .uploads import Uploads
from .workquota import WorkQuota

log = logging.getLogger(__name__)
S = SessionStatus
_LAUNCH_WAIT_S: Final = 5.0
"""How long `stop` waits for launches that are under way."""


class LocalService(Running, Output, Shelf, Uploads):
    """One machine's sessions. `start` before use, `stop` after; both belong to the daemon."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        engine: Engine,
        catalogue: ImageCatalogue,
        devices: Devices,
        store: SessionStore,
        sampler: Sampler,
        keypairs: Iterable[Keypair],
        own: OwnKeypair | None = None,
        sessions_dir: Path,
        policies: Policies | None = None,
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begins with nothing; `start` reads what there is.

        Args:
            own: the keypair that must always open; None = there is no such.
            sessions_dir: where each session gets its folder; made when needed.
            policies: None = all defaults.
            clock: Unix time; `steady`: seconds that go on whatever is done to it.
        """
        self._policies = policies or Policies()
        self._engine = engine
        self._catalogue = catalogue
        self._devices = devices
        self._store = store
        self._clock = clock
        self._folders = Folders(sessions_dir, self._policies.journal.retention_s)
        self._register = Register()
        self.keyring = LocalKeyring(store, keypairs, live_sessions=self._register.count_of, own=own)
        self._bus = EventBus()
        self._recorder = Recorder(store, self._bus)
        self._states = States(self._recorder, clock)
        self._tasks = Tasks()
        elapsed = Elapsed(clock, steady)
        self._alarm = Alarm(clock, steady)
        self._image_watch = ImageWatch(catalogue, self._register, self._states)
        self._image_work = ImageWork(catalogue, self._states, self._bus, self._image_watch)
        self._background = BackgroundTasks(self._tasks, steady)
        checks = IdleChecks(self._policies.idle, self._lifetime_s)
        self._lifecycle = Lifecycle(
            scheduler=scheduler,
            engine=engine,
            images=self._image_work,
            devices=devices,
            sampler=sampler,
            folders=self._folders,
            states=self._states,
            register=self._register,
            tasks=self._tasks,
            alarm=self._alarm,
            checks=checks,
            keypairs=self.keyring,
            lifetime_s=self._lifetime_s,
            journal=self._policies.journal,
            sandbox=self._policies.sandbox,
            elapsed=elapsed,
        )
        device_watch = DeviceWatch(
            self._lifecycle.queue,
            self._register,
            self._states,
            [device.id for device in devices.list()],
            self._lifecycle.carry_out,
        )
        self._sampling = Sampling(
            sampler=sampler,
            register=self._register,
            recorder=self._recorder,
            states=self._states,
            devices=devices,
            checks=checks,
            overuse=OveruseWatch(self._policies.gpu, self._policies.memory),
            max_tasks=self._policies.sandbox.max_tasks,
            is_held=partial(is_held, engine),
            device_watch=device_watch,
            end=self._lifecycle.end,
            elapsed=elapsed,
        )
        quota_bytes = self._policies.sandbox.work_quota_bytes
        self._work_quota = WorkQuota(quota_bytes, self._register, self._folders, self._states, self._lifecycle.end)
        self._inside = Inside(self._lifecycle, self._recorder, self._folders, elapsed)
        self._finder = Finder(self._register, store, self._recorder, self._lifecycle.queue)
        self._door = Door(
            images=self._image_work,
            register=self._register,
            finder=self._finder,
            lifecycle=self._lifecycle,
            recorder=self._recorder,
            states=self._states,
            defaults=self._policies.defaults,
            sandbox=self._policies.sandbox,
            keyring=self.keyring,
        )
        self._health = Health(
            store=store,
            register=self._register,
            recorder=self._recorder,
            keypairs=self.keyring,
            tasks=self._tasks,
            folder=sessions_dir,
            clock=clock,
        )

    def _lifetime_s(self, access_key: str) -> float:
        return self._policies.limits.of(access_key).max_session_lifetime_s

    # --- life -----------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Takes over the sessions of the daemon before; returns when the service can be asked."""
        recovery = Recovery(
            engine=self._engine,
            devices=self._devices,
            store=self._store,
            folders=self._folders,
            states=self._states,
            register=self._register,
            lifecycle=self._lifecycle,
        )
        sessions = await recovery.found(list(await self._store.load_live()))
        # listed before any session can begin, removed later: a new one is not among them
        ended = self._folders.ended({session.id for session in sessions})
        newest = max((session.enqueue_order for session in sessions), default=0)
        self._door.last_order = max(await self._store.last_enqueue_order(), newest)
        await recovery.recall()
        await recovery.adopt(sessions)
        await recovery.requeue(sessions)
        self._health.watch()
        self._tasks.spawn(self._recorder.run(), name="recorder", vital=True)
        self._tasks.spawn(self._alarm.run(), name="alarm", vital=True)
        self._tasks.spawn(self._sampling.run(), name="sampler", vital=True)
        self._tasks.spawn(self._work_quota.run(), name="work quota", vital=True)
        self._tasks.spawn(self._image_watch.run(), name="image watch", vital=True)
        self._tasks.spawn(self._tidy(recovery, ended), name="remove old session folders")
        self._tasks.spawn(Retention(self._folders, self._register, self._clock).run(), name="retention")

    async def _tidy(self, recovery: Recovery, ended: list[Path]) -> None:
        await recovery.sweep()
        await asyncio.to_thread(self._folders.remove_old, ended, self._clock())

    async def failure(self) -> BaseException:
        """Returns when the service has failed for good, with the reason. Safe to cancel."""
        return await self._tasks.failure()

    async def end_all(self) -> None:
        """Ends every session, the waiting ones first; returns when nothing is left."""
        self._door.close()
        for entry in self._register:
            if entry.session.status is S.PENDING:
                self._lifecycle.cancel(entry, "user-requested")
        if endings := [self._lifecycle.end(entry, "user-requested") for entry in self._register]:
            await asyncio.wait(endings)

    async def stop(self) -> None:
        """Lets go of everything: sessions and their processes live on. Idempotent."""
        self._door.close()
        # who builds an image can do so for an hour: the next daemon begins that launch anew
        under_way = [entry for entry in self._register if entry.session.status is not S.PULLING]
        tasks = [task for entry in under_way for task in (entry.launch, entry.ending) if task and not task.done()]
        if tasks:
            await asyncio.wait(tasks, timeout=_LAUNCH_WAIT_S)
        await self._tasks.close()
        await self._recorder.flush()
        await asyncio.to_thread(self._lifecycle.keep_records)
        self.close_events()

    def close_events(self) -> None:
        """Ends the iterations of `events` and `samples`, so that their readers can say goodbye."""
        self._bus.close()
        self._sampling.close()

    # --- who ------------------------------------------------------------------------------------------------

    def keypair(self, access_key: str) -> Keypair | None:
        """Returns a keypair, also one that is switched off: its sessions go on."""
        return self.keyring.get(access_key)

    # --- sessions -------------------------------------------------------------------------------------------

    async def create(self, caller: Keypair, request: CreateRequest) -> CreateOutcome:
        """Admits, queues, starts; or finds the live session of that name. Waits as the request says.

        A failed start is an outcome (status ERROR with the reason), not an error. Cancelling leaves the session be.

        Raises:
            BadRequest and its children, ImageNotFound, NotImplementedHere, ServiceUnavailable.
        """
        return await self._door.create(caller, request)

    async def get(self, caller: Keypair, ref: str) -> Session:
        """Returns a session; ended ones are found by their full id only."""
        return await self._finder.get(caller, ref)

    async def search(
        self,
        caller: Keypair,
        *,
        statuses: Sequence[SessionStatus] | None,
        access_key: str | None,
        limit: int,
        offset: int,
    ) -> tuple[Sequence[Session], int]:
        """Returns one page, newest first, and the total count. `access_key` None = all that the caller may see."""
        return await self._finder.search(caller, statuses=statuses, access_key=access_key, limit=limit, offset=offset)

    async def match(self, caller: Keypair, prefix: str) -> Sequence[Session]:
        """Returns the live sessions whose id or name begins with `prefix`."""
        return self._finder.match(caller, prefix)

    async def terminate(self, caller: Keypair, ref: str, *, forced: bool = False) -> Session:
        """Ends a session; returns when its processes are gone and its slots are free. PENDING becomes CANCELLED.

        Cancelling does not stop the ending.

        Raises:
            IllegalState: it is TERMINATING already and not `forced`.
        """
        entry = find(self._register, caller, ref)
        session = entry.session
        info = "force-terminated" if forced else "user-requested"
        if session.status is S.PENDING:
            self._lifecycle.cancel(entry, info)
        elif session.status is S.TERMINATING:
            if not forced:
                raise IllegalState(f"the session {session.name} is being ended already: force it if that takes long")
            await self._lifecycle.force(entry)
        else:
            starting = entry.kernel is None
            ending = self._lifecycle.end(entry, info, grace_s=0 if forced else None)
            if forced and starting:
                await self._lifecycle.force(entry)
            await asyncio.shield(ending)
        if session.status is S.CANCELLED:  # of others nothing is left that could come back
            await self._recorder.written(session, "is cancelled")
        await self._recorder.settled()
        return session

    async def rename(self, caller: Keypair, ref: str, name: str) -> None:
        """Gives a live session another name.

        Raises:
            BadRequest: no name for a session.
            SessionExists: another live session of the owner has it.
        """
        entry = find(self._register, caller, ref)
        check_session_name(name)
        other = self._register.named(entry.session.access_key, name)
        if other is entry:
            return
        if other is not None:
            raise SessionExists(
                f"there is a live session {name!r} already: take another name",
                data={"existingSessionId": other.session.id},
            )
        self._register.rename(entry, name)
        self._states.tell(entry.session, "bai_session_renamed")
        self._lifecycle.keep_record(entry)
        await self._recorder.written(entry.session, "is called so now")

    async def extend(self, caller: Keypair, ref: str, by_s: float) -> Session:
        """Keeps every idle check from ending a session for `by_s` seconds from now; 0 takes that back.

        Raises:
            IllegalState: it does not run.
            BadRequest: negative, not finite, or beyond the owner's session lifetime (which an admin may pass).
        """
        entry = find(self._register, caller, ref)
        self._lifecycle.idling.extend(caller, entry, by_s, self._lifetime_s(entry.session.access_key))
        self._lifecycle.queue.set_end(entry.session)
        self._lifecycle.keep_record(entry)
        await self._recorder.written(entry.session, "is extended")
        return entry.session

    async def modify(self, caller: Keypair, ref: str, *, priority: int) -> Session:
        """Gives a session another priority; a waiting one changes its place in the queue at once.

        Raises:
            BadRequest: outside 0 to 100.
        """
        entry = find(self._register, caller, ref)
        check_priority(priority)
        entry.session.priority = priority
        self._states.tell(entry.session, "bai_session_modified")
        self._lifecycle.carry_out(self._lifecycle.queue.set_priority(entry.session.id, priority))
        await self._recorder.written(entry.session, f"has priority {priority}")
        return self._finder.current(entry)

    async def restart(self, caller: Keypair, ref: str) -> None:
        """Replaces the kernel process of a running session. Cancelling does not stop it."""
        entry = find(self._register, caller, ref)
        work = self._tasks.spawn(self._lifecycle.restart(entry), name=f"restart {entry.session.id}")
        await asyncio.shield(work)
        await self._recorder.settled()

    # --- state ----------------------------------------------------------------------------------------------

    def idle_remaining_s(self, session: Session) -> float | None:
        """Seconds until the first of the idle checks ends the session; None = never or not running."""
        left_s = [check.remaining_s for check in self.idle_checks(session) if check.remaining_s is not None]
        return min(left_s, default=None)

    def idle_checks(self, session: Session) -> Sequence[IdleCheck]:
        """Returns the checks that are on for a session; empty unless it runs."""
        entry = self._register.get(session.id)
        return self._lifecycle.idling.checks(entry) if entry is not None else ()

    def busy(self, session: Session) -> bool:
        """Whether a run is going on."""
        entry = self._register.get(session.id)
        return entry is not None and entry.kernel is not None and entry.kernel.busy_run is not None

    def stat(self, session: Session) -> Metrics:
        """Returns what a session uses, or what an ended one used last; empty when it was never measured."""
        return self._sampling.stat(session)

    def sampled(self, caller: Keypair) -> Sampled | None:
        """Returns the newest round of the sampler, cut down to the sessions that `caller` may see."""
        return self._sampling.last(caller)

    def samples(self, caller: Keypair) -> AsyncIterator[Sampled]:
        """Yields each new round, cut down to the sessions that `caller` may see; a slow reader gets the newest."""
        return self._sampling.samples(caller)

    def layers(self, session: Session) -> Sequence[Layer]:
        """Returns the layers of enforcement in force; empty unless the session holds resources."""
        entry = self._register.get(session.id)
        if entry is None:
            return ()
        return layers_of(
            session,
            entry.kernel,
            devices=self._devices,
            engine=self._engine,
            gpu=self._policies.gpu,
            memory=self._policies.memory,
            max_tasks=self._policies.sandbox.max_tasks,
            work_quota_bytes=self._policies.sandbox.work_quota_bytes,
        )

    def waiting(self, session: Session) -> Mapping[str, Any] | None:
        """Returns why a session waits, in the form of Backend.AI's `status_data.scheduler` (`msg`, `failed_predicates`,
        `passed_predicates`, `retries`, `last_try`) with our `position` and `expected_start`; None when it does not."""
        return self._lifecycle.queue.wire(session)

    def limits(self, keypair: Keypair) -> ResourceSlots | None:
        """Returns what a keypair may hold in all; None = no limit. Slots that are not named are not limited."""
        return slot_limit(self.policy(keypair))

    def policy(self, keypair: Keypair) -> LimitSettings:
        """Returns the limits of a keypair as they are configured."""
        return self._policies.limits.of(keypair.access_key)

    def events(
        self, caller: Keypair, *, session_ref: str | None = None, progress: bool = False
    ) -> AsyncIterator[SessionEvent]:
        """Yields what happens from this call on, until the backend stops. A reader that lags loses the oldest events
        and gets one named `bai_lagged` instead.

        Args:
            progress: with how far the images are that are built or pulled: all, or that of the one session.

        Raises:
            SessionNotFound, AmbiguousReference: at once, not at the first step.
        """
        only = find(self._register, caller, session_ref).session if session_ref else None

        def wants(event: SessionEvent) -> bool:
            if event.name == IMAGE_PROGRESS:
                return progress and (only is None or event.extra["image"] == only.image)
            seen = caller.is_admin or event.access_key == caller.access_key
            return seen and (only is None or event.session_id == only.id)

        return self._bus.subscribe(wants)

    def notices(self) -> Sequence[str]:
        """Returns what is wrong with the backend, a sentence each; empty when nothing is."""
        return [*self._health.notices(), *self._catalogue.warnings()]

    def devices(self, caller: Keypair) -> Sequence[DeviceUse]:
        """Returns the devices with what is promised of them; whose sessions hold it where `caller` may see that."""
        promised, lost = self._lifecycle.queue.promised(), self._lifecycle.queue.lost()
        seen = {device_id: self._register.seen_of(caller, amounts) for device_id, amounts in promised.items()}
        return [DeviceUse(device, seen.get(device.id, {}), lost=device.id in lost) for device in self._devices.list()]

    def slots(self) -> tuple[ResourceSlots, ResourceSlots]:
        """Returns (available, occupied) of the machine."""
        return self._lifecycle.queue.available(), self._lifecycle.queue.occupied()
