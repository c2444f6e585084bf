"""Claim 9: what the journal costs, in throughput."""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bai_tui.app.backend import runner
from bai_tui.app.backend.engines import zygotes
from bai_tui.app.backend.engines.journal import parse
from bai_tui.app.backend.engines.kernel import ProcessKernel
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.ports import LaunchSpec
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.images import Image, ImageReference

from .harness import Case, Claim, interleave
from .throughput import Load, blocks, lines

JOURNAL, PIPE = "journal on disk, one reader", "no journal: a pipe to the reader"
ALONE, NULL = "journal on disk, nobody reads", "no journal: /dev/null"
AT_MOST = 1.10
_CHUNK_BYTES = 256 << 10
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031
_ENDS = ("run-finished", "kernel-died")

_NO_JOURNAL = '''

class _NoJournal(Journal):
    """The same lines, written to whatever `out` in the folder is, and not kept."""

    def __init__(self, folder, *args):
        super().__init__(folder, *args)
        os.close(self._fd)
        self._fd = os.open(os.path.join(folder, "out"), os.O_WRONLY | os.O_CLOEXEC)

    def _next_segment(self):
        self._size = 0

    def _make_room(self):
        self._old_bytes = 0


Journal = _NoJournal
'''
"""Goes at the end of a copy of `runner/journal.py`: the rest of that runner is the one that is shipped."""


class Session:
    """A session of an engine of its own, without a backend around it."""

    def __init__(self, kernel: ProcessKernel, out: int | None) -> None:
        self._kernel = kernel
        self._out = out
        self._runs = 0

    async def run(self, load: Load, *, read: bool) -> float:
        """Returns how long a run took: until a reader has parsed all of it, or until it has ended."""
        self._runs += 1
        began = time.perf_counter()
        after = self._kernel.last_seq
        await self._kernel.execute(f"run-{self._runs}", ExecuteRequest(RunMode.QUERY, load.code, {}))
        if not read:
            await self._ended()
            return time.perf_counter() - began
        text = await (self._from_disk(after) if self._out is None else self._from_pipe(self._out))
        took = time.perf_counter() - began
        if "".join(text) != load.expected:
            raise RuntimeError(f"{len(load.expected)} characters were written, others were read")
        await self._ended()
        return took

    async def _ended(self) -> None:
        while self._kernel.busy_run is not None:  # noqa: ASYNC110 (told to readers only, and here is none)
            await asyncio.sleep(0.001)

    async def _from_disk(self, after: int) -> list[str]:
        text: list[str] = []
        async for batch in self._kernel.batches(after):
            text += [record.data for record in batch if record.kind == "stdout"]
            if batch[-1].kind in _ENDS:
                break
        return text

    async def _from_pipe(self, fd: int) -> list[str]:
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(fd, readable.set)
        text: list[str] = []
        rest = b""
        try:
            while True:
                await readable.wait()
                readable.clear()
                try:
                    *whole, rest = (rest + os.read(fd, _CHUNK_BYTES)).split(b"\n")
                except BlockingIOError:
                    continue
                for record in map(parse, whole):
                    if record is not None and record.kind == "stdout":
                        text.append(record.data)
                    elif record is not None and record.kind in _ENDS:
                        return text
        finally:
            loop.remove_reader(fd)


@asynccontextmanager
async def _engine(folder: Path, script: Path) -> AsyncIterator[ProcessEngine]:
    """Runs an engine whose runners are those beside `script`."""
    shipped = zygotes._SCRIPT
    setattr(zygotes, "_SCRIPT", script)  # noqa: B010 (it is final for everybody else)
    engine = ProcessEngine(folder, spares=0)
    try:
        yield engine
    finally:
        await engine.close()
        setattr(zygotes, "_SCRIPT", shipped)  # noqa: B010


@asynccontextmanager
async def _session(engine: ProcessEngine, folder: Path, out: str = "") -> AsyncIterator[Session]:
    """Starts a session; `out` is what stands in place of its journal: `pipe` or a path, empty = nothing does."""
    fd = None
    (folder / "work").mkdir(parents=True)
    if out:
        (folder / "journal").mkdir()
        if out == "pipe":
            os.mkfifo(folder / "journal" / "out")
            fd = os.open(folder / "journal" / "out", os.O_RDWR | os.O_NONBLOCK)
            fcntl.fcntl(fd, _F_SETPIPE_SZ, _PIPE_BYTES)
        else:
            (folder / "journal" / "out").symlink_to(out)
    image = Image(id="bench", reference=ImageReference("python", "bench"), interpreter=sys.executable, kernel="ipython")
    kernel = await engine.start(
        LaunchSpec(session_id=folder.name, session_dir=folder, work_dir=folder / "work", image=image, environ={})
    )
    assert isinstance(kernel, ProcessKernel)
    session = Session(kernel, fd)
    try:
        yield session
    finally:
        await kernel.terminate(grace_s=0)
        if fd is not None:
            os.close(fd)


async def measure(*, rounds: int) -> list[Claim]:
    """Four sessions of the same runner take turns; what differs is where it writes its records to."""
    folder = Path(tempfile.mkdtemp(prefix="bj-"))
    shipped = Path(runner.__file__).parent
    try:
        shutil.copytree(shipped, folder / "runner")
        with (folder / "runner" / "journal.py").open("a") as file:
            file.write(_NO_JOURNAL)
        async with (
            _engine(folder / "e1", shipped / "zygote.py") as engine,
            _session(engine, folder / "disk") as disk,
            _engine(folder / "e2", folder / "runner" / "zygote.py") as other,
            _session(other, folder / "pipe", "pipe") as pipe,
            _session(other, folder / "null", os.devnull) as null,
        ):
            loads = {"a": lines(), "b": blocks()}
            return [await _claim(part, load, rounds, disk, pipe, null) for part, load in loads.items()]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _claim(part: str, load: Load, rounds: int, disk: Session, pipe: Session, null: Session) -> Claim:
    cases: dict[str, Case] = {
        JOURNAL: lambda: disk.run(load, read=True),
        PIPE: lambda: pipe.run(load, read=True),
        ALONE: lambda: disk.run(load, read=False),
        NULL: lambda: null.run(load, read=False),
    }
    claim = Claim(
        title=f"9{part}. The journal: {load.title.partition('. ')[2]}",
        unit="s",
        how="One runner, without API and websocket. With a reader: until it has parsed all records, every character "
        "compared; once the records go through files and once, in a runner that differs in nothing else, through a "
        "pipe of 1 MiB and are not kept. Without one: until the run has ended; written to files or to /dev/null.",
        samples=await interleave(cases, rounds),
        ours=JOURNAL,
    )
    ratio = claim.sample(JOURNAL).median / claim.sample(PIPE).median
    claim.goals.append((f"at most 10 % more than {PIPE}: {(ratio - 1) * 100:+.1f} %", ratio <= AT_MOST))
    ratio = claim.sample(ALONE).median / claim.sample(NULL).median
    claim.notes.append(
        f"Where nobody reads, {(ratio - 1) * 100:+.1f} % beside {NULL}, which does not even copy what it is given."
    )
    return claim
