"""Who uses more memory than was promised: warned at first, ended when it goes on. Pure.

This detects, after the fact and once a second: it fences nothing off (docs/gpu-shares.md).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ...policies import GpuSettings, MemorySettings
from ..scheduler.units import human_bytes

_REARM_PCT: Final = 5.0
"""Percent points that use must fall below the warning before another warning is given: no flood at the edge."""


@dataclass(frozen=True, slots=True)
class Use:
    """What a session uses of one thing that it was promised a part of."""

    session_id: str
    resource: str
    """`mem` or `gpu`."""
    device_id: str
    used_bytes: int
    limit_bytes: int
    """0 = nothing was promised: of a GPU any use is too much, of the machine's memory none is."""
    mock: bool = False

    @property
    def pct(self) -> float:
        """Percent of the promise; infinite for a use of what was not promised at all."""
        if self.limit_bytes <= 0:
            return math.inf if self.used_bytes > 0 else 0.0
        return 100.0 * self.used_bytes / self.limit_bytes


@dataclass(frozen=True, slots=True)
class Overuse:
    """A session is over its share."""

    use: Use
    ends: bool
    """It is to be ended; else it is to be warned."""

    @property
    def text(self) -> str:
        """One line: `uses 9g of its 8g on gpu0 (112 %)`."""
        use = self.use
        where = f" on {use.device_id}" if use.resource == "gpu" else " of memory"
        used, limit = human_bytes(Decimal(use.used_bytes)), human_bytes(Decimal(use.limit_bytes))
        if use.limit_bytes <= 0:
            return f"uses {used}{where}, of which nothing was promised to it"
        return f"uses {used} of its {limit}{where} ({use.pct:.0f} %)"

    @property
    def advice(self) -> str:
        """What to do about it: `ask for more than 8g with -r mem=...`."""
        if self.use.resource == "gpu":
            return "ask for a larger share of the GPU, or let the code take less"
        limit = human_bytes(Decimal(self.use.limit_bytes))
        return f"ask for more than {limit} with -r mem=..., or let the code take less"


class OveruseWatch:
    """Looks at each round of the sampler."""

    def __init__(self, gpu: GpuSettings, memory: MemorySettings) -> None:
        self._gpu = gpu
        self._memory = memory
        self._above: dict[tuple[str, str], int] = {}
        self._warned: set[tuple[str, str]] = set()
        self._spared: set[tuple[str, str]] = set()

    def look(self, uses: Iterable[Use]) -> Sequence[Overuse]:
        """Returns whom to warn and whom to end now. One sample each."""
        found = []
        for use in uses:
            rules = self._gpu if use.resource == "gpu" else self._memory
            if not rules.watch or (use.mock and not self._gpu.watch_mock):
                continue
            if use.resource == "mem" and use.limit_bytes <= 0:
                continue
            key = use.session_id, use.device_id
            if use.pct > rules.end_pct and key not in self._spared:
                self._above[key] = self._above.get(key, 0) + 1
                if self._above[key] >= rules.end_samples:
                    found.append(Overuse(use, ends=True))
                    continue
            else:
                self._above.pop(key, None)
            if use.pct >= rules.warn_pct and key not in self._warned:
                self._warned.add(key)
                found.append(Overuse(use, ends=False))
            elif use.pct < rules.warn_pct - _REARM_PCT:
                self._warned.discard(key)
        return found

    def spare(self, use: Use) -> None:
        """Only warns from now on: the system itself lets the session have no more of this, and counts otherwise."""
        self._spared.add((use.session_id, use.device_id))

    def forget(self, session_id: str) -> None:
        """Drops what is known of a session that has ended."""
        for key in [key for key in self._above if key[0] == session_id]:
            del self._above[key]
        self._warned = {key for key in self._warned if key[0] != session_id}
        self._spared = {key for key in self._spared if key[0] != session_id}
