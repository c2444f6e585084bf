"""How sessions begin, are adopted, and end with all that they have started."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.kernel import KILLED, ProcessKernel
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.ports import Exit
from bai_tui.app.backend.runner import procs
from bai_tui.app.model.errors import KernelNotReady, LaunchFailed
from bai_tui.tests.waiting import until

pytestmark = pytest.mark.asyncio(loop_scope="module")

DAEMON = """
import os, signal, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)
        os.environ.clear()
        open("daemon.pid.new", "w").write(str(os.getpid()))
        os.rename("daemon.pid.new", "daemon.pid")
        while True: time.sleep(60)
    os._exit(0)
os.wait()
while not os.path.exists("daemon.pid"): time.sleep(0.005)
"""


async def gone(pid: int) -> None:
    await until(lambda: (found := procs.stat(pid)) is None or found.state in "ZX")


async def test_terminate_takes_the_whole_tree(session: Any) -> None:
    await session.run(DAEMON)
    daemon = int((session.work / "daemon.pid").read_text())
    await session.run("import subprocess; p = subprocess.Popen('trap \"\" TERM; sleep 60 & wait', shell=True)")
    below = session.alive()
    assert daemon in below
    assert len(below) >= 3
    await session.kernel.terminate()
    assert not any(procs.stat(pid) for pid in [*below, session.kernel.pid])
    assert await session.kernel.wait() == Exit(0, "the session was ended")
    await session.kernel.terminate()
    with pytest.raises(KernelNotReady):
        await session.begin("1")
    assert not (session.base / "runner.sock").exists()


async def test_terminate_of_an_idle_session_does_not_wait_for_the_grace(session: Any) -> None:
    async with asyncio.timeout(5):
        await session.kernel.terminate(grace_s=60)


@pytest.mark.parametrize("why", ["", "idle-timeout"])
async def test_terminate_ends_the_run_for_its_readers(session: Any, why: str) -> None:
    run_id = await session.begin("import time; print('go'); time.sleep(60)")
    await session.follow(run_id, until=lambda record: record.kind == "stdout")
    reader = asyncio.create_task(session.follow(run_id))
    await session.kernel.terminate(why=why)
    end = (await reader).end
    reason = f"the session was ended: {why}" if why else "the session was ended"
    assert (end.kind, end.data["reason"]) == ("kernel-died", reason)
    assert [record async for record in session.kernel.records(session.kernel.last_seq)] == []


async def test_sigterm_gives_processes_time_to_end(session: Any) -> None:
    run_id = await session.begin(
        "import subprocess\np = subprocess.Popen(['sh', '-c', 'trap \"echo bye > left; exit\" TERM; echo up; "
        "while true; do sleep 0.01; done'])\np.wait()"
    )
    await session.follow(run_id, until=lambda record: record.kind == "stdout")
    await session.kernel.terminate(grace_s=10)
    assert (session.work / "left").read_text() == "bye\n"


async def test_nothing_survives_a_killed_runner(session: Any) -> None:
    await session.run(DAEMON)
    daemon = int((session.work / "daemon.pid").read_text())
    run_id = await session.begin("print('go')\nwhile True: pass")
    await session.follow(run_id, until=lambda record: record.kind == "stdout")
    below = session.alive()
    assert daemon in below
    os.kill(session.kernel.pid, signal.SIGKILL)
    end = await asyncio.wait_for(session.kernel.wait(), 10)
    assert end == Exit(None, "the session's runner was killed")
    assert not (session.base / "runner.sock").exists()
    for pid in below:
        await gone(pid)


async def test_a_busy_kernel_ends_by_itself_when_its_runner_is_killed_and_no_backend_lives(
    kit: Any, folder: Path
) -> None:
    engine = ProcessEngine(folder / "other")
    try:
        session = await kit.Sessions(engine, folder).start()
        pid = await session.kernel_pid()
        run_id = await session.begin("print('go')\nwhile True: pass")
        await session.follow(run_id, until=lambda record: record.kind == "stdout")
    finally:
        await engine.close()
    os.kill(session.kernel.pid, signal.SIGKILL)
    await gone(pid)


async def test_sigterm_to_the_runner_ends_the_session(session: Any) -> None:
    pid = await session.kernel_pid()
    os.kill(session.kernel.pid, signal.SIGTERM)
    await asyncio.wait_for(session.kernel.wait(), 10)
    await gone(pid)


async def test_a_session_outlives_its_backend_and_is_adopted(kit: Any, folder: Path) -> None:
    first = ProcessEngine(folder / "first")
    try:
        old = await kit.Sessions(first, folder).start()
        before = await old.run("x = 41; print('first')")
        run_id = await old.begin("input('ready? '); print('during'); x += 1; print('done', x)")
        waiting = await old.follow(run_id, until=lambda record: record.kind == "waiting-input")
        info = json.loads(json.dumps(first.runner_info(old.kernel)))
    finally:
        await first.close()

    second = ProcessEngine(folder / "second")
    try:
        kernel = await second.adopt(old.kernel.session_id, old.base, info)
        assert isinstance(kernel, ProcessKernel)
        assert (kernel.pid, kernel.busy_run, kernel.last_seq) == (info["pid"], run_id, waiting.end.seq)
        adopted = kit.Session(kernel, old.base)
        assert (await adopted.follow(before.records[0].run_id)).text() == "first\n", "what was before is still there"
        await kernel.send_input(run_id, "yes")
        rest = await adopted.follow(run_id, after=waiting.end.seq)
        assert rest.text() == "during\ndone 42\n"
        assert kernel.busy_run is None
        assert 0 <= time.monotonic() - kernel.last_activity < 60
        await kernel.terminate()
        assert await second.adopt(kernel.session_id, old.base, info) == Exit(0, "the session was ended")
    finally:
        await second.close()


async def test_a_session_that_nobody_can_find_again_ends_by_itself(kit: Any, folder: Path) -> None:
    engine = ProcessEngine(folder / "engine")
    try:
        session = await kit.Sessions(engine, folder).start()
        kernel_pid = await session.kernel_pid()
        shutil.rmtree(session.base)
    finally:
        await engine.close()
    await gone(session.kernel.pid)
    await gone(kernel_pid)


async def test_adopting_a_session_whose_runner_is_gone_ends_its_leftovers(kit: Any, folder: Path) -> None:
    first = ProcessEngine(folder / "first")
    try:
        old = await kit.Sessions(first, folder).start()
        await old.run(DAEMON)
        info = first.runner_info(old.kernel)
    finally:
        await first.close()
    daemon = int((old.work / "daemon.pid").read_text())
    os.kill(info["pid"], signal.SIGKILL)
    await gone(info["pid"])
    second = ProcessEngine(folder / "second")
    try:
        assert await second.adopt(old.kernel.session_id, old.base, info) == KILLED
        await second.sweep(old.kernel.session_id, old.base, info)
        await gone(daemon)
    finally:
        await second.close()


async def test_another_process_with_the_pid_of_a_runner_is_left_alone(session: Any, engine: Any) -> None:
    other = await asyncio.create_subprocess_exec("sleep", "60")
    try:
        info = {"pid": other.pid, "start_time": 1, "interpreter": sys.executable}
        assert await engine.adopt("no-such-session", session.base / "work", info) == KILLED
        await engine.sweep("no-such-session", session.base / "work", info)
        assert other.returncode is None
        assert procs.is_alive(other.pid, procs.start_time(other.pid))
    finally:
        other.kill()
        await other.wait()


async def test_records_resume_exactly_across_segments(session: Any) -> None:
    result = await session.run("for i in range(150): print(str(i) * 40_000)")
    assert len(list(session.journal.iterdir())) > 2
    everything = [record.seq async for record in _until(session, 0, result.end.seq)]
    assert everything == list(range(1, result.end.seq + 1))
    for after in (1, 2, result.end.seq // 3, result.end.seq // 2, result.end.seq - 1):
        rest = [record async for record in _until(session, after, result.end.seq)]
        assert [record.seq for record in rest] == list(range(after + 1, result.end.seq + 1))
    assert result.text() == "".join(str(i) * 40_000 + "\n" for i in range(150))


async def _until(session: Any, after: int, last: int) -> Any:
    async for record in session.kernel.records(after):
        yield record
        if record.seq == last:
            return


async def test_a_reader_may_be_cancelled_and_many_may_read(session: Any) -> None:
    async def read(after: int) -> list[int]:
        return [record.seq async for record in session.kernel.records(after)]

    readers = [asyncio.create_task(read(0)) for _ in range(3)]
    run_id = await session.begin("for i in range(1000): print(i)")
    readers[0].cancel()
    end = await session.follow(run_id)
    await session.kernel.terminate()
    last = session.kernel.last_seq
    assert last >= end.end.seq
    assert await asyncio.gather(*readers[1:]) == [list(range(1, last + 1))] * 2
    with pytest.raises(asyncio.CancelledError):
        await readers[0]


@pytest.mark.parametrize(
    ("interpreter", "reason"),
    [("/no/such/python", "cannot be started"), ("/bin/true", "does not come up"), ("/bin/cat", "does not come up")],
)
async def test_an_interpreter_that_is_none(kit: Any, sessions: Any, interpreter: str, reason: str) -> None:
    with pytest.raises(LaunchFailed, match=reason) as caught:
        await sessions.start(kit.make_image(interpreter))
    assert interpreter in str(caught.value)


async def test_a_zygote_that_a_full_disk_has_no_room_for_is_a_failed_launch(
    kit: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bai_tui.app.backend.engines.zygotes.make_bin_dir", refuse)
    engine = ProcessEngine(folder / "full", spares=0)
    try:
        with pytest.raises(LaunchFailed, match="No space left"):
            await kit.Sessions(engine, folder).start()
    finally:
        await engine.close()


async def test_a_launch_that_fails_leaves_nothing(sessions: Any, folder: Path) -> None:
    with pytest.raises(LaunchFailed, match="the kernel"):
        await sessions.start(work_dir=folder / "no-such-folder")
    assert not any(entry.session == pid for pid, entry in procs.table().items() if _is_ours(pid, folder))


def _is_ours(pid: int, folder: Path) -> bool:
    try:
        return str(folder / "no-such").encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


async def test_a_cancelled_launch_leaves_nothing(sessions: Any, folder: Path) -> None:
    task = asyncio.create_task(sessions.start(bootstrap_script="echo $$ > ../pid; sleep 60"))
    found = await until(lambda: [path for path in folder.glob("*/pid") if path.read_text()])
    pid = int(found[0].read_text())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(pid)


async def test_a_zygote_that_was_killed_is_replaced(kit: Any, folder: Path) -> None:
    engine = ProcessEngine(folder / "killed", spares=0)
    sessions = kit.Sessions(engine, folder)
    try:
        await sessions.start()
        (zygote,) = engine._pool._zygotes.values()
        assert zygote._process is not None
        os.kill(zygote._process.pid, signal.SIGKILL)
        session = await sessions.start()
        assert (await session.run("1+1")).text() == "2\n"
        await sessions.end()
    finally:
        await engine.close()


async def test_a_session_folder_with_a_long_path(sessions: Any, folder: Path) -> None:
    base = folder / ("long-" * 20) / ("path-" * 20)
    (base / "work").mkdir(parents=True)
    session = await sessions.start(session_dir=base, work_dir=base / "work")
    await session.kernel._link.close()
    assert (await session.kernel.complete("impor", 5)).matches == ("import",), "a connection that was cut is made again"


async def test_closing_the_engine_ends_zygotes_and_spares(kit: Any, folder: Path) -> None:
    engine = ProcessEngine(folder / "closing")
    await engine.warm(kit.make_image())
    (zygote,) = engine._pool._zygotes.values()
    assert zygote._process is not None
    (spares,) = engine._pool._spares.values()
    pids = [spare.identity["pid"] for spare in spares]
    assert len(pids) == 2
    await engine.close()
    assert zygote._process.returncode == 0
    for pid in pids:
        await gone(pid)
