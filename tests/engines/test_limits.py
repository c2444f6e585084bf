"""Cores and memory of real sessions, and what is said about them."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.groups import Place, SessionGroup
from bai_tui.app.backend.engines.hierarchies import SessionGroups
from bai_tui.app.backend.engines.limits import Limits, out_of_tasks, time_text
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.ports import Guarantee, Layer
from bai_tui.tests.waiting import until

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
def groups(engine: ProcessEngine) -> SessionGroups:
    if engine._groups.problem or "memory" in engine._groups.problems:
        pytest.skip(f"NO REAL CONTROL GROUP FOR MEMORY HERE: {engine._groups.missing}")
    return engine._groups


def paths(session: Any) -> list[Path]:
    return [place.path for place in session.kernel.limits.group.places]


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
    sessions: Any, engine: Any, groups: SessionGroups
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
    await session.kernel.terminate()
    assert not any(path.exists() for path in paths(session))


async def test_a_command_that_takes_too_much_is_told_so(sessions: Any, groups: SessionGroups) -> None:
    session = await sessions.start(mem_limit_bytes=LIMIT)
    batch = await session.batch(exec=f"python -c '{HOG}'; true")
    assert batch.text("stderr").endswith(f"a process was killed: {TOO_MUCH}\n")
    assert "reason" not in batch.end.data, "it ended well all the same"
    assert (await session.batch(exec=f"python -c '{HOG}'")).end.data["reason"] == TOO_MUCH
    assert (await session.batch(exec="python -c 'print(1)'")).text("stderr") == ""
    assert (await session.run("1")).text() == "1\n", "the kernel was not the one to go"


async def test_a_killed_kernel_is_no_lack_of_memory(sessions: Any, groups: SessionGroups) -> None:
    session = await sessions.start(mem_limit_bytes=LIMIT)
    died = await session.run("import os; os.kill(os.getpid(), 9)")
    assert died.end.data["reason"] == "the kernel was killed by SIGKILL"


async def test_all_processes_are_in_the_group_also_when_no_spare_was_ready(
    kit: Any, folder: Path, groups: SessionGroups
) -> None:
    engine = ProcessEngine(folder / "no-spares", spares=0)
    sessions = kit.Sessions(engine, folder)
    try:
        session = await sessions.start(mem_limit_bytes=LIMIT)
        await session.run("import subprocess; p = subprocess.Popen(['setsid', 'sleep', '60'])")
        group = session.kernel.limits.group
        assert set(group.pids()) == {session.kernel.pid, *session.alive()}
        await sessions.end()
        assert not any(path.exists() for path in paths(session))
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
        if "memory" in kernel.limits.held:
            assert "out of memory" in (await adopted.run(HOG)).end.data["reason"]
        await kernel.terminate()
        assert not any(path.exists() for path in paths(adopted))
    finally:
        await second.close()


async def test_the_group_of_a_session_that_ended_without_a_backend_is_removed_by_the_next(
    kit: Any, folder: Path, groups: SessionGroups
) -> None:
    first = ProcessEngine(folder / "alone", spares=0)
    try:
        session = await kit.Sessions(first, folder).start(mem_limit_bytes=LIMIT)
    finally:
        await first.close()
    os.kill(session.kernel.pid, 9)  # it can do nothing any more
    async with asyncio.timeout(10):
        await until(lambda: not session.kernel.limits.group.pids())
    second = ProcessEngine(folder / "alone", spares=0)
    assert not any(path.exists() for path in paths(session))
    await second.close()


async def test_a_runner_that_ends_alone_removes_its_group(kit: Any, folder: Path, groups: SessionGroups) -> None:
    engine = ProcessEngine(folder / "alone", spares=1)
    try:
        session = await kit.Sessions(engine, folder).start(mem_limit_bytes=LIMIT)
    finally:
        await engine.close()
    assert all(path.exists() for path in paths(session))
    os.kill(session.kernel.pid, 15)
    async with asyncio.timeout(10):
        await until(lambda: not any(path.exists() for path in paths(session)))


async def test_without_control_groups_nothing_is_claimed(
    kit: Any, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    engine = ProcessEngine(folder / "bare", groups=SessionGroups.none("none are mounted"), spares=0)
    assert "only watched: none are mounted" in caplog.text
    sessions = kit.Sessions(engine, folder)
    try:
        session = await sessions.start(mem_limit_bytes=LIMIT)
        assert engine.layers(session.kernel) == []
        assert (await session.run("1 + 1")).text() == "2\n"
        await sessions.end()
    finally:
        await engine.close()


async def test_what_an_earlier_version_has_stored_is_read() -> None:
    assert Limits.restored({}).layers(os.getpid()) == []
    stored = {"cores": None, "mem_bytes": 1 << 30, "group": ["/g/bai-tui-x-7", 1], "in_group": True}
    read = Limits.restored(stored)
    assert read.group == SessionGroup((Place(Path("/g/bai-tui-x-7"), 1, ("memory",)),))
    assert (read.held, read.mem_bytes, read.max_tasks) == (frozenset({"memory"}), 1 << 30, 0)
    assert Limits.restored(json.loads(json.dumps(read.stored()))) == read


# --- processes, CPU time, wall time


async def test_what_holds_is_told_for_each(sessions: Any, engine: Any) -> None:
    if engine._groups.missing:
        pytest.skip(f"NOT ALL CONTROL GROUPS HERE: {engine._groups.missing}")
    session = await sessions.start(mem_limit_bytes=LIMIT, cpu_limit_cores=2, max_tasks=123, wall_time_s=7200.0)
    told = {item.name: item for item in engine.layers(session.kernel)}
    assert {name: (item.applies_to, item.guarantee) for name, item in told.items()} == {
        "cpu-cgroup": ("cpu", "hard"),
        "memory-cgroup": ("mem", "hard"),
        "tasks-cgroup": ("tasks", "hard"),
        "wall-time": ("time", "hard"),
    }
    assert told["cpu-cgroup"].detail.startswith("2 s of CPU time a second in a control group (version ")
    assert told["tasks-cgroup"].detail.startswith("123 processes and threads in a control group (version ")
    assert told["wall-time"].detail.startswith("its runner ends the session 2h after its start, at ")


async def test_a_user_without_groups_is_bounded_as_a_whole(
    kit: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 65_534)  # of whom there are few processes, if any
    engine = ProcessEngine(folder / "bounded", groups=SessionGroups.none("not here"), spares=0)
    sessions = kit.Sessions(engine, folder)
    try:
        session = await sessions.start(max_tasks=500)
        told = layer(engine, session, "tasks")
        assert (told.name, told.guarantee) == ("tasks-rlimit", "cooperative")
        code = "import resource; print(resource.getrlimit(resource.RLIMIT_NPROC))"
        limit = session.kernel.limits.user_tasks
        assert 500 <= limit < 5000
        assert (await session.run(code)).text() == f"({limit}, {limit})\n"
        assert (await session.batch(exec=f"python -c '{code}'")).text() == f"({limit}, {limit})\n"
        assert f"more than {limit} processes and threads of this user" in told.detail
    finally:
        await sessions.end()
        await engine.close()


@pytest.mark.parametrize(
    ("time_s", "text"), [(7200.0, "2h"), (86400.0, "1d"), (5400.0, "90m"), (0.5, "0.5s"), (61.0, "61s")]
)
async def test_times(time_s: float, text: str) -> None:
    assert time_text(time_s) == text


async def test_who_wants_more_tasks_is_told_what_to_change() -> None:
    assert out_of_tasks(7).endswith("as many as it may, 7; end some, or raise max_tasks under [sandbox] in config.toml")
