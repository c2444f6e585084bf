"""More output than anybody reads, through a real runner: its memory stays flat, its journal within its size."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import time
from collections.abc import Iterator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.ports import JournalRecord
from bai_tui.app.backend.runner.journal import segment_names
from bai_tui.app.backend.runner.throttle import RATE_BYTES_S
from bai_tui.app.backend.service.journal import log_text, read
from bai_tui.app.model.console import RunMode
from bai_tui.app.model.errors import IllegalState, KernelNotReady
from bai_tui.tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LIMIT = 4 << 20
GROWTH_KIB = 40 << 10
FLOOD_MIB = 96
"""Far more than the growth that is let pass, and no more than a few seconds take."""


class Memory:
    """Peak of a process's memory since this was made."""

    def __init__(self, pid: int | str) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text("5")  # from here on VmHWM counts anew
        self._before = self._kib("VmRSS")

    def _kib(self, name: str) -> int:
        lines = (self._folder / "status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))

    @property
    def growth_kib(self) -> int:
        return self._kib("VmHWM") - self._before


def on_disk(session: Any) -> int:
    return sum((session.journal / name).stat().st_size for name in segment_names(str(session.journal)))


async def end_of(session: Any, run_id: str) -> None:
    """Returns when a run has ended, without reading anything of it."""
    async with asyncio.timeout(60):
        await until(lambda: session.kernel.busy_run != run_id)


def pieces(records: list[JournalRecord]) -> Iterator[tuple[str, int]]:
    """Checks that every number comes once; yields kind and length."""
    last = records[0].seq - 1
    for record in records:
        first = record.data["first"] if record.kind == "dropped" else record.seq
        assert first == last + 1
        last = record.seq
        yield record.kind, len(str(record.data))


async def test_a_flood_that_nobody_reads_costs_no_memory(sessions: Any) -> None:
    session = await sessions.start(journal_max_bytes=LIMIT)
    await session.run("print('warm')")
    runner, backend = Memory(session.kernel.pid), Memory("self")
    run_id = await session.begin(
        f"import sys\nfor i in range({FLOOD_MIB * 16}):\n    _ = sys.stdout.write(f'{{i:015d}}\\n' * 4096)"
    )
    await end_of(session, run_id)
    assert runner.growth_kib < GROWTH_KIB and backend.growth_kib < GROWTH_KIB
    assert on_disk(session) <= LIMIT
    records = [record for record in read(session.journal) if record.run_id == run_id]
    kinds = dict(pieces(records))
    assert set(kinds) == {"run-started", "stdout", "dropped", "run-finished"}
    assert records[0].kind == "run-started" and records[1].data.startswith(f"{0:015d}\n")
    assert records[-2].data.endswith(f"{FLOOD_MIB * 16 - 1:015d}\n")
    (gap,) = [record for record in records if record.kind == "dropped"]
    assert gap.data["bytes"] > (FLOOD_MIB - 8) << 20
    text = log_text(session.journal)
    assert "of output were dropped here" in text and len(text) < LIMIT + 1000
    assert (await session.run("1 + 1")).text() == "2\n"


async def test_a_reader_that_stops_reading_costs_no_memory_and_holds_up_nobody(sessions: Any) -> None:
    session = await sessions.start(journal_max_bytes=LIMIT)
    await session.run("print('warm')")
    seen: list[JournalRecord] = []
    async with aclosing(session.kernel.batches()) as stalled:
        run_id = await session.begin(f"import sys\nfor i in range({FLOOD_MIB}):\n    print('y' * 1048575)")
        seen += await anext(stalled)
        runner, backend = Memory(session.kernel.pid), Memory("self")
        quick = await session.follow(run_id)  # another one reads to the end
        assert runner.growth_kib < GROWTH_KIB
        del quick
        async for batch in stalled:
            seen += batch
            if seen[-1].kind == "run-finished" and seen[-1].run_id == run_id:
                break
        assert backend.growth_kib < GROWTH_KIB + FLOOD_MIB * 1024  # what this test itself collects
    assert "dropped" in dict(pieces(seen))


async def test_a_line_without_an_end_and_of_no_text_costs_no_memory(sessions: Any) -> None:
    session = await sessions.start(journal_max_bytes=LIMIT)
    await session.run("print('warm')")
    runner = Memory(session.kernel.pid)
    result = await session.batch(exec=f"head -c {FLOOD_MIB}M /dev/zero | tr '\\0' x; head -c 4M /dev/urandom >&2")
    assert result.code == 0
    assert runner.growth_kib < GROWTH_KIB
    assert on_disk(session) <= LIMIT


async def test_one_huge_write_to_stderr_is_cut(sessions: Any) -> None:
    session = await sessions.start()
    await session.run("print('warm')")
    runner = Memory(session.kernel.pid)
    result = await session.run("import sys\nn = sys.stderr.write('e' * (48 << 20))\nprint(n, file=sys.stderr)")
    text = result.text("stderr")
    assert (len(text), text.strip("e")) == ((48 << 20) + 9, f"{48 << 20}\n")
    assert runner.growth_kib < GROWTH_KIB
    assert max(len(record.raw) for record in result.records) < 1 << 20


async def test_a_huge_rich_record_is_left_out_and_told(sessions: Any) -> None:
    session = await sessions.start()
    await session.run("from IPython.display import HTML, display")
    runner = Memory(session.kernel.pid)
    result = await session.run("display(HTML('<p>' * (15 << 20)))\nprint('on it goes')")
    assert [kind for kind, _ in result.said] == ["stderr", "stdout"]
    assert result.said[0][1].startswith("[html output of 45.0 MiB was left out: ")
    assert runner.growth_kib < GROWTH_KIB
    result = await session.run("for i in range(8):\n    display(HTML('<p>' * (5 << 20)))")
    assert [kind for kind, _ in result.said] == ["html"] * 8
    assert runner.growth_kib < 5 * GROWTH_KIB // 2, "many of the largest need no more than one, far less than all"


async def test_garbage_from_the_kernels_own_socket_ends_the_kernel_only(sessions: Any) -> None:
    session = await sessions.start()
    runner = Memory(session.kernel.pid)
    code = "import os, sys\nfd = sys.stderr._link.fileno()\nwhile True:\n    os.write(fd, b'x' * 65536)"
    result = await session.run(code)
    assert result.end.kind == "kernel-died"
    assert runner.growth_kib < 2 * GROWTH_KIB
    await session.kernel.restart()
    assert (await session.run("1 + 1")).text() == "2\n"


@pytest.mark.parametrize(
    "forged",
    [
        {"record": ["run-finished", "x"]},
        {"record": ["kernel-died", {"exitCode": 0}]},
        {"record": ["waiting-input", 5]},
        {"record": ["dropped", {"first": 1, "last": 9}]},
        {"record": ['stdout","no"]}\n{"seq":999999999,"t":1.0,"run":null,"rec":["stdout', "forged"]},
        {"record": ["stdout", ["no text"]]},
        {"record": 5},
        {"stderr": ["no text"]},
        {"done": "x", "stdout": ""},
        {"looked": [], "answer": {}},
        {"looked": 1, "answer": []},
        {"looked": 1, "answer": {"matches": [5]}},
        {"looked": 1, "answer": {"start": True}},
        {"looked": 1, "answer": {"strange": "x"}},
    ],
    ids=str,
)
@pytest.mark.parametrize("last_words", ["", "; os._exit(3)"])
async def test_frames_that_user_code_makes_up_reach_nobody(session: Any, forged: Any, last_words: str) -> None:
    line = json.dumps(forged) + "\n"
    code = f"import os, sys, time; os.write(sys.stderr._link.fileno(), {line!r}.encode()){last_words}; time.sleep(20)"
    result = await session.run(code)
    assert (result.end.kind, result.said) == ("kernel-died", [])
    await session.kernel.restart()
    after = await session.run("1 + 1")
    assert after.text() == "2\n"
    records = result.records[-1:] + after.records
    assert records[0].seq < records[1].seq < records[0].seq + 10, "the numbers go on as they should"


async def test_an_endless_print_is_slowed_down_where_that_is_asked_for(sessions: Any) -> None:
    limit = 1 << 20
    session = await sessions.start(journal_max_bytes=limit, journal_overflow="slow-down")
    began = time.monotonic()
    run_id = await session.begin("while True:\n    print('z' * 1000)")
    size, last = 0, 0
    async with asyncio.timeout(30), aclosing(session.kernel.batches()) as batches:
        async for batch in batches:
            assert all(record.kind != "dropped" for record in batch), "this reader can follow"
            size += sum(len(record.raw) for record in batch)
            last = batch[-1].seq
            if size > 3 * limit:
                break
    await session.kernel.interrupt()
    end = await session.follow(run_id, after=last)
    assert end.code == 1 and "KeyboardInterrupt" in end.text("stderr")
    took = time.monotonic() - began
    size += sum(len(record.raw) for record in end.records)
    assert size < limit / 2 + took * RATE_BYTES_S + (4 << 20)  # what fits into a pipe, twice
    assert took > 1.0
    # The next run begins anew: little output is never held up.
    assert (await session.run("print('x' * 100_000)")).text() == "x" * 100_000 + "\n"


async def test_a_throttled_run_can_be_ended_at_once(sessions: Any) -> None:
    session = await sessions.start(journal_max_bytes=1 << 20, journal_overflow="slow-down")
    run_id = await session.begin(mode=RunMode.BATCH, exec="yes")
    async with asyncio.timeout(30), aclosing(session.kernel.batches()) as batches:
        size = 0
        async for batch in batches:
            size += sum(len(record.raw) for record in batch)
            if size > 1 << 20:
                break
    began = time.monotonic()
    await session.kernel.terminate()
    assert time.monotonic() - began < 5
    assert run_id in {record.run_id for record in read(session.journal)}


async def test_a_disk_that_takes_nothing_stops_the_writers_and_loses_nothing(sessions: Any) -> None:
    session = await sessions.start(journal_max_bytes=LIMIT)
    os.mkfifo(session.work / "gate")
    flood = "read go < gate; yes 0123456 | head -c 3000000"
    assert (await session.run(f"import subprocess; child = subprocess.Popen({flood!r}, shell=True)")).code == 0
    runner = Memory(session.kernel.pid)
    usual = resource.prlimit(session.kernel.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(session.kernel.pid, resource.RLIMIT_FSIZE, (on_disk(session) + 50_000, usual[1]))
    (session.work / "gate").write_text("go\n")
    async with asyncio.timeout(20):
        with pytest.raises(KernelNotReady, match="make room on the disk"):
            while True:
                with suppress(IllegalState):  # the one before is still going on
                    await session.begin("pass")
                await asyncio.sleep(0.01)  # only to ask again shows when the disk is full
    assert on_disk(session) <= LIMIT // 4 and runner.growth_kib < GROWTH_KIB
    resource.prlimit(session.kernel.pid, resource.RLIMIT_FSIZE, usual)
    async with asyncio.timeout(20):
        while True:
            try:
                result = await session.run("print('and on it goes', child.wait())")
                break
            except (KernelNotReady, IllegalState):
                await asyncio.sleep(0.01)  # only to ask again shows that there is room
    assert result.text().endswith("and on it goes 0\n")  # before it what the child had written by then, maybe
    text = "".join(record.data for record in read(session.journal) if record.kind == "stdout")
    assert text.replace("and on it goes 0\n", "") == "0123456\n" * 375_000
