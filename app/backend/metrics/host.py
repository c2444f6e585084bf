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
        self._before: dict[bytes, tuple[int, int]] = {}
        """Line of /proc/stat -> clock ticks (in use, in all) as read last."""

    def cpu_pct(self) -> tuple[float, tuple[float, ...]]:
        """Returns the part of their time that all cores and each core spent working since the last call, 0 to 100; at
        first, since the start of the machine. 0 and none where the system does not tell."""
        loads: dict[bytes, float] = {}
        try:
            for line in self._stat.read_bytes().splitlines():
                if not line.startswith(b"cpu"):
                    break
                name, *times = line.split()[:9]
                loads[name] = self._load(name, [int(part) for part in times])
        except (OSError, ValueError, IndexError):
            return 0.0, ()
        return loads.pop(b"cpu", 0.0), tuple(loads.values())

    def _load(self, name: bytes, times: list[int]) -> float:
        total = sum(times)
        busy = total - times[3] - times[4]  # idle, and waiting for storage
        busy_before, total_before = self._before.get(name, (0, 0))
        self._before[name] = busy, total
        passed = total - total_before
        return round(min(100.0, max(0.0, 100 * (busy - busy_before) / passed)), 1) if passed > 0 else 0.0

    def mem_used_bytes(self) -> int:
        """Returns the memory that nobody else could have; 0 where the system does not tell."""
        try:
            found = {name: int(kib) for name, kib in _MEMORY.findall(self._meminfo.read_text())}
            return (found["MemTotal"] - found["MemAvailable"]) * 1024
        except (OSError, KeyError):
            return 0
