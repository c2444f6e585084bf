"""How long something has lasted, whatever happens to the clock of the machine meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime


class Elapsed:
    """Two clocks: the one that people read and set, and one that nobody sets and that stands still while the machine
    sleeps. What sessions may take, in use or idle, is counted by the second: a night in a closed laptop is no use of
    it, and an hour less on the clock gives nobody an hour.

    Times of the second clock mean something in this process only: those of an earlier daemon come from the first.
    """

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells Unix time; `steady` seconds since whenever."""
        self.unix = clock
        self.now = steady

    def at(self, when: datetime) -> float:
        """Returns the time of the second clock when the first one shows `when`, as both stand now."""
        return self.now() + when.timestamp() - self.unix()

    def since(self, when: datetime) -> float:
        """Returns the same of what was before: never later than now, even though the clock was set back."""
        return min(self.at(when), self.now())

    def unix_at(self, steady_s: float) -> float:
        """Returns what the first clock shows at `steady_s` of the second, unless it is set or the machine sleeps."""
        return self.unix() + steady_s - self.now()
