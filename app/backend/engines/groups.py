"""The control groups of one session: what they limit, who is in them, and their end.

Version 1 of the system's control groups has a hierarchy for each controller, so that a session has up to three of
them; version 2 has one for all.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

_log: Final = logging.getLogger(__name__)
CONTROLLERS: Final = ("memory", "pids", "cpu")
"""Those that are of use, by their names in both versions."""
_PERIOD_US: Final = 100_000
"""In which a session may compute for its cores times as long: the default of the system."""
_REMOVE_S: Final = 2.0
_ROUND_S: Final = 0.002
rmdir = os.rmdir
"""Files of a control group go with it; a group that holds a process or a group refuses."""


@dataclass(frozen=True, slots=True)
class Place:
    """A control group in one hierarchy."""

    path: Path
    version: int
    """Of the system's control groups: 1 or 2."""
    controllers: tuple[str, ...]
    """Of `CONTROLLERS`, those that the group has."""


@dataclass(frozen=True, slots=True)
class SessionGroup:
    """The control groups of one session. None of its methods waits, but `admit` and `remove`."""

    places: tuple[Place, ...]

    def __bool__(self) -> bool:
        return bool(self.places)

    def place(self, controller: str) -> Place | None:
        """Returns where a controller is; None when the session has none."""
        return next((place for place in self.places if controller in place.controllers), None)

    def version(self, controller: str) -> int:
        """Returns the version of the control groups that a controller is of; 0 when there is none."""
        place = self.place(controller)
        return place.version if place is not None else 0

    # --- what it limits

    @property
    def memory_events(self) -> Path | None:
        """The file whose line `oom_kill N` counts the processes that were killed for want of memory."""
        return self._file("memory", "memory.oom_control", "memory.events")

    @property
    def task_events(self) -> Path | None:
        """The file whose line `max N` counts the processes and threads that were refused."""
        return self._file("pids", "pids.events", "pids.events")

    @property
    def task_limit(self) -> Path | None:
        """The file that says how many processes and threads there may be."""
        return self._file("pids", "pids.max", "pids.max")

    def _file(self, controller: str, name_1: str, name_2: str) -> Path | None:
        place = self.place(controller)
        return None if place is None else place.path / (name_1 if place.version == 1 else name_2)

    def limit_memory(self, limit_bytes: int) -> None:
        """Sets the limit of memory, swap included.

        Raises:
            OSError: the system refuses, or the session has no such group.
        """
        place = self._must("memory")
        if place.version == 1:
            write(place.path / "memory.limit_in_bytes", str(limit_bytes))
            with contextlib.suppress(OSError):  # a kernel that does not account for swap
                write(place.path / "memory.memsw.limit_in_bytes", str(limit_bytes))
        else:
            write(place.path / "memory.max", str(limit_bytes))
            with contextlib.suppress(OSError):
                write(place.path / "memory.swap.max", "0")

    def limit_tasks(self, count: int) -> None:
        """Sets how many processes and threads there may be.

        Raises:
            OSError: the system refuses, or the session has no such group.
        """
        write(self._must("pids").path / "pids.max", str(count))

    def limit_cpu(self, cores: int) -> None:
        """Sets how many seconds of computing a second may have.

        Raises:
            OSError: the system refuses, such as more than a group above has; or the session has no such group.
        """
        place = self._must("cpu")
        if place.version == 1:
            write(place.path / "cpu.cfs_period_us", str(_PERIOD_US))
            write(place.path / "cpu.cfs_quota_us", str(cores * _PERIOD_US))
        else:
            write(place.path / "cpu.max", f"{cores * _PERIOD_US} {_PERIOD_US}")

    def _must(self, controller: str) -> Place:
        place = self.place(controller)
        if place is None:
            raise FileNotFoundError(f"the session has no control group for {controller}")
        return place

    def memory_bytes(self) -> int:
        """Returns the limit of memory in force, which the system rounds to pages; 0 when there is none."""
        return _number(self._file("memory", "memory.limit_in_bytes", "memory.max"))

    def tasks(self) -> int:
        """Returns the limit of processes and threads in force; 0 when there is none."""
        return _number(self.task_limit)

    def cpu_cores(self) -> float:
        """Returns the limit of computing in force, in seconds a second; 0 when there is none."""
        place = self.place("cpu")
        if place is None:
            return 0.0
        if place.version == 1:
            period = _number(place.path / "cpu.cfs_period_us")
            return _number(place.path / "cpu.cfs_quota_us") / period if period else 0.0
        quota, _, period_text = read(place.path / "cpu.max").partition(" ")
        return int(quota) / int(period_text) if quota.isdigit() and period_text.isdigit() else 0.0

    # --- who is in it

    def pids(self) -> list[int]:
        """Returns the processes of the groups."""
        return sorted({int(pid) for place in self.places for pid in read(place.path / "cgroup.procs").split()})

    def forbid_births(self) -> None:
        """Lets nobody in the group start anything more: whoever ends its processes must win against those that fork."""
        if (path := self.task_limit) is not None:
            with contextlib.suppress(OSError):
                write(path, "0")

    def kill(self) -> None:
        """Kills all processes at once where the system can do that: version 2, Linux 5.14."""
        for place in self.places:
            path = place.path / "cgroup.kill"
            if path.exists():
                with contextlib.suppress(OSError):
                    write(path, "1")

    def remove(self, within_s: float = _REMOVE_S) -> bool:
        """Removes the groups as soon as their last process has ended; False when there still is one. Blocks."""
        deadline = time.monotonic() + within_s
        removed = [_remove(place.path, deadline) for place in self.places]
        return all(removed)

    # --- to be kept

    def stored(self) -> list[Any]:
        """Returns the groups as JSON."""
        return [[str(place.path), place.version, list(place.controllers)] for place in self.places]

    @classmethod
    def restored(cls, stored: Sequence[Any]) -> SessionGroup:
        """Reads what `stored` returned."""
        return cls(tuple(Place(Path(path), version, tuple(names)) for path, version, names in stored))


def admit(place: Place, pids: Iterable[int]) -> None:
    """Moves processes into a group; what they start from now on is born there. May take milliseconds.

    Raises:
        OSError: the system refuses.
    """
    for pid in pids:
        write(place.path / "cgroup.procs", str(pid))


def read(path: Path) -> str:
    """Returns what a small file says; empty where it cannot be read."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        return b"".join(iter(lambda: os.read(fd, 65536), b"")).decode(errors="replace").strip()
    except OSError:
        return ""
    finally:
        os.close(fd)


def write(path: Path, text: str) -> None:
    """Writes a control file with one call, which is how the system wants it.

    Raises:
        OSError: the system refuses.
    """
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _number(path: Path | None) -> int:
    """Returns what a control file says; 0 for `max`, -1 and what is not there."""
    text = read(path) if path is not None else ""
    return int(text) if text.isdigit() else 0


def _remove(path: Path, deadline: float) -> bool:
    while True:
        try:
            rmdir(path)
        except FileNotFoundError:
            return True
        except OSError as exc:
            if time.monotonic() >= deadline:
                _log.debug("the control group %s stays: %s", path, exc)
                return False
            time.sleep(_ROUND_S)  # what was killed leaves when it is reaped, which is told to its parent only
        else:
            return True
