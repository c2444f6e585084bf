"""`top`: the frame, one sample, many in a pipe, the live display of a terminal, lost connections."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.cli import exit_codes, frames, watching
from bai_tui.app.cli.frames import Moment, Style
from bai_tui.app.cli.tables import width_of
from bai_tui.app.client.parsing import session_view
from bai_tui.app.client.views import DeviceView, MachineView, StatsView
from bai_tui.app.model.metrics import parse_metrics
from bai_tui.app.model.slots import ResourceSlots

from ..client.conftest import problem
from .conftest import OTHER, SID, Manager, Outcome
from .test_commands import MEASURED
from .test_processes import Terminal

Bai = Callable[..., Outcome]
MEASURED_STAT = json.loads(MEASURED["containers"][0]["live_stat"])  # type: ignore[index]
GPU = DeviceView(
    id="gpu0",
    model="Mock A100",
    kind="mock",
    capacity=Decimal(1),
    mem_bytes=16 * 2**30,
    promised={SID: Decimal("0.5"), OTHER: Decimal("0.25")},
    mem_used_bytes=4 * 2**30,
    util_pct=35.0,
    temperature_c=60.0,
    power_w=120.0,
)


def moment(**changes: Any) -> Moment:
    running = session_view(
        {
            "id": SID,
            "name": "train",
            "status": "RUNNING",
            "image": "python:3.11-debian12",
            "occupying_slots": json.dumps({"cpu": "1", "mem": str(2**30), "cuda.shares": "0.5"}),
            "created_at": "2026-11-23T03:30:29+00:00",
            "idle_checks": MEASURED["idle_checks"],
        }
    )
    waiting = session_view(
        {
            "id": OTHER,
            "name": "waits",
            "status": "PENDING",
            "status_data": json.dumps({"scheduler": {"msg": "waits for 0.5 cuda.shares; 1st in the queue"}}),
        }
    )
    stats = StatsView(
        time_s=1763870000.0,
        sessions={SID: parse_metrics(MEASURED_STAT)},
        gpus=(GPU,),
        cpu_pct=12.34,
        mem_used_bytes=3 * 2**30,
    )
    machine = MachineView(
        ResourceSlots({"cpu": 8, "mem": 16 * 2**30, "cuda.shares": 1}),
        ResourceSlots({"cpu": 1, "mem": 2**30, "cuda.shares": Decimal("0.75")}),
        (GPU,),
    )
    whole = Moment(server="local", stats=stats, sessions=[waiting, running], machine=machine)
    return replace(whole, **changes)


def shown(one: Moment, sort: str = "cpu", width: int | None = None, height: int | None = None) -> list[str]:
    return frames.lines(one, sort, width=width, height=height, style=Style(False))


def test_a_whole_frame() -> None:
    title, machine, gpu, empty, header, first, second = shown(moment())
    assert title.endswith(" local  1 pending, 1 running  by cpu")
    assert machine == "cpu 12%, memory 3g used; promised cpu 1/8, mem 1g/16g, gpu 0.75/1"
    assert gpu == (
        "gpu0 Mock A100 (mock)  promised ████████████░░░░ 0.75/1 | used ████░░░░░░░░░░░░ 4g/16g  35%  60C  120W"
    )
    assert empty == ""
    assert header.split() == list(frames._HEADER)
    assert re.split(r"  +", first)[:7] == ["train", "RUNNING", "37%/100%", "300m/1g", "2g/8g", "35%/50%", "29m"]
    assert second.startswith("waits  PENDING  -") and second.endswith("waits for 0.5 cuda.shares; 1st in the queue")


def test_what_a_server_does_not_tell_is_not_made_up() -> None:
    bare = moment(
        stats=StatsView(time_s=0.0, sessions={}), machine=MachineView(ResourceSlots(), ResourceSlots()), sessions=[]
    )
    title, machine, *_ = shown(bare)
    assert "no sessions" in title
    assert machine == "the server tells nothing of its machines"
    data = frames.as_json(bare)
    assert (data["cpu_pct"], data["mem_used_bytes"], data["gpus"], data["sessions"]) == (None, None, [], [])


@pytest.mark.parametrize(
    ("change", "end"),
    [
        ({"lost": True}, " 0.75/1 | lost"),
        ({"mem_used_bytes": None}, " 0.75/1 | use is not measured"),
        ({"util_pct": None, "temperature_c": None, "power_w": None}, "4g/16g"),
        ({"mem_used_bytes": 0}, "| used ░░░░░░░░░░░░░░░░ 0/16g  35%  60C  120W"),
        ({"mem_used_bytes": 1}, "| used █░░░░░░░░░░░░░░░ 1/16g  35%  60C  120W"),
        ({"mem_used_bytes": 16 * 2**30 - 1}, "| used ███████████████░ 16g/16g  35%  60C  120W"),
        ({"mem_used_bytes": 20 * 2**30}, "| used ████████████████ 20g/16g  35%  60C  120W"),
    ],
)
def test_a_gpu(change: dict[str, Any], end: str) -> None:
    one = moment()
    gpus = (replace(GPU, **change),)
    assert shown(replace(one, stats=replace(one.stats, gpus=gpus)))[2].endswith(end)


@pytest.mark.parametrize("width", [160, 100, 80, 60, 40])
def test_a_frame_fits_a_terminal(width: int) -> None:
    found = shown(moment(), width=width, height=24)
    others = [line for line in found if " | used " not in line]  # the terminal cuts what is too long of a GPU's bars
    assert max(map(width_of, others)) <= width
    assert any(line.startswith("train") and "37%/100%" in line for line in found)


def test_what_has_no_room_is_counted() -> None:
    many = [replace(moment().sessions[1], id=str(number), name=f"s{number:02d}") for number in range(30)]
    found = shown(moment(sessions=many), "name", width=120, height=12)
    assert len(found) == 12
    assert found[-1] == "... and 24 more"
    assert [line.split()[0] for line in found[5:-1]] == [f"s{number:02d}" for number in range(6)]
    assert len(shown(moment(sessions=many), width=120, height=3)) <= 6  # a terminal of three lines: no error


def test_the_order() -> None:
    base = moment().sessions[1]
    stats = {"a": (1.0, 5.0), "b": (3.0, 1.0), "c": (2.0, 9.0)}
    sessions = [
        replace(base, id=name, name=name, idle_remaining_s=left, created_at=datetime(2026, 1, day, tzinfo=UTC))
        for name, left, day in (("c", None, 1), ("a", 60.0, 3), ("b", 30.0, 2))
    ]
    used = {
        name: parse_metrics({"cpu_util": {"current": str(cpu)}, "mem": {"current": str(mem)}})
        for name, (cpu, mem) in stats.items()
    }
    one = moment(sessions=sessions, stats=replace(moment().stats, sessions=used))
    for sort, order in (
        ("cpu", "bca"),
        ("mem", "cab"),
        ("name", "abc"),
        ("idle", "bac"),
        ("age", "abc"),
        ("gpu", "abc"),
    ):
        assert "".join(line[0] for line in shown(one, sort)[5:]) == order, sort


def test_colours_are_an_option_and_names_are_harmless() -> None:
    evil = moment(sessions=[replace(moment().sessions[1], name="x\x1b]0;t\x07\ny")], server="local")
    assert not any("\x1b" in line for line in shown(evil))
    coloured = frames.lines(evil, "cpu", width=120, height=24, style=Style(True))
    assert "\x1b[32m████████████\x1b[0m" in coloured[2]
    assert not any("]0;" in line and "\x1b]" in line for line in coloured)
    assert frames.lines(moment(problem="gone\x1b[2J"), "cpu", width=99, height=9, style=Style(False))[0].endswith(
        "gone?[2J"
    )


# --- against a server --------------------------------------------------------------------------------------------


def backend(manager: Manager, rounds: int = 1000) -> None:
    """Makes the manager ours: it pushes a round as soon as the one before is out."""
    manager.handshake["bai-tui"] = {"capabilities": ["devices", "stats"]}
    manager.rows[0].update(MEASURED)
    gpu = {"id": "gpu0", "model": "Mock", "kind": "mock", "capacity": "1", "mem_bytes": 2**34, "promised": {SID: "0.5"}}
    manager.answers["GET /machine"] = {
        "available": {"cpu": "2", "cuda.shares": "1"},
        "occupied": {"cpu": "1", "cuda.shares": "0.5"},
        "gpus": [{**gpu, "mem_used_bytes": 2**32, "util_pct": 35}],
    }

    async def events(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        gpus = manager.answers["GET /machine"]["gpus"] if rounds else []
        told = {"cpu_pct": 5, "mem_used_bytes": 2**30, "sessions": {SID: MEASURED_STAT}}
        for number in range(rounds):
            if request.transport is None or request.transport.is_closing():
                break
            data = json.dumps({**told, "time": 1763870000 + number, "gpus": gpus})
            with suppress(ConnectionError):
                await response.write(f"event: bai_stats\ndata: {data}\n\n".encode())
            await asyncio.sleep(0.02)
        with suppress(ConnectionError):
            await response.write(b"event: server_close\ndata: {}\n\n")
        return response

    manager.answers["GET /events/session"] = events


def test_one_sample(manager: Manager, bai: Bai) -> None:
    backend(manager)
    done = bai("top", "--once")
    assert (done.status, done.err) == (0, "")
    assert "cpu 5.0%, memory 1g used; promised cpu 1/2, gpu 0.5/1" in done.out
    assert "gpu0 Mock (mock)  promised ████████░░░░░░░░ 0.5/1 | used ████░░░░░░░░░░░░ 4g/16g  35%" in done.out
    lines = done.out.splitlines()
    assert lines[-2].startswith("first-session  RUNNING  37%/100%  300m/1g  2g/8g    35%/50%  29m")
    assert lines[-1].endswith("waits for 1 cuda.shares")


def test_one_sample_as_data(manager: Manager, bai: Bai) -> None:
    backend(manager)
    done = bai("top", "--once", "--output", "json")
    assert done.out.count("\n") == 1
    data = json.loads(done.out)
    assert (data["cpu_pct"], data["gpus"][0]["util_pct"], data["gpus"][0]["promised"]) == (5.0, 35.0, {SID: "0.5"})
    assert data["sessions"][0]["live_stat"]["cpu_util"]["current"] == "37"
    assert data["sessions"][1]["status"] == "PENDING"


def test_a_cluster_tells_of_its_sessions(manager: Manager, bai: Bai) -> None:
    used = {"cpu_util": {"current": "370", "capacity": "1000", "unit_hint": "millicores"}}
    manager.rows[0].update(status_data=None, containers=[{"live_stat": json.dumps(used)}])
    manager.answers["POST /resource/check-presets"] = {
        "scaling_groups": {"default": {"using": {"cpu": "1"}, "remaining": {"cpu": "3"}}}
    }
    answer: Any = manager.graphql
    manager.graphql = lambda query, variables: (
        {"errors": [{"message": "no"}]} if "agent_list" in query else answer(query, variables)
    )
    done = bai("top", "--once")
    assert (done.status, done.err) == (0, "")
    assert "promised cpu 1/4" in done.out and "37%/100%" in done.out
    assert manager.url in done.out.splitlines()[0]


def test_nobody_answers(bai: Bai, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKEND_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("BACKEND_ACCESS_KEY", "a")
    monkeypatch.setenv("BACKEND_SECRET_KEY", "b")
    for words in (("top", "--once"), ("top",)):
        done = bai(*words)
        assert (done.status, done.out, done.err.count("\n")) == (exit_codes.UNREACHABLE, "", 1)


def piped(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "bai_tui", "top", "--interval", "1", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": "error"},
    )


def test_a_pipe_gets_one_sample_after_the_other_over_lost_connections(manager: Manager) -> None:
    backend(manager, rounds=5)
    with piped("--output", "json") as process:
        assert process.stdout is not None and process.stderr is not None
        samples = [json.loads(process.stdout.readline()) for _ in range(2)]
        assert process.stderr.readline().endswith("has stopped telling: is it being restarted?\n")
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == exit_codes.INTERRUPTED
    assert [len(sample["sessions"]) for sample in samples] == [2, 2]
    assert "Traceback" not in err


def test_a_backend_that_is_starting_is_waited_for_and_one_that_refuses_is_not(manager: Manager) -> None:
    backend(manager, rounds=0)
    whole = manager.answers["GET /machine"]
    # a sample asks twice
    answers = iter([None, None, (503, "service-unavailable"), (403, "generic-forbidden")])

    async def machine(request: web.Request) -> web.StreamResponse:
        refusal = next(answers)
        return web.json_response(whole) if refusal is None else problem(*refusal, "Not now.")

    manager.answers["GET /machine"] = machine
    with piped("--output", "json") as process:
        out, err = process.communicate(timeout=30)
    assert process.returncode == exit_codes.DENIED
    assert out.count("\n") == 1
    assert [line.rpartition(": ")[2] for line in err.splitlines()] == ["is it being restarted?", "Not now."]


def test_text_into_a_pipe_that_nobody_reads_any_more(manager: Manager) -> None:
    backend(manager)
    with piped() as process:
        assert process.stdout is not None and process.stderr is not None
        block = [process.stdout.readline() for _ in range(8)]
        assert block[-1] == "\n" and "first-session" in block[5] and "\x1b" not in "".join(block)
        process.stdout.close()
        assert process.stderr.read() == ""
        assert process.wait(20) == exit_codes.BROKEN_PIPE


# --- on a terminal -----------------------------------------------------------------------------------------------


def modes(terminal: Terminal) -> int:
    return int(termios.tcgetattr(terminal.master)[3]) & (termios.ICANON | termios.ECHO)


def test_the_live_display(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    backend(manager)
    terminal = Terminal("top", "--interval", "1", columns=160)
    before = modes(terminal)
    terminal.until(b"first-session")
    assert terminal.seen.startswith(b"\x1b[?1049h\x1b[?25l") and b"IMAGE" in terminal.seen
    assert modes(terminal) == 0 != before
    assert b"\x1b[32m" in terminal.seen
    assert b"\x1b[2J" not in terminal.seen, "a screen that is erased flickers"
    terminal.type(b"\x1b[A")  # an arrow means nothing
    terminal.type(b"s")
    terminal.until(b"by mem")
    termios.tcsetwinsize(terminal.master, (10, 60))
    os.kill(terminal.process.pid, signal.SIGWINCH)
    frame = b"IMAGE"
    while b"IMAGE" in frame or "█".encode() not in frame:  # frames of before the resize may still be under way
        terminal.until(b"\x1b[J")
        frame, _, terminal.seen = terminal.seen.partition(b"\x1b[J")
    terminal.type(b"q")
    assert terminal.end() == 0
    assert terminal.seen.endswith(b"\x1b[?7h\x1b[?25h\x1b[?1049l")


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_leave_the_terminal_as_it_was(
    manager: Manager, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, status: int
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    backend(manager)
    terminal = Terminal("top")
    before = modes(terminal)
    terminal.until(b"first-session")
    os.kill(terminal.process.pid, number)
    kept = os.dup(terminal.master)
    assert terminal.end() == status
    terminal.master = kept
    assert modes(terminal) == before
    os.close(kept)
    assert terminal.seen.endswith(b"\x1b[?1049l")
    assert b"\x1b[32m" not in terminal.seen and b"\x1b[7m" not in terminal.seen
    assert b"Traceback" not in terminal.seen


def test_a_lost_connection_is_shown_and_taken_up_again(manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    backend(manager, rounds=1)
    terminal = Terminal("top", columns=140)
    terminal.until(b"has stopped telling")
    terminal.seen = b""
    terminal.until(b"by cpu")  # the next connection's first sample
    terminal.type(b"q")
    assert terminal.end() == 0


def test_an_error_on_a_terminal_is_said_after_the_screen_is_given_back(
    manager: Manager, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("BACKEND_SECRET_KEY", "wrong")
    terminal = Terminal("top")
    assert terminal.end() == exit_codes.DENIED
    assert b"\x1b[?1049l" in terminal.seen
    assert terminal.seen.rpartition(b"\x1b[?1049l")[2].startswith(b"bai-tui: Credential/signature mismatch")
    manager.refused.clear()


def test_a_dumb_terminal_gets_plain_text(manager: Manager, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TERM", "dumb")
    backend(manager)
    terminal = Terminal("top", columns=100)
    terminal.until(b"first-session")
    os.kill(terminal.process.pid, signal.SIGINT)
    terminal.end()
    assert b"\x1b" not in terminal.seen


class Crowd:
    """A client whose sessions are few or many."""

    def __init__(self, waiting: int) -> None:
        self.asked: list[str] = []
        self.waiting = [replace(moment().sessions[0], id=f"w{number}") for number in range(waiting)]
        self.started = [moment().sessions[1]]

    async def all_sessions(self, statuses: list[str]) -> list[Any]:
        self.asked.append("queue" if statuses == ["PENDING"] else "started")
        return list(self.waiting if statuses == ["PENDING"] else self.started)


@pytest.mark.parametrize(("waiting", "queue_asked"), [(3, 3), (150, 1)])
async def test_a_long_queue_is_not_asked_for_every_second(waiting: int, queue_asked: int) -> None:
    endpoint: Any = None
    crowd: Any = Crowd(waiting)
    follower = watching.Follower(endpoint, 1.0)
    for _ in range(3):
        assert len(await follower._sessions(crowd)) == waiting + 1
    assert (crowd.asked.count("queue"), crowd.asked.count("started")) == (queue_asked, 3)
    crowd.started.append(replace(crowd.waiting.pop(), status_text="RUNNING"))
    found = await follower._sessions(crowd)
    assert len({view.id for view in found}) == len(found) == waiting + 1, "one that has started is told of once"
    assert [view.status_text for view in found].count("RUNNING") == 2
