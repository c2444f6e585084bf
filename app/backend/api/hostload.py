"""How busy this machine is, as an agent of Backend.AI tells it. Reads /proc, which does not block."""

from __future__ import annotations

import re
from pathlib import Path

_STAT = Path("/proc/stat")
_MEMINFO = Path("/proc/meminfo")
_AVAILABLE = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", re.MULTILINE)


def memory_in_use_bytes() -> float:
    """Returns the memory that nobody else could have, 0 where the system does not tell."""
    try:
        found = {name: int(kib) for name, kib in _AVAILABLE.findall(_MEMINFO.read_text())}
        return float((found["MemTotal"] - found["MemAvailable"]) * 1024)
    except (OSError, KeyError):
        return 0.0


class CpuMeter:
    """The part of the CPU time that was used between two readings; of the whole uptime at the first."""

    def __init__(self) -> None:
        self._busy = 0
        self._total = 0
        self._percent = 0.0

    def percent(self) -> float:
        """Returns 0 to 100 for all cores together."""
        try:
            times = [int(part) for part in _STAT.read_text().splitlines()[0].split()[1:9]]
        except (OSError, ValueError, IndexError):
            return 0.0
        total, idle = sum(times), times[3] + times[4]
        if total > self._total:
            self._percent = 100 * (total - idle - self._busy) / (total - self._total)
            self._busy, self._total = total - idle, total
        return round(min(100.0, max(0.0, self._percent)), 1)
