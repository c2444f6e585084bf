from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from bai_tui.app.config import Paths
from bai_tui.app.local import is_alive, read_running

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def paths(home: Path) -> Paths:
    return Paths.of_user()


@pytest.fixture
def bai_tui(paths: Paths) -> Iterator[Command]:
    """Runs the command; at the end ends the backend and every session that it knows."""

    def run(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", "bai_tui", *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, **options)  # type: ignore[call-overload,no-any-return]

    yield run
    log = paths.state / "serve.log"
    if log.is_file():
        print(log.read_text())  # noqa: T201 - shown when the test has failed
    if read_running(paths) is None and any((paths.state / "sessions").glob("*/work")):
        run("serve", "--detach", "--port=0")
    found = read_running(paths)
    if found is not None:
        stopped = run("serve", "--stop", "--kill-sessions")
        if is_alive(found.pid, found.start_time):
            os.kill(found.pid, signal.SIGKILL)
        assert stopped.returncode == 0, stopped.stderr
