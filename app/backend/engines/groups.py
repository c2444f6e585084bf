"""Control groups that limit the memory of sessions: what can be had here, and one group a session.

A group lies below the backend's own, so that whatever holds the backend holds its sessions too, and no right is used
that the backend does not have. Two kinds: version 2, where the backend's group is delegated to it (a service with
`Delegate=yes`, a container whose groups are writable), and the memory controller of version 1.

Moving a process takes the kernel some milliseconds, hence runners that wait for a session are moved ahead of time.
Other ways to a group of one's own (a scope of systemd's) would be further answers of `MemoryGroups.find`.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..runner.limits import BACKEND_GROUP

_log: Final = logging.getLogger(__name__)
_PREFIX: Final = "bai-tui-"
_REMOVE_S: Final = 2.0
_ROUND_S: Final = 0.002
_rmdir = os.rmdir
"""Files of a control group go with it; a group that holds a process or a group refuses."""


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """The control group of one session."""

    path: Path
    version: int
    """Of the system's control groups: 1 or 2."""

    @property
    def events(self) -> Path:
        """The file whose line `oom_kill N` counts the processes that were killed for want of memory."""
        return self.path / ("memory.oom_control" if self.version == 1 else "memory.events")

    def admit(self, pids: Iterable[int]) -> None:
        """Moves processes into the group; what they start from now on is born there. May take milliseconds.

        Raises:
            OSError: the system refuses.
        """
        for pid in pids:
            _write(self.path / "cgroup.procs", str(pid))

    def limit(self, limit_bytes: int) -> None:
        """Sets the limit, swap included.

        Raises:
            OSError: the system refuses.
        """
        if self.version == 1:
            _write(self.path / "memory.limit_in_bytes", str(limit_bytes))
            with contextlib.suppress(OSError):  # a kernel that does not account for swap
                _write(self.path / "memory.memsw.limit_in_bytes", str(limit_bytes))
        else:
            _write(self.path / "memory.max", str(limit_bytes))
            with contextlib.suppress(OSError):
                _write(self.path / "memory.swap.max", "0")

    def limit_bytes(self) -> int:
        """Returns the limit that is in force, which the system rounds to pages; 0 when there is none."""
        name = "memory.limit_in_bytes" if self.version == 1 else "memory.max"
        text = _read(self.path / name)
        return int(text) if text.isdigit() else 0

    def pids(self) -> list[int]:
        """Returns the processes of the group."""
        return [int(pid) for pid in _read(self.path / "cgroup.procs").split()]

    def remove(self, within_s: float = _REMOVE_S) -> bool:
        """Removes the group as soon as its last process has ended; False when there still is one. Blocks."""
        deadline = time.monotonic() + within_s
        while True:
            try:
                _rmdir(self.path)
            except FileNotFoundError:
                return True
            except OSError as exc:
                if time.monotonic() >= deadline:
                    _log.debug("the control group %s stays: %s", self.path, exc)
                    return False
                time.sleep(_ROUND_S)
            else:
                return True


class MemoryGroups:
    """Makes the groups of one backend, or says why there are none."""

    def __init__(self, parent: Path | None, owner: str, problem: str = "", version: int = 0) -> None:
        """Takes the group below which they are made, and a word that tells backends of one machine apart."""
        self._parent = parent
        self._version = version
        self._prefix = f"{_PREFIX}{owner}-"
        self.problem = problem
        """Why there are no groups, for the user; empty when there are."""

    @classmethod
    def find(cls, state_dir: Path, proc: Path = Path("/proc")) -> MemoryGroups:
        """Looks at what this machine offers, and removes what an earlier backend of `state_dir` has left behind.

        Reads and writes a few small files; moves this process one group down where version 2 asks for it.
        """
        owner = hashlib.sha256(str(state_dir.absolute()).encode()).hexdigest()[:8]
        try:
            parent, version = _parent(proc)
            made = cls(parent, owner, version=version)
            made._sweep()
            _rmdir(made._make("probe").path)
        except _NotHere as exc:
            return cls(None, owner, str(exc))
        except OSError as exc:
            return cls(None, owner, f"{exc.filename} cannot be written: {exc.strerror}")
        return made

    def _make(self, name: str) -> MemoryGroup:
        assert self._parent is not None
        path = self._parent / f"{self._prefix}{name}"
        path.mkdir(mode=0o755, exist_ok=True)
        return MemoryGroup(path, self._version)

    def make(self, runner_pid: int, pids: Iterable[int]) -> MemoryGroup | None:
        """Returns a new group, without a limit, with the processes in it; None where that cannot be had. Blocks."""
        if self._parent is None:
            return None
        try:
            group = self._make(str(runner_pid))
        except OSError as exc:
            _log.warning("no control group for a session: %s", exc)
            return None
        try:
            group.admit(pids)
        except OSError as exc:
            _log.warning("no control group for a session: %s", exc)
            group.remove(0)
            return None
        return group

    def _sweep(self) -> None:
        """Removes empty groups; those of living sessions cannot be removed."""
        assert self._parent is not None
        for path in self._parent.glob(f"{self._prefix}*"):
            with contextlib.suppress(OSError):
                _rmdir(path)


class _NotHere(Exception):
    """There are no control groups for us; the message says why."""


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _write(path: Path, text: str) -> None:
    """Writes a control file with one call, which is how the system wants it."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _parent(proc: Path) -> tuple[Path, int]:
    """Returns the group below which sessions get theirs, and the version of the system's control groups.

    Raises:
        _NotHere: there is none.
        OSError: it cannot be prepared.
    """
    own: dict[str, str] = {}
    for line in _read(proc / "self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    for kind, options, root, mount in _mounts(proc):
        if kind == "cgroup" and "memory" in options and "memory" in own:
            parent = _below(mount, root, own["memory"])
            if not (parent / "memory.limit_in_bytes").exists():
                raise _NotHere(f"{parent} has no limit of memory")
            return parent, 1
    for kind, _, root, mount in _mounts(proc):
        if kind == "cgroup2" and "" in own:
            return _delegated(_below(mount, root, own[""])), 2
    raise _NotHere("no control groups are mounted")


def _mounts(proc: Path) -> Iterator[tuple[str, list[str], str, Path]]:
    """Yields (type, options, root, mount point) of what is mounted."""
    for line in _read(proc / "self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        kind, _, options = right.split(" ", 2)
        root, mount = (re.sub(r"\\(\d{3})", lambda m: chr(int(m[1], 8)), text) for text in left.split()[3:5])
        yield kind, options.split(","), root, Path(mount)


def _below(mount: Path, root: str, own: str) -> Path:
    if root != "/":
        if own != root and not own.startswith(root + "/"):
            raise _NotHere(f"the control group {own} of the backend is not mounted")
        own = own[len(root) :]
    if ".." in own.split("/"):
        raise _NotHere("the control group of the backend is outside of what is mounted")
    return mount / own.lstrip("/")


def _delegated(own: Path) -> Path:
    """Returns a group of version 2 whose children have limits of memory, preparing it where that is needed.

    Such a group holds no processes: the backend moves down.
    """
    if own.name == BACKEND_GROUP and "memory" in _read(own.parent / "cgroup.subtree_control").split():
        return own.parent
    switch = own / "cgroup.subtree_control"
    if "memory" in _read(switch).split():
        return own
    if "memory" not in _read(own / "cgroup.controllers").split():
        raise _NotHere(f"no memory controller is delegated to {own}")
    if [pid for pid in _read(own / "cgroup.procs").split() if pid != str(os.getpid())]:
        raise _NotHere(f"{own} is shared with processes that are not the backend's")
    leaf = own / BACKEND_GROUP
    leaf.mkdir(mode=0o755, exist_ok=True)
    try:
        _write(leaf / "cgroup.procs", str(os.getpid()))
        _write(switch, "+memory")
    except OSError:
        with contextlib.suppress(OSError):
            _write(own / "cgroup.procs", str(os.getpid()))
        with contextlib.suppress(OSError):
            _rmdir(leaf)
        raise
    return own
