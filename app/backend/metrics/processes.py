"""Which processes belong to which session, and what each has used: one pass over /proc for all sessions.

Files of the sessions' processes stay open from round to round: reading one again is a single system call, a third of
the cost of opening it anew, and a number that was given to another process meanwhile is noticed, because the open file
belongs to the one that has ended. Processes of nobody here are looked at when they are new, when a session is new,
and now and then, since a number can be given again.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

_STRANGERS_EVERY: Final = 10
"""Rounds after which a process of nobody here is looked at again."""
_STAT_BYTES: Final = 1024
_IO_BYTES: Final = 512
_CHILDREN_BYTES: Final = 1 << 16
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC


class Process:
    """One process of a session."""

    __slots__ = (
        "_io_fd",
        "_stat_fd",
        "own_ticks",
        "pid",
        "ppid",
        "pss",
        "read_bytes",
        "rss_pages",
        "started",
        "state",
        "threads",
        "waited_ticks",
        "written_bytes",
    )

    def __init__(self, pid: int, stat_fd: int, stat: bytes) -> None:
        self.pid = pid
        self._stat_fd = stat_fd
        self._io_fd = -1
        self.pss: Share | None = None
        """As measured last; see `memory`."""
        self.read_bytes = self.written_bytes = 0
        """From and to storage, with that of children that were waited for."""
        self._take(stat)

    def _take(self, stat: bytes) -> None:
        # the name may hold anything, parentheses too: fields are counted from its end (proc(5), numbered from 3)
        parts = stat[stat.rindex(b")") + 2 :].split(None, 22)
        self.state = parts[0]
        self.ppid = int(parts[1])
        self.own_ticks = int(parts[11]) + int(parts[12])
        self.waited_ticks = int(parts[13]) + int(parts[14])
        self.threads = int(parts[17])
        self.started = int(parts[19])
        self.rss_pages = int(parts[21])

    def refresh(self) -> bool:
        """Reads the process again; False when it has ended."""
        try:
            self._take(os.pread(self._stat_fd, _STAT_BYTES, 0))
        except (OSError, ValueError, IndexError):
            return False
        return True

    def read_io(self, proc: str) -> None:
        """Reads what it has moved from and to storage; stays as it was where the system does not tell."""
        try:
            if self._io_fd < 0:
                self._io_fd = os.open(f"{proc}/{self.pid}/io", _OPEN)
            lines = os.pread(self._io_fd, _IO_BYTES, 0).split()
            self.read_bytes, self.written_bytes = int(lines[9]), int(lines[11])
        except (OSError, ValueError, IndexError):
            return

    @property
    def ended(self) -> bool:
        """Whether it waits only for its parent to take its exit status; not where its main thread alone has ended."""
        return self.state in (b"Z", b"X") and self.threads <= 1

    def close(self) -> None:
        for fd in (self._stat_fd, self._io_fd):
            if fd >= 0:
                os.close(fd)
        self._stat_fd = self._io_fd = -1


@dataclass(frozen=True, slots=True)
class Share:
    """The proportional set size of a process at one moment."""

    pss_bytes: int
    rss_pages: int
    round: int


@dataclass(slots=True)
class Group:
    """The processes of one session in one round."""

    runner: Process | None = None
    below: list[Process] = field(default_factory=list)
    """Its descendants."""
    changed: bool = False
    """One has come or gone since the last round."""


def _opened(proc: str, pid: int) -> Process | None:
    try:
        fd = os.open(f"{proc}/{pid}/stat", _OPEN)
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None  # it has ended meanwhile, or is hidden from us
    try:
        return Process(pid, fd, os.pread(fd, _STAT_BYTES, 0))
    except (OSError, ValueError, IndexError):
        os.close(fd)
        return None


def group_of(pid: int, proc: Path) -> Group:
    """Returns the processes of the session whose runner is `pid`, now: for one look at one session.

    It asks each process for its children, and so reads nothing of others; where the system does not tell of children,
    the runner alone is found. The processes cannot be read again.
    """
    group, root = Group(), str(proc)
    queue = [pid]
    while queue:
        number = queue.pop()
        process = _opened(root, number)
        if process is None:
            continue
        process.read_io(root)
        process.close()
        if number == pid:
            group.runner = process
        else:
            group.below.append(process)
        queue += _children(root, number)
    return group


def _children(proc: str, pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"{proc}/{pid}/task"):  # noqa: PTH208 - names, without a Path for each of thousands
            fd = os.open(f"{proc}/{pid}/task/{task}/children", _OPEN)
            try:
                found += map(int, os.read(fd, _CHILDREN_BYTES).split())
            finally:
                os.close(fd)
    except (OSError, ValueError):  # it has ended, or the system does not tell
        pass
    return found


class ProcessTable:
    """Keeps what is known of processes between rounds. Not safe for two threads at a time."""

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = str(proc)
        self._ours: dict[int, Process] = {}
        self._strangers: set[int] = set()
        self._runners: dict[int, int] = {}
        """Process id of a runner -> when it was started, in clock ticks."""
        self._members: dict[str, frozenset[int]] = {}
        self._round = 0

    def scan(self, runners: Mapping[int, str]) -> dict[str, Group]:
        """Returns the processes of each session.

        Args:
            runners: process id of each session's runner -> session id.

        Raises:
            OSError: /proc cannot be listed.
        """
        self._round += 1
        # names only: a Path for each would cost more than all the rest
        pids = [int(name) for name in os.listdir(self._proc) if name.isdecimal()]  # noqa: PTH208 - names, without a Path for each of thousands
        here = set(pids)
        self._strangers &= here
        new_runner = not self._runners.keys() >= runners.keys()
        seen: dict[int, Process] = {}
        for pid in pids:
            process = self._ours.pop(pid, None)
            if process is not None:
                if process.refresh():
                    seen[pid] = process
                    continue
                process.close()
            elif pid in self._strangers and not new_runner and (pid + self._round) % _STRANGERS_EVERY:
                continue
            if (process := _opened(self._proc, pid)) is not None:
                seen[pid] = process
        for process in self._ours.values():
            process.close()  # not listed any more
        return self._sort(seen, self._same_runners(runners, seen))

    def _same_runners(self, runners: Mapping[int, str], seen: Mapping[int, Process]) -> dict[int, str]:
        """Returns the runners that still are what they were when they were seen first."""
        started = {pid: self._runners.get(pid, seen[pid].started) for pid in runners if pid in seen}
        # one that is not seen is remembered too: its number must not come to mean another process
        self._runners = {pid: started.get(pid, self._runners.get(pid, -1)) for pid in runners}
        return {pid: runners[pid] for pid, start in started.items() if seen[pid].started == start}

    def _sort(self, seen: dict[int, Process], runners: Mapping[int, str]) -> dict[str, Group]:
        groups = {session_id: Group() for session_id in runners.values()}
        owners: dict[int, str | None] = dict(runners)
        self._ours = {}
        for pid, process in seen.items():
            owner = _owner(pid, seen, owners)
            if owner is None:
                process.close()
                # one whose parent was not seen may have lost it in this very moment: look again next time
                if process.ppid in seen or process.ppid in self._strangers or process.ppid == 0:
                    self._strangers.add(pid)
                continue
            self._strangers.discard(pid)
            self._ours[pid] = process
            process.read_io(self._proc)
            if pid in runners:
                groups[owner].runner = process
            else:
                groups[owner].below.append(process)
        members = {owner: frozenset(p.pid for p in group.below) for owner, group in groups.items()}
        for owner, group in groups.items():
            group.changed = members[owner] != self._members.get(owner)
        self._members = members
        return groups

    def close(self) -> None:
        """Lets go of all open files."""
        for process in self._ours.values():
            process.close()
        self._ours = {}


def _owner(pid: int, seen: Mapping[int, Process], owners: dict[int, str | None]) -> str | None:
    """Returns the session that `pid` belongs to by its nearest ancestor that is a runner; remembers it in `owners`."""
    path: list[int] = []
    while pid not in owners:
        path.append(pid)
        process = seen.get(pid)
        if process is None or process.ppid in path:
            owners[pid] = None
            break
        pid = process.ppid
    owner = owners[pid]
    owners.update(dict.fromkeys(path, owner))
    return owner
