"""Time that does not go back although the clock of the machine may be set back."""

from __future__ import annotations

from collections.abc import Callable


class SteadyTime:
    """Unix time for the scheduler: it goes on from where it was when the clock is set back.

    What lasts, lasts as long as it should: a request that may wait a minute is given up after a minute. What is due
    at a time of day that was handed over before is due when the clock would have shown it.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._ahead_s = 0.0
        """So much this time is ahead of the clock."""
        self._latest_s = clock()

    def now(self) -> float:
        """Returns the time; never less than before."""
        now = self._clock() + self._ahead_s
        if now < self._latest_s:
            self._ahead_s += self._latest_s - now
            now = self._latest_s
        self._latest_s = now
        return now

    def of(self, unix_s: float) -> float:
        """Returns what this time is when the clock shows `unix_s`."""
        return unix_s + self._ahead_s

    def unix(self, steady_s: float) -> float:
        """Returns what the clock shows at `steady_s` of this time."""
        return steady_s - self._ahead_s
