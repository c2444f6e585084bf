"""Figures as rows of text, as data, as CSV, and as pictures. The commands only put them on the terminal."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from ...model.slots import CUDA_SHARES, GPU_ALIAS
from .figures import Figures, Waits
from .plot import plot
from .run import CPUS, GPU, WAITING, Outcome

_PARTS = 400
"""Of the time in which requests arrived, for the picture of their waiting times."""
_SPANS = ((86400 * 2, 86400, "d"), (3600 * 2, 3600, "h"), (120, 60, "m"))

HEADER = (
    *("POLICY", "MEAN WAIT", "MEDIAN", "P95", "MAX", "SLOWDOWN"),
    *("USE", "FRAGMENTED", "FAIRNESS", "MAKESPAN", "DECISIONS/s"),
)


def span(seconds: float) -> str:
    """Returns a duration for reading: `0s`, `7.5s`, `12.0m`, `3.5h`, `2.1d`."""
    for least, size, unit in _SPANS:
        if seconds >= least:
            return f"{seconds / size:.1f}{unit}"
    return f"{seconds:.1f}".removesuffix(".0") + "s"


def row(figures: Figures) -> list[str]:
    """Returns the cells below `HEADER`."""
    waits = figures.waits
    used = figures.utilization.get(CUDA_SHARES, next(iter(figures.utilization.values()), 0.0))
    return [
        figures.policy,
        *(span(seconds) for seconds in (waits.mean_s, waits.median_s, waits.p95_s, waits.max_s)),
        f"{figures.slowdown:.2f}",
        f"{used:.1%}",
        f"{figures.fragmentation:.1%}" if CUDA_SHARES in figures.utilization else "",
        f"{figures.fairness:.3f}",
        span(figures.makespan_s),
        f"{figures.decisions_per_s:,.0f}",
    ]


def user_table(found: Sequence[Figures], most: int) -> tuple[list[str], list[list[str]]]:
    """Returns header and rows of the users with the greatest use: mean waiting time under each policy."""
    header = ["USER", "SESSIONS", "GPU-HOURS", *(f"WAIT {figures.policy}" for figures in found)]
    waits = [{user.user: span(user.waits.mean_s) for user in figures.users} for figures in found]
    rows = [
        [user.user, str(user.sessions), f"{user.gpu_hours:.1f}", *(one.get(user.user, "") for one in waits)]
        for user in found[0].users[:most]
    ]
    return header, rows


def as_data(name: str, outcomes: Sequence[tuple[Outcome, Figures]]) -> dict[str, Any]:
    """Returns all figures, for JSON; times in seconds, parts from 0 to 1."""
    outcome = outcomes[0][0]
    jobs = outcome.trace.jobs
    return {
        "trace": name,
        "requests": len(jobs),
        "machine": outcome.machine.slots().wire(),
        "strategy": str(outcome.setting.strategy),
        "distribution": str(outcome.setting.distribution),
        "quantum": str(outcome.setting.quantum),
        "refused": [{"line": jobs[number].line, "reason": reason} for number, reason in outcome.refused.items()],
        "runs": [_run(figures) for _, figures in outcomes],
    }


def _run(figures: Figures) -> dict[str, Any]:
    return {
        "policy": figures.policy,
        "backfill": figures.backfill,
        "wait_s": _waits(figures.waits),
        "slowdown": figures.slowdown,
        "utilization": figures.utilization,
        "fragmentation": figures.fragmentation,
        "fairness": figures.fairness,
        "makespan_s": figures.makespan_s,
        "decisions_per_s": figures.decisions_per_s,
        "wall_s": figures.wall_s,
        "users": [
            {
                "user": user.user,
                "sessions": user.sessions,
                "gpu_hours": user.gpu_hours,
                "wait_s": _waits(user.waits),
                "slowdown": user.slowdown,
            }
            for user in figures.users
        ],
    }


def _waits(waits: Waits) -> dict[str, float]:
    return {"mean": waits.mean_s, "median": waits.median_s, "p95": waits.p95_s, "max": waits.max_s}


def as_csv(found: Iterable[Figures]) -> str:
    """Returns one line a policy (without a user) and one for each of its users; empty = no such figure."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    waits = ("wait_mean_s", "wait_median_s", "wait_p95_s", "wait_max_s")
    machine = ("utilization_gpu", "utilization_cpu", "utilization_mem", "fragmentation", "fairness", "makespan_s")
    writer.writerow(
        ("policy", "backfill", "user", "sessions", *waits, "slowdown", "gpu_hours", *machine, "decisions_per_s")
    )
    for figures in found:
        policy = (figures.policy, "yes" if figures.backfill else "no")
        used = [figures.utilization.get(slot, "") for slot in (CUDA_SHARES, "cpu", "mem")]
        hours = math.fsum(user.gpu_hours for user in figures.users)
        overall = (figures.requests - figures.refused, *_waits(figures.waits).values(), figures.slowdown, hours, *used)
        scores = (figures.fragmentation, figures.fairness, figures.makespan_s, figures.decisions_per_s)
        writer.writerow((*policy, "", *overall, *scores))
        for user in figures.users:
            own = (user.sessions, *_waits(user.waits).values(), user.slowdown, user.gpu_hours)
            writer.writerow((*policy, user.user, *own, *[""] * 7))
    return out.getvalue()


def pictures(outcome: Outcome, width: int) -> list[str]:
    """Returns the lines of the pictures of one run: use, how many wait, and how long who arrived when has waited."""
    policy, timeline = outcome.setting.rules.policy, outcome.timeline
    what, number, most = GPU_ALIAS, GPU, float(outcome.machine.gpus)
    if not most:
        what, number, most = "cpu", CPUS, float(outcome.machine.cpus)
    over_time = partial(plot, width=width, begin="0", end=span(outcome.makespan_s))
    lines = over_time(
        [value / most if most else 0.0 for value in timeline.means(number)],
        title=f"{policy}: part of the {what} in use",
        top=1.0,
        label=lambda value: f"{value:.0%}",
    )
    lines += over_time(
        timeline.means(WAITING),
        title=f"{policy}: waiting requests",
        label=lambda value: f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}",
    )
    sums, counts = [0.0] * _PARTS, [0] * _PARTS
    for job, wait_s in outcome.jobs():
        place = min(_PARTS - 1, int((job.arrival_s - outcome.begin_s) / max(outcome.makespan_s, 1e-9) * _PARTS))
        sums[place] += wait_s
        counts[place] += 1
    lines += over_time(
        [total / count if count else math.nan for total, count in zip(sums, counts, strict=True)],
        title=f"{policy}: waiting time by arrival",
        label=span,
    )
    return lines
