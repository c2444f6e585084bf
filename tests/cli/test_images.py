"""`bai-tui image`: what it prints, where, and with which status; on our backend and on a cluster."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.cli.notices import warning_of
from bai_tui.app.cli.progress import ProgressLine
from bai_tui.app.client.parsing import event_view

from .conftest import SID, Manager, Outcome, command, rest

Bai = Callable[..., Outcome]
TASK = "0d6d1a4c-2a55-4b1e-9f0e-6d5b8f3a7c11"


def row(name: str, tag: str, **more: Any) -> dict[str, Any]:
    """An image as our backend tells it."""
    return {
        "id": f"00000000-0000-4000-8000-{abs(hash((name, tag))) % 10**12:012d}",
        "name": name,
        "tag": tag,
        "registry": "local",
        "architecture": "x86_64",
        "aliases": [],
        "size_bytes": 0,
        "installed": True,
        "bai_state": "READY",
        "bai_kind": "python",
        "bai_language": "python",
        "bai_runtime_version": tag.partition("-")[0],
        **more,
    }


class Shelf:
    """What a backend of ours tells of its images, and does with them."""

    def __init__(self, manager: Manager) -> None:
        self.images = [
            row("python", "3.11-debian12", aliases=["python", "python:3.11"]),
            row(
                "python-data",
                "3.11-debian12",
                bai_kind="recipe",
                bai_state="BUILDABLE",
                installed=False,
                bai_reason="its environment has not been built yet",
                bai_packages=["numpy", "pandas"],
                size_bytes=400 << 20,
                bai_prepare_s=15,
                aliases=["python-data"],
            ),
            row(
                "stable/r-base",
                "4.4",
                registry="cr.example.org",
                bai_kind="container",
                bai_state="PULLABLE",
                installed=False,
                bai_language="r",
            ),
            row(
                "python-tensorflow",
                "1.12-py36",
                bai_kind="recipe",
                bai_state="UNAVAILABLE",
                installed=False,
                bai_reason="it needs Python ==3.6.*\x1b[2J, and here is 3.11",
            ),
        ]
        self.news: list[Any] = [("bgtask_done", {"message": "built"})]
        """(name, data) of the task; `wait` waits for the cancellation."""
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.begun = threading.Event()
        self.cancelled = asyncio.Event()
        self.leads: dict[str, str] = {}
        """Alias of the user's -> where it leads."""
        manager.handshake = {**manager.handshake, "bai-tui": {"version": "0", "capabilities": ["images"]}}
        manager.graphql = self._answer
        manager.answers["GET /events/background-task"] = self._stream
        manager.answers[f"POST /image/tasks/{TASK}/cancel"] = self._cancel
        manager.answers["GET /image/log"] = {"log": "resolving\ninstalling numpy"}

    def _answer(self, query: str, variables: dict[str, Any]) -> Any:
        self.asked.append((query, variables))
        if "bai_image_aliases" in query:
            shipped = {"name": "python:3.6-ubuntu18.04", "targets": ["python:3.6", "python"], "shipped": True}
            own = {"name": "work:latest", "targets": ["python-gone"], "shipped": False}
            own["leads_to"] = self.leads.get("work:latest")
            return {"data": {"bai_image_aliases": [own, {**shipped, "leads_to": "python:3.11-debian12"}]}}
        if "mutation" in query:
            field = query.partition("){")[2].partition("(")[0]
            payload = {"ok": True, "msg": "", "task_id": TASK}
            if field == "unload_image" and variables["references"] != ["python-data"]:
                payload = {"ok": False, "msg": "there is nothing to remove of it", "bai_code": "image_setup_failed"}
            return {"data": {field: payload}}
        if "images{" in query:
            return {"data": {"images": self.images}}
        asked = str(variables["reference"])
        for image in self.images:
            registry = "" if image["registry"] == "local" else f"{image['registry']}/"
            full = f"{registry}{image['name']}:{image['tag']}"
            if asked in (full, *image["aliases"]):
                return {"data": {"image": {**image, "bai_notice": None}}}
        if asked == "python:3.11-ubuntu22.04" and variables["substitute"]:
            notice = "python:3.11-ubuntu22.04 is not here; running python:3.11-debian12"
            return {"data": {"image": {**self.images[0], "bai_notice": notice}}}
        return {"data": {"image": None}}

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for one in self.news:
            if one == "wait":
                self.begun.set()
                await self.cancelled.wait()
                continue
            name, data = one
            await response.write(f"event: {name}\ndata: {json.dumps({'task_id': TASK, **data})}\n\n".encode())
        return response

    async def _cancel(self, _: web.Request) -> web.StreamResponse:
        self.cancelled.set()
        return web.Response(status=204)


@pytest.fixture
def shelf(manager: Manager) -> Shelf:
    return Shelf(manager)


def test_the_list_tells_what_is_wrong_in_what_the_user_has_written(shelf: Shelf, manager: Manager, bai: Bai) -> None:
    wrong = "/away in images.venvs is no virtual environment"
    manager.answers["GET /manager/announcement"] = {"enabled": True, "message": wrong}
    done = bai("image", "list", "--name-only")
    assert (done.err, len(done.out.splitlines())) == (f"bai-tui: {wrong}\n", 4)


def test_the_list_tells_state_and_why(shelf: Shelf, bai: Bai) -> None:
    done = bai("image", "list")
    lines = done.out.splitlines()
    assert (done.status, done.err) == (0, "")
    assert lines[0].split() == ["IMAGE", "STATE", "LANGUAGE", "SIZE", "ALIASES", "WHY"]
    assert lines[1].split() == ["python:3.11-debian12", "ready", "python", "3.11", "-", "python,", "python:3.11", "-"]
    assert "can be built" in lines[2] and "400m" in lines[2] and "has not been built yet" in lines[2]
    assert lines[3].startswith("cr.example.org/") and "can be pulled" in lines[3]
    assert "unavailable" in lines[4] and "needs Python ==3.6.*?[2J, and here is 3.11" in lines[4]
    shelf.images[1]["bai_progress"] = {"current": 3, "total": 4, "message": "installing"}
    assert "being built, 75 %" in bai("images").out.splitlines()[2]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("--state", "ready"), ["python:3.11-debian12"]),
        (("--kind", "recipe", "--state", "buildable"), ["python-data:3.11-debian12"]),
        (("PANDAS", "python"), ["python-data:3.11-debian12"]),
        (("--kind", "jupyter"), []),
    ],
)
def test_the_list_is_filtered(shelf: Shelf, bai: Bai, words: tuple[str, ...], found: list[str]) -> None:
    assert bai("image", "list", "--name-only", *words).out.split() == found
    told = json.loads(bai("image", "list", "-o", "json", *words).out)
    assert [item["reference"] for item in told["items"]] == found and told["total_count"] == 4


def test_a_narrow_terminal_keeps_name_state_and_why() -> None:
    from bai_tui.app.cli.images import _FLEXIBLE, _HEADER, _OPTIONAL
    from bai_tui.app.cli.tables import lines_of

    why = "it needs Python ==3.6.*, and here is 3.13, 3.12, 3.11: install one, with pyenv for example"
    rows = [["python-tensorflow:1.12-py36", "unavailable", "python", "2.5g", "python-tensorflow, tf", why]]
    header, line = lines_of(_HEADER, rows, _FLEXIBLE, optional=_OPTIONAL, room=80)
    assert header.split() == ["IMAGE", "STATE", "LANGUAGE", "WHY"] and len(line) <= 80
    assert line.startswith("python-tensorflow:1.12-py36") and "it needs Python ==3.6" in line
    assert lines_of(_HEADER, rows, _FLEXIBLE, optional=_OPTIONAL, room=40)[0].split() == ["IMAGE", "STATE"]


def test_info(shelf: Shelf, bai: Bai) -> None:
    lines = bai("image", "info", "python-data").out.splitlines()
    told = {line[:12].strip(): line[12:].strip() for line in lines if line[:12].strip()}
    assert told["Image"] == "python-data:3.11-debian12" and told["State"] == "can be built"
    assert "another name" in told["Asked for"] and told["Packages"] == "numpy, pandas" and told["Size"] == "400m"
    assert any(line.strip() == "takes about 15s; its environment has not been built yet" for line in lines)
    other = bai("image", "info", "python:3.11-ubuntu22.04")
    assert "is not here; running python:3.11-debian12" in other.out
    refused = bai("image", "info", "--exact", "python:3.11-ubuntu22.04")
    assert (refused.status, refused.out) == (66, "") and "there is no image" in refused.err
    assert json.loads(bai("image", "info", "-o", "json", "python-data").out)["state"] == "can be built"


def test_build_tells_how_far_it_is_and_prints_the_name(shelf: Shelf, bai: Bai) -> None:
    shelf.news = [
        ("bgtask_updated", {"current_progress": 1, "total_progress": 4, "message": "fetching \x1b[2Jnumpy"}),
        ("bgtask_done", {"message": "built"}),
    ]
    done = bai("image", "build", "python-data")
    assert (done.status, done.out) == (0, "python-data:3.11-debian12\n")
    lines = done.err.splitlines()
    assert lines[0] == "bai-tui: python-data leads to python-data:3.11-debian12"
    assert lines[1] == "bai-tui: python-data:3.11-debian12: 25 %, fetching ?[2Jnumpy"
    assert lines[2].startswith("bai-tui: python-data:3.11-debian12 is ready: built in 0:") and lines[2].endswith("400m")
    assert bai("image", "build", "-q", "python-data") == Outcome(0, "python-data:3.11-debian12\n", "")


def test_pull_of_a_recipe_builds_and_build_of_a_container_image_pulls(shelf: Shelf, bai: Bai) -> None:
    assert "comes from a recipe: it is built" in bai("image", "pull", "python-data:3.11-debian12").err
    done = bai("image", "build", "cr.example.org/stable/r-base:4.4")
    assert "is an image of a registry: it is pulled" in done.err and "pulled in 0:" in done.err
    shelf.images[1]["bai_state"] = "READY"
    ready = bai("image", "build", "python-data")
    assert ready.status == 0 and "is ready; --anew makes it once more" in ready.err
    assert not any("preload_image" in query and given.get("anew") for query, given in shelf.asked)
    assert bai("image", "build", "--anew", "python-data").status == 0
    assert shelf.asked[-2][1] == {"references": ["python-data:3.11-debian12"], "anew": True}


def test_what_was_found_is_not_built(shelf: Shelf, bai: Bai) -> None:
    for options in ((), ("--anew",)):
        done = bai("image", "build", *options, "python:3.11-debian12")
        assert (done.status, done.out) == (0, "python:3.11-debian12\n")
        assert done.err == (
            "bai-tui: python:3.11-debian12 is ready; it was found on the machine: there is nothing to build\n"
        )
    assert not any("preload_image" in query for query, _ in shelf.asked)


def test_a_build_that_fails_says_why_and_where_the_log_is(shelf: Shelf, bai: Bai) -> None:
    shelf.news = [("bgtask_failed", {"message": "installing the packages failed: no space left on device"})]
    done = bai("image", "build", "python-data:3.11-debian12")
    assert done == Outcome(
        1,
        "",
        "bai-tui: installing the packages failed: no space left on device; "
        "`bai-tui image log python-data:3.11-debian12` prints the log\n",
    )
    assert bai("image", "build", "-q", "--log", "python-data").out == "resolving\ninstalling numpy\n"
    assert bai("image", "log", "python-data") == Outcome(0, "resolving\ninstalling numpy\n", "")
    shelf.news = [("bgtask_cancelled", {"message": ""})]
    assert "somebody else has cancelled it" in bai("image", "build", "python-data").err
    assert bai("image", "build", "pythn-data").status == 66


def test_ctrl_c_cancels_a_build(shelf: Shelf) -> None:
    shelf.news = [("bgtask_updated", {"message": "x"}), "wait", ("bgtask_cancelled", {"message": ""})]
    with command("image", "build", "python-data:3.11-debian12") as process:
        assert shelf.begun.wait(20)
        assert process.stderr is not None and process.stderr.readline().endswith(": x\n")
        os.kill(process.pid, signal.SIGINT)
        out, err = rest(process)
    assert (process.returncode, out) == (130, "")
    assert err.splitlines()[-1] == "bai-tui: python-data:3.11-debian12 was not built: cancelled"


def test_rm_alias_and_rescan(shelf: Shelf, bai: Bai) -> None:
    assert bai("image", "rm", "python-data").out == "python-data\n"
    several = bai("image", "rm", "python", "python-data")
    assert (several.status, several.out) == (1, "python-data\n") and "nothing to remove" in several.err
    lines = bai("image", "alias").out.splitlines()
    assert lines[1].split("  ")[0] == "work" and "nothing that is here" in lines[1] and lines[1].endswith("yours")
    assert "python:3.6, python" in lines[2] and lines[2].endswith("shipped")
    made = bai("image", "alias", "work", "python-gone")
    assert made.out == "work\n"
    assert made.err == "bai-tui: there is no image 'python-gone' here; work leads to it once there is\n"
    assert shelf.asked[-2][1] == {"alias": "work", "target": "python-gone"}
    shelf.leads["work:latest"] = "work"
    assert bai("image", "alias", "work", "python").err == (
        "bai-tui: there is an image work, which goes before aliases of its name\n"
    )
    shelf.leads["work:latest"] = "python-data:3.11"
    assert bai("image", "alias", "work", "python-data") == Outcome(0, "work\n", "")
    assert shelf.asked[-2][1] == {"alias": "work", "target": "python-data"}
    assert bai("image", "alias", "work").status == 2
    assert bai("image", "dealias", "work").out == "work\n"
    assert bai("image", "rescan").err == "bai-tui: 4 images, the same as before\n"


def test_run_shows_how_far_its_image_is(
    shelf: Shelf, manager: Manager, bai: Bai, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bai_tui.app.cli.execution._TELL_AFTER_S", 0.0)
    manager.create_answer = "hold"
    known = manager.graphql
    assert known is not None

    looks = []

    def answer(query: str, variables: dict[str, Any]) -> Any:
        if "compute_session" not in query:
            return known(query, variables)
        mine = {"id": SID, "name": "mine", "status": "PULLING", "image": "python-data:3.11"}
        if "compute_session(" in query:
            looks.append(query)
            if len(looks) == 3:  # before and after it has connected, and after the last event: it has read the others
                manager.create_answer = {"sessionId": SID, "status": "ERROR"}
                manager.stuck.set()
            return {"data": {"compute_session": mine}}
        return {"data": {"compute_session_list": {"items": [mine], "total_count": 1}}}

    async def events(request: web.Request) -> web.StreamResponse:
        assert request.query["progress"] == "true"
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for image, message in (("other:1", "of another image"), ("python-data:3.11", "fetching \x1b[2Jnumpy")):
            data = {"image": image, "state": "updated", "current": 1, "total": 2, "message": message}
            await response.write(f"event: bai_image_progress\ndata: {json.dumps(data)}\n\n".encode())
        await response.write(b'event: kernel_pulling\ndata: {"sessionName": "mine"}\n\n')
        await manager.stuck.wait()
        return response

    manager.graphql = answer
    manager.answers["GET /events/session"] = events
    done = bai("run", "--exact", "-t", "mine", "-c", "1", "python-data")
    assert done.err.splitlines()[0] == "bai-tui: python-data:3.11: 50 %, fetching ?[2Jnumpy"
    assert "of another image" not in done.err
    assert manager.created["config"]["resource_opts"] == {"exact_image": "true"}


def test_a_run_is_told_when_its_image_goes() -> None:
    data = {"sessionName": "mine", "image": "python:3.11", "reason": "its interpreter is gone"}
    gone = warning_of(event_view("bai_image_gone", data), "mine")
    assert gone is not None and "the image python:3.11 of the session mine is gone: its interpreter is gone" in gone
    assert "there again" in str(warning_of(event_view("bai_image_back", data), "mine"))


def test_a_cluster_says_what_it_cannot(manager: Manager, bai: Bai) -> None:
    row = {"name": "python", "tag": "3.11", "registry": "r", "installed": False}
    manager.graphql = lambda query, variables: {"data": {"image": row}}
    for words in (("image", "build", "-q", "r/python:3.11"), ("image", "log", "r/python:3.11")):
        refused = bai(*words)
        assert (refused.status, refused.out) == (65, "") and "is a cluster and" in refused.err, refused
        assert refused.err.count("\n") == 1


class Terminal(io.StringIO):
    """A stderr that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_is_one_line_that_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, now = Terminal(), [0.0]
    monkeypatch.setattr("sys.stderr", seen)
    monkeypatch.setenv("COLUMNS", "60")
    line = ProgressLine("python-data:3.11", clock=lambda: now[0])
    for step in range(200):
        now[0] += 0.01
        line.show(step, 200, "installing \x1b[2J" + "x" * 100)
    painted = seen.getvalue().split("\r")[1:]
    assert 15 <= len(painted) <= 22, "two seconds, ten times a second"
    assert all(one.endswith("\x1b[K") and "\x1b[2J" not in one and len(one) <= 59 + len("\x1b[K") for one in painted)
    assert line.line(60, 195, 200, "installing") == "python-data:3.11   97 %  0:02  installing"
    assert "█" * 19 + "░" in line.line(90, 195, 200, "installing")
    assert line.line(20, 195, 200, "installing") == " 97 %  0:02  insta…"
    line.clear()
    assert seen.getvalue().endswith("\r\x1b[K")


def test_progress_elsewhere_is_a_line_for_each_step(bai: Bai, capfd: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    line = ProgressLine("x", clock=lambda: now[0])
    for step in range(100):
        now[0] += 0.5
        line.show(step, 100, f"step {step // 50}")
    told = [text.removeprefix("bai-tui: x: ") for text in capfd.readouterr().err.splitlines()]
    assert told[0] == "0 %, step 0" and "50 %, step 1" in told and 10 <= len(told) <= 12
    ProgressLine("x", quiet=True).show(1, 2, "y")
    assert capfd.readouterr().err == ""
