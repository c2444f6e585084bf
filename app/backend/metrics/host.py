"""How busy the machine is. Reads /proc, which does not block."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_MEMORY: Final = re.compile(r"^(MemTotal|MemAvailable):\s+(\d+) kB$", re.MULTILINE)


class HostMeter:
    """The load of the whole machine, sessions and all else."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._stat = proc / "stat"
        self._meminfo = proc / "meminfo"
        self._busy = 0
        self._total = 0
        self._pct = 0.0

    def cpu_pct(self) -> float:
        """Returns the part of all cores' time that was used since the last call, 0 to 100; at first, since the start
        of the machine."""
        try:
            times = [int(part) for part in self._stat.read_text().splitlines()[0].split()[1:9]]
        except (OSError, ValueError, IndexError):
            return 0.0
        total, idle = sum(times), times[3] + times[4]
        if total > self._total:
            self._pct = 100 * (total - idle - self._busy) / (total - self._total)
            self._busy, self._total = total - idle, total
        return round(min(100.0, max(0.0, self._pct)), 1)

    def mem_used_bytes(self) -> int:
        """Returns the memory that nobody else could have; 0 where the system does not tell."""
        try:
            found = {name: int(kib) for name, kib in _MEMORY.findall(self._meminfo.read_text())}
            return (found["MemTotal"] - found["MemAvailable"]) * 1024
        except (OSError, KeyError):
            return 0
