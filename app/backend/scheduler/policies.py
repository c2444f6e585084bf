"""Whose turn it is among requests of one priority.

FIFO
    The lowest `order` first. Nobody starves: whoever waits longest is next, and everybody's turn comes.
LIFO
    The highest `order` first. Those who came early may wait for ever while newer ones queue up; only who was once
    first and lacked room when something came free keeps the first place (as under every policy).
DRF
    The owner with the smallest dominant share, for his weight: of what he holds now, the largest fraction of the
    machine's capacity of any slot. Ghodsi et al., "Dominant Resource Fairness: Fair Allocation of Multiple Resource
    Types", NSDI 2011, algorithm 1; weights as there in 4.3. Within an owner, FIFO; among equal owners, the one whose
    first request has the lower order. It is fair at each moment and has no memory: an owner who holds much is passed
    by all who hold less for as long as they ask. Nothing is taken away from anybody, so that shares become fair as
    sessions end.
FAIR_SHARE
    The owner who has used the least lately, for his weight. Use is dominant share times seconds, summed over his
    sessions, and halves every half-life; as in Slurm's multifactor plugin (PriorityDecayHalfLife, with
    PriorityFlags=MAX_TRES: the largest of the fractions counts). Among those with equal use, who holds less now goes
    first, then FIFO as in DRF. Only the past counts: a newcomer may take all that is free at once and pays for it
    later. Use accrues while sessions run; the order is looked at anew at every start and end of an owner's session
    for that owner, and every `REVIEW_S` for all.
"""

from __future__ import annotations

import math
from typing import Final

from .types import Policy

REVIEW_S: Final = 60.0
"""Under `FAIR_SHARE`, the use of owners who run something is looked at anew this often."""
BY_OWNER: Final = frozenset({Policy.DRF, Policy.FAIR_SHARE})
"""The policies that tell owners apart."""


class HalfLife:
    """How fast use is forgotten."""

    __slots__ = ("_rate", "seconds")

    def __init__(self, seconds: float) -> None:
        """Raises ValueError unless `seconds` is positive and finite."""
        if not (math.isfinite(seconds) and seconds > 0):
            raise ValueError(f"a half-life of {seconds} s makes no sense: take a positive number of seconds")
        self.seconds = seconds
        self._rate = math.log(2) / seconds

    def kept(self, passed_s: float) -> float:
        """Returns the part of a use that is left after so long."""
        return math.exp(-self._rate * passed_s)

    def accrued(self, passed_s: float) -> float:
        """Returns the use of a whole machine that was held so long until now: the integral of what is left of it."""
        return -math.expm1(-self._rate * passed_s) / self._rate

    def rank(self, use: float, at_s: float) -> float:
        """Returns a number that is greater for more use and stays the same while a use is only forgotten.

        Use at t decays as 2^(-t/h), so log2(use) + t/h does not change: owners need not be compared at the same time.
        """
        return math.log(use) + self._rate * at_s if use > 0 else -math.inf


class Use:
    """What one owner has used, with the older parts half forgotten. Everything costs the same, whatever he did."""

    __slots__ = ("_at_s", "_half_life", "_rate", "_used")

    def __init__(self, half_life: HalfLife) -> None:
        self._half_life = half_life
        self._used = 0.0
        self._rate = 0.0
        self._at_s: float | None = None

    def at(self, now: float) -> float:
        """Returns the use up to `now`, in seconds of the whole machine."""
        if self._at_s is None:
            return 0.0
        if now > self._at_s:
            passed_s = now - self._at_s
            self._used *= self._half_life.kept(passed_s)
            if self._rate:
                self._used += self._rate * self._half_life.accrued(passed_s)
            self._at_s = now
        return self._used

    def begin(self, dominant: float, since_s: float) -> None:
        """Counts a session from `since_s` on, which may be past."""
        if self._at_s is None:
            self._at_s = since_s
        elif since_s < self._at_s:
            self._used += dominant * self._half_life.accrued(self._at_s - since_s)
        else:
            self.at(since_s)
        self._rate += dominant

    def end(self, dominant: float, now: float, *, last: bool) -> None:
        """Counts a session no longer.

        Args:
            last: it was the last one, so that nothing is held any more, whatever the floating point says.
        """
        self.at(now)
        self._rate = 0.0 if last else self._rate - dominant

    def add(self, dominant: float, since_s: float, until_s: float) -> None:
        """Counts a session that has ended, such as one of before a restart."""
        used = dominant * self._half_life.accrued(until_s - since_s)
        if self._at_s is None:
            self._at_s = until_s
        elif until_s > self._at_s:
            self.at(until_s)
        self._used += used * self._half_life.kept(self._at_s - until_s)

    @property
    def grows(self) -> bool:
        """Whether a session is counted."""
        return self._rate > 0

    def rank(self, now: float) -> float:
        """Returns the use as `HalfLife.rank`, before weights."""
        used = self.at(now)
        return self._half_life.rank(used, self._at_s if self._at_s is not None else now)
