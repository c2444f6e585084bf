"""What /proc says about processes, and the calls that only the C library has.

Processes are named by pid *and* start time: a pid alone may have been given to somebody else.
"""

import functools
import os
import signal
from typing import Any, Dict, Iterable, List, NamedTuple, Optional

MARKER = "BACKENDAI_SESSION_ID"
"""Environment variable that every process of a session carries, forked ones too (see `stamp`)."""
MARKER_ROOM = 64
"""Bytes kept free for its value in the environment of a zygote."""

START_UP_FAILED = "the start-up code of the image has failed: the log of the session says how\n"
"""What both kinds of kernels say of it."""
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36


class Stat(NamedTuple):
    """The fields of /proc/PID/stat that matter here."""

    state: str
    ppid: int
    pgrp: int
    session: int
    start_time: int
    """Clock ticks since boot."""
    threads: int

    @property
    def ended(self) -> bool:
        """Whether it is a zombie; one whose main thread alone has ended looks like one, too, and lives."""
        return self.state in "ZX" and self.threads <= 1


def stat(pid: int) -> Optional[Stat]:
    """Returns what /proc says about `pid`, None when there is no such process."""
    try:
        with open("/proc/%d/stat" % pid, "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
        state, threads = fields[0].decode(), int(fields[17])
        return Stat(state, int(fields[1]), int(fields[2]), int(fields[3]), int(fields[19]), threads)
    except (OSError, IndexError, ValueError):
        return None


def start_time(pid: int) -> int:
    """Returns the start time of `pid` in clock ticks since boot, 0 when there is no such process."""
    found = stat(pid)
    return found.start_time if found is not None else 0


@functools.lru_cache(maxsize=None)
def boot() -> str:
    """Returns what tells this life of the machine, or of the container, from every other.

    Process ids and start times say nothing across two of them. No process sees two: it is looked up once.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            name = file.read().strip()
    except OSError:
        name = ""
    # A container that is started anew keeps the boot id of its host, but not its first process.
    return "%s:%d" % (name, start_time(1))


def is_alive(pid: int, started: int) -> bool:
    """Whether the process `pid` that started at `started` still runs; a zombie does not."""
    found = stat(pid)
    return found is not None and found.start_time == started and not found.ended


def everyone(known: Optional[Dict[int, Stat]] = None) -> Dict[int, Stat]:
    """Returns all processes of the machine, zombies too: those are no targets, but their children count until they
    are given to a new parent.

    Args:
        known: what is said there of a process is not asked again.
    """
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            pid = int(name)
            entry = known.get(pid) if known is not None else None
            if entry is None:
                entry = stat(pid)
            if entry is not None:
                found[pid] = entry
    return found


def table() -> Dict[int, Stat]:
    """Returns all processes of the machine that have not ended."""
    return {pid: entry for pid, entry in everyone().items() if not entry.ended}


def below(roots: Iterable[int], processes: Dict[int, Stat]) -> List[int]:
    """Returns the pids below `roots` and not of them, parents before children, without zombies."""
    children: Dict[int, List[int]] = {}
    for pid, entry in processes.items():
        children.setdefault(entry.ppid, []).append(pid)
    queue = list(roots)
    seen = set(queue)
    found: List[int] = []
    while queue:
        for pid in children.get(queue.pop(), ()):
            if pid not in seen:
                seen.add(pid)
                found.append(pid)
                queue.append(pid)
    return [pid for pid in found if not processes[pid].ended]


def descendants(root: int) -> List[int]:
    """Returns the pids below `root`, parents before children, without zombies."""
    return below([root], everyone())


def set_haste(nice: int) -> int:
    """Has this process served before others (negative) or beside them; returns what it was. Only root may be before.

    Where the system shares time among terminals and such first (autogroup), it does so among those as well.
    """
    before = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with open("/proc/self/autogroup", "w") as file:
            file.write("%d" % nice)
    except OSError:
        pass
    return before


def send_signal(pid: int, number: int, group: bool = False) -> None:
    """Sends a signal; a process that has gone is no error."""
    try:
        (os.killpg if group else os.kill)(pid, number)
    except OSError:
        pass


def _libc() -> Any:
    try:
        import ctypes

        return ctypes.CDLL(None, use_errno=True)
    except (ImportError, OSError):  # an interpreter that was built without libffi
        return None


_marker_address = 0


def find_marker() -> None:
    """Remembers where the marker's value lies. To be called before anything changes the environment."""
    global _marker_address
    libc = _libc()
    if libc is not None and len(os.environ.get(MARKER, "")) == MARKER_ROOM:
        import ctypes

        libc.getenv.restype = ctypes.c_void_p
        _marker_address = libc.getenv(MARKER.encode()) or 0


def stamp(session_id: str) -> None:
    """Writes `session_id` into the memory that /proc/PID/environ shows, of this process and of all that it forks.

    A forked process shows its ancestor's environment there whatever `os.environ` says, so that without this
    the children of a dead runner could not be told from anybody else's.
    """
    if _marker_address:
        import ctypes

        value = session_id.encode()[:MARKER_ROOM]
        ctypes.memmove(_marker_address, value + b"\0" * (MARKER_ROOM - len(value)), MARKER_ROOM)


def become_subreaper() -> bool:
    """Makes orphans among the descendants children of this process; False where that cannot be had."""
    libc = _libc()
    return libc is not None and libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def set_name(name: str) -> None:
    """Sets the name that `ps` and `top` show."""
    libc = _libc()
    if libc is not None:
        libc.prctl(_PR_SET_NAME, name.encode()[:15], 0, 0, 0)


def flush_c_streams() -> None:
    """Writes out what C code has printed into libc's own buffers."""
    if clib is not None:
        clib.fflush(None)


def set_errno(number: int) -> None:
    """Sets the number of the last error of the C library, in this thread."""
    if clib is not None:
        import ctypes

        try:
            clib.__errno_location.restype = ctypes.POINTER(ctypes.c_int)
            clib.__errno_location().contents.value = number
        except AttributeError:  # a libc that has no such symbol
            pass


def line_buffer_c_streams() -> None:
    """Makes C's stdout write line by line, so that output of C code is seen while it runs."""
    if clib is not None:
        import ctypes

        try:
            clib.setvbuf(ctypes.c_void_p.in_dll(clib, "stdout"), None, 1, 0)
        except ValueError:  # a libc that has no such symbol
            pass


clib = _libc()
"""The C library; None in an interpreter that was built without ctypes."""


def hear_signals(*numbers: int) -> int:
    """Returns a descriptor from which the numbers of signals can be read as bytes; SIGINT and SIGHUP are ignored."""
    read, write = os.pipe()
    for fd in (read, write):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(write)
    for number in numbers:
        signal.signal(number, lambda number, frame: None)
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    return read
