"""A server in memory that behaves: sessions move through their states, runs stream, journals remember."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Self

from bai_tui.app.client.views import (
    AboutView,
    CreatedSession,
    DeviceView,
    EventView,
    ImageView,
    JournalLine,
    MachineView,
    ServerInfo,
    SessionView,
    StatsView,
)
from bai_tui.app.model.console import ExecuteRequest
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.model.errors import IllegalState, SessionExists, SessionNotFound, Unreachable
from bai_tui.app.model.metrics import Metric
from bai_tui.app.model.sessions import ANSWERING, TERMINAL, SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.tests.tui.fake_files import FakeFiles
from bai_tui.tests.tui.fake_images import FakeBuild, FakeShelf, FakeShelves
from bai_tui.tests.tui.fake_pty import FakePty, FakeShell
from bai_tui.tests.tui.fake_streams import FakeFollowing, FakeStream
from bai_tui.tests.tui.fake_upkeep import FakeUpkeep

NOW_S = 1_795_000_000.0
ENDPOINT = Endpoint(url="http://127.0.0.1:1", access_key="AK", secret_key="SK")


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = NOW_S

    def __call__(self) -> float:
        return self.now


Step = tuple[str, Any]
"""What a script does: ("out", text), ("err", text), ("ask", is_password), ("gate", Event), ("exit", code),
("media", [mime, data]), ("html", text)."""


@dataclass
class Script:
    """What a piece of code does when it is run."""

    steps: Sequence[Step] = ()


@dataclass
class FakeSession:
    view: SessionView
    journal: list[JournalLine] = field(default_factory=list)
    grown: asyncio.Condition = field(default_factory=asyncio.Condition)
    interrupted: asyncio.Event = field(default_factory=asyncio.Event)
    inputs: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    answered: int = 0
    """Journal number of the newest prompt that was answered."""
    run: asyncio.Task[None] | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    """Path from the work folder -> content."""
    about: AboutView = field(default_factory=AboutView)

    def take(self, text: str, prompt: int | None) -> None:
        """Takes an answer to the newest prompt; one to a prompt that was answered already changes nothing."""
        newest = max((line.seq for line in self.journal if line.kind == "waiting-input"), default=0)
        if self.answered < newest and prompt in (None, newest):
            self.answered = newest
            self.inputs.put_nowait(text)

    async def add(self, kind: str, data: Any, run_id: str | None) -> int:
        async with self.grown:
            seq = len(self.journal) + 1
            self.journal.append(JournalLine(seq, NOW_S, run_id, kind, data))
            self.grown.notify_all()
            return seq


class FakeServer(FakeShelves):
    """State that outlives connections."""

    def __init__(
        self,
        *,
        capabilities: Sequence[str] = ("journal", "follow", "devices"),
        clock: Callable[[], float] | None = None,
    ):
        self.capabilities = frozenset(capabilities)
        self.clock = clock or (lambda: NOW_S)
        self.sessions: dict[str, FakeSession] = {}
        self.scripts: dict[str, Script] = {}
        self.queues: list[asyncio.Queue[EventView | None]] = []
        self.meters: list[asyncio.Queue[StatsView | None]] = []
        self.round: StatsView | None = None
        """What is measured now; None = nothing."""
        self.taken: dict[str, int] = {}
        """Slot -> how much of it is taken, where that is not what the sessions hold."""
        self.announced = ""
        self.refuse_extend: Exception | None = None
        self.refuse_end: Exception | None = None
        self.refuse_restart: Exception | None = None
        self.refuse_past: Exception | None = None
        self.refuse_priority: Exception | None = None
        self.shells: defaultdict[str, FakeShell] = defaultdict(FakeShell)
        """Session id -> its terminal."""
        self.tasks: set[asyncio.Task[Any]] = set()
        self.up = True
        self.stopping = False
        """Whether it shuts down: long waits are told so, and no connection is broken yet."""
        self.refuse_create: Exception | None = None
        self.refuse_answer: Exception | None = None
        self.dies_of_answer: bool | None = None
        """Whether the server dies when it is sent an answer over a stream: True = before it has taken it, False = just
        after; None = it lives."""
        self.hold_create: asyncio.Event | None = None
        self.hold_list: asyncio.Event | None = None
        self.closes_streams = True
        """Whether the end of a session ends its streams; real clusters may leave them open."""
        self.starts = True
        """Whether a created session goes on to run by itself."""
        self.calls: list[tuple[str, Any]] = []
        self.gpus: tuple[DeviceView, ...] = (
            DeviceView("gpu0", "Mock GPU", "mock", Decimal(1), 16 * 1024**3, {}),
            DeviceView("gpu1", "Mock GPU", "mock", Decimal(1), 16 * 1024**3, {}),
        )
        self.image_views: tuple[ImageView, ...] = (
            ImageView("python:3.11-debian12", aliases=("python",)),
            ImageView("python:3.9-debian12"),
            ImageView("python-tensorflow:1.12-py36", aliases=("tf",)),
            ImageView("r-base:4.3"),
        )
        self.builds: dict[str, FakeBuild] = {}
        """Task id -> what is being built, or was."""
        self.refuse_image: Exception | None = None
        self._ids = itertools.count(1)
        self._runs = itertools.count(1)

    def connect(self, _: Endpoint) -> Any:
        """Returns a fake where an `ApiClient` is expected."""
        return FakeClient(self)

    def add(
        self,
        name: str,
        *,
        status: SessionStatus = SessionStatus.RUNNING,
        image: str = "python:3.11-debian12",
        slots: Mapping[str, str] | None = None,
        age_s: float = 60.0,
        **more: Any,
    ) -> str:
        number = next(self._ids)
        session_id = f"00000000-0000-4000-8000-{number:012d}"
        asked = ResourceSlots.parse(slots or {"cpu": "1", "mem": "1g"})
        created = datetime.fromtimestamp(self.clock() - age_s, UTC)
        view = SessionView(
            id=session_id,
            name=name,
            status=status,
            status_text=status.value,
            image=image,
            created_at=created,
            requested_slots=asked,
            occupying_slots=asked if status in ANSWERING else ResourceSlots(),
            **more,
        )
        self.sessions[session_id] = FakeSession(view)
        return session_id

    def find(self, ref: str) -> FakeSession:
        for session in self.sessions.values():
            if ref in (session.view.id, session.view.name):
                return session
        raise SessionNotFound(f"there is no session {ref}")

    def change(self, ref: str, **changes: Any) -> None:
        session = self.find(ref)
        if "status" in changes:
            changes.setdefault("status_text", changes["status"].value)
            if changes["status"] in ANSWERING:
                changes.setdefault("occupying_slots", session.view.requested_slots)
        session.view = replace(session.view, **changes)

    def tell(self, name: str, ref: str, reason: str = "") -> None:
        view = self.find(ref).view
        for queue in self.queues:
            queue.put_nowait(EventView(name, view.id, view.name, reason))

    def warn(self, name: str, ref: str, **data: Any) -> None:
        """Pushes an event of ours."""
        view = self.find(ref).view
        for queue in self.queues:
            queue.put_nowait(EventView(name, view.id, view.name, data=data))

    def measure(
        self,
        sessions: Mapping[str, Mapping[str, tuple[float, float | None]]],
        *,
        cpu_pct: float = 41.0,
        mem_used_bytes: int = 9 * 1024**3,
    ) -> None:
        """Pushes a round: name or id -> metric -> (current, capacity)."""
        self.round = StatsView(
            time_s=self.clock(),
            sessions={
                self.find(ref).view.id: {name: Metric(*numbers) for name, numbers in metrics.items()}
                for ref, metrics in sessions.items()
            },
            gpus=self.gpus,
            cpu_pct=cpu_pct,
            mem_used_bytes=mem_used_bytes,
        )
        for meter in self.meters:
            meter.put_nowait(self.round)

    def stop_measuring(self) -> None:
        """Breaks the streams of rounds, and nothing else."""
        self.round = None
        for meter in self.meters:
            meter.put_nowait(None)

    def go_down(self) -> None:
        """Breaks every connection."""
        self.up = False
        for queue in self.queues:
            queue.put_nowait(None)
        for meter in self.meters:
            meter.put_nowait(None)

    def check(self) -> None:
        if not self.up:
            raise Unreachable("http://127.0.0.1:1 does not answer: refused")

    def start(self, ref: str) -> None:
        self.change(ref, status=SessionStatus.RUNNING)
        self.tell("session_started", ref)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def begin_run(self, session: FakeSession, code: str) -> str:
        """Starts a run that goes on whoever watches; returns its id."""
        if session.run is not None and not session.run.done():
            raise IllegalState(f"{session.view.name} runs code already")
        run_id = f"run-{next(self._runs)}"
        session.interrupted.clear()
        session.view = replace(session.view, busy=True)
        session.run = asyncio.ensure_future(self._play(session, run_id, code))
        self.tasks.add(session.run)
        return run_id

    async def _play(self, session: FakeSession, run_id: str, code: str) -> None:
        await session.add("run-started", {"mode": "query", "code": code, "options": {}}, run_id)
        exit_code = 0
        for kind, value in self.scripts.get(code, Script([("out", "ran\n")])).steps:
            if kind in ("out", "err"):
                await session.add("stdout" if kind == "out" else "stderr", value, run_id)
            elif kind in ("media", "html"):
                await session.add(kind, value, run_id)
            elif kind == "ask":
                await session.add("waiting-input", {"is_password": value}, run_id)
                text = await session.inputs.get()
                await session.add("stdout", f"got {text}\n", run_id)
            elif kind == "gate":
                stopped = asyncio.ensure_future(session.interrupted.wait())
                passed = asyncio.ensure_future(value.wait())
                await asyncio.wait({stopped, passed}, return_when=asyncio.FIRST_COMPLETED)
                stopped.cancel()
                passed.cancel()
                if session.interrupted.is_set():
                    await session.add("stderr", "KeyboardInterrupt\n", run_id)
                    exit_code = 1
                    break
            elif kind == "exit":
                exit_code = value
        session.view = replace(session.view, busy=False)
        await session.add("run-finished", {"exitCode": exit_code}, run_id)


class FakeClient(FakeFiles, FakeShelf, FakeUpkeep):
    """The methods of `ApiClient` that the TUI uses."""

    def __init__(self, server: FakeServer) -> None:
        self._server = server

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def pty(self, ref: str) -> FakePty:
        self._server.check()
        session = self._server.find(ref)
        if session.view.status not in ANSWERING:
            raise IllegalState(f"the session {session.view.name} is {session.view.status}")
        return FakePty(self._server.shells[session.view.id])

    async def handshake(self) -> ServerInfo:
        self._server.check()
        return ServerInfo("v9.20250722", "fake", self._server.capabilities)

    async def list_sessions(
        self, *, statuses: Sequence[SessionStatus] | None = None, limit: int = 100, offset: int = 0, **_: Any
    ) -> tuple[Sequence[SessionView], int]:
        self._server.check()
        self._server.calls.append(("list", offset))
        if self._server.hold_list is not None:
            await self._server.hold_list.wait()
        found = [one.view for one in self._server.sessions.values() if statuses is None or one.view.status in statuses]
        found.reverse()
        if statuses is not None and set(statuses) == TERMINAL:
            if self._server.refuse_past is not None:
                raise self._server.refuse_past
            never = datetime.fromtimestamp(0, UTC)
            found.sort(key=lambda view: view.terminated_at or never, reverse=True)
        return found[offset : offset + limit], len(found)

    async def session(self, ref: str) -> SessionView:
        self._server.check()
        return self._server.find(ref).view

    async def create_session(self, image: str, **options: Any) -> CreatedSession:
        server = self._server
        server.check()
        server.calls.append(("create", {"image": image, **options}))
        if server.hold_create is not None:
            await server.hold_create.wait()
        if server.refuse_create is not None:
            raise server.refuse_create
        if options["name"] in {one.view.name for one in server.sessions.values() if one.view.status not in TERMINAL}:
            raise SessionExists(f"there is a live session {options['name']!r} already: take another name")
        session_id = server.add(
            options["name"],
            status=SessionStatus.PENDING,
            image="python:3.11-debian12" if image == "python" else image,
            slots=options.get("resources"),
            age_s=0,
        )
        server.tell("session_enqueued", session_id)
        if server.starts:
            server.start(session_id)
        return CreatedSession(session_id, options["name"], "PENDING", True)

    async def terminate(self, ref: str, *, forced: bool = False, recursive: bool = False) -> Mapping[str, Any]:
        server = self._server
        server.check()
        if server.refuse_end is not None:
            raise server.refuse_end
        server.calls.append(("terminate", (ref, forced)))
        session = server.find(ref)
        if session.view.status in TERMINAL:
            raise SessionNotFound(f"there is no session {ref}")
        server.change(
            ref, status=SessionStatus.TERMINATED, status_info="user-requested", occupying_slots=ResourceSlots()
        )
        if session.run is not None:
            session.run.cancel()
        async with session.grown:
            session.grown.notify_all()
        server.tell("session_terminated", ref, "user-requested")
        return {}

    async def interrupt(self, ref: str) -> None:
        self._server.check()
        self._server.find(ref).interrupted.set()

    async def answer(self, ref: str, run_id: str, text: str, prompt: int) -> None:
        self._server.check()
        self._server.calls.append(("answer", (run_id, text)))
        if self._server.refuse_answer is not None:
            raise self._server.refuse_answer
        self._server.find(ref).take(text, prompt)

    async def logs(self, ref: str) -> str:
        self._server.check()
        lines = self._server.find(ref).journal
        return "".join(line.data for line in lines if line.kind in ("stdout", "stderr"))

    async def journal(
        self, ref: str, *, after: int = 0, limit: int = 1000, before: int | None = None
    ) -> Sequence[JournalLine]:
        server = self._server
        server.check()
        lines = server.find(ref).journal
        server.calls.append(("journal", limit))
        return lines[after : after + limit] if before is None else lines[: before - 1][-limit:]

    def follow(self, ref: str, *, after: int = 0) -> FakeFollowing:
        return FakeFollowing(self._server, ref, after)

    @contextlib.asynccontextmanager
    async def execute(self, ref: str, request: ExecuteRequest) -> AsyncIterator[FakeStream]:
        server = self._server
        server.check()
        session = server.find(ref)
        after = len(session.journal)
        run_id = server.begin_run(session, request.code)
        yield FakeStream(server, session, run_id, after)

    async def events(self, *, session: str | None = None, progress: bool = False) -> AsyncIterator[EventView]:
        server = self._server
        server.check()
        queue: asyncio.Queue[EventView | None] = asyncio.Queue()
        server.queues.append(queue)
        try:
            yield EventView("bai_connected", None, None)
            while (event := await queue.get()) is not None:
                yield event
        finally:
            server.queues.remove(queue)
        raise Unreachable("connection lost: the stream of events ended")

    async def stats(self) -> AsyncIterator[StatsView]:
        server = self._server
        server.check()
        meter: asyncio.Queue[StatsView | None] = asyncio.Queue()
        server.meters.append(meter)
        try:
            if server.round is not None:
                yield server.round
            while (view := await meter.get()) is not None:
                yield view
        finally:
            server.meters.remove(meter)
        raise Unreachable("connection lost: the stream of rounds ended")

    async def machine(self) -> MachineView:
        self._server.check()
        held = [one.view.occupying_slots for one in self._server.sessions.values()]
        used = {slot: sum((slots.amount(slot) for slots in held), Decimal(0)) for slot in ("cpu", "mem")}
        taken = {slot: Decimal(amount) for slot, amount in self._server.taken.items()}
        has = ResourceSlots({"cpu": 8, "mem": 24 * 1024**3})
        return MachineView(has, ResourceSlots(used | taken), self._server.gpus)

    async def announcement(self) -> str:
        self._server.check()
        return self._server.announced
