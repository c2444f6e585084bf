"""The queue over the end of a backend: what was admitted is there, in order, with its times and its limits."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bai_tui.app.config import Paths
from bai_tui.app.local import read_running, running_backend
from bai_tui.benchmarks.burst import Door, enqueue

Command = Callable[..., "subprocess.CompletedProcess[str]"]
pytestmark = pytest.mark.e2e
SERVE = ("serve", "--detach", "--port=0", "--mock-gpus=1")
_LIST = """query($limit: Int!, $offset: Int!, $status: String) {
  compute_session_list(limit: $limit, offset: $offset, status: $status) {
    total_count items { session_id name status status_info status_data result priority requested_slots startup_command }
  }
}"""


def serve(bai_tui: Command, paths: Paths) -> Door:
    """Returns the door of a backend that answers."""
    started = bai_tui(*SERVE)
    assert started.returncode == 0, started.stderr
    endpoint = running_backend(paths)
    assert endpoint is not None
    return Door(endpoint.url, endpoint.access_key, endpoint.secret_key)


def kill(paths: Paths) -> None:
    """Kills the backend as a crash would, and waits for its end."""
    found = read_running(paths)
    assert found is not None
    fd = os.pidfd_open(found.pid)
    os.kill(found.pid, signal.SIGKILL)
    assert select.select([fd], [], [], 10)[0]
    os.close(fd)


def ask(door: Door, method: str, target: str, body: dict[str, Any]) -> Any:
    return asyncio.run(door.ask(method, target, body))


def create(door: Door, name: str, **fields: Any) -> str:
    body = {"name": name, "image": "python", "enqueueOnly": True, "config": {"resources": {"cpu": "1", "mem": "256m"}}}
    return str(ask(door, "POST", "/session", body | fields)["sessionId"])


def batch(door: Door, name: str, command: str, **fields: Any) -> str:
    return create(door, name, type="batch", startupCommand=command, **fields)


def listed(door: Door, status: str | None = None) -> list[dict[str, Any]]:
    """Returns all sessions, the oldest first."""
    found: list[dict[str, Any]] = []
    while True:
        variables = {"limit": 1000, "offset": len(found), "status": status}
        answer = ask(door, "POST", "/admin/gql", {"query": _LIST, "variables": variables})
        page = answer["data"]["compute_session_list"]
        found += page["items"]
        if len(found) >= page["total_count"]:
            return found[::-1]


def wait_for(door: Door, name: str, *statuses: str) -> dict[str, Any]:
    deadline = time.monotonic() + 30
    while True:
        session = next(item for item in listed(door) if item["name"] == name)
        if session["status"] in statuses:
            return session
        assert time.monotonic() < deadline, session
        time.sleep(0.05)


def test_a_burst_of_admissions_survives_the_killing_of_the_backend_in_its_middle(
    bai_tui: Command, paths: Paths
) -> None:
    door = serve(bai_tui, paths)
    create(door, "holder", config={"resources": {"gpu": "1"}})
    wait_for(door, "holder", "RUNNING")
    request = {"image": "python", "config": {"resources": {"gpu": "0.5"}, "environ": {"K": "v" * 100}}}
    connections, enough = 8, 700

    def kill_in_the_middle(answers: int) -> None:
        if answers == enough:
            kill(paths)

    burst = asyncio.run(enqueue(door, request, connections=connections, each=10_000, on_answer=kill_in_the_middle))
    assert burst.count >= enough
    door = serve(bai_tui, paths)
    there = {item["name"]: item for item in listed(door)}
    assert there.pop("holder")["status"] == "RUNNING"
    places = {name: place for place, name in enumerate(there)}
    for answered in burst.answered:
        assert [name for name, _ in answered] == sorted((name for name, _ in answered), key=places.__getitem__)
        for name, session_id in answered:
            assert there[name]["session_id"] == session_id
    # what was on its way when the backend was killed is there as a whole or not at all
    assert len(there) - burst.count <= connections
    for item in there.values():
        assert (item["status"], item["requested_slots"]) == ("PENDING", next(iter(there.values()))["requested_slots"])
        assert "0.5 cuda.shares" in item["status_info"]
    first = ask(door, "DELETE", f"/session/{next(iter(there))}", {})
    assert first["stats"]["status"] == "cancelled"
    assert '"position": 1,' in listed(door, "PENDING")[0]["status_data"]


def test_dependencies_are_decided_though_the_backend_was_down(bai_tui: Command, paths: Paths) -> None:
    door = serve(bai_tui, paths)
    batch(door, "good", "while [ ! -e go ]; do sleep 0.02; done")
    failing = batch(door, "failing", "while [ ! -e go ]; do sleep 0.02; done; exit 3")
    batch(door, "after-good", "true", dependencies=["good"])
    batch(door, "after-failing", "true", dependencies=[failing])
    batch(door, "last", "true", dependencies=["after-failing"])
    for name in ("good", "failing"):
        wait_for(door, name, "RUNNING")
    kill(paths)
    for folder in (paths.state / "sessions").glob("*/work"):
        (folder / "go").touch()
    door = serve(bai_tui, paths)
    ended = ("TERMINATED", "CANCELLED", "ERROR")
    assert wait_for(door, "after-good", *ended)["result"] == "SUCCESS"
    for name in ("after-failing", "last"):
        session = wait_for(door, name, *ended)
        assert session["status"] == "CANCELLED"
        assert session["status_info"].startswith("dependency-failed: ")


def test_times_go_on_though_the_backend_was_down(bai_tui: Command, paths: Paths) -> None:
    door = serve(bai_tui, paths)
    begin = datetime.now(UTC) + timedelta(seconds=3)
    batch(door, "timed", "sleep 60", batch_timeout=2)
    batch(door, "later", "true", starts_at=begin.isoformat())
    batch(door, "much-later", "true", starts_at=(begin + timedelta(days=1)).isoformat())
    create(door, "holder", config={"resources": {"gpu": "1"}})
    impatient = {"resources": {"gpu": "1"}, "resource_opts": {"pending_timeout": "2"}}
    create(door, "impatient", config=impatient)
    wait_for(door, "timed", "RUNNING")
    kill(paths)
    door = serve(bai_tui, paths)
    timed = wait_for(door, "timed", "TERMINATED", "ERROR")
    assert (timed["status_info"], timed["result"]) == ("task-timeout", "FAILURE")
    given_up = wait_for(door, "impatient", "CANCELLED", "ERROR")
    assert given_up["status_info"].startswith("pending-timeout")
    assert wait_for(door, "later", "TERMINATED")["result"] == "SUCCESS"
    assert datetime.now(UTC) >= begin
    assert wait_for(door, "much-later", "PENDING", "RUNNING", "TERMINATED")["status"] == "PENDING"


def test_other_settings_after_a_restart_change_nothing_that_was_granted(bai_tui: Command, paths: Paths) -> None:
    door = serve(bai_tui, paths)
    create(door, "first", config={"resources": {"gpu": "0.25"}})
    create(door, "second", config={"resources": {"gpu": "0.75"}})
    create(door, "third", config={"resources": {"gpu": "0.5"}})
    for name in ("first", "second"):
        wait_for(door, name, "RUNNING")
    before = ask(door, "GET", "/machine", {})["gpus"]
    kill(paths)
    paths.config.mkdir(parents=True, exist_ok=True)
    (paths.config / "config.toml").write_text(
        '[scheduler]\nquantum = "0.1"\npolicy = "drf"\n[limits]\nmax_concurrent_sessions = 1\n'
    )
    door = serve(bai_tui, paths)
    assert [gpu["promised"] for gpu in ask(door, "GET", "/machine", {})["gpus"]] == [gpu["promised"] for gpu in before]
    third = wait_for(door, "third", "PENDING")
    assert '"name": "concurrency"' in third["status_data"]
    refused = bai_tui("run", "--enqueue-only", "-r", "gpu=0.25", "-c", "1", "python")
    assert "no multiple of 0.1" in " ".join(refused.stderr.split()), refused.stderr
    for name in ("first", "second"):
        ask(door, "DELETE", f"/session/{name}", {})
    wait_for(door, "third", "RUNNING")
