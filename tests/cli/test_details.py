"""`info`, `session create`, `extend`, `session set-priority`, and what `run` passes on of the backend's warnings."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.cli import exit_codes
from bai_tui.app.cli.notices import warning_of
from bai_tui.app.client.views import EventView

from .conftest import OTHER, SID, Manager, Outcome
from .test_commands import MEASURED

Bai = Callable[..., Outcome]
SCHEDULER = {
    "msg": "waits for 0.5 cuda.shares; 0.25 free on gpu0; 2nd in the queue",
    "failed_predicates": [{"name": "resources", "msg": "waits for 0.5 cuda.shares"}],
    "position": 2,
    "expected_start": "2026-11-23T04:00:00+00:00",
}


def sections(text: str) -> dict[str, list[list[str]]]:
    """Returns the words of each line by section; what stands before the first is ''."""
    found: dict[str, list[list[str]]] = {"": []}
    name = ""
    for line in text.splitlines():
        if line.startswith(" "):
            found[name].append(line.split())
        elif line in ("Waits", "Resources", "Ended when", "Held to its share by"):
            name = line
            found[name] = []
        elif line:
            found[""].append(line.split())
    return found


@pytest.mark.parametrize("words", [("info",), ("session", "info"), ("admin", "session", "info")])
def test_info_of_a_session_that_runs(manager: Manager, bai: Bai, words: tuple[str, ...]) -> None:
    manager.handshake["bai-tui"] = {"capabilities": ["stats"]}
    manager.rows[0].update(MEASURED, requested_slots=manager.rows[0]["occupying_slots"])
    done = bai(*words, "first")
    assert (done.status, done.err) == (0, "")
    found = sections(done.out)
    assert ["Name", "first-session"] in found[""] and ["Id", SID] in found[""] and ["Priority", "10"] in found[""]
    assert found["Resources"] == [
        ["SLOT", "ASKED", "FROM", "USED", "PEAK"],
        ["cpu", "1", "-", "37%/100%", "90%"],
        ["mem", "1g", "-", "300m/1g", "-"],
        ["gpu", "0.5", "gpu0", "35%/50%", "-"],
        ["gpu", "memory", "8g", "-", "2g/8g", "-"],
    ]
    checks = {line[0]: " ".join(line[1:]) for line in found["Ended when"]}
    assert checks["network_timeout"] == "29m, not counting nobody uses it"
    assert checks["utilization"] == "2h30m it uses too little; cpu_util 37.2 of 10 %"
    assert checks["session_lifetime"].startswith("never")
    assert found["Held to its share by"][1:] == [
        ["accounting", "gpu", "counted", "kept", "in", "the", "books"],
        ["environment", "gpu", "cooperative", "CUDA_VISIBLE_DEVICES"],
    ]
    assert "Waits" not in found


def test_info_of_a_session_that_waits(manager: Manager, bai: Bai) -> None:
    manager.rows[1].update(
        status_data=json.dumps({"scheduler": SCHEDULER}),
        requested_slots=json.dumps({"cuda.shares": "0.5"}),
        dependencies=[{"name": "train", "id": SID}],
        type="BATCH",
        startup_command="make\x1b[2J",
    )
    done = bai("info", "second")
    found = sections(done.out)
    assert "place in the queue    2" in done.out and "starts at the latest  2026-11-23T04:00:00Z" in done.out
    assert "why                   waits for 0.5 cuda.shares; 0.25 free on gpu0; 2nd in the queue" in done.out
    assert "held back by          resources" in done.out
    assert ["Depends", "on", "train"] in found[""] and ["Command", "make?[2J"] in found[""]
    assert found["Resources"][1] == ["gpu", "0.5", "-", "-", "-"]
    assert not {"Ended when", "Held to its share by"} & set(found)


def test_info_as_data(manager: Manager, bai: Bai) -> None:
    manager.rows[0].update(MEASURED)
    manager.rows[1].update(status_data=json.dumps({"scheduler": SCHEDULER}))
    first = json.loads(bai("info", SID, "--output", "json").out)
    assert (first["session_id"], first["live_stat"]["mem"]["current"]) == (SID, str(300 * 2**20))
    assert first["idle_checks"]["network_timeout"]["remaining_time_type"] == "grace_period"
    assert first["enforcement"][0]["guarantee"] == "counted"
    second = json.loads(bai("--output", "json", "session", "info", "second").out)
    assert second["waiting"] == {
        "msg": SCHEDULER["msg"],
        "position": 2,
        "expected_start": "2026-11-23T04:00:00+00:00",
        "failed_predicates": ["resources"],
    }


def test_info_of_none(manager: Manager, bai: Bai) -> None:
    done = bai("info", "nothing")
    assert (done.status, done.out, done.err.count("\n")) == (exit_codes.NOT_FOUND, "", 1)


# --- create ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [("create",), ("start",), ("session", "create"), ("session", "start")])
def test_create_a_batch_session(manager: Manager, bai: Bai, words: tuple[str, ...]) -> None:
    manager.create_answer = {"sessionId": SID, "status": "PENDING"}
    done = bai(
        *words,
        *("--type", "batch", "-c", "python train.py", "--enqueue-only", "-t", "training", "--priority", "30"),
        *("-r", "cpu=2", "-r", "gpu=0.5", "-e", "A=b=c", "--tag", "mine", "--depends", "first", "--depends", OTHER),
        *("--batch-timeout", "1.5h", "--starts-at", "2026-11-23T18:30:00+09:00", "--resource-opts", "shmem=64"),
        "python:3.11",
    )
    assert (done.status, done.out) == (0, f"{SID}\n")
    body = manager.created
    assert {key: body[key] for key in ("name", "type", "startupCommand", "enqueueOnly", "priority", "tag")} == {
        "name": "training",
        "type": "batch",
        "startupCommand": "python train.py",
        "enqueueOnly": True,
        "priority": 30,
        "tag": "mine",
    }
    assert body["dependencies"] == [SID, OTHER]
    assert body["batch_timeout"] == 5400
    assert datetime.fromisoformat(body["starts_at"]) == datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    assert body["config"]["environ"] == {"A": "b=c"}
    assert body["config"]["resource_opts"] == {"shmem": "64m"}


def test_create_waits_until_it_runs(manager: Manager, bai: Bai) -> None:
    assert bai("create", "-q", "python") == Outcome(0, f"{SID}\n", "")
    assert not manager.created["enqueueOnly"]
    manager.create_answer = {"sessionId": OTHER, "status": "TIMEOUT"}
    done = bai("create", "--max-wait", "1", "python")
    assert (done.status, done.out) == (exit_codes.STILL_QUEUED, "")
    assert "is still in the queue: waits for 1 cuda.shares" in done.err


@pytest.mark.parametrize(("result", "status"), [("SUCCESS", 0), ("FAILURE", 0), ("UNDEFINED", exit_codes.REFUSED)])
def test_a_batch_session_that_is_over_at_once(manager: Manager, bai: Bai, result: str, status: int) -> None:
    manager.create_answer = {"sessionId": SID, "status": "TERMINATED"}
    manager.rows[0].update(status="TERMINATED", result=result, status_info="self-terminated")
    done = bai("create", "--type", "batch", "-c", "true", "-t", "quick", "python")
    assert (done.status, done.out) == (status, f"{SID}\n" if status == 0 else "")
    assert ("has ended already" in done.err) == (status == 0)


def test_a_time_from_now(manager: Manager, bai: Bai) -> None:
    bai("run", "--type", "batch", "--exec", "x", "--enqueue-only", "--starts-at", "2h", "python")
    left = datetime.fromisoformat(manager.created["starts_at"]) - datetime.now(UTC)
    assert timedelta(minutes=119) < left <= timedelta(hours=2)
    # without an offset a time is local
    bai("run", "--type", "batch", "--exec", "x", "--enqueue-only", "--starts-at", "2026-11-23 18:30", "python")
    assert datetime.fromisoformat(manager.created["starts_at"]) == datetime(2026, 11, 23, 18, 30).astimezone()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("create", "--type", "batch", "python"), "give -c CMD"),
        (("create", "-c", "x", "python"), "add --type batch, or run code with `bai-tui run -c`"),
        (("create", "--starts-at", "2h", "python"), "--starts-at is for batch sessions"),
        (("run", "-c", "x", "--batch-timeout", "2h", "python"), "--batch-timeout is for batch sessions"),
        (("create", "--starts-at", "tomorrow", "python"), "'tomorrow' is no time: write 2026-11-23T18:30"),
        (("create", "--type", "batch", "-c", "x", "--batch-timeout", "soon", "python"), "'soon' is no duration"),
        (("create", "--priority", "101", "python"), "101 is not in the range 0<=x<=100"),
        (("create", "-t", "x", "python"), "cannot be used"),
        (("create",), "Missing argument 'IMAGE'"),
        (("extend",), "Missing argument"),
        (("extend", "--by", "-1", "first"), "is no duration"),
        (("session", "set-priority", "first", "101"), "101 is not in the range"),
        (("session", "set-priority", "first", "high"), "is not a valid integer"),
        (("top", "--sort", "size"), "'size' is not one of"),
        (("top", "--interval", "0"), "0.0 is not in the range"),
    ],
)
def test_bad_input_is_one_sentence(manager: Manager, bai: Bai, words: tuple[str, ...], told: str) -> None:
    done = bai(*words)
    assert (done.status, done.out, done.err.count("\n")) == (exit_codes.USAGE, "", 1)
    assert done.err.startswith("bai-tui: ") and told in done.err
    assert not manager.created


def test_a_dependency_that_is_none_makes_no_session(manager: Manager, bai: Bai) -> None:
    done = bai("create", "--depends", "nothing", "python")
    assert (done.status, manager.created) == (exit_codes.NOT_FOUND, {})
    assert "'nothing'" in done.err and done.err.count("\n") == 1


# --- extend, set-priority ----------------------------------------------------------------------------------------


def test_extend(manager: Manager, bai: Bai) -> None:
    manager.handshake["bai-tui"] = {"capabilities": ["extend"]}
    manager.answers[f"POST /session/{SID}/extend"] = {"kept_until": "2026-11-23T05:00:00+00:00", "remaining": 7200}
    done = bai("extend", "--by", "2h", "first")
    assert done == Outcome(0, "first\n", "bai-tui: first: kept until 2026-11-23T05:00:00Z, 2h left\n")
    assert json.loads(manager.bodies[-1]) == {"seconds": 7200}
    manager.answers[f"POST /session/{SID}/extend"] = {"kept_until": None, "remaining": None}
    done = bai("session", "extend", "first", "--off", "nothing")
    assert (done.status, done.out) == (exit_codes.FAILED, "first\n")
    assert "first: not extended, no idle check ends it" in done.err
    assert [json.loads(body) for body in manager.bodies if b"seconds" in body][-1] == {"seconds": 0}


def test_a_cluster_cannot_extend(manager: Manager, bai: Bai) -> None:
    done = bai("extend", SID)
    assert (done.status, done.out, done.err.count("\n")) == (exit_codes.FAILED, "", 1)
    assert "Backend.AI has no such request" in done.err


def test_set_priority(manager: Manager, bai: Bai) -> None:
    answer: Any = manager.graphql
    given: list[dict[str, Any]] = []

    def modify(query: str, variables: dict[str, Any]) -> Any:
        if "modify_compute_session" not in query:
            return answer(query, variables)
        given.append(variables["input"])
        return {"data": {"modify_compute_session": {"item": {"priority": min(50, variables["input"]["priority"])}}}}

    manager.graphql = modify
    assert bai("session", "set-priority", "second", "20") == Outcome(0, "second\n", "")
    assert given == [{"id": OTHER, "priority": 20}]
    done = bai("session", "set-priority", "second", "90")
    assert done.err == "bai-tui: second: the server gave it the priority 50\n"


# --- warnings ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        (
            "bai_idle_warning",
            {"check": "network_timeout", "remaining": 119.5},
            "the session s is going to be ended in 2m: nobody uses it; `bai-tui extend s` keeps it",
        ),
        (
            "bai_overuse_warning",
            {"resource": "gpu", "device": "gpu0", "used_bytes": 9 * 2**30, "limit_bytes": 2**33},
            "the session s uses 9g of memory of gpu0, its share is 8g: if it goes on so, it is ended",
        ),
        (
            "bai_overuse_warning",
            {"resource": "mem", "device": None, "used_bytes": 2**30, "limit_bytes": 2**29},
            "the session s uses 1g of memory, its share is 512m: if it goes on so, it is ended",
        ),
        (
            "bai_overuse_warning",
            {"resource": "mem", "device": "", "used_bytes": 2**30, "limit_bytes": 2**29, "held": True},
            "the session s uses 1g of memory, its share is 512m: the system lets it have no more",
        ),
        (
            "bai_overuse_warning",
            {"resource": "disk", "device": "", "used_bytes": 19 * 2**20, "limit_bytes": 20 * 2**20},
            "the session s uses 19m of the disk in its work folder, its share is 20m: if it goes on so, it is ended",
        ),
        (
            "bai_device_lost",
            {"device": "gpu1", "problem": "the driver does not answer"},
            "the device gpu1 of the session s is gone: the driver does not answer",
        ),
        ("bai_device_returned", {"device": "gpu1", "problem": ""}, "the device gpu1 of the session s is back"),
        ("session_started", {}, None),
    ],
)
def test_warnings_in_words(name: str, data: dict[str, Any], told: str | None) -> None:
    assert warning_of(EventView(name, SID, "s", data=data), "s") == told


def test_run_passes_warnings_on(manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    heard = threading.Event()

    def say(text: str) -> None:
        said.append(text)
        if "going to be ended" in text:
            heard.set()

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        told = json.dumps({"check": "session_lifetime", "remaining": 60, "sessionId": SID})
        await response.write(f"event: bai_idle_warning\ndata: {told}\n\n".encode())
        assert await asyncio.to_thread(heard.wait, 20)
        manager.interrupted.set()  # now the code may end
        await manager.stuck.wait()
        return response

    monkeypatch.setattr("bai_tui.app.cli.execution._WATCH_AFTER_S", 0.0)
    monkeypatch.setattr("bai_tui.app.cli.execution.say", say)
    manager.handshake["bai-tui"] = {"capabilities": ["stats"]}
    manager.answers["GET /events/session"] = events
    manager.frames = ["wait-interrupt", {"status": "finished", "exitCode": 0}]
    assert bai("run", "-t", "first-session", "-c", "x", "python").status == 0
    assert said[-1] == "the session first-session is going to be ended in 1m: its lifetime is over"
    assert f"GET /events/session?sessionId={SID}&scope=*" in manager.targets()


def test_a_cluster_is_not_asked_for_warnings(manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bai_tui.app.cli.execution._WATCH_AFTER_S", 0.0)
    assert bai("run", "--rm", "-c", "x", "python").status == 0
    assert not any("/events" in target for target in manager.targets())


def test_after_a_lost_connection_the_session_is_said_to_go_on(manager: Manager, bai: Bai) -> None:
    manager.frames = ["drop"]
    done = bai("run", "-t", "first-session", "-c", "x", "python")
    assert done.status == exit_codes.UNREACHABLE
    assert done.err.endswith("; the session goes on, `bai-tui logs first-session` shows its output\n")
    assert "goes on" not in bai("run", "--rm", "-c", "x", "python").err
