"""What holds a session's processes, and how far that can be trusted."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..ports import WALL_TIME, Guarantee, LaunchSpec, Layer
from ..runner import procs
from . import scopes
from .fences import Fences
from .groups import SessionGroup
from .sizes import size_text as size_text

_log: Final = logging.getLogger(__name__)
_OUR_TASKS: Final = 1
"""Of those that a control group counts, the runner."""
_SANDBOX_TASKS: Final = 3
"""And those that hold a sandbox."""


@dataclass(slots=True)
class Limits:
    """The limits of one session. Survives the backend in what `stored` returns."""

    cores: frozenset[int] | None = None
    """What was asked for; None = any."""
    mem_bytes: int = 0
    """0 = no limit, here and below."""
    cpu_cores: int = 0
    max_tasks: int = 0
    wall_time_s: float = 0.0
    group: SessionGroup = field(default_factory=lambda: SessionGroup(()))
    """Where the processes are, limited or not."""
    held: frozenset[str] = frozenset()
    """The controllers of the group that have taken their limit."""
    user_tasks: int = 0
    """How many tasks the user may have on the whole machine, where no group counts those of the session."""
    ends_at: float = 0.0
    """Unix time at which the wall time is over."""
    fences: Fences = field(default_factory=Fences)

    @classmethod
    def put(cls, spec: LaunchSpec, group: SessionGroup | None) -> Limits:
        """Limits a session that has not begun, as well as this machine can. Reads and writes a few small files."""
        limits = cls(
            spec.cores,
            spec.mem_limit_bytes,
            spec.cpu_limit_cores,
            spec.max_tasks,
            spec.wall_time_s,
            group or SessionGroup(()),
            ends_at=time.time() + spec.wall_time_s if spec.wall_time_s else 0.0,
        )
        held = limits.group
        ours = _OUR_TASKS + (_SANDBOX_TASKS if spec.isolation else 0)
        wanted: tuple[tuple[str, int, Callable[[int], None]], ...] = (
            ("memory", limits.mem_bytes, held.limit_memory),
            ("pids", limits.max_tasks and limits.max_tasks + ours, held.limit_tasks),
            ("cpu", limits.cpu_cores, held.limit_cpu),
        )
        for controller, amount, limit in wanted:
            if amount and held.place(controller) is not None:
                try:
                    limit(amount)
                    limits.held |= {controller}
                except OSError as exc:
                    _log.warning("no limit of %s for the session %s: %s", controller, spec.session_id, exc)
        if limits.max_tasks and "pids" not in limits.held and os.getuid() != 0:
            limits.user_tasks = _tasks_of_user() + limits.max_tasks
        return limits

    def told(self) -> dict[str, Any]:
        """Returns what the runner must know."""
        group, told = self.group, dict[str, Any]()
        if "memory" in self.held:
            told["memory"] = {"events": str(group.memory_events), "text": out_of_memory(self.mem_bytes)}
        if "pids" in self.held:
            told["tasks"] = {"events": str(group.task_events), "text": out_of_tasks(self.max_tasks)}
        if self.user_tasks:
            told["user_tasks"] = self.user_tasks
        if self.wall_time_s:
            told["wall_time"] = {"s": self.wall_time_s, "text": out_of_time(self.wall_time_s)}
        told["cores"] = sorted(self.cores) if self.cores is not None else None
        return told

    def stored(self) -> dict[str, Any]:
        """Returns the limits as JSON."""
        return {
            "cores": sorted(self.cores) if self.cores is not None else None,
            "mem_bytes": self.mem_bytes,
            "cpu_cores": self.cpu_cores,
            "max_tasks": self.max_tasks,
            "wall_time_s": self.wall_time_s,
            "groups": self.group.stored(),
            "held": sorted(self.held),
            "user_tasks": self.user_tasks,
            "ends_at": self.ends_at,
            "fences": self.fences.stored(),
        }

    @classmethod
    def restored(cls, stored: Mapping[str, Any]) -> Limits:
        """Reads what `stored` returned, of an earlier version too; of what that did not write nothing is known."""
        cores, groups, held = stored.get("cores"), stored.get("groups"), stored.get("held", [])
        if groups is None and (one := stored.get("group")):  # up to 0.3 there was one group, for memory
            groups, held = [[*one, ["memory"]]], ["memory"] if stored.get("in_group") else []
        return cls(
            cores=frozenset(cores) if cores is not None else None,
            mem_bytes=int(stored.get("mem_bytes", 0)),
            cpu_cores=int(stored.get("cpu_cores", 0)),
            max_tasks=int(stored.get("max_tasks", 0)),
            wall_time_s=float(stored.get("wall_time_s", 0.0)),
            group=SessionGroup.restored(groups or []),
            held=frozenset(held),
            user_tasks=int(stored.get("user_tasks", 0)),
            ends_at=float(stored.get("ends_at", 0.0)),
            fences=Fences.restored(stored.get("fences") or {}),
        )

    def layers(self, pid: int) -> Sequence[Layer]:
        """Returns the layers in force for the session whose runner is `pid`, as they are at this moment."""
        return [
            *self._affinity(pid),
            *self._cpu(),
            *self._memory(),
            *self._tasks(),
            *self._time(),
            *self.fences.layers(),
        ]

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

    def _cpu(self) -> list[Layer]:
        cores = self.group.cpu_cores() if "cpu" in self.held else 0.0
        if not cores:
            return []
        detail = (
            f"{cores:g} s of CPU time a second in {self._which('cpu')}, on whatever cores: the system makes those wait "
            "that would take more"
        )
        return [Layer("cpu-cgroup", "cpu", Guarantee.HARD, detail)]

    def _memory(self) -> list[Layer]:
        if "memory" not in self.held or not self.group.memory_bytes():
            return []  # who watches the use of memory tells of that
        detail = (
            f"{size_text(self.mem_bytes)} in {self._which('memory')}, swap and page cache included: the system ends a "
            "process that would take more"
        )
        return [Layer("memory-cgroup", "mem", Guarantee.HARD, detail)]

    def _tasks(self) -> list[Layer]:
        if "pids" in self.held and self.group.tasks():
            detail = (
                f"{self.max_tasks} processes and threads in {self._which('pids')}: the system refuses to start more"
            )
            return [Layer("tasks-cgroup", "tasks", Guarantee.HARD, detail)]
        if self.user_tasks:
            detail = (
                f"the system refuses to start more than {self.user_tasks} processes and threads of this user on the "
                f"whole machine: what others of the user end, the session may take beyond its {self.max_tasks}"
            )
            return [Layer("tasks-rlimit", "tasks", Guarantee.COOPERATIVE, detail)]
        return []

    def _time(self) -> list[Layer]:
        if not self.wall_time_s:
            return []
        end = datetime.fromtimestamp(self.ends_at, UTC)
        detail = (
            f"its runner ends the session {time_text(self.wall_time_s)} after its start, at {end:%Y-%m-%d %H:%M:%S} "
            "UTC, whether a backend runs or not"
        )
        return [Layer("wall-time", "time", Guarantee.HARD, detail)]

    def _which(self, controller: str) -> str:
        """Returns `a control group (version 1)`."""
        version = self.group.version(controller)
        place = self.group.place(controller)
        in_scope = place is not None and place.path.parent.name.endswith(scopes.SUFFIX)
        return f"a control group (version {version}{', in a scope of systemd' if in_scope else ''})"


def out_of_memory(mem_bytes: int) -> str:
    """Returns what the user hears of a process that the system has killed because of the session's limit."""
    asked, more = size_text(mem_bytes), size_text(2 * mem_bytes)
    return f"out of memory: the session is over its mem of {asked}; make one with more (such as -r mem={more})"


def out_of_tasks(max_tasks: int) -> str:
    """Returns what the user hears of processes and threads that the system has refused to start."""
    return (
        f"a process or thread was refused: the session has as many as it may, {max_tasks}; end some, or raise "
        "max_tasks under [sandbox] in config.toml"
    )


def out_of_time(wall_time_s: float) -> str:
    """Returns why a session ended that has run for as long as it may."""
    return f"{WALL_TIME} the session has run for {time_text(wall_time_s)}, as long as it may"


def time_text(time_s: float) -> str:
    """Returns a time as users write it: `2h`, `90m`, `1.5s`."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if time_s and time_s % length == 0:
            return f"{time_s / length:g}{unit}"
    return f"{time_s:g}s"


def _tasks_of_user() -> int:
    """Returns how many processes and threads this user has on the machine."""
    uid, count = os.getuid(), 0
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with contextlib.suppress(OSError):
                entry = procs.stat(int(path.name)) if path.stat().st_uid == uid else None
                count += entry.threads if entry is not None else 0
    return count


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
