"""What is told of a launch that came to nothing, whichever engine it was of."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...model.errors import LaunchFailed
from ..runner.files import LOG
from .link import RunnerError, RunnerGone

READY_S: Final = 30.0
"""How long a kernel may take to answer."""
BOOTSTRAP_S: Final = 600.0
"""How long a bootstrap script may take."""


def launch_problem(exc: BaseException, session_dir: Path) -> LaunchFailed | None:
    """Returns how the failure of the operation `launch` is told; None when it is none of the runner's."""
    if isinstance(exc, RunnerError):
        return LaunchFailed(f"the session could not be started: {exc}")
    if isinstance(exc, RunnerGone):
        return LaunchFailed(f"the runner ended before the kernel answered; see {session_dir / LOG}")
    if isinstance(exc, TimeoutError):
        return LaunchFailed("the kernel did not answer in time; see the session's log")
    return None
