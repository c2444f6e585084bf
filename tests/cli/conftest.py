"""The commands against the manager that `tests/client` plays, here in a thread, so that real processes can meet it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import pytest
from aiohttp import web
from bai_tui.app.backend.api import create_app, create_runner
from bai_tui.app.backend.ports import CreateRequest
from bai_tui.app.cli.main import invoke
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.tests.api import fakes
from bai_tui.tests.waiting import until

from ..client.conftest import ACCESS_KEY, SECRET_KEY, FakeServer, problem

T = TypeVar("T")
SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"
OTHER = "5e05ad83-0d9b-4bfc-8f4b-0b7bd9b7a001"


@dataclass
class Manager(FakeServer):
    """Two live sessions, and runs that follow a script: frames, or words that wait for something."""

    frames: list[Any] = field(default_factory=lambda: [{"status": "finished", "exitCode": 0}])
    """`wait-interrupt` and `drop` are words; the rest is sent."""
    inputs: list[str] = field(default_factory=list)
    run: dict[str, Any] = field(default_factory=dict)
    """First frame of the last run."""
    created: dict[str, Any] = field(default_factory=dict)
    """Body of the last creation."""
    create_answer: Any = field(default_factory=lambda: {"sessionId": SID, "status": "RUNNING"})
    deleted: list[str] = field(default_factory=list)
    uploaded: dict[str, bytes] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(
        default_factory=lambda: [
            {
                "id": SID,
                "name": "first-session",
                "status": "RUNNING",
                "image": "local/stable/python-tensorflow:1.12-py36-ubuntu18.04",
                "access_key": ACCESS_KEY,
                "occupying_slots": json.dumps({"cpu": "1", "mem": "1073741824", "cuda.shares": "0.5"}),
                "created_at": "2026-11-23T03:30:29+00:00",
                "status_info": None,
            },
            {
                "id": OTHER,
                "name": "second",
                "status": "PENDING",
                "image": "python:3.11",
                "access_key": ACCESS_KEY,
                "status_info": "waits for 1 cuda.shares",
            },
        ]
    )
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    stuck: asyncio.Event = field(default_factory=asyncio.Event)
    begun: threading.Event = field(default_factory=threading.Event)
    """Something worth waiting for in a test has begun: a held creation, or a run."""

    def __post_init__(self) -> None:
        self.graphql = self._graphql
        self.answers["POST /session"] = self._create
        for sid in (SID, OTHER):
            self.answers[f"DELETE /session/{sid}"] = self._delete
            self.answers[f"GET /stream/session/{sid}/execute"] = self._execute
            self.answers[f"POST /session/{sid}/interrupt"] = self._interrupt
            self.answers[f"POST /session/{sid}/upload"] = self._upload
            self.answers[f"GET /session/{sid}/logs"] = {"result": {"logs": "line\x1b[31m one\x1b[0m\n"}}
            self.answers[f"POST /session/{sid}/rename"] = 204

    def _graphql(self, query: str, variables: dict[str, Any]) -> Any:
        if "compute_session(" in query:
            found = [row for row in self.rows if row["id"] == variables["id"]]
            return {"data": {"compute_session": found[0] if found else None}}
        if "images{" in query:
            return {"data": {"images": [{"name": "python", "tag": "3.11", "registry": "r", "aliases": ["py"]}]}}
        fields = re.findall(r"(\w+)(?:\{[^}]*\})?", query.partition("items{")[2].rpartition("} total_count")[0])
        wanted = variables["status"].split(",")
        rows = [row for row in self.rows if row["status"] in wanted]
        page = rows[variables["offset"] : variables["offset"] + variables["limit"]]
        items = [{name: row.get(name) for name in fields} for row in page]
        return {"data": {"compute_session_list": {"items": items, "total_count": len(rows)}}}

    async def _create(self, request: web.Request) -> web.StreamResponse:
        self.created = await request.json()
        if self.create_answer == "hold":
            self.begun.set()
            await self.stuck.wait()
        if isinstance(self.create_answer, web.Response):
            return self.create_answer
        return web.json_response({"sessionName": self.created["name"], **self.create_answer}, status=201)

    async def _delete(self, request: web.Request) -> web.StreamResponse:
        self.deleted.append(request.raw_path)
        if self.rows and not any(row["id"] in request.path for row in self.rows):
            return problem(404, "object-not-found", "No such session.", error_code="session_read_not-found")
        stats = {"version": 2, "status": "terminated", "cpu_used": {"current": "12", "unit_hint": "msec"}}
        return web.json_response({"stats": stats})

    async def _interrupt(self, request: web.Request) -> web.StreamResponse:
        self.interrupted.set()
        return web.Response(status=204)

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        async for part in await request.multipart():
            self.uploaded[str(part.filename)] = bytes(await part.read())  # type: ignore[union-attr]
        return web.Response(status=204)

    async def _execute(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.run = await socket.receive_json()
        for frame in self.frames:
            if frame == "wait-interrupt":
                self.begun.set()
                await self.interrupted.wait()
                self.interrupted.clear()
                continue
            if frame == "drop":
                assert request.transport is not None
                request.transport.abort()
                break
            await socket.send_json(frame)
            if frame["status"] == "waiting-input":
                message = asyncio.ensure_future(socket.receive_str())
                stopped = asyncio.ensure_future(self.interrupted.wait())
                await asyncio.wait({message, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if message.done():
                    self.inputs.append(message.result())
                for task in (message, stopped):
                    task.cancel()
                await asyncio.gather(message, stopped, return_exceptions=True)
        await socket.close()
        return socket


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    """A running manager, told to the commands by the environment."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    state: dict[str, Any] = {}

    async def serve() -> None:
        fake = state["manager"] = Manager()
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", fake.handle)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        fake.url = "http://{}:{}".format(*runner.addresses[0][:2])
        stop = state["stop"] = asyncio.Event()
        ready.set()
        await stop.wait()
        fake.stuck.set()
        fake.interrupted.set()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="manager")
    thread.start()
    assert ready.wait(10)
    fake: Manager = state["manager"]
    monkeypatch.setenv("BACKEND_ENDPOINT", fake.url)
    monkeypatch.setenv("BACKEND_ACCESS_KEY", ACCESS_KEY)
    monkeypatch.setenv("BACKEND_SECRET_KEY", SECRET_KEY)
    yield fake
    loop.call_soon_threadsafe(state["stop"].set)
    thread.join(10)
    loop.close()
    assert not fake.refused


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def bai(capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Runs a command line in this process and returns its exit status and what it wrote."""

    def run(*arguments: str) -> Outcome:
        capfd.readouterr()
        status = invoke(list(arguments))
        return Outcome(status, *capfd.readouterr())

    return run


# --- a world with a backend of its own ---------------------------------------------------------------------------


class Done(NamedTuple):
    status: int
    out: str
    err: str


class World:
    """A HOME with a work folder and, once it is needed, a backend of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def bai(self, *arguments: str, stdin: str = "", timeout_s: float = 50.0) -> Done:
        with self.start(*arguments, stdin=subprocess.PIPE) as process:
            out, err = process.communicate(stdin, timeout=timeout_s)
        return Done(process.returncode, out, err)

    def start(self, *arguments: str, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "bai_tui", *arguments],
            cwd=self.folder,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=dict(os.environ),
        )

    def ids(self) -> list[str]:
        return self.bai("ps", "--plain", "-f", "session_id").out.split()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    here = World(tmp_path)
    started = here.bai("serve", "--detach", "--port", "0", "--mock-gpus", "2")
    assert started.status == 0, started
    yield here
    stopped = here.bai("serve", "--stop", "--kill-sessions")
    assert stopped.status == 0, stopped


@contextmanager
def command(*arguments: str, stdin: int = subprocess.DEVNULL) -> Iterator[subprocess.Popen[str]]:
    """A command line as a process, killed when it is left while it runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bai_tui", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def rest(process: subprocess.Popen[str], stdin: str = "") -> tuple[str, str]:
    """Returns what is still to come on stdout and stderr (`communicate` forgets what `readline` has read ahead)."""
    if process.stdin is not None:
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
    assert process.stdout is not None and process.stderr is not None
    out, err = process.stdout.read(), process.stderr.read()
    process.wait(20)
    return out, err


# --- our own backend over a service that behaves, in a thread ------------------------------------------------------


class Toy:
    """The API of our backend over the fake of `tests/api`, whose kernel understands a few words."""

    def __init__(self, service: Any, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self._loop = loop

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Does something in the loop of the backend and returns what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    def session(self, name: str) -> str:
        request = CreateRequest(name=name, image="python")
        return str(self.do(self.service.create(fakes.USER, request)).session.id)

    async def _start(self, ref: str, code: str) -> asyncio.Task[None] | None:
        async with self.service.run(fakes.USER, ref, ExecuteRequest(RunMode.QUERY, code)):
            session = await self.service.get(fakes.USER, ref)
            running: dict[str, asyncio.Task[None]] = self.service.running
            return running.get(session.id)

    def start(self, ref: str, code: str) -> Any:
        """Begins a run in a session and returns its task."""
        return self.do(self._start(ref, code))

    def run(self, ref: str, code: str) -> None:
        """Runs code in a session to its end."""
        task = self.start(ref, code)

        async def wait() -> None:
            if task is not None:
                await asyncio.gather(task, return_exceptions=True)

        self.do(wait())

    def end(self, ref: str) -> None:
        self.do(self.service.terminate(fakes.USER, ref))

    def followed(self, count: int = 1) -> None:
        """Returns when so many follow a journal."""

        async def wait() -> None:
            await until(lambda: self.service.followers >= count)

        self.do(wait())


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Toy]:
    """A running toy backend, told to the commands by the environment."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    state: dict[str, Any] = {}

    async def serve() -> None:
        service = fakes.FakeService(tmp_path)
        runner = create_runner(create_app(service, version="0"), shutdown_timeout_s=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        state.update(service=service, url="http://{}:{}".format(*runner.addresses[0][:2]), stop=asyncio.Event())
        ready.set()
        await state["stop"].wait()
        service.stop()
        for task in list(service.running.values()):
            task.cancel()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()), name="toy backend")
    thread.start()
    assert ready.wait(10)
    monkeypatch.setenv("BACKEND_ENDPOINT", state["url"])
    monkeypatch.setenv("BACKEND_ACCESS_KEY", fakes.USER.access_key)
    monkeypatch.setenv("BACKEND_SECRET_KEY", fakes.USER.secret_key)
    yield Toy(state["service"], loop)
    loop.call_soon_threadsafe(state["stop"].set)
    thread.join(10)
    loop.close()
