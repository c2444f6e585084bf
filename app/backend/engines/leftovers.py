"""Ends what a session has left behind when its runner was killed and could not do it."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import stat
import time
from pathlib import Path
from typing import Any

from ..ports import Exit
from ..runner import procs
from ..runner.files import EXIT, JUPYTER, RUNNER, SOCKET
from ..runner.procs import Stat
from ..runner.tree import kill_all
from .groups import SessionGroup

_MOST_BYTES = 1 << 20
_LIMIT_S = 5.0


def read_json(path: Path) -> dict[str, Any] | None:
    """Returns the object in a small file; None when there is none. What a session has put there in its place, such as
    a pipe that nobody writes to, is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            value = json.loads(os.read(fd, _MOST_BYTES)) if stat.S_ISREG(os.fstat(fd).st_mode) else None
        finally:
            os.close(fd)
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_end(session_dir: Path) -> Exit | None:
    """Returns how the session has ended, as its runner has written it; None when it has not, or in no such form."""
    end = read_json(session_dir / EXIT) or {}
    code, reason = end.get("code"), end.get("reason")
    if not isinstance(reason, str) or not (code is None or type(code) is int):
        return None
    return Exit(code, reason)


class _Leftovers:
    """Tells the processes of a session from all others: marked ones, those of its kernel's tree, of its runner's
    session, of its control groups."""

    def __init__(self, session_id: str, session_dir: Path, group: SessionGroup | None) -> None:
        self._mark = f"{procs.MARKER}={session_id}".encode()
        known = read_json(session_dir / RUNNER) or {}
        # process ids of an earlier start of the machine are somebody else's now
        self._known = known if known.get("boot", procs.boot()) == procs.boot() else {}
        self._group = group
        self._unmarked: dict[int, int] = {}
        """Process id -> start time of those that were looked at: reading the environment is the dearest part."""

    def find(self, processes: dict[int, Stat]) -> set[int]:
        """Returns those that live, and all below them."""
        roots = {pid for pid, entry in processes.items() if not entry.ended and self._is_marked(pid, entry)}
        if self._group is not None:
            roots.update(pid for pid in self._group.pids() if pid in processes and not processes[pid].ended)
        kernel, runner = self._known.get("kernel_pid"), self._known.get("pid")
        if kernel and _is(processes, kernel, self._known.get("kernel_start_time")):
            roots.add(int(kernel))
        there = processes.get(runner) if runner else None
        if runner and (there is None or there.start_time == self._known.get("start_time")):
            # As long as one of them lives, the id of their session is not given to anybody else: a process that has
            # it but began at another time is a stranger, and so are those of its session.
            roots.update(pid for pid, entry in processes.items() if entry.session == runner and not entry.ended)
        return (roots | set(procs.below(roots, processes))) - {os.getpid()}

    def _is_marked(self, pid: int, entry: Stat) -> bool:
        if self._unmarked.get(pid) == entry.start_time:
            return False
        try:
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        except OSError:
            variables = []
        if self._mark in variables:
            return True
        self._unmarked[pid] = entry.start_time
        return False


def _is(processes: dict[int, Stat], pid: Any, start_time: Any) -> bool:
    entry = processes.get(pid)
    return entry is not None and not entry.ended and entry.start_time == start_time


def end_leftovers(session_id: str, session_dir: Path, group: SessionGroup | None = None) -> int:
    """Kills every process of the session and removes its socket; returns how many processes there were.

    Blocks for up to some seconds.
    """
    leftovers = _Leftovers(session_id, session_dir, group)
    deadline = time.monotonic() + _LIMIT_S
    if group is not None:
        group.forbid_births()
    count = 0
    while (found := kill_all(leftovers.find)) and time.monotonic() < deadline:
        count = max(count, found)
        if group is not None:
            group.kill()  # atomic; without it the round above has to do, and may have to be repeated
        time.sleep(0.005)  # what was killed takes a moment to die; it is not our child: nothing tells
    shutil.rmtree(session_dir / JUPYTER, ignore_errors=True)
    with contextlib.suppress(OSError):
        (session_dir / SOCKET).unlink()
    return count
