"""Which session's idle time may be over next: one heap and one timer, however many sessions there are.

A deadline here is the earliest moment at which a session *can* be idle for too long. Activity is not entered (it only
moves the true deadline later); who is due is asked then, and entered again when it was active.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from typing import Final

_LONGEST_WAIT_S: Final = 60.0
"""The wall clock may jump; look at it at least so often while there are deadlines."""


class IdleBook:
    """Deadlines in Unix time."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str]] = []
        self._deadlines: dict[str, float] = {}

    def set(self, session_id: str, deadline: float) -> None:
        self._deadlines[session_id] = deadline
        heapq.heappush(self._heap, (deadline, session_id))

    def drop(self, session_id: str) -> None:
        self._deadlines.pop(session_id, None)

    def next_deadline(self) -> float | None:
        """Returns the earliest deadline; None when there is none."""
        while self._heap and self._deadlines.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: float) -> list[str]:
        """Takes out and returns those whose deadline has come."""
        due = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            session_id = heapq.heappop(self._heap)[1]
            del self._deadlines[session_id]
            due.append(session_id)
        return due


class IdleTimer:
    """Calls `on_due(session_id)` for each deadline that comes. `run` must be going on."""

    def __init__(self, clock: Callable[[], float], on_due: Callable[[str], None]) -> None:
        self._book = IdleBook()
        self._clock = clock
        self._on_due = on_due
        self._wake = asyncio.Event()

    def set(self, session_id: str, deadline: float) -> None:
        """Enters or replaces the deadline of a session."""
        earliest = self._book.next_deadline()
        self._book.set(session_id, deadline)
        if earliest is None or deadline < earliest:
            self._wake.set()

    def drop(self, session_id: str) -> None:
        self._book.drop(session_id)

    def check(self) -> None:
        """Calls for those that are due now."""
        for session_id in self._book.pop_due(self._clock()):
            self._on_due(session_id)

    async def run(self) -> None:
        """Waits and calls until cancelled."""
        while True:
            self.check()
            self._wake.clear()
            deadline = self._book.next_deadline()
            wait_s = None if deadline is None else min(max(deadline - self._clock(), 0.0), _LONGEST_WAIT_S)
            try:
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()
            except TimeoutError:
                continue
