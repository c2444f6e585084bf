"""Engine, catalogue, devices and store that behave, without processes: journals are real files on disk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from bai_tui.app.backend.ports import (
    Device,
    Exit,
    GpuReading,
    Guarantee,
    JournalRecord,
    Keypair,
    LaunchSpec,
    Layer,
    PastUse,
    Sampled,
    Watched,
)
from bai_tui.app.backend.runner.journal import Journal
from bai_tui.app.backend.service import journal as journals
from bai_tui.app.model.console import ExecuteRequest
from bai_tui.app.model.errors import IllegalState, KernelNotReady, LaunchFailed
from bai_tui.app.model.images import Image
from bai_tui.app.model.inspection import Completions, Inspection
from bai_tui.app.model.metrics import Metric, Metrics
from bai_tui.app.model.sessions import Session
from bai_tui.tests.service.fake_catalogue import FakeCatalogue as FakeCatalogue
from bai_tui.tests.service.fake_catalogue import image as image
from bai_tui.tests.service.fake_terminal import FakeTerminal

GIB = 1 << 30


class FakeKernel:
    """Understands `print TEXT`, `input`, `wait` (until interrupted), `die`; batch: `exit N WHY`, `lost`."""

    def __init__(self, spec: LaunchSpec) -> None:
        self.spec = spec
        self.session_id = spec.session_id
        self.journal = Journal(str(spec.session_dir / "journal"))
        self.busy_run: str | None = None
        self.last_activity = time.time()
        self.pid = 4711
        self.alive = True
        self.restarts = 0
        self.image_gone = False
        self.terminations: list[float | None] = []
        self.why = ""
        self.hold_termination: asyncio.Event | None = None
        self.terminals: list[FakeTerminal] = []
        self._changed = asyncio.Condition()
        self._exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self._deaths: asyncio.Queue[Exit] = asyncio.Queue()

    @property
    def last_seq(self) -> int:
        return self.journal.written_seq

    async def write(self, run_id: str | None, kind: str, data: Any = None) -> None:
        self.journal.append(run_id, [kind, data])
        self.journal.flush()
        async with self._changed:
            self._changed.notify_all()

    async def execute(self, run_id: str, request: ExecuteRequest) -> None:
        if self._exit.done():
            raise KernelNotReady("the runner is gone")
        if self.busy_run:
            raise IllegalState("another run is going on")
        command, _, rest = (request.code or str(request.options.get("exec", ""))).partition(" ")
        if command == "lost":
            self.losing = asyncio.create_task(self.end(Exit(None, "killed by SIGKILL")))
            raise KernelNotReady("the runner is gone")
        self.busy_run = run_id
        await self.write(run_id, "run-started", {"mode": request.mode.value, "code": request.code})
        if command == "print":
            await self.write(run_id, "stdout", rest + "\n")
            await self.finish(0)
        elif command == "exit":
            code, _, why = rest.partition(" ")
            await self.finish(int(code), why)
        elif command == "die":
            await self.die()
        elif command == "input":
            await self.write(run_id, "waiting-input", {"is_password": False})

    async def finish(self, code: int, why: str = "") -> None:
        run_id, self.busy_run = self.busy_run, None
        self.last_activity = time.time()
        await self.write(run_id, "run-finished", {"exitCode": code, **({"reason": why} if why else {})})

    async def die(self) -> None:
        run_id, self.busy_run = self.busy_run, None
        self.alive = False
        await self.write(run_id, "kernel-died", {"exitCode": -11, "signal": "SIGSEGV", "reason": "killed by SIGSEGV"})
        self._deaths.put_nowait(Exit(-11, "killed by SIGSEGV"))

    async def send_input(self, run_id: str, text: str, prompt: int | None = None) -> bool:
        await self.write(run_id, "stdout", f"<{text}>")
        await self.finish(0)
        return True

    async def interrupt(self) -> None:
        if self.busy_run:
            await self.write(self.busy_run, "stderr", "KeyboardInterrupt\n")
            await self.finish(1)

    async def complete(self, code: str, cursor: int) -> Completions:
        return Completions((code[:cursor] + "_x",), ("instance",))

    async def inspect(self, code: str, cursor: int, detail: int = 0) -> Inspection:
        return Inspection(True, name=code[:cursor], text="source" if detail else "")

    async def restart(self) -> None:
        if self.image_gone:
            raise IllegalState("the image was removed")
        self.restarts += 1
        self.alive = True
        await self.write(None, "kernel-started", {"pid": 1})

    async def terminal(self) -> FakeTerminal:
        self.terminals.append(FakeTerminal(b"$ "))
        return self.terminals[-1]

    async def terminate(self, *, grace_s: float | None = None, why: str = "") -> None:
        self.terminations.append(grace_s)
        self.why = why
        if self.hold_termination is not None and grace_s != 0:
            await self.hold_termination.wait()
        await self.end(Exit(0, "terminated"))

    async def end(self, how: Exit) -> None:
        """The runner ends."""
        if not self._exit.done():
            self._exit.set_result(how)
            if self.hold_termination is not None:
                self.hold_termination.set()
            async with self._changed:
                self._changed.notify_all()

    async def batches(self, after: int = 0) -> AsyncGenerator[Sequence[JournalRecord]]:
        async for record in self.records(after):
            yield [record]

    async def records(self, after: int = 0) -> AsyncIterator[JournalRecord]:
        folder = self.spec.session_dir / "journal"
        while True:
            for record in journals.page(folder, after, 10**9):
                after = record.seq
                yield record
            async with self._changed:
                if self.last_seq <= after:
                    if self._exit.done():
                        return
                    await self._changed.wait()

    async def wait(self) -> Exit:
        return await asyncio.shield(self._exit)

    async def kernel_died(self) -> Exit:
        return await self._deaths.get()


class FakeEngine:
    hard: Sequence[str] = ()
    """What it holds sessions to."""

    def __init__(self) -> None:
        self.kernels: dict[str, FakeKernel] = {}
        self.specs: list[LaunchSpec] = []
        self.refuse: Exception | None = None
        self.hold: asyncio.Event | None = None
        self.warmed: list[Image] = []
        self.cannot_adopt: Exception | None = None
        self.swept: list[str] = []

    async def warm(self, image: Image) -> None:
        self.warmed.append(image)

    async def start(self, spec: LaunchSpec) -> FakeKernel:
        self.specs.append(spec)
        if self.hold is not None:
            await self.hold.wait()
        if self.refuse is not None:
            raise self.refuse
        if not spec.work_dir.is_dir():
            raise LaunchFailed("no work folder")
        kernel = self.kernels[spec.session_id] = FakeKernel(spec)
        await kernel.write(None, "kernel-started", {"pid": 1})
        return kernel

    async def adopt(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> FakeKernel | Exit:
        if self.cannot_adopt is not None:
            raise self.cannot_adopt
        kernel = self.kernels.get(session_id)
        if kernel is None:
            return Exit(None, "killed")
        return kernel._exit.result() if kernel._exit.done() else kernel

    async def sweep(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> None:
        self.swept.append(session_id)

    def runner_info(self, kernel: FakeKernel) -> dict[str, Any]:
        return {"pid": kernel.pid, "start_time": 12}

    def layers(self, kernel: FakeKernel) -> Sequence[Layer]:
        told = [Layer("affinity", "cpu", Guarantee.COOPERATIVE, f"of {kernel.pid}")]
        return [*told, *(Layer(f"{what}-cgroup", what, Guarantee.HARD, "") for what in self.hard)]

    async def close(self) -> None:
        for kernel in self.kernels.values():
            kernel.journal.close()


class FakeDevices:
    """Counts who was made ready; `order` says in which order it was asked for what."""

    def __init__(self, cpu: int = 4, mem: int = 8 * GIB, gpus: int = 1) -> None:
        self._devices = [
            Device(id="cpu0", slot="cpu", capacity=Decimal(cpu)),
            Device(id="mem", slot="mem", capacity=Decimal(mem)),
            *(
                Device(id=f"gpu{n}", slot="cuda.shares", capacity=Decimal(1), kind="mock", mem_bytes=16 * GIB)
                for n in range(gpus)
            ),
        ]
        self.order: list[str] = []
        self.ready: set[str] = set()
        self.refuse: Exception | None = None

    def list(self) -> Sequence[Device]:
        return self._devices

    async def prepare(self, session: Session) -> None:
        self.order.append("prepare")
        if self.refuse is not None:
            raise self.refuse
        self.ready.add(session.id)

    def environment(self, session: Session) -> Mapping[str, str]:
        self.order.append("environment")
        return {"GPU_COUNT": str(len(session.allocation.get("cuda.shares", {})))}

    def cores(self, session: Session) -> frozenset[int] | None:
        return frozenset({0})

    def layers(self, session: Session) -> Sequence[Layer]:
        return [Layer("environment", "gpu", Guarantee.COOPERATIVE, "CUDA_VISIBLE_DEVICES")]

    async def read_gpus(self) -> Sequence[GpuReading]:
        raise AssertionError("the service reads no GPUs: the sampler does")

    async def forget(self, session_id: str) -> None:
        self.ready.discard(session_id)

    async def close(self) -> None:
        raise AssertionError("the devices are the daemon's")


class FakeSampler:
    """Measures what a test says: `metrics` by session id; `round` makes one."""

    def __init__(self) -> None:
        self.metrics: dict[str, dict[str, Metric]] = {}
        self.at_the_end: dict[str, Metric] = {}
        """What `look` finds of a session that nothing is known of."""
        self.looked_at: list[str] = []
        self.gpu_mem: dict[str, dict[str, int]] = {}
        self.tasks: dict[str, int] = {}
        self.gpus: dict[str, GpuReading] = {}
        self.last: Sampled | None = None
        self.watched: Callable[[], Sequence[Watched]] = tuple
        self._on_sample: Callable[[Sampled], None] = lambda _: None
        self.running = asyncio.Event()

    def stat(self, session_id: str) -> Metrics:
        return self.metrics.get(session_id, {})

    def forget(self, session_id: str) -> Metrics:
        return self.metrics.pop(session_id, {})

    async def look(self, watched: Watched) -> None:
        self.looked_at.append(watched.session.id)
        self.metrics.setdefault(watched.session.id, dict(self.at_the_end))

    async def run(self, watched: Callable[[], Sequence[Watched]], on_sample: Callable[[Sampled], None]) -> None:
        self.watched, self._on_sample = watched, on_sample
        self.running.set()
        await asyncio.get_running_loop().create_future()

    def round(self) -> Sampled:
        ids = [item.session.id for item in self.watched()]
        self.last = Sampled(
            time_s=time.time(),
            sessions={key: self.metrics[key] for key in ids if key in self.metrics},
            gpus=list(self.gpus.values()),
            session_gpu_mem_bytes=self.gpu_mem,
            session_tasks=self.tasks,
        )
        self._on_sample(self.last)
        return self.last


class MemoryStore:
    """The store's twin, which can be told to refuse and counts its writes."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.pairs: dict[str, Keypair] = {}
        self.writes = 0
        self.notice = self.problem = ""
        self.lose: Callable[[], None] = lambda: None
        self.refuse: Exception | None = None

    def on_loss(self, call: Callable[[], None]) -> None:
        self.lose = call

    async def save(self, session: Session) -> None:
        await self.save_all([session])

    async def save_all(self, sessions: Iterable[Session]) -> None:
        from bai_tui.app.backend.store.rows import dump_session

        rows = {session.id: dump_session(session) for session in sessions}
        await asyncio.sleep(0)
        if self.refuse is not None:
            raise self.refuse
        self.writes += 1
        self.rows.update(rows)

    def _all(self) -> list[Session]:
        from bai_tui.app.backend.store.rows import load_session

        return sorted((load_session(row) for row in self.rows.values()), key=lambda item: item.enqueue_order)

    async def last_enqueue_order(self) -> int:
        return max((session.enqueue_order for session in self._all()), default=0)

    async def load_live(self) -> Sequence[Session]:
        ended = ("TERMINATED", "ERROR", "CANCELLED")
        return [session for session in self._all() if session.status.value not in ended]

    async def get(self, session_id: str) -> Session | None:
        return next((session for session in self._all() if session.id == session_id), None)

    async def search(self, *, access_key: Any, statuses: Any, limit: int, offset: int) -> tuple[Sequence[Session], int]:
        found = [
            session
            for session in reversed(self._all())
            if access_key in (None, session.access_key) and (statuses is None or session.status in statuses)
        ]
        return found[offset : offset + limit], len(found)

    async def used_since(self, when: datetime) -> Sequence[PastUse]:
        return [
            PastUse(
                access_key=session.access_key,
                slots=session.requested_slots,
                since_s=session.starts_at.timestamp(),
                until_s=session.terminated_at.timestamp(),
            )
            for session in self._all()
            if session.starts_at and session.terminated_at and session.terminated_at >= when
        ]

    async def keypairs(self) -> Sequence[Keypair]:
        return list(self.pairs.values())

    async def add_keypair(self, keypair: Keypair) -> None:
        await asyncio.sleep(0)
        if self.refuse is not None:
            raise self.refuse
        self.pairs[keypair.access_key] = keypair

    async def remove_keypair(self, access_key: str) -> None:
        await asyncio.sleep(0)
        if self.refuse is not None:
            raise self.refuse
        self.pairs.pop(access_key, None)

    async def close(self) -> None:
        pass


def dump_frames(records: Sequence[JournalRecord]) -> list[Any]:
    return [json.loads(record.raw) for record in records]
