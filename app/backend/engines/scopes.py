"""A control group of the backend's own from the service manager: a transient scope, delegated to it.

Asked once, when the backend starts, over the bus of the user's manager (root: of the system's) by `busctl`, which comes
with systemd. Delegation is the way that systemd offers to programs that make groups themselves: all sessions get their
groups below the scope without another word to the bus, and live on in it when the backend ends.
https://systemd.io/CGROUP_DELEGATION/
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from .groups import read

SUFFIX: Final = ".scope"
_ANSWER_S: Final = 2.0
"""How long the bus may take, and the manager after it."""
_ROUND_S: Final = 0.005
_MANAGER: Final = (
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
    "StartTransientUnit",
    "ssa(sv)a(sa(sv))",
)


def enter(name: str, proc: Path = Path("/proc"), *, answer_s: float = _ANSWER_S) -> None:
    """Moves this process into a new scope called `name`. Blocks, no longer than twice `answer_s`.

    Raises:
        OSError: there is no such scope; the message says why.
    """
    own = _group(proc)
    if any(part.endswith(".service") and not part.startswith("user@") for part in own.split("/")):
        # moving away would take the backend from the manager that restarts and stops it
        raise OSError(
            f"the service that the backend runs in does not delegate its group: add Delegate=yes to it ({own})"
        )
    program = shutil.which("busctl")
    if program is None:
        raise OSError("there is no busctl to ask for a scope with")
    command = [program, _bus(os.environ), "call", *_MANAGER, name, "fail", *_properties(os.getpid()), "0"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", timeout=answer_s
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"the service manager did not answer within {answer_s:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise OSError(f"the service manager makes no scope: {said[-1][:200] if said else 'busctl failed'}")
    deadline = time.monotonic() + answer_s  # the answer is that a job was queued
    while not _group(proc).endswith(f"/{name}"):
        if time.monotonic() >= deadline:
            raise OSError(f"the service manager has not moved the backend within {answer_s:g} s")
        time.sleep(_ROUND_S)  # to hear of the end of the job is more than one call of busctl


def _bus(environ: Mapping[str, str]) -> str:
    """Returns the option of `busctl` for the bus that has a manager for this user.

    Raises:
        OSError: there is none.
    """
    folder = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    if environ.get("DBUS_SESSION_BUS_ADDRESS") or Path(folder, "bus").exists():
        return "--user"
    if os.geteuid() == 0 and Path("/run/systemd/system").exists():
        return "--system"
    raise OSError(f"no user manager is running ({folder}/bus is not there)")


def _properties(pid: int) -> list[str]:
    """Returns the properties of the scope as `busctl` wants them: their number, then name, type and value of each.

    What its sessions may take is written into their own groups; the scope itself has no limit but that of the user.
    """
    properties = (
        ("Description", "s", "Sessions of bai-tui"),
        ("Delegate", "b", "true"),
        ("CollectMode", "s", "inactive-or-failed"),
        ("PIDs", "au", "1", str(pid)),
    )
    return [str(len(properties)), *(word for one in properties for word in one)]


def _group(proc: Path) -> str:
    """Returns the group of version 2 that this process is in."""
    for line in read(proc / "self/cgroup").splitlines():
        if line.startswith("0::"):
            return line[3:]
    return ""
