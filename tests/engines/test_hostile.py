"""Sessions that do their worst: what they start stays within its limits, their neighbours live, nothing of them stays.

Every bomb here is bounded by itself as well: a limit that does not hold costs some hundred processes, not the machine.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from bai_tui.app.backend.engines.hierarchies import SessionGroups
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.runner import procs
from bai_tui.tests import waiting

pytestmark = pytest.mark.asyncio(loop_scope="module")

MAX_TASKS = 100
SOON_S = 15.0
"""Generous: the machine is busy with the bomb, and with other tests."""
until = partial(waiting.until, within_s=SOON_S, pause_s=0.01)
"""To look goes through all processes, of which there are many."""
BOMB = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
depth, detach, kids = 7, sys.argv[1] == "detach", set()
deadline = time.monotonic() + 120
while time.monotonic() < deadline:
    while len(kids) < 2 and depth:
        try:
            pid = os.fork()
        except OSError:
            time.sleep(0.01)
            continue
        if pid == 0:
            kids.clear()
            depth -= 1
            if detach:
                os.setsid()
        else:
            kids.add(pid)
    try:
        kids.discard(os.waitpid(-1, os.WNOHANG)[0])
    except ChildProcessError:
        pass
    time.sleep(0.01)
"""
LEAVE = """
import os
def away():
    if os.fork(): os._exit(0)
    os.setsid()
    if os.fork(): os._exit(0)
    os.execve("/bin/sh", ["sh", "-c", "trap '' TERM HUP INT; while :; do sleep 0.05 || exit; done", {tag!r}], {{}})
pid = os.fork() or away()
os.waitpid(pid, 0)[1]
"""
HEADLESS = """
import ctypes, os, threading, time
if os.fork() == 0:
    threading.Thread(target=time.sleep, args=(100,)).start()
    ctypes.CDLL(None).pthread_exit(0)
"""
THREADS = """
import threading
gate, made = threading.Event(), 0
try:
    for made in range(10_000):
        threading.Thread(target=gate.wait, daemon=True).start()
except RuntimeError as exc:
    print(made, exc)
"""
FILL = """
import subprocess
kept = []
try:
    while len(kept) < 400:
        kept.append(subprocess.Popen(["sleep", "100"]))
except OSError as exc:
    print(len(kept), exc.strerror)
"""
HOG = "hog = bytearray(200 << 20)"


@pytest.fixture(params=["control groups", "none"], scope="module")
def hold(request: pytest.FixtureRequest, folder: Path) -> SessionGroups:
    """What holds the sessions: real control groups, or nothing but resource limits."""
    if request.param == "none":
        return SessionGroups.none("not here")
    found = SessionGroups.find(folder / "hostile")
    if found.problem:
        pytest.skip(f"NO REAL CONTROL GROUPS HERE: {found.problem}")
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(kit: Any, folder: Path, hold: SessionGroups) -> AsyncIterator[ProcessEngine]:
    made = ProcessEngine(folder / "hostile", groups=hold, spares=1)
    await made.warm(kit.make_image())
    yield made
    await made.close()


@pytest.fixture
def is_bounded(hold: SessionGroups) -> bool:
    """Whether the system itself refuses tasks here: nothing but a group does that to root."""
    return not hold.problem or os.getuid() != 0


@pytest.fixture
def tag() -> str:
    """A word on the command line of what a test starts."""
    return f"hostile-{uuid.uuid4().hex}"


def tagged(tag: str) -> list[int]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            try:
                command = (path / "cmdline").read_bytes()
            except OSError:
                continue
            if tag.encode() in command and procs.table().get(int(path.name)) is not None:
                found.append(int(path.name))
    return found


def bomb(session: Any, how: str, tag: str) -> str:
    """Returns a cell that starts a fork bomb."""
    (session.work / "bomb.py").write_text(BOMB)
    return f"import subprocess; subprocess.Popen([{sys.executable!r}, 'bomb.py', {how!r}, {tag!r}]); None"


def groups_of(session: Any) -> list[Path]:
    return [place.path for place in session.kernel.limits.group.places]


def tasks_of(session: Any) -> int:
    return sum(entry.threads for pid in session.alive() if (entry := procs.stat(pid)) is not None)


@pytest.mark.parametrize("how", ["stay", "detach"])
async def test_a_fork_bomb_is_contained_and_ended(sessions: Any, tag: str, how: str, is_bounded: bool) -> None:
    session, neighbour = await asyncio.gather(sessions.start(max_tasks=MAX_TASKS), sessions.start(max_tasks=MAX_TASKS))
    await session.begin(bomb(session, how, tag))
    enough = MAX_TASKS * 3 // 4 if is_bounded else 150
    await until(lambda: len(session.alive()) > enough)
    assert (await asyncio.wait_for(neighbour.run("1 + 1"), SOON_S)).text() == "2\n"
    if is_bounded:
        assert tasks_of(session) <= MAX_TASKS
    begun = time.monotonic()
    await asyncio.wait_for(session.kernel.terminate(grace_s=0), SOON_S)
    assert time.monotonic() - begun < SOON_S
    assert tagged(tag) == []
    assert not any(path.exists() for path in groups_of(session))
    assert (await asyncio.wait_for(neighbour.run("2 + 2"), SOON_S)).text() == "4\n"


async def test_a_fork_bomb_goes_with_the_restart_of_its_kernel(sessions: Any, tag: str, is_bounded: bool) -> None:
    session = await sessions.start(max_tasks=MAX_TASKS)
    await session.begin(bomb(session, "stay", tag))
    await until(lambda: len(session.alive()) > 60)
    await asyncio.wait_for(session.kernel.restart(), SOON_S)
    assert tagged(tag) == []
    after = await session.run("import subprocess; subprocess.call('true')")
    assert after.said == [("stdout", "0\n")], "it may fork again, and is not told of what was before"


async def test_a_fork_bomb_without_its_runner_is_ended(sessions: Any, tag: str) -> None:
    session = await sessions.start(max_tasks=MAX_TASKS)
    await session.begin(bomb(session, "detach", tag))
    await until(lambda: len(session.alive()) > 60)
    os.kill(session.kernel.pid, 9)
    ended = await asyncio.wait_for(session.kernel.wait(), SOON_S)
    assert ended.code is None
    assert tagged(tag) == []
    assert not any(path.exists() for path in groups_of(session))


async def test_who_forks_twice_and_hears_nothing_is_ended(sessions: Any, tag: str) -> None:
    session = await sessions.start()
    await session.run(LEAVE.format(tag=tag))
    (pid,) = await until(lambda: tagged(tag))
    assert Path(f"/proc/{pid}/environ").read_bytes() == b"", "there is no mark on it"
    await session.kernel.terminate(grace_s=0.1)
    assert tagged(tag) == []


async def test_who_forks_twice_is_ended_without_the_runner_where_there_are_groups(
    sessions: Any, tag: str, hold: SessionGroups
) -> None:
    if hold.problem:
        pytest.skip("who has no mark, no group and no runner any more cannot be told from others: docs/security.md")
    session = await sessions.start()
    await session.run(LEAVE.format(tag=tag))
    await until(lambda: tagged(tag))
    os.kill(session.kernel.pid, 9)
    await asyncio.wait_for(session.kernel.wait(), SOON_S)
    assert tagged(tag) == []


async def test_who_has_lost_its_main_thread_is_no_zombie(sessions: Any) -> None:
    session = await sessions.start()
    kernel = await session.kernel_pid()
    await session.run(HEADLESS)
    (pid,) = await until(lambda: [pid for pid in session.alive() if pid != kernel])
    await until(lambda: (about := procs.stat(pid)) is not None and about.state == "Z")
    assert pid in session.alive()
    await session.kernel.terminate(grace_s=0)
    assert procs.stat(pid) is None


async def test_ten_thousand_threads(sessions: Any, is_bounded: bool, hold: SessionGroups) -> None:
    if not is_bounded:
        pytest.skip("nothing but a control group refuses root a thread: the watcher of the service ends the session")
    session = await sessions.start(max_tasks=300)
    result = await session.run(THREADS)
    made, said = result.text().split(maxsplit=1)
    assert 100 < int(made) <= 300, said
    assert "thread" in said
    if not hold.problem:
        assert result.text("stderr") == (
            "a process or thread was refused: the session has as many as it may, 300; end some, or raise max_tasks "
            "under [sandbox] in config.toml\n"
        )
    assert (await session.run("gate.set(); 1 + 1")).text() == "2\n"


async def test_what_happens_when_nothing_more_can_be_started(sessions: Any, is_bounded: bool) -> None:
    if not is_bounded:
        pytest.skip("nothing but a control group refuses root a process")
    session = await sessions.start(max_tasks=60)
    assert (await session.run(FILL)).text().endswith("Resource temporarily unavailable\n")
    batch = await session.batch(build="true", exec="true")
    assert "the command could not be started: the session, or its user, has as many processes" in batch.text("stderr")
    assert batch.code == 127
    assert (await session.run("1 + 1")).text() == "2\n"
    await session.kernel.restart()
    assert (await session.batch(exec="echo again")).text() == "again\n"


async def test_a_child_that_takes_too_much_memory_dies_and_the_kernel_lives(sessions: Any, hold: SessionGroups) -> None:
    if hold.problem or "memory" in hold.problems:
        pytest.skip(f"NO CONTROL GROUP FOR MEMORY HERE: {hold.missing}")
    session, neighbour = await asyncio.gather(*(sessions.start(mem_limit_bytes=96 << 20) for _ in range(2)))
    code = f"import subprocess; subprocess.call([{sys.executable!r}, '-c', {HOG!r}])"
    result = await session.run(code)
    assert result.text() == "-9\n"
    assert result.text("stderr").startswith("a process was killed: out of memory: the session is over its mem of 96m")
    assert (await session.run("'lives'")).text() == "'lives'\n"
    assert (await neighbour.run("'lives'")).text() == "'lives'\n"


async def test_computing_on_all_cores_is_slowed_down(sessions: Any, hold: SessionGroups) -> None:
    if hold.problem or "cpu" in hold.problems:
        pytest.skip(f"NO CONTROL GROUP FOR CPU TIME HERE: {hold.missing}")
    session = await sessions.start(cpu_limit_cores=1)
    place = session.kernel.limits.group.place("cpu")
    assert session.kernel.limits.group.cpu_cores() == 1.0
    # on a busy machine nobody gets more than one core, so that the limit would never be felt: a tenth of it is
    name, text = ("cpu.cfs_quota_us", "10000") if place.version == 1 else ("cpu.max", "10000 100000")
    (place.path / name).write_text(text)
    await session.begin("import subprocess; hogs = [subprocess.Popen('while :; do :; done', shell=True) for _ in 'ab']")
    await until(lambda: int((place.path / "cpu.stat").read_text().split("nr_throttled ")[1].split()[0]) > 0)


# --- the time that a session has


async def test_a_session_ends_when_its_time_is_over(sessions: Any, engine: ProcessEngine) -> None:
    session = await sessions.start(wall_time_s=0.7)
    (layer,) = [layer for layer in engine.layers(session.kernel) if layer.applies_to == "time"]
    assert layer.detail.startswith("its runner ends the session 0.7s after its start, at ")
    run = await session.begin("import time; time.sleep(60)")
    died = await session.follow(run)
    reason = "wall-time: the session has run for 0.7s, as long as it may"
    assert (died.end.kind, died.end.data["reason"]) == ("kernel-died", f"the session was ended: {reason}")
    ended = await asyncio.wait_for(session.kernel.wait(), SOON_S)
    assert (ended.code, ended.reason) == (0, reason)


async def test_a_session_ends_when_its_time_is_over_though_nobody_looks(kit: Any, folder: Path) -> None:
    engine = ProcessEngine(folder / "unseen", groups=SessionGroups.none("not here"), spares=0)
    try:
        session = await kit.Sessions(engine, folder).start(wall_time_s=0.7)
        await session.begin("import time; time.sleep(60)")
    finally:
        await engine.close()
    await until((session.base / "exit.json").exists)
    assert json.loads((session.base / "exit.json").read_text())["reason"].startswith("wall-time: ")


async def test_who_is_ended_before_is_not_said_to_have_used_up_its_time(sessions: Any) -> None:
    session = await sessions.start(wall_time_s=60.0)
    await session.kernel.terminate()
    assert (await session.kernel.wait()).reason == "the session was ended"
