"""What holds a session's processes: the cores that they run on, and a control group for their memory.

Children inherit both, so that only the runner and the kernel that it has forked ahead of time must be moved.
"""

import os
from typing import Any, Dict, Optional, Set

OOM_SCORE = 500
"""Of 1000: how much rather the kernel of a session is ended for want of memory than its runner, which tells of it."""

BACKEND_GROUP = "bai-tui-backend"
"""Where a backend moves that is not to share a group of version 2 with the groups of its sessions."""


def pin(pid: int, cores: Set[int]) -> None:
    """Keeps a process, and what it starts from now on, on those of `cores` that are usable.

    Where none is, it stays where it is: whoever asks for the cores of the process sees that.
    """
    try:
        tasks = [int(name) for name in os.listdir("/proc/%d/task" % pid)]
    except OSError:  # it has ended
        return
    for task in tasks:
        try:
            left = cores & os.sched_getaffinity(task)
            if left:
                os.sched_setaffinity(task, left)
        except OSError:
            pass


def yield_memory() -> None:
    """Makes this process, and what it starts, the first to go when memory ends. Nobody may take that back."""
    try:
        with open("/proc/self/oom_score_adj", "r+") as file:
            if int(file.read()) < OOM_SCORE:
                file.seek(0)
                file.write("%d\n" % OOM_SCORE)
    except (OSError, ValueError):  # a system without it
        pass


def leave(group: str) -> None:
    """Removes a control group of which this process is the last: where no backend is left that would do it.

    What cannot be removed is left to the next backend.
    """
    parent = os.path.dirname(group)
    for other in (parent, os.path.join(parent, BACKEND_GROUP)):
        try:
            with open(os.path.join(other, "cgroup.procs"), "w") as file:
                file.write("0")
            os.rmdir(group)
            return
        except OSError:
            pass


class MemoryLimit:
    """The session's limit of memory, seen from inside: how often it has cost a process its life."""

    def __init__(self, told: Optional[Dict[str, Any]]) -> None:
        """Takes `events`, the file that counts, and `text`, what to tell the user; None = there is no limit."""
        self._fd = -1
        self._text = ""
        self._seen = 0
        if told is not None:
            self._text = told["text"]
            try:
                self._fd = os.open(told["events"], os.O_RDONLY | os.O_CLOEXEC)
            except OSError:  # its kernel does not count
                return
            self._seen = self._count()

    def _count(self) -> int:
        try:
            lines = os.pread(self._fd, 4096, 0).decode("ascii").splitlines()
        except OSError:
            return self._seen
        return sum(int(line.split()[1]) for line in lines if line.startswith("oom_kill "))

    def hit(self) -> Optional[str]:
        """Returns why the system has killed processes of the session since this was asked last; None = it has not."""
        if self._fd < 0:
            return None
        before, self._seen = self._seen, self._count()
        return self._text if self._seen > before else None
