"""The traces that come with the program: one to read, one to load a large machine with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Final

from ...model.slots import CPU, CUDA_SHARES, ResourceSlots
from .trace import Job, Trace, read_trace

SEED: Final = 20260101
_MASK: Final = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Sample:
    """A trace with a name."""

    what: str
    """One line."""
    load: Callable[[], Trace]


def small() -> Trace:
    """Returns the trace of `small.csv`, beside this file."""
    with Path(__file__).with_name("small.csv").open(encoding="utf-8", newline="") as lines:
        return read_trace(lines, "small")


class SplitMix:
    """SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).

    Integers only: the same numbers on every machine and in every version of Python.
    """

    def __init__(self, seed: int) -> None:
        self._state = seed & _MASK

    def bits(self) -> int:
        """Returns 64 random bits."""
        self._state = (self._state + 0x9E3779B97F4A7C15) & _MASK
        mixed = self._state
        mixed = ((mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
        mixed = ((mixed ^ (mixed >> 27)) * 0x94D049BB133111EB) & _MASK
        return mixed ^ (mixed >> 31)

    def below(self, end: int) -> int:
        """Returns a number from 0 to `end` - 1; the bias is below 2^-40 for all that is asked here."""
        return (self.bits() * end) >> 64

    def one_in(self, count: int) -> bool:
        """Returns True once in so many times."""
        return self.below(count) == 0


def generated(requests: int = 100_000, gpus: int = 1_000, *, load_pct: int = 95, seed: int = SEED) -> Trace:
    """Returns a made-up but plausible trace, always the same for the same arguments.

    - 40 users; the n-th is as active as 1/n. A user comes with a burst of 1 to 64 equal requests (a sweep).
    - `cuda.shares`: 0.1 to 0.9 for two thirds, 1 or 2 for a fifth, 1.1 to 1.9 for the rest; `cpu`: 1 to 8.
    - Durations are log-uniform between 1 minute and 16 hours in steps of an eighth of a power of two.
    - 7 in 10 name a limit, between 1 and 4 times their duration; the others say nothing.
    - Priority 10; one in 20 bursts has 30, one in 20 has 5.
    - Gaps between bursts are exponential, scaled so that the whole work takes `load_pct` of the GPUs until the last
      one has arrived.
    """
    rng = SplitMix(seed)
    durations, gaps = _durations(), _exponential()
    bursts: list[tuple[int, int]] = []
    drawn: list[tuple[int, int, ResourceSlots, str, int, int | None]] = []
    activity = [720_720 // place for place in range(1, 41)]
    slots_of: dict[tuple[int, int], ResourceSlots] = {}
    clock = work = 0
    while len(drawn) < requests:
        clock += gaps[rng.below(len(gaps))]
        user = f"user{_weighted(rng, activity) + 1:02}"
        tenths = _tenths(rng)
        needs = (tenths, 1 + rng.below(8))
        slots = slots_of.setdefault(needs, ResourceSlots({CPU: needs[1], CUDA_SHARES: Decimal(tenths) / 10}))
        priority = 30 if rng.one_in(20) else 5 if rng.one_in(20) else 10
        typical, named = rng.below(len(durations)), rng.below(10) < 7
        bursts.append((clock, len(drawn)))
        for _ in range(min(1 << rng.below(7), requests - len(drawn))):
            duration = durations[max(0, min(len(durations) - 1, typical + rng.below(9) - 4))]
            limit = -(-duration * (4 + rng.below(13)) // (4 * 60)) * 60 if named else None
            drawn.append((clock, duration, slots, user, priority, limit))
            work += duration * tenths
    span_ms = work * 1000 * 100 // (10 * gpus * load_pct)
    jobs = tuple(
        Job(number, (at * span_ms // max(clock, 1)) / 1000, float(duration), slots, user, priority, limit)
        for number, (at, duration, slots, user, priority, limit) in enumerate(drawn, 3)
    )
    return Trace(jobs, {"cpu": str(8 * gpus), "gpu": str(gpus)})


def _weighted(rng: SplitMix, weights: list[int]) -> int:
    left = rng.below(sum(weights))
    for place, weight in enumerate(weights):
        left -= weight
        if left < 0:
            return place
    return len(weights) - 1


def _tenths(rng: SplitMix) -> int:
    kind = rng.below(15)
    if kind < 10:
        return 1 + rng.below(9)
    return (10, 20)[rng.below(2)] if kind < 13 else 11 + rng.below(9)


def _durations() -> list[int]:
    """Returns whole seconds from 1 minute to 16 hours. Decimal, since `**` of floats differs between platforms."""
    with localcontext() as context:
        context.prec = 28
        return [int(60 * Decimal(2) ** (Decimal(step) / 8)) for step in range(80)]


def _exponential() -> list[int]:
    """Returns 1,024 quantiles of the exponential distribution of mean 2^20."""
    with localcontext() as context:
        context.prec = 28
        return [int(-(1 - (Decimal(step) + Decimal("0.5")) / 1024).ln() * (1 << 20)) for step in range(1024)]


SAMPLES: Final[Mapping[str, Sample]] = {
    "small": Sample("a dozen requests of three users over 2 GPUs, to be read and followed by hand", small),
    "large": Sample(
        f"100,000 requests of 40 users over 1,000 GPUs, generated with the seed {SEED}, the same everywhere", generated
    ),
}
