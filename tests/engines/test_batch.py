"""Batch runs: shell commands in the work folder."""

from __future__ import annotations

import os
from typing import Any

import pytest
from bai_tui.app.model.console import RunMode

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_steps_come_in_order_with_their_exit_codes(session: Any) -> None:
    result = await session.batch(
        clean="echo cleaning", build="echo building; false || true", exec="echo running; exit 4"
    )
    assert result.said == [
        ("stdout", "cleaning\n"),
        ("clean-finished", {"exitCode": 0}),
        ("stdout", "building\n"),
        ("build-finished", {"exitCode": 0}),
        ("stdout", "running\n"),
    ]
    assert (result.end.kind, result.end.data) == ("run-finished", {"exitCode": 4})


async def test_defaults_and_skipped_steps(session: Any) -> None:
    (session.work / "only.py").write_text("import sys; print(sys.argv, __name__)")
    result = await session.batch(clean="*", build="*", exec="*", buildLog=False)
    assert result.said == [
        ("clean-finished", {"exitCode": 0}),
        ("build-finished", {"exitCode": 0}),
        ("stdout", "['only.py'] __main__\n"),
    ]
    (session.work / "main.py").write_text("print('main')")
    assert (await session.batch(clean=None, build="", exec="*")).said == [("stdout", "main\n")]


@pytest.mark.parametrize(("names", "message"), [((), "there is no Python script"), (("a.py", "b.py"), "a.py, b.py")])
async def test_a_default_that_is_not_clear_says_why(session: Any, names: tuple[str, ...], message: str) -> None:
    for name in names:
        (session.work / name).touch()
    result = await session.batch(exec="*")
    assert message in result.text("stderr")
    assert result.code == 127


async def test_exec_does_not_run_after_a_failed_build(session: Any) -> None:
    result = await session.batch(clean="false", build="exit 3", exec="echo never")
    assert result.said[:2] == [("clean-finished", {"exitCode": 1}), ("build-finished", {"exitCode": 3})]
    assert "exit code 3" in result.text("stderr")
    assert (result.text(), result.code) == ("", 127)


async def test_the_images_python_is_python(session: Any) -> None:
    result = await session.batch(
        exec="python -c 'import sys; print(sys.executable)' && python3 -c 'import os; print(os.getcwd())'"
    )
    executable, folder = result.text().splitlines()
    assert os.path.samefile(executable, session.kernel.interpreter)
    assert folder == str(session.work)


async def test_output_is_live_and_stdin_asks(session: Any) -> None:
    (session.work / "ask.py").write_text(
        "import sys\nname = input('name? ')\nprint('hello', name)\nfor line in sys.stdin: print('line', line.strip())\n"
    )
    run_id = await session.begin(mode=RunMode.BATCH, exec="python ask.py")
    part = await session.follow(run_id, until=lambda record: record.kind == "waiting-input")
    assert (part.text(), part.end.data) == ("name? ", {"is_password": False})
    for answer in ("Ada", "one"):
        await session.kernel.send_input(run_id, answer)
        part = await session.follow(run_id, after=part.end.seq, until=lambda record: record.kind == "waiting-input")
    await session.kernel.send_input(run_id, "\x04")
    result = await session.follow(run_id)
    assert (result.text(), result.code) == ("name? hello Ada\nline one\n", 0)


async def test_a_command_that_does_not_read_is_not_asked(session: Any) -> None:
    result = await session.batch(exec="sleep 0.4; echo done")
    assert result.said == [("stdout", "done\n")]


async def test_interrupt_ends_the_step_and_the_rest(session: Any) -> None:
    # Not `echo go; sleep 60`: dash loses a SIGINT that comes while it forks, in a terminal as well.
    # Not `print('go')`, which unbuffered writes its newline by itself: the interrupt may come before it.
    code = "exec python -c \"import time; print('go\\n', end=''); time.sleep(60)\""
    run_id = await session.begin(mode=RunMode.BATCH, build=code, exec="echo never")
    await session.follow(run_id, until=lambda record: record.kind == "stdout")
    await session.kernel.interrupt()
    result = await session.follow(run_id)
    assert result.text() == "go\n"
    assert "KeyboardInterrupt" in result.text("stderr")
    assert result.end.data == {"exitCode": 130, "signal": "SIGINT"}


async def test_a_batch_command_killed_by_a_signal(session: Any) -> None:
    result = await session.batch(exec="exec python -c 'import os; os.kill(os.getpid(), 11)'")
    assert result.end.data == {"exitCode": 139, "signal": "SIGSEGV"}


async def test_a_command_that_leaves_a_process_behind_ends_all_the_same(session: Any) -> None:
    result = await session.batch(exec="sleep 60 & echo over")
    assert result.said == [("stdout", "over\n")]


async def test_the_bootstrap_script_runs_before_the_session_is_ready(sessions: Any) -> None:
    session = await sessions.start(
        bootstrap_script="echo preparing; echo $FLAVOUR > made; exit 3", environ={"FLAVOUR": "x"}
    )
    assert (session.work / "made").read_text() == "x\n"
    said = []
    async for record in session.kernel.records():
        said.append((record.run_id, record.kind))
        if record.kind == "kernel-started":
            break
    assert said == [(None, "stdout"), (None, "stderr"), (None, "kernel-started")]
    assert (await session.run("1")).code == 0
