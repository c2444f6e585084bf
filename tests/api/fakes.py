"""A backend that behaves, in memory: sessions with journals, a toy kernel that knows a few commands.

What it runs on is in `fake_machine`.
"""

from __future__ import annotations

import asyncio
import json
import time
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bai_tui.app.backend.ports import (
    CreateOutcome,
    CreateRequest,
    JournalRecord,
    Keypair,
    RunSummary,
    SessionEvent,
)
from bai_tui.app.backend.service.keypairs import LocalKeyring, OwnKeypair
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import (
    AmbiguousReference,
    BadRequest,
    IllegalState,
    ImageNotFound,
    KernelNotReady,
    NotFound,
    NotImplementedHere,
    SessionExists,
    SessionNotFound,
)
from bai_tui.app.model.inspection import Completions, Inspection
from bai_tui.app.model.sessions import LIVE, TERMINAL, Session, SessionStatus, SessionType, check_session_name
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.tests.api.fake_machine import FakeMachine
from bai_tui.tests.api.journals import FakeRun, Journal
from bai_tui.tests.service.fake_terminal import FakeTerminal
from bai_tui.tests.service.fakes import MemoryStore
from bai_tui.tests.waiting import until

ADMIN = Keypair(
    access_key="AKADMIN0000000000000",
    secret_key="sk-admin",
    user_id="admin@localhost",
    user_uuid="11111111-1111-4111-8111-111111111111",
    is_admin=True,
)
USER = Keypair(
    access_key="AKUSER00000000000000",
    secret_key="sk-user",
    user_id="user@localhost",
    user_uuid="22222222-2222-4222-8222-222222222222",
)
OTHER = replace(
    USER,
    access_key="AKOTHER0000000000000",
    secret_key="sk-other",
    user_id="other@localhost",
    user_uuid="44444444-4444-4444-8444-444444444444",
)
OFF = replace(USER, access_key="AKOFF000000000000000", is_active=False)


class FakeService(FakeMachine):
    """Behaves as the `Service` of `ports` promises. Code understood by its kernel, one command a line:

    `say TEXT`, `err TEXT`, `flood N`, `ask PROMPT` (says what was answered), `wait` (until interrupted or `go` is set),
    `exit N`, `die`, `png`.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.root = root
        self.keyring = LocalKeyring(
            MemoryStore(),
            (ADMIN, USER, OTHER, OFF),
            live_sessions=self._live,
            own=OwnKeypair(ADMIN.access_key, lambda _: None),
        )
        self.journals: dict[str, Journal] = {}
        self.room_bytes: int | None = None
        """Of the quota of every work folder."""
        self.journal_waits = asyncio.Event()
        """Set once somebody waits for a record."""
        self.runs: dict[tuple[str, str], FakeRun] = {}
        self.running: dict[str, asyncio.Task[None]] = {}
        self.streams: dict[str, int] = {}
        """Session id -> execute streams that are open."""
        self.terminals: list[FakeTerminal] = []
        self.listeners: list[asyncio.Queue[SessionEvent | None]] = []
        self.go = asyncio.Event()
        self.next_failure: Exception | None = None
        self.created: list[CreateRequest] = []
        self.next_run: dict[str, Any] = {}
        self.followers = 0
        self.followed: dict[int, int] = {}
        """Follower -> number of the newest record that it was given."""

    # --- helpers of the tests

    def keypair(self, access_key: str) -> Keypair | None:
        return self.keyring.get(access_key)

    def _live(self, access_key: str) -> int:
        return sum(s.access_key == access_key and s.status in LIVE for s in self.sessions.values())

    def _fail(self) -> None:
        if self.next_failure is not None:
            failure, self.next_failure = self.next_failure, None
            raise failure

    async def emit(self, name: str, session: Session, reason: str = "", exit_code: int | None = None) -> None:
        for queue in self.listeners:
            queue.put_nowait(SessionEvent(name, session.id, session.name, session.access_key, reason, exit_code))

    async def listening(self, count: int = 1) -> None:
        await until(lambda: len(self.listeners) >= count)

    def stop(self) -> None:
        for queue in self.listeners:
            queue.put_nowait(None)
        self.stop_measuring()

    # --- sessions

    def _find(self, caller: Keypair, ref: str) -> Session:
        seen = self.visible(caller)
        for session in seen:
            if session.id == ref:
                return session
        live = [s for s in seen if s.status in LIVE]
        exact = [s for s in live if s.name == ref]
        found = exact or [s for s in live if s.id.startswith(ref) or s.name.startswith(ref)]
        if len(found) > 1:
            matches = [{"id": s.id, "name": s.name, "status": s.status.value} for s in found]
            raise AmbiguousReference(f"{ref!r} is the beginning of {len(found)} sessions", data={"matches": matches})
        if not found:
            raise SessionNotFound(f"there is no session {ref!r}")
        return found[0]

    async def create(self, caller: Keypair, request: CreateRequest) -> CreateOutcome:
        self._fail()
        self.created.append(request)
        name = check_session_name(request.name or f"fake-{uuid.uuid4().hex[:8]}")
        for old in self.visible(caller):
            if old.name == name and old.status in LIVE:
                if not request.reuse:
                    raise SessionExists(f"{name!r} is taken", data={"existingSessionId": old.id})
                return CreateOutcome(old, created=False)
        if request.image not in ("python", "python:3.11-debian12"):
            raise ImageNotFound(f"there is no image {request.image!r}; the nearest is python:3.11-debian12")
        slots = ResourceSlots.parse({"cpu": "1", "mem": "64m"} | dict(request.resources))
        now = datetime.now(UTC) + timedelta(microseconds=len(self.sessions))
        session = Session(
            id=str(uuid.uuid4()),
            kernel_id=str(uuid.uuid4()),
            name=name,
            access_key=caller.access_key,
            image="python:3.11-debian12",
            image_asked=request.image,
            image_notice="runs python:3.11-debian12" if request.image == "python" else None,
            type=SessionType(request.type),
            priority=request.priority,
            tag=request.tag,
            status=SessionStatus.RUNNING,
            status_history={"PENDING": now, "PREPARING": now, "RUNNING": now},
            created_at=now,
            requested_slots=slots,
            occupied_slots=slots,
            environ=dict(request.environ),
            resource_opts=dict(request.resource_opts),
            depends_on=[self._find(caller, ref).id for ref in request.dependencies],
            not_before=request.starts_at,
            batch_timeout_s=request.batch_timeout_s,
        )
        if "cuda.shares" in slots:
            session.allocation = {"cuda.shares": {"gpu0": str(slots["cuda.shares"])}}
        waits = any(amount > self.capacity.amount(slot) for slot, amount in slots.items())
        if request.enqueue_only or waits:
            session.status, session.status_info = SessionStatus.PENDING, "waits for 1 cpu"
        self.sessions[session.id] = session
        self.journals[session.id] = Journal()
        (self.root / session.id).mkdir()
        await self.emit("session_enqueued", session)
        if session.status is SessionStatus.RUNNING:
            await self.emit("session_started", session)
        return CreateOutcome(session, created=True, timed_out=waits and request.max_wait_s > 0)

    async def get(self, caller: Keypair, ref: str) -> Session:
        self._fail()
        return self._find(caller, ref)

    async def search(
        self,
        caller: Keypair,
        *,
        statuses: Sequence[SessionStatus] | None,
        access_key: str | None,
        limit: int,
        offset: int,
    ) -> tuple[Sequence[Session], int]:
        self._fail()
        found = [
            s
            for s in self.visible(caller)
            if (statuses is None or s.status in statuses) and (access_key is None or s.access_key == access_key)
        ]
        found.sort(key=lambda s: s.created_at, reverse=True)
        return found[offset : offset + limit], len(found)

    async def match(self, caller: Keypair, prefix: str) -> Sequence[Session]:
        return [s for s in self.visible(caller) if s.status in LIVE and s.name.startswith(prefix)]

    async def terminate(self, caller: Keypair, ref: str, *, forced: bool = False) -> Session:
        session = self._find(caller, ref)
        if session.status in TERMINAL:
            raise SessionNotFound(f"{session.name!r} has ended")
        if session.status is SessionStatus.TERMINATING and not forced:
            raise IllegalState("it is ending already")
        pending = session.status is SessionStatus.PENDING
        session.status = SessionStatus.CANCELLED if pending else SessionStatus.TERMINATED
        session.terminated_at = datetime.now(UTC)
        session.status_history[session.status.value] = session.terminated_at
        session.status_info = "user-requested"
        if (task := self.running.pop(session.id, None)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await self.journals[session.id].close()
        await self.emit("session_cancelled" if pending else "session_terminated", session, "user-requested")
        return session

    async def rename(self, caller: Keypair, ref: str, name: str) -> None:
        self._find(caller, ref).name = check_session_name(name)

    async def restart(self, caller: Keypair, ref: str) -> None:
        self._find(caller, ref)
        raise NotImplementedHere("no restart")

    async def work_dir(self, caller: Keypair, ref: str) -> Path:
        return self.root / self._find(caller, ref).id

    async def upload_room_bytes(self, caller: Keypair, ref: str) -> int | None:
        self._find(caller, ref)
        return self.room_bytes

    async def logs(self, caller: Keypair, ref: str) -> str:
        records = self.journals[self._find(caller, ref).id].records
        return "".join(record.data for record in records if record.kind in ("stdout", "stderr"))

    # --- runs

    @contextmanager
    def attached(self, session_id: str) -> Iterator[None]:
        self.streams[session_id] = self.streams.get(session_id, 0) + 1
        try:
            yield
        finally:
            self.streams[session_id] -= 1

    @asynccontextmanager
    async def terminal(self, caller: Keypair, ref: str) -> AsyncIterator[FakeTerminal]:
        self._fail()
        session = self._find(caller, ref)
        if session.status is not SessionStatus.RUNNING:
            raise KernelNotReady(f"the session {session.name} is {session.status}: it takes code once it runs")
        terminal = FakeTerminal(b"$ ")
        self.terminals.append(terminal)
        try:
            yield terminal
        finally:
            await terminal.close()

    @asynccontextmanager
    async def run(
        self, caller: Keypair, ref: str, request: ExecuteRequest, run_id: str | None = None
    ) -> AsyncIterator[FakeRun]:
        self._fail()
        session = self._find(caller, ref)
        if session.id in self.running:
            raise IllegalState(f"the session {session.name!r} runs something already")
        journal = self.journals[session.id]
        run = FakeRun(run_id or uuid.uuid4().hex, journal, start=len(journal.records), **self.next_run)
        self.runs[session.id, run.run_id] = run
        await journal.add(run.run_id, "run-started", {"mode": request.mode.value, "code": request.code, "options": {}})
        session.num_queries += 1
        self.running[session.id] = asyncio.create_task(self._work(session, run, request))
        yield run

    async def _work(self, session: Session, run: FakeRun, request: ExecuteRequest) -> None:
        async def say(kind: str, data: Any) -> None:
            await run.journal.add(run.run_id, kind, data)

        code = 0
        end: tuple[str, dict[str, Any]] = ("run-finished", {})
        try:
            if request.mode is RunMode.BATCH:
                await say("clean-finished", {"exitCode": 0})
                await say("build-finished", {"exitCode": 0})
            lines = request.code or str(request.options.get("exec", ""))
            for line in lines.splitlines():
                word, _, rest = line.partition(" ")
                if word in ("say", "err"):
                    await say("stdout" if word == "say" else "stderr", rest + "\n")
                elif word == "flood":
                    for number in range(int(rest)):
                        run.journal.records.append(
                            JournalRecord(
                                len(run.journal.records) + 1,
                                time.time(),
                                run.run_id,
                                "stdout",
                                json.dumps(["stdout", f"{number:06} ünï\n"]).encode(),
                            )
                        )
                    await run.journal.touch()
                elif word == "ask":
                    await say("stdout", rest)
                    await say("waiting-input", {"is_password": rest.startswith("pass")})
                    await say("stdout", f"hi {await run.answers.get()}\n")
                elif word == "wait":
                    await self.go.wait()
                elif word == "png":
                    await say("media", ["image/png", "data:image/png;base64,AAAA"])
                elif word == "exit":
                    code = int(rest)
                elif word == "die":
                    end = ("kernel-died", {"signal": "SIGSEGV", "reason": "killed by SIGSEGV"})
        except asyncio.CancelledError:
            code = 130
        self.running.pop(session.id, None)
        kind, data = end
        await say(kind, {"exitCode": None if kind == "kernel-died" else code, **data})

    async def find_run(self, caller: Keypair, ref: str, run_id: str) -> FakeRun:
        session = self._find(caller, ref)
        found = self.runs.get((session.id, run_id))
        if found is None:
            raise NotFound(f"the session {session.name!r} has no run {run_id!r}")
        return found

    async def interrupt(self, caller: Keypair, ref: str) -> None:
        task = self.running.get(self._find(caller, ref).id)
        if task is not None:
            task.cancel()

    async def complete(self, caller: Keypair, ref: str, code: str, cursor: int) -> Completions:
        self._find(caller, ref)
        word = code[:cursor].split()[-1] if code[:cursor].split() else ""
        kinds = {"print": "function", "property": "class"}
        matches = tuple(name for name in kinds if name.startswith(word))
        return Completions(matches, tuple(kinds[match] for match in matches), cursor - len(word))

    async def inspect(self, caller: Keypair, ref: str, code: str, cursor: int, detail: int) -> Inspection:
        self._find(caller, ref)
        if code[:cursor] != "print":
            return Inspection(name=code[:cursor])
        return Inspection(True, False, "print", "function", "(*args)", "Prints.", "def print" if detail else "")

    async def journal(
        self, caller: Keypair, ref: str, *, after: int, limit: int, wait_s: float
    ) -> Sequence[JournalRecord]:
        journal = self.journals[self._find(caller, ref).id]
        if len(journal.records) <= after and not journal.closed and wait_s:
            self.journal_waits.set()
            try:
                async with asyncio.timeout(wait_s):
                    async for _ in journal.follow(after):
                        break
            except TimeoutError:
                return []
        return journal.records[after : after + limit]

    async def journal_before(self, caller: Keypair, ref: str, *, before: int, limit: int) -> Sequence[JournalRecord]:
        records = self.journals[self._find(caller, ref).id].records[: max(0, before - 1)]
        return records[-limit:]

    async def follow(self, caller: Keypair, ref: str, after: int) -> AsyncGenerator[Sequence[JournalRecord]]:
        self.followers += 1
        own = len(self.followed)
        self.followed[own] = after
        try:
            async for batch in self.journals[self._find(caller, ref).id].follow(after):
                for first in range(0, len(batch), 1000):
                    self.followed[own] = batch[first].seq
                    yield batch[first : first + 1000]
        finally:
            self.followers -= 1

    async def list_runs(self, caller: Keypair, ref: str) -> Sequence[RunSummary]:
        found: dict[str, RunSummary] = {}
        for record in self.journals[self._find(caller, ref).id].records:
            if record.kind == "run-started" and record.run_id:
                started = RunSummary(record.run_id, record.seq - 1, record.time_s, "query", record.data["code"])
                found[record.run_id] = started
            elif record.kind in ("run-finished", "kernel-died") and record.run_id:
                run = found[record.run_id]
                run.last_seq, run.ended_s, run.exit_code = record.seq, record.time_s, record.data["exitCode"]
                run.died = record.kind == "kernel-died"
        return list(found.values())

    async def extend(self, caller: Keypair, ref: str, by_s: float) -> Session:
        session = self._find(caller, ref)
        if session.status is not SessionStatus.RUNNING:
            raise IllegalState(f"the session {session.name!r} does not run")
        session.kept_until = datetime.now(UTC) + timedelta(seconds=by_s) if by_s else None
        return session

    async def modify(self, caller: Keypair, ref: str, *, priority: int) -> Session:
        session = self._find(caller, ref)
        if not 0 <= priority <= 100:
            raise BadRequest(f"the priority {priority} is outside 0 to 100")
        session.priority = priority
        return session

    def busy(self, session: Session) -> bool:
        return session.id in self.running

    async def events(
        self, caller: Keypair, *, session_ref: str | None = None, progress: bool = False
    ) -> AsyncIterator[SessionEvent]:
        queue: asyncio.Queue[SessionEvent | None] = asyncio.Queue()
        self.listeners.append(queue)
        try:
            while (event := await queue.get()) is not None:
                if self.seen(caller, event, progress) and session_ref in (None, event.session_id):
                    yield event
        finally:
            self.listeners.remove(queue)
