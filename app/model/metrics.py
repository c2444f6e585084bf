"""What a session or a device really uses, next to what it asked for.

The wire form is Backend.AI's: metric name -> `{"current", "capacity", "pct", "unit_hint", "stats.max", ...}`, every
value a decimal string (wire contract 5, stats version 2). The names are its names: `cpu_util` (percent of one core),
`cpu_used` (ms of CPU time), `mem` (bytes), `io_read` and `io_write` (bytes), `num_procs`, `cuda_mem` (bytes),
`cuda_util` (percent of one GPU).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from .errors import BadRequest

CPU_UTIL: Final = "cpu_util"
CPU_USED: Final = "cpu_used"
MEM_USED: Final = "mem"
IO_READ: Final = "io_read"
IO_WRITE: Final = "io_write"
NUM_PROCS: Final = "num_procs"
CUDA_MEM: Final = "cuda_mem"
CUDA_UTIL: Final = "cuda_util"


@dataclass(frozen=True, slots=True)
class Metric:
    """One measured quantity; numbers are for reading, not for accounting, hence floats."""

    current: float
    """In the unit of `unit_hint`."""
    capacity: float | None = None
    """What the session was promised of it (the share of a GPU's memory, cores x 100 %); None = no promise."""
    unit_hint: str = "count"
    """`bytes`, `percent`, `msec`, `count`."""
    max: float | None = None
    """Highest value since the session began; None = not kept."""
    avg: float | None = None
    """Mean over the life of the session; None = not kept."""

    @property
    def pct(self) -> float:
        """Percent of the promise; 0 when there is none."""
        return 100.0 * self.current / self.capacity if self.capacity else 0.0

    def wire(self) -> dict[str, str]:
        """Returns Backend.AI's form."""
        wire = {
            "current": _text(self.current),
            "capacity": _text(self.capacity) if self.capacity is not None else "0",
            "pct": f"{self.pct:.2f}",
            "unit_hint": self.unit_hint,
        }
        if self.max is not None:
            wire["stats.max"] = _text(self.max)
        if self.avg is not None:
            wire["stats.avg"] = _text(self.avg)
        return wire

    @classmethod
    def parse(cls, wire: Mapping[str, Any]) -> Metric:
        """Reads Backend.AI's form; a missing or empty number is None, `capacity` 0 means none.

        Raises:
            BadRequest: a number that is none.
        """
        try:
            capacity = _number(wire.get("capacity"))
            return cls(
                current=_number(wire.get("current")) or 0.0,
                capacity=capacity or None,
                unit_hint=str(wire.get("unit_hint") or "count"),
                max=_number(wire.get("stats.max")),
                avg=_number(wire.get("stats.avg")),
            )
        except (TypeError, ValueError, AttributeError):
            raise BadRequest(f"{wire!r} is no metric: write current, capacity and unit_hint") from None


Metrics = Mapping[str, Metric]
"""Metric name -> measured."""


def wire_metrics(metrics: Metrics) -> dict[str, dict[str, str]]:
    """Returns Backend.AI's `live_stat`."""
    return {name: metric.wire() for name, metric in metrics.items()}


def parse_metrics(wire: Mapping[str, Any]) -> dict[str, Metric]:
    """Reads a `live_stat`; what is no metric (`version`, `status`) is left out."""
    return {name: Metric.parse(value) for name, value in wire.items() if isinstance(value, Mapping)}


def _text(number: float) -> str:
    text = f"{number:.3f}"
    return text.rstrip("0").rstrip(".")


def _number(value: Any) -> float | None:
    return None if value is None or value == "" else float(value)
