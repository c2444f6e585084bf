"""Ends what a session has left behind when its runner was killed and could not do it."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path
from typing import Any

from ..runner import procs
from ..runner.files import RUNNER
from .groups import MemoryGroup

_LIMIT_S = 5.0


def read_json(path: Path) -> dict[str, Any] | None:
    """Returns the object in a file; None when there is none."""
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _is_marked(pid: int, session_id: str) -> bool:
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return f"{procs.MARKER}={session_id}".encode() in variables


def _find(session_id: str, session_dir: Path, group: MemoryGroup | None) -> list[int]:
    """Returns the processes of the session: marked ones, those of its kernel's tree, of its runner's session, of its
    control group."""
    known = read_json(session_dir / RUNNER) or {}
    table = procs.table()
    roots: set[int] = {pid for pid in table if _is_marked(pid, session_id)}
    if group is not None:
        roots.update(pid for pid in group.pids() if pid in table)
    kernel = known.get("kernel_pid")
    if kernel in table and table[kernel].start_time == known.get("kernel_start_time"):
        roots.add(kernel)
    runner = known.get("pid")
    if runner and (runner not in table or table[runner].start_time == known.get("start_time")):
        # As long as one of them lives, the id of their session is not given to anybody else.
        roots.update(pid for pid, entry in table.items() if entry.session == runner)
    for pid in tuple(roots):
        roots.update(procs.descendants(pid))
    return sorted(roots - {os.getpid()})


def end_leftovers(session_id: str, session_dir: Path, group: MemoryGroup | None = None) -> int:
    """Kills every process of the session; returns how many there were. Blocks for up to some seconds."""
    count = 0
    deadline = time.monotonic() + _LIMIT_S
    while (found := _find(session_id, session_dir, group)) and time.monotonic() < deadline:
        count = max(count, len(found))
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in found:
                procs.send_signal(pid, number)
        time.sleep(0.005)
    return count
