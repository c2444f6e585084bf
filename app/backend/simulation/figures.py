"""What a run says about a policy. Every figure is defined in docs/simulation.md; formulas and sources are here."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ...model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM
from .run import CPUS, FRAGMENTED, FREE_GPU, GPU, MEMORY, Outcome
from .trace import Job

SLOWDOWN_BOUND_S = 10.0
"""Shorter runs count as so long: else a run of a second that waits a minute would decide everything."""


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds between arrival and start."""

    mean_s: float
    median_s: float
    p95_s: float
    max_s: float

    @classmethod
    def of(cls, waits_s: Sequence[float]) -> Waits:
        """Returns the figures of some waits; zeros of none."""
        ordered = sorted(waits_s)
        if not ordered:
            return cls(0.0, 0.0, 0.0, 0.0)
        return cls(math.fsum(ordered) / len(ordered), rank(ordered, 0.5), rank(ordered, 0.95), ordered[-1])


@dataclass(frozen=True, slots=True)
class UserFigures:
    """What one user got."""

    user: str
    sessions: int
    gpu_hours: float
    waits: Waits
    slowdown: float
    """Mean bounded slowdown."""


@dataclass(frozen=True, slots=True)
class Figures:
    """What a run comes to."""

    policy: str
    backfill: bool
    requests: int
    refused: int
    waits: Waits
    slowdown: float
    utilization: dict[str, float]
    """Slot -> part of the machine that was promised, in the mean over the makespan, 0 to 1."""
    fragmentation: float
    """Part of the free GPU time that was of no use to the typical request, 0 to 1."""
    fairness: float
    """Jain's index of the users' mean slowdowns, 0 to 1."""
    makespan_s: float
    decisions_per_s: float
    wall_s: float
    users: tuple[UserFigures, ...]
    """The greatest use of GPUs first."""


def rank(ordered: Sequence[float], share: float) -> float:
    """Returns the nearest-rank percentile: the least value that `share` of the values do not pass."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def slowdown(wait_s: float, runs_s: float) -> float:
    """Returns the bounded slowdown (Feitelson, Rudolph, Schwiegelshohn, Sevcik and Wong, "Theory and Practice in
    Parallel Job Scheduling", JSSPP 1997): max(1, (wait + run) / max(run, 10 s)). 1 = it did not wait."""
    return max(1.0, (wait_s + runs_s) / max(runs_s, SLOWDOWN_BOUND_S))


def jain(values: Sequence[float]) -> float:
    """Returns Jain's fairness index (Jain, Chiu and Hawe, DEC-TR-301, 1984): (sum x)^2 / (n * sum x^2).

    1 when all are equal, 1/n when one has everything; 1 of none.
    """
    squares = math.fsum(value * value for value in values)
    return math.fsum(values) ** 2 / (len(values) * squares) if squares else 1.0


def figures(outcome: Outcome) -> Figures:
    """Returns the figures of a run."""
    by_user: dict[str, list[tuple[Job, float]]] = {}
    ran = outcome.jobs()
    for job, wait_s in ran:
        by_user.setdefault(job.user, []).append((job, wait_s))
    users = sorted((_user(user, jobs) for user, jobs in by_user.items()), key=lambda one: (-one.gpu_hours, one.user))
    totals, makespan_s = outcome.timeline.totals, outcome.makespan_s
    machine, rules = outcome.machine, outcome.setting.rules
    capacity = {CUDA_SHARES: (GPU, machine.gpus), CPU: (CPUS, machine.cpus), MEM: (MEMORY, machine.mem_bytes)}
    return Figures(
        policy=str(rules.policy),
        backfill=rules.backfill,
        requests=len(outcome.trace.jobs),
        refused=len(outcome.refused),
        waits=Waits.of([wait_s for _, wait_s in ran]),
        slowdown=_mean([slowdown(wait_s, job.runs_s) for job, wait_s in ran]),
        utilization={
            slot: totals[number] / (most * makespan_s) if makespan_s else 0.0
            for slot, (number, most) in capacity.items()
            if most
        },
        fragmentation=totals[FRAGMENTED] / totals[FREE_GPU] if totals[FREE_GPU] > 0 else 0.0,
        fairness=jain([user.slowdown for user in users]),
        makespan_s=makespan_s,
        decisions_per_s=len(outcome.trace.jobs) / outcome.wall_s if outcome.wall_s else 0.0,
        wall_s=outcome.wall_s,
        users=tuple(users),
    )


def _user(user: str, jobs: Sequence[tuple[Job, float]]) -> UserFigures:
    gpu_s = math.fsum(
        job.runs_s * float(job.slots.amount(CUDA_SHARES) + job.slots.amount(CUDA_DEVICE)) for job, _ in jobs
    )
    return UserFigures(
        user=user,
        sessions=len(jobs),
        gpu_hours=gpu_s / 3600,
        waits=Waits.of([wait_s for _, wait_s in jobs]),
        slowdown=_mean([slowdown(wait_s, job.runs_s) for job, wait_s in jobs]),
    )


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if values else 0.0
