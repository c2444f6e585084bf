"""The end of a process tree: SIGTERM, a time of grace, and SIGKILL until nothing is left."""

import os
import signal
import time
from typing import Iterable, Set

from . import procs


class TreeEnd:
    """Ends all descendants of this process, which must be a subreaper to have the double-forked ones."""

    def __init__(self, grace_s: float) -> None:
        self._deadline_s = time.monotonic() + grace_s
        self._told: Set[int] = set()

    def step(self) -> bool:
        """Does the next thing; True when nothing is left. To be called on every SIGCHLD and every few milliseconds."""
        left = procs.descendants(os.getpid())
        if not left:
            return True
        if time.monotonic() < self._deadline_s:
            self._signal((pid for pid in left if pid not in self._told), signal.SIGTERM)
            # a stopped process hears SIGTERM only when it goes on
            self._signal((pid for pid in left if pid not in self._told), signal.SIGCONT)
            self._told.update(left)
        else:
            # Stopped first, so that none of them forks while the others are killed.
            self._signal(left, signal.SIGSTOP)
            self._signal(procs.descendants(os.getpid()), signal.SIGKILL)
        return False

    @staticmethod
    def _signal(pids: Iterable[int], number: int) -> None:
        for pid in pids:
            procs.send_signal(pid, number)
