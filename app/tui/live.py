"""What sessions and machine use right now, and did in the last minute. Pure: rounds of measuring in, numbers out.

A round of a thousand sessions costs well below a millisecond here: what it says is kept as it came, and only four
numbers of each session go into a ring.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..client.parsing import current
from ..client.views import DeviceView, StatsView
from ..model.metrics import CPU_UTIL, CUDA_MEM, CUDA_UTIL, MEM_USED, Metrics

ROUNDS: Final = 60
"""Rounds that are kept, one a second."""
KEPT: Final = (CPU_UTIL, MEM_USED, CUDA_MEM, CUDA_UTIL)
"""Metrics whose history is kept."""
_BLANK: Final = array("f", [math.nan]) * (len(KEPT) * ROUNDS)


@dataclass(frozen=True, slots=True)
class GpuUse:
    """What a GPU really does."""

    mem_used_bytes: int | None = None
    """By anybody; None = not measured."""
    util_pct: float | None = None
    session_mem_bytes: Mapping[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Ring:
    numbers: array[float]
    last_round: int


class LiveStats:
    """The newest round, and a minute of history per session."""

    def __init__(self) -> None:
        self._round = 0
        self._rings: dict[str, _Ring] = {}
        self._now: Mapping[str, Metrics] = {}
        self.gpus: Mapping[str, GpuUse] = {}
        self.cpu_pct: float | None = None
        """Of the whole machine; None = not measured."""
        self.mem_used_bytes: int | None = None

    @property
    def fresh(self) -> bool:
        """Whether rounds are coming in."""
        return bool(self._round)

    def take(self, view: StatsView) -> None:
        """Takes a round."""
        self._round += 1
        self._now = view.sessions
        self.polled(view.gpus)
        told = view.mem_used_bytes > 0
        self.cpu_pct = view.cpu_pct if told else None
        self.mem_used_bytes = view.mem_used_bytes if told else None
        at = self._round % ROUNDS * len(KEPT)
        for session_id, metrics in view.sessions.items():
            ring = self._rings.get(session_id)
            if ring is None:
                ring = self._rings[session_id] = _Ring(_BLANK[:], self._round)
            elif ring.last_round != self._round - 1:
                self._blank(ring)
            ring.last_round = self._round
            numbers = ring.numbers
            for place, name in enumerate(KEPT, at):
                numbers[place] = current(metrics, name)
        if self._round % ROUNDS == 0:
            old = self._round - ROUNDS
            self._rings = {key: ring for key, ring in self._rings.items() if ring.last_round > old}

    def polled(self, gpus: Iterable[DeviceView]) -> None:
        """Takes what a server tells of its GPUs."""
        self.gpus = {gpu.id: GpuUse(gpu.mem_used_bytes, gpu.util_pct, gpu.session_mem_bytes) for gpu in gpus}

    def lost(self) -> None:
        """Takes that no rounds come any more: what was measured is not shown as if it were now."""
        self._round = 0
        self._rings, self._now, self.gpus = {}, {}, {}
        self.cpu_pct = self.mem_used_bytes = None

    def metrics(self, session_id: str) -> Metrics:
        """Returns what a session uses now; empty when that is not known."""
        return self._now.get(session_id, {})

    def history(self, session_id: str, name: str) -> tuple[float | None, ...]:
        """Returns a metric of `KEPT` over the last rounds, oldest first; None = not measured then."""
        ring = self._rings.get(session_id)
        if ring is None:
            return ()
        # from the oldest round on, in the order of time; rounds that it missed lately still hold those of a minute ago
        column = ring.numbers[KEPT.index(name) :: len(KEPT)]
        oldest = (self._round + 1) % ROUNDS
        known = column[oldest:] + column[:oldest]
        missed = self._round - ring.last_round
        if missed:
            known[max(0, ROUNDS - missed) :] = array("f", [math.nan]) * min(ROUNDS, missed)
        return tuple(None if value != value else value for value in known)

    def _blank(self, ring: _Ring) -> None:
        """Forgets what the ring holds of rounds that the session missed."""
        width = len(KEPT)
        for number in range(max(ring.last_round + 1, self._round - ROUNDS), self._round):
            at = number % ROUNDS * width
            ring.numbers[at : at + width] = _BLANK[:width]
