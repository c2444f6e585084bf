"""CPU cores and memory of the machine, or of the part of it that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

MIB = 1 << 20
_LEAST_RESERVE = 512 * MIB


def usable_cores(root: Path = Path("/")) -> list[int]:
    """Returns the numbers of the cores that this process may use, lowest first; at least one.

    A CPU quota of a control group counts too: with 1.5 cores' worth of time, two cores are returned.
    """
    cores = sorted(os.sched_getaffinity(0))
    quota = math.inf
    for folder in _control_groups(root, "cpu"):
        try:
            if (folder / "cpu.max").exists():
                limit, period = (folder / "cpu.max").read_text().split()
            else:
                limit = (folder / "cpu.cfs_quota_us").read_text().strip()
                period = (folder / "cpu.cfs_period_us").read_text().strip()
            if limit.isdecimal() and int(limit) > 0:
                quota = min(quota, int(limit) / int(period))
        except (OSError, ValueError, ZeroDivisionError):
            continue
    return cores if quota >= len(cores) else cores[: max(math.ceil(quota), 1)]


def usable_mem_bytes(root: Path = Path("/")) -> int:
    """Returns the memory that sessions may be promised, in bytes, whole MiB.

    That is what the machine has, or the limit of the control group around this process where it is lower, less a
    reserve for the system and this program: 5 %, at least 512 MiB, but never more than half.
    """
    total = _meminfo_bytes(root)
    for folder in _control_groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            try:
                text = (folder / name).read_text().strip()
            except OSError:
                continue
            if text.isdecimal() and int(text) > 0:
                total = min(total, int(text))
    reserve = min(max(_LEAST_RESERVE, total // 20), total // 2)
    return max((total - reserve) // MIB, 1) * MIB


def _meminfo_bytes(root: Path) -> int:
    try:
        for line in (root / "proc/meminfo").read_text().splitlines():
            if line.startswith("MemTotal:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError, IndexError):
        pass
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _control_groups(root: Path, controller: str) -> Iterator[Path]:
    """Yields the folders of the control groups that hold this process, innermost first; a limit of any counts.

    Version 1 and 2, also side by side. In a container the path may lead outside of what is mounted: then the mount's
    own top is the group.
    """
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup"
        if controllers:
            top = next((top / name for name in (controller, controllers) if (top / name).is_dir()), top)
        elif (top / "unified").is_dir():
            top = top / "unified"
        folder = top / path.lstrip("/")
        while folder != top and top in folder.parents:
            if folder.is_dir():
                yield folder
            folder = folder.parent
        yield top
