"""Runs the scheduler core over a trace, from event to event: no clock, no session, the very code that serves."""

from __future__ import annotations

import heapq
import math
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from ...model.errors import BadRequest
from ...model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM
from ..scheduler import Distribution, Instruction, PendingRequest, Rules, Scheduler, Start, Strategy
from .fragmentation import WHOLE, Fragmentation
from .machine import Machine
from .timeline import Timeline
from .trace import Job, Trace

_PROGRESS_EVERY: Final = 1024
WAITING, GPU, CPUS, MEMORY, FREE_GPU, FRAGMENTED = range(6)
"""Values of an outcome's timeline: how many wait; units of GPUs, cpu, mem that are promised; of those free, what is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """How a scheduler is set up."""

    rules: Rules = field(default_factory=Rules)
    quantum: Decimal = Decimal("0.01")
    strategy: Strategy = Strategy.PACK
    distribution: Distribution = Distribution.EVENLY


@dataclass(slots=True)
class Outcome:
    """What happened to every request of a trace."""

    trace: Trace
    machine: Machine
    setting: Setting
    started_s: array[float]
    """Number of the job -> when it started; NaN when it never did."""
    refused: dict[int, str]
    """Number of the job -> why the scheduler did not admit it."""
    timeline: Timeline
    wall_s: float = 0.0
    """Real time that the run took."""
    end_s: float = 0.0
    """When the last one that ran ended."""

    def jobs(self) -> list[tuple[Job, float]]:
        """Returns those that ran, each with the seconds that it waited."""
        return [
            (job, started_s - job.arrival_s)
            for job, started_s in zip(self.trace.jobs, self.started_s, strict=True)
            if not math.isnan(started_s)
        ]

    @property
    def begin_s(self) -> float:
        """When the first one arrived."""
        return self.trace.jobs[0].arrival_s

    @property
    def makespan_s(self) -> float:
        """From the first arrival to the last end."""
        return self.end_s - self.begin_s


class _Run:
    """One run of a trace under one setting."""

    def __init__(self, trace: Trace, machine: Machine, setting: Setting) -> None:
        self.jobs = trace.jobs
        try:
            self.scheduler = Scheduler(
                machine.devices(),
                quantum=setting.quantum,
                strategy=setting.strategy,
                distribution=setting.distribution,
                rules=setting.rules,
            )
        except ValueError as exc:
            raise BadRequest(str(exc)) from None
        self.ends: list[tuple[float, int]] = []
        self.shares: dict[int, Mapping[str, Decimal]] = {}
        """Job that runs -> what it has of GPUs."""
        begin_s = trace.jobs[0].arrival_s
        self.outcome = Outcome(
            trace, machine, setting, array("d", [math.nan]) * len(self.jobs), {}, Timeline(6, begin_s), end_s=begin_s
        )
        self.fragmentation = Fragmentation(machine.gpus, self._possible())
        self.values = [0.0] * 6

    def _possible(self) -> list[Job]:
        """Returns the jobs that the machine can serve; notes why of the others."""
        verdicts: dict[tuple[int, bool], str] = {}
        possible = []
        for number, job in enumerate(self.jobs):
            kind = (id(job.slots), job.split)  # the objects live as long as the trace
            if kind not in verdicts:
                try:
                    self.scheduler.check(job.slots, split=job.split, access_key=job.user)
                    verdicts[kind] = ""
                except BadRequest as exc:
                    verdicts[kind] = exc.message
            if verdicts[kind]:
                self.outcome.refused[number] = verdicts[kind]
            else:
                possible.append(job)
        return possible

    def go(self, progress: Callable[[int], None] | None) -> Outcome:
        jobs, ends, scheduler = self.jobs, self.ends, self.scheduler
        timeline, values, fragmentation = self.outcome.timeline, self.values, self.fragmentation
        arrived, count, done = 0, len(jobs), len(self.outcome.refused)
        begun_s = time.perf_counter()
        while done < count:
            end_s = ends[0][0] if ends else math.inf
            arrival_s = jobs[arrived].arrival_s if arrived < count else math.inf
            now = min(end_s, arrival_s)
            tick_s = scheduler.next_tick(timeline.now_s)
            if tick_s is not None:
                now = min(now, max(tick_s, timeline.now_s))
            if now == math.inf:
                break  # nothing will ever happen again
            values[FREE_GPU], values[FRAGMENTED] = fragmentation.free, fragmentation.fragmented
            timeline.advance(now, values)
            if end_s <= now:
                self._end(heapq.heappop(ends)[1], now)
                done += 1
                if progress is not None and done % _PROGRESS_EVERY == 0:
                    progress(done)
            elif arrival_s <= now:
                if arrived not in self.outcome.refused:
                    self._arrive(arrived, now)
                arrived += 1
            else:
                self._carry_out(scheduler.tick(now), now)
        self.outcome.wall_s = time.perf_counter() - begun_s
        return self.outcome

    def _arrive(self, number: int, now: float) -> None:
        job = self.jobs[number]
        request = PendingRequest(
            session_id=str(number),
            slots=job.slots,
            order=number,
            priority=job.priority,
            access_key=job.user,
            split=job.split,
            duration_s=job.limit_s,
        )
        self.values[WAITING] += 1
        self._carry_out(self.scheduler.enqueue(request, now), now)

    def _end(self, number: int, now: float) -> None:
        self.outcome.end_s = now
        self._count(number, -1)
        self._carry_out(self.scheduler.release(str(number), now, succeeded=True), now)

    def _carry_out(self, instructions: list[Instruction], now: float) -> None:
        for instruction in instructions:
            if isinstance(instruction, Start):
                number = int(instruction.session_id)
                self.values[WAITING] -= 1
                self.outcome.started_s[number] = now
                amounts = instruction.allocation.amounts
                self.shares[number] = amounts.get(CUDA_SHARES) or amounts.get(CUDA_DEVICE) or {}
                self._count(number, 1)
                heapq.heappush(self.ends, (now + self.jobs[number].runs_s, number))

    def _count(self, number: int, sign: int) -> None:
        """Notes what a job holds from now on (1), or no longer (-1)."""
        slots, values = self.jobs[number].slots, self.values
        shares = self.shares[number] if sign > 0 else self.shares.pop(number)
        if shares:
            values[GPU] += sign * self.fragmentation.move(shares, -sign) / WHOLE
        if CPU in slots:
            values[CPUS] += sign * int(slots[CPU])
        if MEM in slots:
            values[MEMORY] += sign * int(slots[MEM])


def simulate(
    trace: Trace, machine: Machine, setting: Setting, progress: Callable[[int], None] | None = None
) -> Outcome:
    """Plays a trace until every request has ended or was refused.

    Memory grows with the trace by a few words a request. Ends come before arrivals of the same time.

    Args:
        progress: is told now and then how many requests are done.

    Raises:
        BadRequest: a setting that the scheduler refuses, in one sentence.
    """
    return _Run(trace, machine, setting).go(progress)
