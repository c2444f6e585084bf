"""How much of what is free on the GPUs is of no use to whoever may come next.

After Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent"
(USENIX ATC 2023): the free part of a GPU is a fragment for a request that needs more than it on one GPU, and counts
with the share of such requests among the typical ones. Typical are here the requests of the trace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal

from ...model.slots import CUDA_DEVICE, CUDA_SHARES
from .trace import Job

WHOLE = 1000
"""Units of a GPU."""


def units(amount: Decimal) -> int:
    """Returns thousandths of a GPU."""
    return int(amount * WHOLE)


def need_of(job: Job) -> int:
    """Returns the units that a request needs on one GPU at least; 0 when it needs none there."""
    shares = units(job.slots.amount(CUDA_SHARES))
    if job.slots.amount(CUDA_DEVICE) or (shares >= WHOLE and not job.split):
        return WHOLE
    return min(1, shares) if job.split else shares


class Fragmentation:
    """Free and fragmented units over all GPUs, kept up to date with each promise."""

    def __init__(self, gpus: int, jobs: Iterable[Job]) -> None:
        counts = [0] * (WHOLE + 1)
        for job in jobs:
            counts[need_of(job)] += 1
        typical = sum(counts[1:])
        above, self._useless = typical, [0.0] * (WHOLE + 1)
        for free in range(WHOLE + 1):
            above -= counts[free] if free else 0
            self._useless[free] = free * above / typical if typical else 0.0
        self._free = dict.fromkeys((f"gpu{number}" for number in range(gpus)), WHOLE)
        self.free = gpus * WHOLE
        self.fragmented = gpus * self._useless[WHOLE]

    def move(self, shares: Mapping[str, Decimal], sign: int) -> int:
        """Gives (1) or takes (-1) amounts of devices; returns how many units that are."""
        moved = 0
        for device, amount in shares.items():
            change = units(amount)
            moved += change
            before = self._free[device]
            after = self._free[device] = before + sign * change
            self.fragmented += self._useless[after] - self._useless[before]
        self.free += sign * moved
        return moved
