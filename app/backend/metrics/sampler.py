"""The sampler: measures all sessions at once, every second, in a thread of its own. Fulfils `ports.Sampler`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ...model.errors import BadRequest
from ...model.metrics import Metric, Metrics, parse_metrics
from ...model.sessions import Session
from ...model.shares import gpu_shares, share_mem_bytes
from ...model.slots import CPU, MEM
from ..ports import Device, Devices, GpuReading, Sampled, Watched
from .history import History, Promise, Reading
from .host import HostMeter
from .memory import MemoryMeter
from .processes import Group, ProcessTable, group_of

log = logging.getLogger(__name__)
_LOOK_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class _Task:
    """A session in one round."""

    session_id: str
    name: str
    history: History


class ProcSampler:
    """Measures sessions by /proc and GPUs by `devices`.

    A round costs one look at the list of processes, two system calls for each process of a session, and what
    `memory.MemoryMeter` allows itself: it grows with the number of processes, not of sessions. A round that comes late
    is left out; rounds never overlap.
    """

    def __init__(self, devices: Devices, *, interval_s: float = 1.0, proc: Path = Path("/proc")) -> None:
        """Measures nothing yet: `run` does.

        Args:
            proc: where the process file system is mounted.
        """
        self._devices = devices
        self._interval_s = interval_s
        self._table = ProcessTable(proc)
        self._memory = MemoryMeter(proc)
        self._host = HostMeter(proc)
        self._histories: dict[str, History] = {}
        self._metrics: dict[str, Metrics] = {}
        self._proc = proc
        self._executor: ThreadPoolExecutor | None = None
        self._last: Sampled | None = None

    @property
    def last(self) -> Sampled | None:
        """The newest round; None before the first."""
        return self._last

    def stat(self, session_id: str) -> Metrics:
        """Returns the newest metrics of a session with max and mean over its life; empty when there are none yet."""
        return self._metrics.get(session_id, {})

    def forget(self, session_id: str) -> Metrics:
        """Returns the last metrics of a session that has ended and drops it."""
        self._histories.pop(session_id, None)
        return self._metrics.pop(session_id, {})

    async def look(self, watched: Watched) -> None:
        """Measures one session once more, which is about to end: of one that was short nothing else would be known.

        Takes milliseconds and no longer than `_LOOK_S`. Nothing happens when `run` does not run.
        """
        if self._executor is None:
            return
        task = self._task(watched.session)
        gpus = self._last.gpus if self._last is not None else ()
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_LOOK_S):
                metrics = await loop.run_in_executor(self._executor, self._measure_one, watched.pid, task, gpus)
                if metrics:
                    self._metrics[task.session_id] = metrics

    def _measure_one(self, pid: int, task: _Task, gpus: Sequence[GpuReading]) -> Metrics:
        """Runs in the thread of the sampler."""
        group = group_of(pid, self._proc)
        if group.runner is None:
            return {}
        MemoryMeter(self._proc).measure([group])
        return self._metrics_of(task, group, gpus)[0]

    async def run(self, watched: Callable[[], Sequence[Watched]], on_sample: Callable[[Sampled], None]) -> None:
        """Samples until cancelled; `on_sample` is called in the event loop after each round.

        Raises:
            whatever `watched` or `on_sample` raise.
        """
        clock = asyncio.get_running_loop().time
        # not the default pool: a round must not wait for somebody's file
        executor = self._executor = ThreadPoolExecutor(1, thread_name_prefix="sampler")
        try:
            due_s = clock()
            while True:
                if (sampled := await self._round(executor, watched())) is not None:
                    on_sample(sampled)
                now_s = clock()
                due_s = next_due_s(due_s, now_s, self._interval_s)
                await asyncio.sleep(due_s - now_s)  # the beat of the sampler
        finally:
            self._executor = None
            executor.submit(self._table.close)
            executor.shutdown(wait=False)

    async def _round(self, executor: ThreadPoolExecutor, watched: Sequence[Watched]) -> Sampled | None:
        tasks = {item.pid: self._task(item.session) for item in watched}
        gpus = await self._devices.read_gpus()
        loop = asyncio.get_running_loop()
        try:
            sampled = await loop.run_in_executor(executor, self._measure, tasks, gpus)
        except OSError as exc:  # out of descriptors, most likely: that passes
            log.warning("a round of the sampler was left out: %s", exc)
            return None
        for task in tasks.values():
            metrics = sampled.sessions.get(task.session_id)
            # it may have been forgotten while it was measured
            if metrics is not None and self._histories.get(task.session_id) is task.history:
                self._metrics[task.session_id] = metrics
        self._last = sampled
        return sampled

    def _task(self, session: Session) -> _Task:
        history = self._histories.get(session.id)
        if history is None:
            history = self._histories[session.id] = History(prior=_prior(session))
        history.promise = _promise(session, self._devices.list())
        return _Task(session.id, session.name, history)

    def _measure(self, tasks: Mapping[int, _Task], gpus: Sequence[GpuReading]) -> Sampled:
        """Runs in the thread of the sampler."""
        groups = self._table.scan({pid: task.session_id for pid, task in tasks.items()})
        self._memory.measure(groups.values())
        metrics: dict[str, Metrics] = {}
        gpu_mem: dict[str, Mapping[str, int]] = {}
        tasks_run: dict[str, int] = {}
        for task in tasks.values():
            group = groups.get(task.session_id)
            if group is None or group.runner is None:
                continue  # it has ended, and what was measured last stays
            metrics[task.session_id], held = self._metrics_of(task, group, gpus)
            tasks_run[task.session_id] = sum(process.threads for process in group.below if not process.ended)
            if held:
                gpu_mem[task.session_id] = held
        cpu_pct, core_pct = self._host.cpu_pct()
        return Sampled(
            time_s=time.time(),
            sessions=metrics,
            gpus=gpus,
            session_gpu_mem_bytes=gpu_mem,
            session_tasks=tasks_run,
            cpu_pct=cpu_pct,
            core_pct=core_pct,
            mem_used_bytes=self._host.mem_used_bytes(),
        )

    @staticmethod
    def _metrics_of(task: _Task, group: Group, gpus: Sequence[GpuReading]) -> tuple[Metrics, Mapping[str, int]]:
        """Returns what a session uses, and the memory that it holds on each GPU."""
        held, util_pct = _on_gpus(task, group, gpus)
        up_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        reading = Reading.of(group, up_s=up_s, gpu_mem_bytes=sum(held.values()), gpu_util_pct=util_pct)
        return task.history.take(reading, time.monotonic()), held


def next_due_s(due_s: float, now_s: float, interval_s: float) -> float:
    """Returns when the next round begins: on the beat, after now. Those that were missed are not made up for."""
    return due_s + interval_s * max(1, 1 + (now_s - due_s) // interval_s)


def _on_gpus(task: _Task, group: Group, gpus: Sequence[GpuReading]) -> tuple[dict[str, int], float]:
    """Returns the memory that a session holds on each GPU, and the sum of its utilization of them in percent."""
    held: dict[str, int] = {}
    util_pct = 0.0
    for gpu in gpus:
        # of a mock GPU
        mem_bytes = gpu.session_mem_bytes.get(task.session_id, gpu.session_mem_bytes.get(task.name, 0))
        util_pct += gpu.session_util_pct.get(task.session_id, gpu.session_util_pct.get(task.name, 0.0))
        if gpu.process_mem_bytes or gpu.process_util_pct:
            for process in group.below:
                mem_bytes += gpu.process_mem_bytes.get(process.pid, 0)
                util_pct += gpu.process_util_pct.get(process.pid, 0.0)
        if mem_bytes:
            held[gpu.device_id] = mem_bytes
    return held, util_pct


def _promise(session: Session, devices: Sequence[Device]) -> Promise:
    """Returns what a session was promised: a share of a GPU promises that share of its memory."""
    slots = session.occupied_slots
    sizes = {device.id: device.mem_bytes for device in devices}
    shares = gpu_shares(session.allocation)
    cuda_mem = sum(share_mem_bytes(sizes.get(device_id, 0), share) for device_id, share in shares.items())
    return Promise(
        cpu_util=float(slots.amount(CPU)) * 100 or None,
        mem=float(slots.amount(MEM)) or None,
        cuda_mem=float(cuda_mem) if shares else None,
        cuda_util=float(sum(shares.values())) * 100 if shares else None,
    )


def _prior(session: Session) -> dict[str, Metric]:
    try:
        return parse_metrics(session.last_stat)
    except BadRequest:  # written by another version
        return {}
