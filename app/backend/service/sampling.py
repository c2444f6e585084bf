"""What comes of each round of the sampler: idling, overuse, lost devices, the last figures of each session, readers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from typing import Final

from ...model.metrics import MEM_USED, Metrics, parse_metrics, wire_metrics
from ...model.sessions import ANSWERING, Session, SessionStatus
from ...model.slots import MEM
from ..ports import Devices, Kernel, Keypair, Sampled, Sampler, Watched
from . import taskwatch
from .batch import EndSession
from .devicewatch import DeviceWatch
from .elapsed import Elapsed
from .entries import Entry, Register
from .idlechecks import IdleChecks
from .layers import TASKS, mem_limits
from .overuse import Overuse, OveruseWatch, Use
from .recorder import Recorder
from .states import States

S = SessionStatus
_KEEP_EVERY_S: Final = 30.0
"""How often the figures of sessions that run are written, for the daemon that comes after a crash."""
_MEASURED: Final = ANSWERING | {S.RESTARTING}


class Sampling:
    """Runs the sampler and hands on what it measures."""

    def __init__(
        self,
        *,
        sampler: Sampler,
        register: Register,
        recorder: Recorder,
        states: States,
        devices: Devices,
        checks: IdleChecks,
        overuse: OveruseWatch,
        max_tasks: int,
        is_held: Callable[[Kernel, str], bool],
        device_watch: DeviceWatch,
        end: EndSession,
        elapsed: Elapsed,
    ) -> None:
        """`max_tasks` is what one session may run, 0 = no limit; `is_held` tells whether something that code cannot
        pass holds a session to a resource."""
        self._sampler = sampler
        self._register = register
        self._recorder = recorder
        self._states = states
        self._devices = {device.id: device for device in devices.list()}
        self._checks = checks
        self._overuse = overuse
        self._max_tasks = max_tasks
        self._is_held = is_held
        self._device_watch = device_watch
        self._end = end
        self._elapsed = elapsed
        self._known: set[str] = set()
        self._kept_s = elapsed.now()
        self._pulse = asyncio.Event()
        self._rounds = 0
        self._closed = False

    async def run(self) -> None:
        """Samples until cancelled."""
        await self._sampler.run(self._watched, self.take)

    def close(self) -> None:
        """Ends the iterations of `samples`."""
        self._closed = True
        self._beat()

    def stat(self, session: Session) -> Metrics:
        """Returns what a session uses, or what an ended one used last."""
        return self._sampler.stat(session.id) or parse_metrics(session.last_stat)

    def last(self, caller: Keypair) -> Sampled | None:
        """Returns the newest round, cut down to what `caller` may see; None before the first."""
        return self._cut(self._sampler.last, caller) if self._sampler.last is not None else None

    async def samples(self, caller: Keypair) -> AsyncIterator[Sampled]:
        """Yields each new round, cut down to what `caller` may see; a slow reader gets the newest."""
        seen = self._rounds
        while not self._closed:
            if self._rounds == seen:
                await self._pulse.wait()
            elif (newest := self._sampler.last) is not None:
                seen = self._rounds
                yield self._cut(newest, caller)

    def _cut(self, sampled: Sampled, caller: Keypair) -> Sampled:
        if caller.is_admin:
            return sampled
        seen = {entry.session.id for entry in self._register.seen_by(caller)}
        return replace(
            sampled,
            sessions={key: value for key, value in sampled.sessions.items() if key in seen},
            session_gpu_mem_bytes={key: value for key, value in sampled.session_gpu_mem_bytes.items() if key in seen},
            session_tasks={key: value for key, value in sampled.session_tasks.items() if key in seen},
        )

    def _running(self) -> list[Entry]:
        return [entry for entry in self._register.started() if entry.session.status in _MEASURED]

    def _watched(self) -> list[Watched]:
        return [Watched(entry.session, entry.kernel.pid) for entry in self._running() if entry.kernel is not None]

    def take(self, sampled: Sampled) -> None:
        """Looks at one round."""
        now = self._elapsed.now()
        self._device_watch.look(sampled.gpus)
        running = self._running()
        for entry in running:
            metrics = sampled.sessions.get(entry.session.id)
            if metrics is not None:
                self._checks.sample(entry.session.id, metrics, now)
        for session_id, why in taskwatch.over(sampled.session_tasks, self._max_tasks):
            crowded = self._register.get(session_id)
            if crowded is not None and crowded.session.status in _MEASURED and not self._holds(crowded, TASKS):
                self._end(crowded, why, grace_s=0)
        for over in self._overuse.look([use for entry in running for use in self._uses(entry, sampled)]):
            self._over(over)
        self._forget_ended({entry.session.id for entry in running})
        if now - self._kept_s >= _KEEP_EVERY_S:
            self._kept_s = now
            self._keep(running)
        self._rounds += 1
        self._beat()

    def _beat(self) -> None:
        pulse, self._pulse = self._pulse, asyncio.Event()
        pulse.set()

    def _uses(self, entry: Entry, sampled: Sampled) -> Iterator[Use]:
        session = entry.session
        used = dict(sampled.session_gpu_mem_bytes.get(session.id, {}))
        if (mem := sampled.sessions.get(session.id, {}).get(MEM_USED)) is not None:
            used[MEM] = int(mem.current)
        limits = mem_limits(session, self._devices)
        for device_id, used_bytes in used.items():
            device = self._devices.get(device_id)
            yield Use(
                session.id,
                "mem" if device_id == MEM else "gpu",
                device_id,
                used_bytes,
                limits.get(device_id, 0),
                mock=device is not None and device.kind == "mock",
            )

    def _over(self, over: Overuse) -> None:
        use, entry = over.use, self._register.get(over.use.session_id)
        if entry is None or entry.session.status not in _MEASURED:
            return  # ended for another device in this very round
        held = use.resource == MEM and self._holds(entry, MEM)
        if over.ends:
            if held:
                self._overuse.spare(use)
                return
            self._end(entry, f"overuse: {over.text}; {over.advice}")
            return
        self._states.tell(
            entry.session,
            "bai_overuse_warning",
            reason=over.text,
            extra={
                "resource": use.resource,
                "device": use.device_id,
                "used_bytes": use.used_bytes,
                "limit_bytes": use.limit_bytes,
                "held": held,
            },
        )

    def _holds(self, entry: Entry, resource: str) -> bool:
        return entry.kernel is not None and self._is_held(entry.kernel, resource)

    def _forget_ended(self, running: set[str]) -> None:
        for session_id in self._known - running:
            self._overuse.forget(session_id)
            self._device_watch.forget(session_id)
        self._known = running

    def _keep(self, running: list[Entry]) -> None:
        for entry in running:
            if metrics := self._sampler.stat(entry.session.id):
                entry.session.last_stat = wire_metrics(metrics)
                self._recorder.note_soon(entry.session)
