"""What holds a session's processes: the cores that they run on, control groups, and the time that they have.

Children inherit all of it, so that only the runner and the kernel that it has forked ahead of time must be moved.
"""

import errno
import os
import resource
import time
from typing import Any, Dict, List, Optional, Set

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


def bound_user(count: int, pid: int) -> None:
    """Lets this process, `pid` and all that they start have no more than `count` tasks of the user on the machine."""
    for one in (os.getpid(), pid):
        try:
            _soft, hard = resource.prlimit(one, resource.RLIMIT_NPROC)
            value = count if hard == resource.RLIM_INFINITY else min(count, hard)
            resource.prlimit(one, resource.RLIMIT_NPROC, (value, value))
        except (OSError, ValueError):
            pass


def fork_problem(exc: OSError) -> str:
    """Returns why a process could not be started, for the user."""
    if exc.errno == errno.EAGAIN:
        return "the session, or its user, has as many processes and threads as it may: end some of them"
    return exc.strerror or str(exc)


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


class EventCount:
    """A limit of the session, seen from inside: how often it was hit."""

    def __init__(self, told: Optional[Dict[str, Any]], name: str) -> None:
        """Takes what the backend tells of a limit, and the line of its file that counts.

        Args:
            told: `events`, the file that counts, or several of which the first that there is does; and `text`, what to
                tell the user; None = there is no limit.
        """
        self._fd = -1
        self._text = ""
        self._name = name + " "
        self._seen = 0
        if told is not None:
            self._text = told["text"]
            events = told["events"]
            for path in [events] if isinstance(events, str) else events:
                try:
                    self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                except OSError:  # its kernel does not count
                    continue
                self._seen = self._count()
                return

    def _count(self) -> int:
        try:
            lines = os.pread(self._fd, 4096, 0).decode("ascii").splitlines()
        except OSError:
            return self._seen
        return sum(int(line.split()[1]) for line in lines if line.startswith(self._name))

    def hit(self) -> Optional[str]:
        """Returns what to tell when the limit was hit since this was asked last; None = it was not."""
        if self._fd < 0:
            return None
        before, self._seen = self._seen, self._count()
        return self._text if self._seen > before else None


class Births:
    """The file of the session's control group that says how many processes it may have."""

    def __init__(self, path: Optional[str]) -> None:
        """Takes its path; None = there is none, and nothing happens here."""
        self._path = path
        self._before: Optional[str] = None

    def forbid(self) -> None:
        """Lets nobody start anything more; what runs goes on."""
        if self._path is None or self._before is not None:
            return
        try:
            with open(self._path, "r+") as file:
                before = file.read().strip()
                file.seek(0)
                file.write("0")
            self._before = before
        except OSError:
            pass

    def allow(self) -> None:
        """Takes that back."""
        before, self._before = self._before, None
        if self._path is not None and before is not None:
            try:
                with open(self._path, "w") as file:
                    file.write(before)
            except OSError:
                pass


class SessionLimits:
    """All limits of the session, as far as its runner has to do with them."""

    def __init__(self) -> None:
        """Begins without any."""
        self._groups: List[str] = []
        self.births = Births(None)
        self.out_of_memory = EventCount(None, "oom_kill")
        self._out_of_tasks = EventCount(None, "max")
        self.ends_s = float("inf")
        """Monotonic time at which the session has run for as long as it may."""
        self.end_reason = ""

    def hold(self, groups: List[str], tasks: Optional[str]) -> None:
        """Hears in which control groups the runner has been put, and where one of them limits processes."""
        self._groups = groups
        self.births = Births(tasks)

    def put(self, message: Dict[str, Any], kernel_pid: int) -> None:
        """Puts in force what a launch asks for, before anything of the user's runs; children inherit it."""
        self.out_of_memory = EventCount(message.get("memory"), "oom_kill")
        self._out_of_tasks = EventCount(message.get("tasks"), "max")
        if message.get("user_tasks"):
            bound_user(message["user_tasks"], kernel_pid)
        if message.get("cores") is not None:
            for pid in (os.getpid(), kernel_pid):
                pin(pid, set(message["cores"]))
        wall_time = message.get("wall_time")
        if wall_time is not None:
            self.ends_s = time.monotonic() + wall_time["s"]
            self.end_reason = wall_time["text"]

    def refused(self) -> Optional[str]:
        """Returns what to tell when processes or threads were refused since this was asked last; None = none was."""
        return self._out_of_tasks.hit()

    def forget(self) -> None:
        """Drops what was counted until now: the end of what ran before is nothing to tell to those who come."""
        self.out_of_memory.hit()
        self._out_of_tasks.hit()

    def leave(self) -> None:
        """Removes the control groups, of which this process is the last."""
        for group in self._groups:
            leave(group)
