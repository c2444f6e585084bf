"""Shares, use, waiting, extending and dependencies by commands: a real backend, mock GPUs that do as they are told."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

import pytest
from bai_tui.app.cli import exit_codes
from bai_tui.app.config import Paths
from bai_tui.app.local import read_running

from .conftest import World

pytestmark = pytest.mark.e2e


def use(**gpus: Any) -> None:
    """Tells the mock GPUs what they do."""
    (Paths.of_user().state / "mock-gpus.json").write_text(json.dumps(gpus))


def info(world: World, ref: str) -> dict[str, Any]:
    done = world.bai("info", ref, "--output", "json")
    assert done.status == 0, done
    found: dict[str, Any] = json.loads(done.out)
    return found


def measured(world: World, ref: str, metric: str, value: str) -> dict[str, Any]:
    """Returns a session as soon as `metric` is `value`."""
    end = time.monotonic() + 20
    while (found := info(world, ref))["live_stat"].get(metric, {}).get("current") != value:
        assert time.monotonic() < end, found
    return found


@pytest.mark.timeout(180)
def test_asked_and_used(world: World) -> None:
    use(gpu0={"mem_used": "4g", "util": 35, "sessions": {"worker-1": {"mem": "3g", "util": 20}}})
    done = world.bai("create", "-q", "-t", "worker-1", "-r", "gpu=0.5", "-r", "mem=512m", "python")
    assert done.status == 0, done
    session_id = done.out.strip()
    found = measured(world, "worker-1", "cuda_mem", str(3 * 2**30))
    assert found["session_id"] == session_id
    assert found["live_stat"]["cuda_mem"]["capacity"] == str(8 * 2**30)
    held = {layer["applies_to"] for layer in found["enforcement"]}
    assert held - {"tasks"} == {"cpu", "mem", "gpu"}  # processes are counted where the machine has a means
    assert found["idle_checks"]["network_timeout"]["remaining"] > 1700

    header, row = world.bai("ps", "--detail").out.splitlines()
    assert header.startswith("NAME") and "  3g/8g " in row and "  20%/50% " in row, row
    top = world.bai("top", "--once").out.splitlines()
    assert re.search(r"gpu0 .*\(mock\) +promised █+░+ 0\.5/1 \| used █+░+ 4g/16g  35%", top[2]), top
    assert "3g/8g" in top[-1]

    # what cannot fit says so, and where it stands
    assert world.bai("create", "-t", "waits-1", "-r", "gpu=2", "--enqueue-only", "python").status == 0
    waiting = info(world, "waits-1")["waiting"]
    assert "2 cuda.shares" in waiting["msg"] and waiting["position"] == 1, waiting
    assert waiting["msg"] in world.bai("ps", "--detail").out

    done = world.bai("extend", "--by", "2h", "worker-1")
    assert (done.status, done.out) == (0, "worker-1\n") and done.err.endswith(", 2h left\n"), done
    assert info(world, "worker-1")["kept_until"] is not None
    assert world.bai("extend", "--off", "worker-1").status == 0
    assert info(world, "worker-1")["kept_until"] is None
    done = world.bai("extend", "waits-1")
    assert done.status == exit_codes.FAILED and "PENDING" in done.err and done.err.count("\n") == 1, done


@pytest.mark.timeout(180)
def test_one_after_the_other(world: World) -> None:
    def create(name: str, command: str, *options: str) -> None:
        words = ("create", "-t", name, "--type", "batch", "-c", command, "--enqueue-only", *options, "python")
        done = world.bai(*words)
        assert done.status == 0, done

    create("first-1", "sleep 600")
    create("second-1", "true", "--depends", "first-1")
    create("third-1", "true", "--depends", "second-1")
    found = info(world, "second-1")
    assert (found["dependencies"], found["waiting"]["failed_predicates"]) == (["first-1"], ["dependencies"])
    assert "first-1" in found["waiting"]["msg"]
    assert world.bai("session", "set-priority", "third-1", "90").status == 0
    assert info(world, "third-1")["priority"] == 90
    done = world.bai("rm", "-r", "first-1", "third-1")
    assert (done.status, done.out) == (0, "first-1\nthird-1\n"), done
    assert world.ids() == []

    create("limited-1", "sleep 600", "--batch-timeout", "1")
    done = world.bai("create", "--type", "batch", "-c", "true", "--starts-at", "tomorrow", "python")
    assert done.status == exit_codes.USAGE, done
    end = time.monotonic() + 30
    while world.ids():
        assert time.monotonic() < end
    row = world.bai("ps", "-a", "--plain", "-f", "name,result,status_info", "--filter", 'name == "limited-1"').out
    assert row.split() == ["limited-1", "FAILURE", "task-timeout"]


@pytest.mark.timeout(180)
def test_a_run_that_loses_its_backend_goes_on_with_the_next(world: World) -> None:
    code = "import sys, time\nprint('started', flush=True)\ntime.sleep(3)\nprint('finished')\nsys.exit(7)"
    with world.start("run", "-t", "goes-on", "-c", code, "python") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        running = read_running(Paths.of_user())
        assert running is not None
        os.kill(running.pid, signal.SIGKILL)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (7, "finished\n"), err
    assert world.bai("logs", "goes-on").out == "started\nfinished\n"
