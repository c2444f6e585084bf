"""From counters and readings to metrics: rates, and the highest and mean values over the life of a session."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from ...model.metrics import (
    CPU_USED,
    CPU_UTIL,
    CUDA_MEM,
    CUDA_UTIL,
    IO_READ,
    IO_WRITE,
    MEM_USED,
    NUM_PROCS,
    Metric,
    Metrics,
)
from .memory import taken_bytes
from .processes import Group

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_SHORTEST_S: Final = 10 / TICKS_PER_S
"""Over less time the ticks are too coarse for a rate: the one before stays."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a session was promised, in the units of the metrics; None = nothing."""

    cpu_util: float | None = None
    """Percent of one core."""
    mem: float | None = None
    cuda_mem: float | None = None
    cuda_util: float | None = None
    """Percent of one GPU."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a session's processes have used or hold at one moment."""

    cpu_s: float = 0.0
    """Since they began, with that of children that have ended and were waited for."""
    age_s: float = 0.0
    """Since the session's runner was started."""
    mem_bytes: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    processes: int = 0
    gpu_mem_bytes: int = 0
    gpu_util_pct: float = 0.0

    @classmethod
    def of(cls, group: Group, *, up_s: float, gpu_mem_bytes: int = 0, gpu_util_pct: float = 0.0) -> Reading:
        """Sums up the processes of a session whose runner lives.

        Args:
            up_s: time since the start of the machine.
        """
        runner = group.runner
        assert runner is not None
        # the runner is ours, not the session's: of it only what its ended children have used; but what it reads and
        # writes is the session's journal
        ticks = runner.waited_ticks
        read, written = runner.read_bytes, runner.written_bytes
        mem = alive = 0
        for process in group.below:
            ticks += process.own_ticks + process.waited_ticks
            read += process.read_bytes
            written += process.written_bytes
            mem += taken_bytes(process)
            alive += not process.ended
        return cls(
            cpu_s=ticks / TICKS_PER_S,
            age_s=max(0.0, up_s - runner.started / TICKS_PER_S),
            mem_bytes=mem,
            read_bytes=read,
            written_bytes=written,
            processes=alive,
            gpu_mem_bytes=gpu_mem_bytes,
            gpu_util_pct=gpu_util_pct,
        )


@dataclass(slots=True)
class _Counter:
    """A sum that only grows, over processes of which some vanish with their part of it."""

    total: float = 0.0
    _lost: float = 0.0

    def take(self, seen: float) -> float:
        """Returns the total when `seen` is left of it in those that live. What one whose parent does not wait for it
        used after the last look is lost, nothing else."""
        self._lost = max(self._lost, self.total - seen)
        self.total = seen + self._lost
        return self.total


@dataclass(slots=True)
class _Gauge:
    """The highest value and the mean over time."""

    highest: float = 0.0
    _area: float = 0.0
    _time_s: float = 0.0

    def begin(self, prior: Metric | None, age_s: float) -> None:
        """Goes on from what was known before this process measured."""
        if prior is not None and prior.max is not None and prior.avg is not None:
            self.highest, self._area, self._time_s = prior.max, prior.avg * age_s, age_s

    def take(self, value: float, elapsed_s: float) -> tuple[float, float]:
        """Returns (highest, mean); `value` stands for the time since the last one."""
        self.highest = max(self.highest, value)
        self._area += value * elapsed_s
        self._time_s += elapsed_s
        return self.highest, self._area / self._time_s if self._time_s else value


@dataclass(slots=True)
class History:
    """One session's measures from its first round on."""

    promise: Promise = field(default_factory=Promise)
    prior: Metrics = field(default_factory=dict)
    """As measured before this backend was started; its highest and mean values are gone on with."""
    _cpu: _Counter = field(default_factory=_Counter)
    _read: _Counter = field(default_factory=_Counter)
    _written: _Counter = field(default_factory=_Counter)
    _gauges: dict[str, _Gauge] = field(default_factory=dict)
    _last_s: float | None = None
    _cpu_pct: float = 0.0

    def take(self, reading: Reading, now_s: float) -> dict[str, Metric]:
        """Returns the metrics of a round.

        Args:
            now_s: of a clock that only goes forward.
        """
        elapsed_s = 0.0 if self._last_s is None else max(0.0, now_s - self._last_s)
        used_before_s = self._cpu.total
        cpu_s = self._cpu.take(reading.cpu_s)
        # the first round has nothing to take the difference to: it tells the mean since the session was started
        over_s = elapsed_s or max(1.0, reading.age_s)
        if elapsed_s == 0.0 or elapsed_s >= _SHORTEST_S:
            self._cpu_pct = 100 * (cpu_s - used_before_s) / over_s
        metrics = {
            CPU_UTIL: self._gauge(CPU_UTIL, self._cpu_pct, self.promise.cpu_util, "percent", reading, elapsed_s),
            CPU_USED: Metric(1000 * cpu_s, unit_hint="msec"),
            MEM_USED: self._gauge(MEM_USED, reading.mem_bytes, self.promise.mem, "bytes", reading, elapsed_s),
            IO_READ: Metric(self._read.take(reading.read_bytes), unit_hint="bytes"),
            IO_WRITE: Metric(self._written.take(reading.written_bytes), unit_hint="bytes"),
            NUM_PROCS: self._gauge(NUM_PROCS, reading.processes, None, "count", reading, elapsed_s),
        }
        if self.promise.cuda_mem is not None or reading.gpu_mem_bytes:
            metrics[CUDA_MEM] = self._gauge(
                CUDA_MEM, reading.gpu_mem_bytes, self.promise.cuda_mem, "bytes", reading, elapsed_s
            )
            metrics[CUDA_UTIL] = self._gauge(
                CUDA_UTIL, reading.gpu_util_pct, self.promise.cuda_util, "percent", reading, elapsed_s
            )
        self._last_s = now_s
        return metrics

    def _gauge(
        self, name: str, value: float, promise: float | None, unit: str, reading: Reading, elapsed_s: float
    ) -> Metric:
        gauge = self._gauges.get(name)
        if gauge is None:
            gauge = self._gauges[name] = _Gauge()
            gauge.begin(self.prior.get(name), reading.age_s)
        highest, mean = gauge.take(value, elapsed_s)
        return Metric(value, promise, unit, highest, mean)
