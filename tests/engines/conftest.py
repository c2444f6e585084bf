"""Real sessions: one engine a module, since an interpreter takes a moment to come up; a fresh session a test."""

from __future__ import annotations

import asyncio
import itertools
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from bai_tui.app.backend.engines.hierarchies import SessionGroups
from bai_tui.app.backend.engines.kernel import ProcessKernel
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.engines.sandbox import Sandboxes
from bai_tui.app.backend.ports import JournalRecord, LaunchSpec
from bai_tui.app.backend.runner import procs
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import LaunchFailed
from bai_tui.app.model.images import Image, ImageReference

_numbers = itertools.count(1)


@cache
def found() -> dict[str, str]:
    """One interpreter a version: this one, those on PATH, those of pyenv."""
    candidates = [Path(sys.executable)]
    candidates += [Path(where) for minor in range(6, 16) if (where := shutil.which(f"python3.{minor}"))]
    candidates += [Path("/usr/bin/python3")]
    pyenv = shutil.which("pyenv")
    if pyenv:
        root = Path(subprocess.run([pyenv, "root"], capture_output=True, text=True).stdout.strip())
        candidates += sorted(root.glob("versions/3.*/bin/python"))
    chosen: dict[str, str] = {}
    for path in candidates:
        asked = subprocess.run(
            [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2]); assert sys.version_info >= (3, 6)"],
            capture_output=True,
            text=True,
        ) if path.exists() else None  # fmt: skip
        if asked is not None and asked.returncode == 0:
            chosen.setdefault(asked.stdout.strip(), str(path))
    return chosen


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs tests that ask for `python`, a pair of version and path, on every Python of this machine."""
    if "python" in metafunc.fixturenames:
        pairs = sorted(found().items())
        metafunc.parametrize("python", pairs, ids=[version for version, _ in pairs])


def make_image(interpreter: str = sys.executable, kernel: str = "ipython") -> Image:
    return Image(id="test", reference=ImageReference("python", "test"), interpreter=interpreter, kernel=kernel)


@dataclass
class Result:
    """What a run left in the journal."""

    records: list[JournalRecord] = field(default_factory=list)

    @property
    def said(self) -> list[tuple[str, Any]]:
        """(kind, data) of everything between start and end, neighbours of one stream joined."""
        joined: list[tuple[str, Any]] = []
        for record in self.records[1:-1]:
            if joined and record.kind == joined[-1][0] and record.kind in ("stdout", "stderr"):
                joined[-1] = (record.kind, joined[-1][1] + record.data)
            else:
                joined.append((record.kind, record.data))
        return joined

    def text(self, kind: str = "stdout") -> str:
        return "".join(record.data for record in self.records if record.kind == kind)

    @property
    def end(self) -> JournalRecord:
        return self.records[-1]

    @property
    def code(self) -> int:
        return int(self.end.data["exitCode"])


class Session:
    """A session, and what tests do with one."""

    def __init__(self, kernel: ProcessKernel, base: Path) -> None:
        self.kernel = kernel
        self.base = base
        self.work = base / "work"
        self.journal = base / "journal"

    async def begin(self, code: str = "", *, mode: RunMode = RunMode.QUERY, **options: Any) -> str:
        run_id = f"run-{next(_numbers)}"
        await self.kernel.execute(run_id, ExecuteRequest(mode, code, options))
        return run_id

    async def follow(
        self, run_id: str, *, after: int = 0, until: Callable[[JournalRecord], bool] | None = None
    ) -> Result:
        """Collects the run's records up to its end, or to the one that `until` accepts."""
        result = Result()
        async with asyncio.timeout(20):
            async for record in self.kernel.records(after):
                if record.run_id == run_id:
                    result.records.append(record)
                    if record.kind in ("run-finished", "kernel-died") or (until is not None and until(record)):
                        return result
        raise AssertionError(f"the journal ended before the run did: {result.said}")

    async def run(self, code: str) -> Result:
        return await self.follow(await self.begin(code))

    async def batch(self, **options: Any) -> Result:
        return await self.follow(await self.begin(mode=RunMode.BATCH, **options))

    def alive(self) -> list[int]:
        """Processes below the runner."""
        return procs.descendants(self.kernel.pid)

    async def kernel_pid(self) -> int:
        return int((await self.run("import os; print(os.getpid())")).text())


class Sessions:
    """Makes sessions and ends them."""

    def __init__(self, engine: ProcessEngine, base: Path) -> None:
        self.engine = engine
        self.base = base
        self.made: list[Session] = []

    async def start(self, image: Image | None = None, **changes: Any) -> Session:
        name = f"session-{next(_numbers)}"
        base = self.base / name
        (base / "work").mkdir(parents=True)
        spec: dict[str, Any] = {
            "session_id": name,
            "session_dir": base,
            "work_dir": base / "work",
            "image": image or make_image(),
            "environ": {},
            "grace_s": 0.3,
        }
        kernel = await self.engine.start(LaunchSpec(**(spec | changes)))
        assert isinstance(kernel, ProcessKernel)
        session = Session(kernel, base)
        self.made.append(session)
        return session

    async def end(self) -> None:
        await asyncio.gather(*(session.kernel.terminate(grace_s=0) for session in self.made))


@pytest.fixture(scope="session")
def kit() -> Any:
    """The helpers of this file, for tests that need more than fixtures."""
    return SimpleNamespace(Session=Session, Sessions=Sessions, make_image=make_image)


@pytest.fixture(scope="module")
def folder() -> Any:
    path = Path(tempfile.mkdtemp(prefix="bt-engine-"))
    yield path
    for state in path.iterdir():
        SessionGroups.find(state)  # as the next backend does: a runner that was killed has left its control group
    shutil.rmtree(path, ignore_errors=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(folder: Path) -> AsyncIterator[ProcessEngine]:
    made = ProcessEngine(folder / "engine")
    await made.warm(make_image())
    yield made
    await made.close()


@pytest_asyncio.fixture(loop_scope="module")
async def sessions(engine: ProcessEngine, folder: Path) -> AsyncIterator[Sessions]:
    made = Sessions(engine, folder)
    yield made
    await made.end()


@pytest_asyncio.fixture(loop_scope="module")
async def session(sessions: Sessions) -> Session:
    return await sessions.start()


@pytest.fixture(scope="module")
def bwrap(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Passes where there are sandboxes."""
    try:
        asyncio.run(Sandboxes(tmp_path_factory.mktemp("state")).check(network=False))
    except LaunchFailed as exc:
        pytest.skip(f"NO SANDBOXES CAN BE HAD HERE: {exc.message}")


@pytest.fixture
def isolated(sessions: Sessions) -> Callable[..., Any]:
    """Starts an isolated session."""
    return partial(sessions.start, isolation="bwrap")
