"""Sessions that a new backend finds: which it takes over, and whom it never touches."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines import adoption
from bai_tui.app.backend.engines.kernel import KILLED, ProcessKernel
from bai_tui.app.backend.engines.leftovers import end_leftovers
from bai_tui.app.backend.engines.link import RunnerLink
from bai_tui.app.backend.engines.process import ProcessEngine
from bai_tui.app.backend.ports import MACHINE_RESTARTED, Exit
from bai_tui.app.backend.runner import procs
from bai_tui.app.model.errors import ServiceUnavailable

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else's process, the leader of a session of its own."""
    process = subprocess.Popen(["sleep", "60"], start_new_session=True)
    yield process
    process.kill()
    process.wait()


async def left_by_a_killed_backend(kit: Any, folder: Path) -> Any:
    """A session whose backend has let go of it."""
    engine = ProcessEngine(folder / "first", spares=0)
    try:
        session = await kit.Sessions(engine, folder).start()
        await session.run("x = 41")
    finally:
        await engine.close()
    return session


async def test_a_session_whose_backend_could_store_nothing_is_taken_over(kit: Any, folder: Path, engine: Any) -> None:
    old = await left_by_a_killed_backend(kit, folder)
    kernel = await engine.adopt(old.kernel.session_id, old.base, {})
    assert isinstance(kernel, ProcessKernel)
    assert engine.runner_info(kernel) == adoption.runner_info(old.kernel)
    assert (await kit.Session(kernel, old.base).run("print(x + 1)")).text() == "42\n"
    await kernel.terminate(grace_s=0)


async def test_a_runner_that_does_not_answer_is_taken_over_and_answers_later(
    kit: Any, folder: Path, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await left_by_a_killed_backend(kit, folder)
    info, last = adoption.runner_info(old.kernel), old.kernel.last_seq
    monkeypatch.setattr(adoption, "_HELLO_S", 0.05)
    os.kill(info["pid"], signal.SIGSTOP)
    kernel = await engine.adopt(old.kernel.session_id, old.base, info)
    assert isinstance(kernel, ProcessKernel)
    assert (kernel.pid, kernel.last_seq, kernel.busy_run) == (info["pid"], last, None)
    asked = asyncio.create_task(kit.Session(kernel, old.base).run("print(x + 1)"))
    os.kill(info["pid"], signal.SIGCONT)
    assert (await asked).text() == "42\n"
    await kernel.terminate(grace_s=0)


async def test_want_of_descriptors_ends_no_session(
    kit: Any, folder: Path, engine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await left_by_a_killed_backend(kit, folder)
    info = adoption.runner_info(old.kernel)

    async def connect(*_: Any) -> Any:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as patch:
        patch.setattr(RunnerLink, "connect", connect)
        with pytest.raises(ServiceUnavailable, match=r"Too many open files.*ulimit"):
            await engine.adopt(old.kernel.session_id, old.base, info)
    kernel = await engine.adopt(old.kernel.session_id, old.base, info)
    assert isinstance(kernel, ProcessKernel)
    await kernel.terminate(grace_s=0)


async def test_a_runner_without_its_socket_is_ended(kit: Any, folder: Path, engine: Any) -> None:
    old = await left_by_a_killed_backend(kit, folder)
    info = adoption.runner_info(old.kernel)
    (old.base / "runner.sock").unlink()
    ended = await engine.adopt(old.kernel.session_id, old.base, info)
    assert isinstance(ended, Exit) and ended.code is None
    await engine.sweep(old.kernel.session_id, old.base, info)
    assert not procs.is_alive(info["pid"], info["start_time"])


async def test_nobody_is_touched_after_the_machine_was_started_anew(
    tmp_path: Path, engine: Any, stranger: subprocess.Popen[bytes]
) -> None:
    """Pids of the time before are given to others: here even with the same start time."""
    info = {"pid": stranger.pid, "start_time": procs.start_time(stranger.pid), "boot": "another:1"}
    noted = {**info, "session_id": "old", "kernel_pid": stranger.pid, "kernel_start_time": info["start_time"]}
    (tmp_path / "runner.json").write_text(json.dumps(noted))
    for runner in (info, {}):
        ended = await engine.adopt("old", tmp_path, runner)
        assert isinstance(ended, Exit) and ended.reason.startswith(MACHINE_RESTARTED)
        await engine.sweep("old", tmp_path, runner)
    assert stranger.poll() is None
    (tmp_path / "runner.json").write_text(json.dumps({**noted, "boot": procs.boot()}))
    assert await asyncio.to_thread(end_leftovers, "old", tmp_path) == 1, "of this start, it is the session's"
    assert stranger.wait() == -signal.SIGKILL


async def test_nobody_is_touched_who_was_given_the_pid_of_a_dead_runner(
    tmp_path: Path, engine: Any, stranger: subprocess.Popen[bytes]
) -> None:
    noted = {"pid": stranger.pid, "start_time": 1, "boot": procs.boot(), "kernel_pid": stranger.pid}
    (tmp_path / "runner.json").write_text(json.dumps({**noted, "kernel_start_time": 1}))
    assert await engine.adopt("old", tmp_path, {}) == KILLED
    await engine.sweep("old", tmp_path, {})
    assert stranger.poll() is None


@pytest.mark.parametrize(
    ("boot", "end", "reason"),
    [
        ("here", {"code": 0, "reason": "wall-time: 5 s"}, "wall-time: 5 s"),
        ("there", {"code": 0, "reason": "wall-time: 5 s"}, "wall-time: 5 s"),
        ("here", {"code": 0, "reason": "the session was ended"}, "the session was ended"),
        ("there", {"code": 0, "reason": "the session was ended"}, MACHINE_RESTARTED),
        ("there", None, MACHINE_RESTARTED),
        ("here", None, KILLED.reason),
        ("here", {"code": "none", "reason": "what a session has put there"}, KILLED.reason),
        ("here", {}, KILLED.reason),
    ],
)
async def test_what_a_runner_has_noted_at_its_end_is_told(
    tmp_path: Path, boot: str, end: dict[str, Any] | None, reason: str
) -> None:
    if end is not None:
        (tmp_path / "exit.json").write_text(json.dumps(end))
    known = {"pid": 1 << 30, "boot": procs.boot() if boot == "here" else "there"}
    assert adoption.how_it_ended(tmp_path, known).reason.startswith(reason)


async def test_a_pipe_in_the_place_of_a_note_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "exit.json")
    assert adoption.how_it_ended(tmp_path, {"pid": 1 << 30, "boot": procs.boot()}) == KILLED
