"""The backend is killed under commands that show output: real processes, a real backend, real kernels."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from .conftest import World, command, rest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LINES = 40
LOOP = f"""\
import sys, time
for number in range({LINES}):
    print("line", number, flush=True)
    time.sleep(0.05)
name = input("name? ")
print("hi", name)
sys.exit(5)
"""


def backend_pid() -> int:
    found = next((Path(os.environ["HOME"]) / ".local").rglob("serve.json"), None)
    return int(json.loads((found or Path(os.environ["XDG_STATE_HOME"], "bai-tui", "serve.json")).read_text())["pid"])


def kill_backend() -> None:
    os.kill(backend_pid(), signal.SIGKILL)


def wait_for(process: subprocess.Popen[str], line: str) -> list[str]:
    """Returns what the process has printed up to a line."""
    assert process.stdout is not None
    seen: list[str] = []
    while not seen or seen[-1] != line:
        seen.append(process.stdout.readline())
        assert seen[-1], seen
    return seen


def test_every_line_is_shown_once_though_the_backend_is_killed_twice(world: World) -> None:
    wanted = [f"line {number}\n" for number in range(LINES)]
    with command("run", "-t", "survivor", "-c", LOOP, "python", stdin=subprocess.PIPE) as run:
        seen = wait_for(run, "line 3\n")
        with command("attach", "survivor") as watch, command("logs", "-f", "survivor") as logs:
            kill_backend()
            seen += wait_for(run, "line 20\n")
            kill_backend()
            out, err = rest(run, "Ada\n")
            assert run.returncode == 5, err
            assert (seen + out.splitlines(keepends=True)) == [*wanted, "name? hi Ada\n"]
            out, err = rest(watch)
            assert watch.returncode == 5, err
            assert out == "".join([*wanted, "name? hi Ada\n"])
            assert world.bai("rm", "survivor").status == 0
            out, err = rest(logs)
            assert (logs.returncode, out) == (0, "".join([*wanted, "name? hi Ada\n"])), err


def test_one_that_was_stopped_is_waited_for_and_not_started(world: World) -> None:
    with command("run", "--rm", "-c", LOOP, "python", stdin=subprocess.PIPE) as run:
        wait_for(run, "line 3\n")
        assert world.bai("serve", "--stop").status == 0
        assert run.stderr is not None
        while "waiting 60 s" not in (line := run.stderr.readline()):
            assert line
        assert world.bai("serve", "--detach", "--port", "0").status == 0
        out, err = rest(run, "Ada\n")
    assert run.returncode == 5, err
    assert out.endswith(f"line {LINES - 1}\nname? hi Ada\n")
    assert "connected again" in err
    assert world.ids() == []
