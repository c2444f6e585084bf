"""How a new backend takes over what an earlier one has started, and what became of it where it cannot."""

from __future__ import annotations

import asyncio
import errno
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from ...model.errors import ServiceUnavailable
from ..ports import MACHINE_RESTARTED, WALL_TIME, Exit
from ..runner import procs
from ..runner.files import JOURNAL, RUNNER
from .journal import last_seq
from .kernel import KILLED, ProcessKernel
from .leftovers import read_end, read_json
from .limits import Limits
from .link import RunnerError, RunnerGone, RunnerLink

_HELLO_S: Final = 3.0
"""How long a runner may take to answer before it is taken over unheard."""
_WANT: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
"""What we lack, not the runner."""


def runner_info(kernel: ProcessKernel) -> dict[str, Any]:
    """Returns what `adopt` needs, as JSON."""
    return {"pid": kernel.pid, "start_time": kernel.start_time, "boot": procs.boot(), **kept(kernel)}


def kept(kernel: ProcessKernel) -> dict[str, Any]:
    """Returns the part of `runner_info` that is known before there is a runner."""
    return {"interpreter": kernel.interpreter, "limits": kernel.limits.stored()}


def known_of(session_dir: Path, runner: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns `runner`, or what the runner itself has noted where the backend was killed before it could."""
    return runner if runner.get("pid") else read_json(session_dir / RUNNER) or {}


def is_of_this_boot(known: Mapping[str, Any]) -> bool:
    """Whether the process ids in what `known_of` returns still mean the processes that they were noted for."""
    here = procs.boot()
    return bool(known.get("boot", here) == here)


async def adopt(session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> ProcessKernel | Exit:
    """Takes over a session of an earlier backend; its end when its runner is gone. Touches no other process.

    A runner that does not answer within seconds (a stopped process, a machine that is short of memory) is taken over
    all the same: what is asked of it is answered when it goes on.

    Raises:
        ServiceUnavailable: this process lacks file descriptors or memory; the session goes on.
    """
    known = known_of(session_dir, runner)

    def make(interpreter: str, limits: Limits) -> ProcessKernel:
        return ProcessKernel(session_id, session_dir, interpreter, limits)

    return await take_over(session_dir, known, make)


async def take_over(
    session_dir: Path, known: Mapping[str, Any], make: Callable[[str, Limits], ProcessKernel]
) -> ProcessKernel | Exit:
    """Takes over the runner that is `known` of, see `adopt`.

    Args:
        known: process id and start time as this process sees them, and what else `runner_info` returns.
        make: returns the kernel that it is for, given its interpreter and its limits.

    Raises:
        ServiceUnavailable: as `adopt`.
    """
    pid, started = int(known.get("pid", 0)), int(known.get("start_time", 0))
    if not (pid and is_of_this_boot(known) and procs.is_alive(pid, started)):
        return how_it_ended(session_dir, known)
    kernel = make(str(known.get("interpreter", "")), Limits.restored(known.get("limits") or {}))
    session_id = kernel.session_id
    try:
        link = await RunnerLink.connect(session_dir, kernel.take_state)
    except OSError as exc:
        await kernel.close()
        if exc.errno in _WANT:
            raise ServiceUnavailable(
                f"the session {session_id} cannot be taken over: {exc.strerror}; it goes on, give the backend more "
                "(such as by `ulimit -n`) and start it again"
            ) from None
        return await _put_down(pid, started)
    try:
        async with asyncio.timeout(_HELLO_S):
            state = await link.call("hello")
    except TimeoutError:
        # The state comes with the answer, whenever that is; the journal is read from disk until then.
        last = await asyncio.to_thread(last_seq, session_dir / JOURNAL)
        state = {"journal": last, "busy": None, "last": time.time(), "dead": None}
    except (OSError, RunnerGone, RunnerError):
        await link.close()
        await kernel.close()
        return await _put_down(pid, started)
    except BaseException:
        await link.close()
        await kernel.close()
        raise
    # what a runner in a container says of its process id is true in there only
    kernel.attach(link, {"shell": "", **state, "pid": pid, "start_time": started}, state)
    return kernel


async def _put_down(pid: int, started: int) -> Exit:
    """Ends a runner whose socket is gone: nobody could ever reach it again."""
    if procs.is_alive(pid, started):
        procs.send_signal(pid, signal.SIGKILL)
    return Exit(None, "the session's runner could not be reached any more")


def how_it_ended(session_dir: Path, known: Mapping[str, Any]) -> Exit:
    """Returns how a session ended whose runner is gone."""
    end = read_end(session_dir)
    reason = end.reason if end is not None else ""
    if not is_of_this_boot(known) and not reason.startswith(WALL_TIME):
        # A machine that goes down asks every process to end first: that it did so is no answer to why.
        return Exit(None, f"{MACHINE_RESTARTED} the machine was started anew, which has ended the session's processes")
    return KILLED if end is None else end
