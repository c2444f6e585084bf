"""What keeps a single request from the line: sessions that it depends on, and times."""

from __future__ import annotations

import heapq
import math
from collections.abc import Collection, Iterable, Iterator
from enum import IntEnum

from .line import Line


class Dependencies:
    """Who waits for the success of whom. There is no cycle: only sessions that exist can be named."""

    def __init__(self) -> None:
        self._unmet: dict[str, dict[str, None]] = {}
        self._dependents: dict[str, dict[str, None]] = {}

    def add(self, session_id: str, unmet: Iterable[str]) -> None:
        """Notes that a session waits for others, none of which has ended."""
        needs = dict.fromkeys(unmet)
        if needs:
            self._unmet[session_id] = needs
            for need in needs:
                self._dependents.setdefault(need, {})[session_id] = None

    def unmet(self, session_id: str) -> Collection[str]:
        """Returns whom a session still waits for."""
        return self._unmet.get(session_id, {}).keys()

    def drop(self, session_id: str) -> None:
        """Forgets that a session waits for others."""
        for need in self._unmet.pop(session_id, ()):
            dependents = self._dependents[need]
            del dependents[session_id]
            if not dependents:
                del self._dependents[need]

    def met(self, session_id: str) -> list[str]:
        """Notes the success of a session; returns those who wait for nobody any more, in the order of `add`."""
        free = []
        for dependent in self._dependents.pop(session_id, ()):
            needs = self._unmet[dependent]
            del needs[session_id]
            if not needs:
                del self._unmet[dependent]
                free.append(dependent)
        return free

    def failed(self, session_id: str) -> list[str]:
        """Notes that a session will never succeed; returns those who waited for it, in the order of `add`."""
        doomed = list(self._dependents.get(session_id, ()))
        for dependent in doomed:
            self.drop(dependent)
        return doomed


class Alarm(IntEnum):
    """What a moment is for."""

    READY = 0
    """`not_before_s`."""
    EXPIRY = 1
    """`expires_at_s`."""


class Alarms:
    """Moments of waiting sessions, the next one at hand."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, str, Alarm]] = []
        self._set: dict[tuple[str, Alarm], float] = {}
        self.next_s = math.inf
        """When the first one comes; infinity when there is none."""

    def add(self, session_id: str, alarm: Alarm, at_s: float) -> None:
        """Sets a moment for a session that has none of this kind."""
        self._set[session_id, alarm] = at_s
        heapq.heappush(self._heap, (at_s, session_id, alarm))
        self.next_s = min(self.next_s, at_s)

    def drop(self, session_id: str) -> None:
        """Forgets a session."""
        if not self._set:
            return
        dropped = [self._set.pop((session_id, alarm), None) for alarm in Alarm]
        if any(at_s is not None for at_s in dropped):
            self._tidy()

    def pop(self, now: float, alarm: Alarm) -> list[str]:
        """Returns the sessions whose moment of this kind has come, in order of time, and forgets those moments."""
        due, others = [], []
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if not self._is_set(entry):
                continue
            if entry[2] is alarm:
                due.append(entry[1])
                del self._set[entry[1], alarm]
            else:
                others.append(entry)
        for entry in others:
            heapq.heappush(self._heap, entry)
        self._tidy()
        return due

    def _is_set(self, entry: tuple[float, str, Alarm]) -> bool:
        return self._set.get((entry[1], entry[2])) == entry[0]

    def _tidy(self) -> None:
        """Drops what is no longer set: at the front, and everywhere once that is most of it."""
        if len(self._heap) > 2 * len(self._set) + 64:
            self._heap = [entry for entry in self._heap if self._is_set(entry)]
            heapq.heapify(self._heap)
        while self._heap and not self._is_set(self._heap[0]):
            heapq.heappop(self._heap)
        self.next_s = self._heap[0][0] if self._heap else math.inf


class Endings:
    """When running sessions end at the latest, as far as anybody knows."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}
        self._line: Line[tuple[float, str]] = Line()

    def __len__(self) -> int:
        return len(self._at)

    def __iter__(self) -> Iterator[tuple[float, str]]:
        """Yields (time, session id), the first to end first."""
        return iter(self._line)

    def after(self, now: float) -> Iterator[tuple[float, str]]:
        """Yields those that are still to come."""
        return self._line.after((now,))

    def set(self, session_id: str, ends_at_s: float | None) -> None:
        """Notes when a session ends at the latest; None = nobody knows."""
        old = self._at.pop(session_id, None)
        if old is not None:
            self._line.remove((old, session_id))
        if ends_at_s is not None:
            self._at[session_id] = ends_at_s
            self._line.add((ends_at_s, session_id))
