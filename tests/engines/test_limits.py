"""Cores and memory of real sessions, and what is said about them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.groups import MemoryGroup, MemoryGroups
from bai_tui.app.backend.engines.limits import Limits
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.ports import Guarantee, Layer

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORES = "import os; print(sorted(os.sched_getaffinity(0)))"
CHILD_CORES = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {CORES!r}]); None"
HOG = "hog = bytearray(200 << 20)"
LIMIT = 96 << 20
TOO_MUCH = "out of memory: the session is over its mem of 96m; make one with more (such as -r mem=192m)"


@pytest.fixture(scope="module")
def core() -> int:
    return max(os.sched_getaffinity(0))


@pytest.fixture(scope="module")
def no_core() -> int:
    """A core that this machine does not have."""
    return (os.cpu_count() or 1) + 1000


@pytest.fixture(scope="module")
def groups(engine: ProcessEngine) -> MemoryGroups:
    if engine._groups.problem:
        pytest.skip(f"NO REAL CONTROL GROUPS HERE: {engine._groups.problem}")
    return engine._groups


def layer(engine: Any, session: Any, name: str) -> Layer:
    (found,) = [item for item in engine.layers(session.kernel) if item.name.startswith(name)]
    assert isinstance(found, Layer)
    return found


# --- cores


async def test_every_process_of_a_session_is_pinned(sessions: Any, engine: Any, core: int) -> None:
    session = await sessions.start(cores=frozenset({core}), bootstrap_script=f"{sys.executable} -c '{CORES}' > cores")
    assert (session.work / "cores").read_text() == f"[{core}]\n"
    assert (await session.run(CORES)).text() == f"[{core}]\n"
    assert (await session.run(CHILD_CORES)).text() == f"[{core}]\n"
    threads = await session.run(
        "import threading; t = threading.Thread(target=lambda: print(os.sched_getaffinity(0))); t.start(); t.join()"
    )
    assert threads.text() == f"{{{core}}}\n"
    assert (await session.batch(exec=f'python -c "{CORES}"')).text() == f"[{core}]\n"
    await session.kernel.restart()
    assert (await session.run(CORES)).text() == f"[{core}]\n"
    assert layer(engine, session, "affinity") == Layer(
        "affinity", "cpu", Guarantee.COOPERATIVE, f"pinned to core {core}; code may choose other cores for itself"
    )


async def test_a_core_that_is_gone_does_not_fail_the_launch(
    sessions: Any, engine: Any, core: int, no_core: int
) -> None:
    some = await sessions.start(cores=frozenset({core, no_core}))
    assert (await some.run(CORES)).text() == f"[{core}]\n"
    assert f"pinned to core {core} of cores {core}, {no_core}" in layer(engine, some, "affinity").detail
    none = await sessions.start(cores=frozenset({no_core}))
    assert (await none.run(CORES)).text() == f"{sorted(os.sched_getaffinity(0))}\n"
    told = layer(engine, none, "affinity")
    assert (told.guarantee, f"core {no_core} cannot be used any more: not pinned" in told.detail) == ("counted", True)


async def test_nobody_is_pinned_without_being_asked(session: Any, engine: Any) -> None:
    assert (await session.run(CORES)).text() == f"{sorted(os.sched_getaffinity(0))}\n"
    assert [item.name for item in engine.layers(session.kernel)] == []


# --- memory


async def test_a_kernel_that_takes_too_much_dies_of_it_and_the_session_lives(
    sessions: Any, engine: Any, groups: MemoryGroups
) -> None:
    session = await sessions.start(mem_limit_bytes=LIMIT)
    told = layer(engine, session, "memory")
    assert (told.name, told.guarantee, told.detail.split()[0]) == ("memory-cgroup", "hard", "96m")
    died = await session.run(HOG)
    reason = TOO_MUCH
    assert (died.end.kind, died.end.data["reason"], died.code) == ("kernel-died", reason, 137)
    assert (await asyncio.wait_for(session.kernel.kernel_died(), 5)).reason == reason
    await session.kernel.restart()
    assert (await session.run("'lives'")).text() == "'lives'\n"
    assert (await session.run(HOG)).end.data["reason"] == reason, "the new kernel is held, too"
    group = session.kernel.limits.group
    await session.kernel.terminate()
    assert not group.path.exists()


async def test_a_command_that_takes_too_much_is_told_so(sessions: Any, groups: MemoryGroups) -> None:
    session = await sessions.start(mem_limit_bytes=LIMIT)
    batch = await session.batch(exec=f"python -c '{HOG}'; true")
    assert batch.text("stderr").endswith(f"a process was killed: {TOO_MUCH}\n")
    assert "reason" not in batch.end.data, "it ended well all the same"
    assert (await session.batch(exec=f"python -c '{HOG}'")).end.data["reason"] == TOO_MUCH
    assert (await session.batch(exec="python -c 'print(1)'")).text("stderr") == ""
    assert (await session.run("1")).text() == "1\n", "the kernel was not the one to go"


async def test_a_killed_kernel_is_no_lack_of_memory(sessions: Any, groups: MemoryGroups) -> None:
    session = await sessions.start(mem_limit_bytes=LIMIT)
    died = await session.run("import os; os.kill(os.getpid(), 9)")
    assert died.end.data["reason"] == "the kernel was killed by SIGKILL"


async def test_all_processes_are_in_the_group_also_when_no_spare_was_ready(
    kit: Any, folder: Path, groups: MemoryGroups
) -> None:
    engine = ProcessEngine(folder / "no-spares", spares=0)
    sessions = kit.Sessions(engine, folder)
    try:
        session = await sessions.start(mem_limit_bytes=LIMIT)
        await session.run("import subprocess; p = subprocess.Popen(['setsid', 'sleep', '60'])")
        group = session.kernel.limits.group
        assert set(group.pids()) == {session.kernel.pid, *session.alive()}
        await sessions.end()
        assert not group.path.exists()
    finally:
        await engine.close()


async def test_limits_survive_the_backend(kit: Any, folder: Path, core: int) -> None:
    first = ProcessEngine(folder / "first", spares=0)
    try:
        old = await kit.Sessions(first, folder).start(cores=frozenset({core}), mem_limit_bytes=LIMIT)
        before = first.layers(old.kernel)
        info = json.loads(json.dumps(first.runner_info(old.kernel)))
    finally:
        await first.close()
    second = ProcessEngine(folder / "first", spares=0)
    try:
        kernel: Any = await second.adopt(old.kernel.session_id, old.base, info)
        assert kernel is not None
        assert second.layers(kernel) == before
        assert before[0].name == "affinity"
        adopted = kit.Session(kernel, old.base)
        await kernel.restart()
        assert (await adopted.run(CORES)).text() == f"[{core}]\n"
        if kernel.limits.in_group:
            assert "out of memory" in (await adopted.run(HOG)).end.data["reason"]
        await kernel.terminate()
        assert kernel.limits.group is None or not kernel.limits.group.path.exists()
    finally:
        await second.close()


async def test_the_group_of_a_session_that_ended_without_a_backend_is_removed_by_the_next(
    kit: Any, folder: Path, groups: MemoryGroups
) -> None:
    first = ProcessEngine(folder / "alone", spares=0)
    try:
        session = await kit.Sessions(first, folder).start(mem_limit_bytes=LIMIT)
    finally:
        await first.close()
    path = session.kernel.limits.group.path
    os.kill(session.kernel.pid, 9)  # it can do nothing any more
    async with asyncio.timeout(10):
        while MemoryGroup(path, 1).pids():
            await asyncio.sleep(0.005)
    second = ProcessEngine(folder / "alone", spares=0)
    assert not path.exists()
    await second.close()


async def test_a_runner_that_ends_alone_removes_its_group(kit: Any, folder: Path, groups: MemoryGroups) -> None:
    engine = ProcessEngine(folder / "alone", spares=1)
    try:
        session = await kit.Sessions(engine, folder).start(mem_limit_bytes=LIMIT)
    finally:
        await engine.close()
    path = session.kernel.limits.group.path
    assert path.exists()
    os.kill(session.kernel.pid, 15)
    async with asyncio.timeout(10):
        while path.exists():
            await asyncio.sleep(0.005)


async def test_without_control_groups_nothing_is_claimed(
    kit: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    engine = ProcessEngine(folder / "bare", groups=MemoryGroups(None, "none", "none are mounted"), spares=0)
    assert "only watched: none are mounted" in caplog.text
    sessions = kit.Sessions(engine, folder)
    try:
        session = await sessions.start(mem_limit_bytes=LIMIT)
        assert engine.layers(session.kernel) == []
        assert (await session.run("1 + 1")).text() == "2\n"
        await sessions.end()
    finally:
        await engine.close()


async def test_a_session_of_an_earlier_version_has_no_layers() -> None:
    assert Limits.restored({}).layers(os.getpid()) == []
