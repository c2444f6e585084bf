"""What holds a session's processes, and how far that can be trusted."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..ports import Guarantee, Layer
from .groups import MemoryGroup


@dataclass(slots=True)
class Limits:
    """The limits of one session. Survives the backend in what `stored` returns."""

    cores: frozenset[int] | None = None
    """What was asked for; None = any."""
    mem_bytes: int = 0
    """0 = no limit."""
    group: MemoryGroup | None = None
    """Where the processes are, limited or not; None = they have none of their own."""
    in_group: bool = False
    """The group has taken the limit of memory."""

    def stored(self) -> dict[str, Any]:
        """Returns the limits as JSON."""
        return {
            "cores": sorted(self.cores) if self.cores is not None else None,
            "mem_bytes": self.mem_bytes,
            "group": [str(self.group.path), self.group.version] if self.group is not None else None,
            "in_group": self.in_group,
        }

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Limits:
        """Reads what `stored` returned; of an earlier version's session nothing is known."""
        cores, group = stored.get("cores"), stored.get("group")
        return cls(
            cores=frozenset(cores) if cores is not None else None,
            mem_bytes=int(stored.get("mem_bytes", 0)),
            group=MemoryGroup(Path(group[0]), group[1]) if group else None,
            in_group=bool(stored.get("in_group")),
        )

    def layers(self, pid: int) -> Sequence[Layer]:
        """Returns the layers in force for the session whose runner is `pid`, as they are at this moment."""
        return [*self._affinity(pid), *self._memory()]

    def _affinity(self, pid: int) -> list[Layer]:
        if self.cores is None:
            return []
        try:
            held = os.sched_getaffinity(pid)
        except OSError:  # it has ended
            return []
        asked = _names(self.cores)
        if not held <= self.cores:
            detail = f"{asked} cannot be used any more: not pinned, runs on any core; counted only"
            return [Layer("affinity", "cpu", Guarantee.COUNTED, detail)]
        lost = f" of {asked}, the others cannot be used any more" if held < self.cores else ""
        detail = f"pinned to {_names(held)}{lost}; code may choose other cores for itself"
        return [Layer("affinity", "cpu", Guarantee.COOPERATIVE, detail)]

    def _memory(self) -> list[Layer]:
        if self.group is None or not self.in_group or not self.group.limit_bytes():
            return []  # who watches the use of memory tells of that
        detail = (
            f"{size_text(self.mem_bytes)} in a control group (version {self.group.version}), swap and page cache "
            "included: the system ends a process that would take more"
        )
        return [Layer("memory-cgroup", "mem", Guarantee.HARD, detail)]


def size_text(size_bytes: int) -> str:
    """Returns a size as users write it: `1g`, `1536m`; bytes where nothing greater is whole."""
    for unit, shift in (("t", 40), ("g", 30), ("m", 20), ("k", 10)):
        if size_bytes and not size_bytes % (1 << shift):
            return f"{size_bytes >> shift}{unit}"
    return str(size_bytes)


def out_of_memory(mem_bytes: int) -> str:
    """Returns what the user hears of a process that the system has killed because of the session's limit."""
    asked, more = size_text(mem_bytes), size_text(2 * mem_bytes)
    return f"out of memory: the session is over its mem of {asked}; make one with more (such as -r mem={more})"


def _names(cores: frozenset[int] | set[int]) -> str:
    """Returns `core 3`, `cores 0-3, 8`."""
    parts: list[list[int]] = []
    for core in sorted(cores):
        if parts and core == parts[-1][-1] + 1:
            parts[-1][1:] = [core]
        else:
            parts.append([core])
    text = ", ".join("-".join(map(str, part)) for part in parts)
    return f"core {text}" if len(cores) == 1 else f"cores {text}"
