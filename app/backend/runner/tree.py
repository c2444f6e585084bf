"""The end of a process tree: SIGTERM, a time of grace, and SIGKILL until nothing is left."""

import os
import signal
import time
from typing import Callable, Dict, Iterable, Optional, Set

from . import procs
from .limits import Births
from .sandbox import Sandbox

HASTE = -10
"""The niceness at which processes are killed, where that may be had: they may well leave nobody else any time."""
STOP_S = 0.5
"""How long one attempt to catch up with processes that fork may take."""


def kill_all(find: Callable[[Dict[int, procs.Stat]], Set[int]]) -> int:
    """Kills the processes that `find` picks out of all of them; returns how many. Blocks for up to `STOP_S`.

    All are stopped first, round after round, until nobody new is found: what is killed makes room, within whatever
    limits the user's processes, for others to fork into; what is stopped does not. A process group is stopped as one:
    a fork that is under way there cannot slip through (fork(2) begins anew when a signal has come).
    """
    deadline_s = time.monotonic() + STOP_S
    processes = procs.everyone()
    stopped: Set[int] = set()
    while True:
        # what was stopped may have lost the parent by which it was found
        found = find(processes) | (stopped & processes.keys())
        found.update(procs.below(found, processes))
        fresh = found - stopped
        if not fresh:
            break
        _send(fresh, _groups(fresh, found, processes), signal.SIGSTOP)
        stopped |= fresh
        if time.monotonic() >= deadline_s:
            break
        # what was stopped changes no more and need not be read again: the faster the round, the fewer slip through
        processes = procs.everyone({pid: processes[pid] for pid in stopped if pid in processes})
    _send(found, _groups(found, found, processes), signal.SIGKILL)
    return len(found)


def _groups(pids: Iterable[int], found: Set[int], processes: Dict[int, procs.Stat]) -> Set[int]:
    """Returns the process groups of `pids` that hold nobody but `found`."""
    shared = {entry.pgrp for pid, entry in processes.items() if pid not in found and not entry.ended}
    shared.add(os.getpgrp())
    return {processes[pid].pgrp for pid in pids} - shared - {0, 1}


def _send(pids: Iterable[int], groups: Iterable[int], number: int) -> None:
    for group in groups:
        procs.send_signal(group, number, group=True)
    for pid in pids:
        procs.send_signal(pid, number)


class TreeEnd:
    """Ends all descendants of this process, which must be a subreaper to have the double-forked ones."""

    def __init__(self, grace_s: float, births: Optional[Births] = None, sandbox: Optional[Sandbox] = None) -> None:
        """Begins the time of grace.

        Args:
            births: is closed while they are killed, so that none can fork, and opened when nothing is left.
            sandbox: where they are. It is left alone until nobody else is left, and takes whoever is when it ends.
        """
        self._sandbox = sandbox
        self._deadline_s = time.monotonic() + grace_s
        self._births = births if births is not None else Births(None)
        self._told: Set[int] = set()
        self._nice: Optional[int] = None

    def step(self) -> bool:
        """Does the next thing; True when nothing is left. To be called on every SIGCHLD and every few milliseconds."""
        if time.monotonic() < self._deadline_s:
            left = procs.descendants(os.getpid())
            fresh = [pid for pid in left if pid not in self._told]
            _send(fresh, (), signal.SIGTERM)
            # a stopped process hears SIGTERM only when it goes on
            _send(fresh, (), signal.SIGCONT)
            self._told.update(left)
            ended = not left
            if self._sandbox is not None and left and self._sandbox.holds_alone(left):
                self._sandbox.end()
        else:
            self._births.forbid()
            if self._nice is None:
                self._nice = procs.set_haste(HASTE)
            if self._sandbox is not None:
                self._sandbox.end()  # at once, and all of it: the system ends whatever is in it
            if os.getpid() == 1:
                procs.send_signal(-1, signal.SIGKILL)  # likewise: all of the container but us
            ended = not kill_all(lambda processes: set(procs.below([os.getpid()], processes)))
        if ended:
            self._births.allow()
            if self._nice is not None:
                procs.set_haste(self._nice)
        return ended
