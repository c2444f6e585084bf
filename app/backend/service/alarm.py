"""What is due when: one heap and one timer, however many sessions there are and whatever they wait for.

A deadline is the earliest moment at which something *can* be due. What moves the true deadline later need not be
entered: whoever is called looks, and sets the alarm again.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Final

_LONGEST_WAIT_S: Final = 60.0
"""The wall clock may jump; look at it at least so often while there are deadlines."""
_JUMP_S: Final = 1.0
"""Steps back that are smaller are those of a clock that is being adjusted."""
_SPARE: Final = 64
"""Stale entries that the heap may hold before it is made anew."""
Key = tuple[str, str]
"""(what for, session id)."""
Call = Callable[[], None]


class Alarm:
    """Calls back at deadlines, which are Unix times. `run` must be going on."""

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float] = time.monotonic) -> None:
        """`clock` tells Unix time, `steady` seconds that go on while that is set."""
        self._clock = clock
        self._steady = steady
        self._numbers = count()
        self._heap: list[tuple[float, int, Key]] = []
        self._set: dict[Key, tuple[float, int, Call]] = {}
        self._wake = asyncio.Event()
        self._seen_s = clock(), steady()

    def set(self, key: Key, deadline: float, call: Call) -> None:
        """Has `call` called at `deadline`, once; replaces what was set for `key`."""
        known = self._set.get(key)
        if known is not None and known[0] == deadline:
            self._set[key] = (deadline, known[1], call)
            return
        earliest = self.next_deadline()
        number = next(self._numbers)
        self._set[key] = (deadline, number, call)
        heapq.heappush(self._heap, (deadline, number, key))
        if len(self._heap) > 2 * len(self._set) + _SPARE:
            self._heap = [(when, number, key) for key, (when, number, _) in self._set.items()]
            heapq.heapify(self._heap)
        if earliest is None or deadline < earliest:
            self._wake.set()

    def drop(self, key: Key) -> None:
        """Forgets what was set for `key`, if anything was."""
        self._set.pop(key, None)

    def next_deadline(self) -> float | None:
        """Returns the earliest deadline; None when there is none."""
        while self._heap:
            deadline, number, key = self._heap[0]
            known = self._set.get(key)
            if known is not None and known[1] == number:
                return deadline
            heapq.heappop(self._heap)
        return None

    def check(self) -> None:
        """Makes the calls that are due now, the earliest first; what they set anew is not due before the next look.

        All of them are due when the clock was set back: what was to come within a minute must not take an hour.
        """
        now, steady = self._clock(), self._steady()
        due: list[tuple[Key, int]] = []
        passed_s = steady - self._seen_s[1]
        set_back, self._seen_s = now < self._seen_s[0] + passed_s - _JUMP_S, (now, steady)
        while (deadline := self.next_deadline()) is not None and (set_back or deadline <= now):
            _, number, key = heapq.heappop(self._heap)
            due.append((key, number))
        for key, number in due:
            known = self._set.get(key)
            if known is not None and known[1] == number:  # else an earlier call has dropped or moved it
                del self._set[key]
                known[2]()

    async def run(self) -> None:
        """Waits and calls until cancelled."""
        while True:
            self.check()
            self._wake.clear()
            deadline = self.next_deadline()
            wait_s = None if deadline is None else min(max(deadline - self._clock(), 0.0), _LONGEST_WAIT_S)
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue
