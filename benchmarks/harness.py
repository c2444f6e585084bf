"""Statistics, tables and the description of the machine: what every benchmark shares. It measures nothing itself."""

from __future__ import annotations

import os
import platform
import statistics
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

PACKAGES = (
    "bai-tui",
    "jupyter_server",
    "jupyter_client",
    "ipykernel",
    "pyzmq",
    "textual",
    "websockets",
    "aiohttp",
    "ray",
    "uv",
)

Case = Callable[[], Awaitable[float]]
"""Measures once; returns the value in the unit of its claim."""


@dataclass(frozen=True, slots=True)
class Sample:
    """All values of one case."""

    name: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def quantile(self, share: float) -> float:
        """Returns the value below which `share` (0 to 1) of the values lie, interpolated."""
        ordered = sorted(self.values)
        place = share * (len(ordered) - 1)
        low = int(place)
        high = min(low + 1, len(ordered) - 1)
        return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


@dataclass(slots=True)
class Claim:
    """One measured statement: what, how, the samples, and which goals they meet."""

    title: str
    unit: str
    how: str
    samples: list[Sample]
    ours: str
    """Name of our sample."""
    goals: list[tuple[str, bool]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def sample(self, name: str) -> Sample:
        return next(sample for sample in self.samples if sample.name == name)

    def ratio(self, peer: str) -> float:
        """Returns how many times our median goes into that of `peer`."""
        return self.sample(peer).median / self.sample(self.ours).median

    def goal_factor(self, peer: str, at_least: float) -> None:
        """Adds the goal that we need at most 1/`at_least` of what `peer` needs."""
        ratio = self.ratio(peer)
        self.goals.append((f"at least {at_least:g} times less than {peer}: {ratio:.1f} times", ratio >= at_least))

    def goal_at_most(self, limit: float) -> None:
        """Adds the goal that our median is at most `limit`."""
        median = self.sample(self.ours).median
        self.goals.append((f"at most {limit:g} {self.unit}: {median:.3g} {self.unit}", median <= limit))


async def interleave(cases: Mapping[str, Case], rounds: int, *, warm_up: int = 1) -> list[Sample]:
    """Runs the cases in turn, `rounds` times each, so that a slow minute of the machine meets them all.

    The first `warm_up` rounds are thrown away. Every second round goes backwards.
    """
    values: dict[str, list[float]] = {name: [] for name in cases}
    for number in range(-warm_up, rounds):
        order = list(cases.items())
        for name, case in order if number % 2 == 0 else reversed(order):
            value = await case()
            if number >= 0:
                values[name].append(value)
    return [Sample(name, tuple(found)) for name, found in values.items()]


def number(value: float) -> str:
    """Returns `value` with three significant digits and no exponent."""
    if value == 0:
        return "0"
    digits = max(0, 2 - int(f"{value:e}".split("e")[1]))
    return f"{value:.{digits}f}"


def render(claim: Claim) -> str:
    """Returns a claim as Markdown."""
    lines = [f"### {claim.title}", "", claim.how, ""]
    lines.append(f"| | median ({claim.unit}) | 10 % - 90 % | values | beside ours |")
    lines.append("|---|---:|---:|---:|---:|")
    for sample in claim.samples:
        beside = "" if sample.name == claim.ours else f"{number(claim.ratio(sample.name))} x"
        name = f"**{sample.name}**" if sample.name == claim.ours else sample.name
        spread = f"{number(sample.quantile(0.1))} - {number(sample.quantile(0.9))}"
        lines.append(f"| {name} | {number(sample.median)} | {spread} | {len(sample.values)} | {beside} |")
    lines.append("")
    lines += [f"- Goal {'met' if met else '**not met**'}: {text}." for text, met in claim.goals]
    lines += [f"- {note}" for note in claim.notes]
    return "\n".join(lines) + "\n"


def machine() -> list[str]:
    """Returns lines about this machine and the versions, without a name or a path of it."""
    cpu = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    mem_kib = int(Path("/proc/meminfo").read_text().split()[1])
    versions = []
    for name in PACKAGES:
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            versions.append(f"{name} (not installed)")
    return [
        f"Date: {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"Machine: {cpu}, {len(os.sched_getaffinity(0))} cores, {mem_kib / 2**20:.0f} GiB, "
        f"{platform.system()} {platform.release().split('-')[0]}; load at the start {os.getloadavg()[0]:.2f}",
        f"Python: {sys.implementation.name} {platform.python_version()}, for clients, servers, kernels of both sides",
        "Versions: " + ", ".join(versions),
    ]
