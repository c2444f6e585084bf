"""Which control groups can be had on this machine, and the making of one set for each session.

A group lies below the backend's own, so that whatever holds the backend holds its sessions too, and no right is used
that the backend does not have. For each controller by itself the first of these that is there:

1. its hierarchy of version 1, where that may be written to;
2. version 2, where the backend's group is delegated to it (a service with `Delegate=yes`, a container whose groups are
   writable);
3. version 2, in a scope that the service manager makes for the backend and delegates to it (`scopes`).

Moving a process takes the kernel some milliseconds, hence runners that wait for a session are moved ahead of time.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from ..runner.limits import BACKEND_GROUP
from . import groups, scopes
from .groups import CONTROLLERS, Place, SessionGroup, admit, read, write

_log: Final = logging.getLogger(__name__)
_PREFIX: Final = "bai-tui-"
_PROOF: Final = {
    "memory": ("memory.limit_in_bytes", "memory.max"),
    "pids": ("pids.max", "pids.max"),
    "cpu": ("cpu.cfs_quota_us", "cpu.max"),
}
"""The file that a group with a controller has, in version 1 and 2."""
_WORDS: Final = {"memory": "memory", "pids": "processes", "cpu": "CPU time"}
_make_folder = os.mkdir


class SessionGroups:
    """Makes the groups of one backend, or says why there are none."""

    def __init__(self, parents: Sequence[Place], owner: str, problems: Mapping[str, str]) -> None:
        """Takes the groups below which they are made, and a word that tells backends of one machine apart.

        Args:
            problems: controller -> why there is none.
        """
        self._parents = tuple(parents)
        self._prefix = f"{_PREFIX}{owner}-"
        self.problems = problems

    @classmethod
    def none(cls, why: str) -> SessionGroups:
        """Returns what makes no groups."""
        return cls((), "none", dict.fromkeys(CONTROLLERS, why))

    @property
    def problem(self) -> str:
        """Why sessions have no groups at all, for the user; empty when they have."""
        return "" if self._parents else "; ".join(dict.fromkeys(self.problems.values()))

    @property
    def missing(self) -> str:
        """What is not limited by groups, and why, for the log; empty when nothing is missing."""
        reasons: dict[str, list[str]] = {}
        for controller, why in self.problems.items():
            reasons.setdefault(why, []).append(_WORDS[controller])
        return "; ".join(f"{', '.join(words)}: {why}" for why, words in reasons.items())

    @classmethod
    def find(
        cls, state_dir: Path, proc: Path = Path("/proc"), *, enter_scope: Callable[[str, Path], None] = scopes.enter
    ) -> SessionGroups:
        """Looks at what this machine offers, and removes what an earlier backend of `state_dir` has left behind.

        Reads and writes a few small files; moves this process one group down, or into a scope, where version 2 asks
        for it. Blocks: for some seconds where the service manager does not answer.

        Args:
            enter_scope: moves this process into a delegated scope of that name, or raises OSError with the reason.
        """
        owner = hashlib.sha256(str(state_dir.absolute()).encode()).hexdigest()[:8]
        problems: dict[str, str] = {}
        found: list[Place] = []
        for place in _version_1(proc, problems):
            found += _proven(place, f"{_PREFIX}{owner}-", problems)
        wanted = [name for name in CONTROLLERS if not any(name in place.controllers for place in found)]
        wanted = [name for name in wanted if name not in problems]
        if wanted:
            try:
                place = _version_2(
                    proc, wanted, lambda: enter_scope(f"{_PREFIX}{owner}-{os.getpid()}{scopes.SUFFIX}", proc)
                )
                problems.update((name, f"no controller for it at {place.path}") for name in wanted)
                for name in place.controllers:
                    problems.pop(name)
                found += _proven(place, f"{_PREFIX}{owner}-", problems)
            except _NotHere as exc:
                problems.update(dict.fromkeys(wanted, str(exc)))
            except OSError as exc:
                problems.update(dict.fromkeys(wanted, _refused(exc)))
        return cls(found, owner, problems)

    def make(self, runner_pid: int, pids: Iterable[int]) -> SessionGroup | None:
        """Returns new groups, without a limit, with the processes in them; None where none can be had. Blocks."""
        if not self._parents:
            return None
        pids = tuple(pids)
        made = []
        for parent in self._parents:
            place = Place(parent.path / f"{self._prefix}{runner_pid}", parent.version, parent.controllers)
            try:
                _make(place.path)
                try:
                    admit(place, pids)
                except OSError:
                    SessionGroup((place,)).remove(0)
                    raise
            except OSError as exc:
                _log.warning("no control group for the %s of a session: %s", " and ".join(place.controllers), exc)
            else:
                made.append(place)
        return SessionGroup(tuple(made)) if made else None


class _NotHere(Exception):
    """There are no control groups for us; the message says why."""


def _make(path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        _make_folder(path, 0o755)


def _refused(exc: OSError) -> str:
    return f"{exc.filename} cannot be written: {exc.strerror}" if exc.filename else str(exc)


def _proven(place: Place, prefix: str, problems: dict[str, str]) -> list[Place]:
    """Returns the place with the controllers that a group made there really has; removes what was left there."""
    for path in place.path.glob(f"{prefix}*"):
        with contextlib.suppress(OSError):  # those of living sessions cannot be removed
            groups.rmdir(path)
    probe = place.path / f"{prefix}probe"
    try:
        _make(probe)
        has = [name for name in place.controllers if (probe / _PROOF[name][place.version - 1]).exists()]
        groups.rmdir(probe)
    except OSError as exc:
        problems.update(dict.fromkeys(place.controllers, _refused(exc)))
        return []
    for name in place.controllers:
        if name not in has:
            problems[name] = f"{place.path} has no limit of {_WORDS[name]}"
    return [Place(place.path, place.version, tuple(has))] if has else []


def groups_of(pid: int, proc: Path = Path("/proc")) -> SessionGroup:
    """Returns the control groups that a process is in, made by whomever, as far as they can be seen from here."""
    places = _version_1(proc, {}, str(pid))
    seen = {name for place in places for name in place.controllers}
    for kind, _, root, mount in _mounts(proc):
        own = _own(proc, str(pid)).get("")
        if kind != "cgroup2" or own is None:
            continue
        with contextlib.suppress(_NotHere):
            path = _below(mount, root, own)
            if names := tuple(name for name in CONTROLLERS if name not in seen and (path / _PROOF[name][1]).exists()):
                places.append(Place(path, 2, names))
        break
    return SessionGroup(tuple(places))


def _own(proc: Path, pid: str = "self") -> dict[str, str]:
    """Returns controller -> group of a process; that of version 2 under the empty name."""
    own: dict[str, str] = {}
    for line in read(proc / pid / "cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        own.update(dict.fromkeys(controllers.split(","), path))
    return own


def _version_1(proc: Path, problems: dict[str, str], pid: str = "self") -> list[Place]:
    """Returns the groups of a process in the hierarchies of version 1 that have a controller of use."""
    own = _own(proc, pid)
    found: dict[Path, tuple[str, ...]] = {}
    for kind, options, root, mount in _mounts(proc):
        for name in CONTROLLERS:
            if kind == "cgroup" and name in options and name in own and not any(name in it for it in found.values()):
                try:
                    path = _below(mount, root, own[name])
                except _NotHere as exc:
                    problems.setdefault(name, str(exc))
                    continue
                problems.pop(name, None)
                found[path] = (*found.get(path, ()), name)
    return [Place(path, 1, names) for path, names in found.items()]


def _version_2(proc: Path, wanted: Sequence[str], enter_scope: Callable[[], None]) -> Place:
    """Returns the group of version 2 below which sessions get theirs.

    Raises:
        _NotHere: there is none.
        OSError: it cannot be prepared.
    """
    for kind, _, root, mount in _mounts(proc):
        if kind != "cgroup2" or "" not in (own := _own(proc)):
            continue
        try:
            return _delegated(_below(mount, root, own[""]), wanted)
        except (_NotHere, OSError) as exc:
            reason = str(exc) if isinstance(exc, _NotHere) else _refused(exc)
            if not set(read(mount / "cgroup.controllers").split()) & set(wanted):
                raise _NotHere(reason) from None
            try:
                enter_scope()
            except OSError as refusal:
                raise _NotHere(f"{reason}; {refusal}") from None
            return _delegated(_below(mount, root, _own(proc)[""]), wanted)
    raise _NotHere("no control groups are mounted")


def _mounts(proc: Path) -> Iterator[tuple[str, list[str], str, Path]]:
    """Yields (type, options, root, mount point) of what is mounted."""
    for line in read(proc / "self/mountinfo").splitlines():
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


def _delegated(own: Path, wanted: Sequence[str]) -> Place:
    """Returns a group of version 2 whose children have the controllers of `wanted` that can be had.

    Such a group holds no processes: the backend moves down.
    """
    for path in (own.parent, own) if own.name == BACKEND_GROUP else (own,):
        if has := _switched_on(path, wanted):
            missing = [name for name in wanted if name not in has and name in _offered(path)]
            if missing:
                with contextlib.suppress(OSError):
                    has += _switch_on(path, missing)
            return Place(path, 2, tuple(name for name in wanted if name in has))
    offered = [name for name in wanted if name in _offered(own)]
    if not offered:
        raise _NotHere(f"no controller of {', '.join(_WORDS[name] for name in wanted)} is delegated to {own}")
    if [pid for pid in read(own / "cgroup.procs").split() if pid != str(os.getpid())]:
        raise _NotHere(f"{own} is shared with processes that are not the backend's")
    leaf = own / BACKEND_GROUP
    _make(leaf)
    try:
        write(leaf / "cgroup.procs", str(os.getpid()))
        return Place(own, 2, tuple(_switch_on(own, offered)))
    except OSError:
        with contextlib.suppress(OSError):
            write(own / "cgroup.procs", str(os.getpid()))
        with contextlib.suppress(OSError):
            groups.rmdir(leaf)
        raise


def _offered(path: Path) -> list[str]:
    return read(path / "cgroup.controllers").split()


def _switched_on(path: Path, wanted: Sequence[str]) -> list[str]:
    return [name for name in read(path / "cgroup.subtree_control").split() if name in wanted]


def _switch_on(path: Path, names: Sequence[str]) -> list[str]:
    """Gives the children of a group controllers; returns those that it could be given, of several at least one.

    Raises:
        OSError: none could be.
    """
    switch = path / "cgroup.subtree_control"
    try:
        write(switch, " ".join(f"+{name}" for name in names))
        return list(names)
    except OSError:  # one of them is refused, and so all are
        if len(names) < 2:
            raise
    done = []
    for name in names:
        with contextlib.suppress(OSError):
            done += _switch_on(path, [name])
    if not done:
        raise PermissionError(13, "Permission denied", str(switch))
    return done
