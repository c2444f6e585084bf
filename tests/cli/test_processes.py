"""`bai-tui` as a process: signals, terminals, broken pipes, slow readers, start-up."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bai_tui.app.cli import exit_codes

from .conftest import SID, Manager

RUNNING = [{"status": "continued", "console": [["stdout", "started\n"]]}, "wait-interrupt"]
KEYBOARD_INTERRUPT = {"status": "finished", "exitCode": 1, "console": [["stderr", "KeyboardInterrupt\n"]]}


@contextmanager
def started(*arguments: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    process = subprocess.Popen([sys.executable, "-m", "bai_tui", *arguments], **options)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def test_ctrl_c_interrupts_the_code_and_removes_the_session(manager: Manager) -> None:
    manager.frames = [*RUNNING, KEYBOARD_INTERRUPT]
    with started("run", "--rm", "-c", "x", "python") as process:
        assert manager.begun.wait(20)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == exit_codes.INTERRUPTED
    assert out == b"started\n"
    assert b"interrupting the code" in err and b"KeyboardInterrupt" in err
    assert manager.deleted == [f"/session/{SID}"]


def test_code_that_survives_the_interrupt_has_its_own_exit_status(manager: Manager) -> None:
    manager.frames = [*RUNNING, {"status": "finished", "exitCode": 0}]
    with started("run", "--rm", "-c", "x", "python") as process:
        assert manager.begun.wait(20)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


def test_a_second_ctrl_c_leaves_and_still_removes(manager: Manager) -> None:
    manager.frames = [*RUNNING, {"status": "continued", "console": [["stdout", "deaf\n"]]}, "wait-interrupt"]
    with started("run", "--rm", "-c", "x", "python") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"deaf\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == exit_codes.INTERRUPTED
    assert manager.deleted == [f"/session/{SID}?forced=true"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_end_removes_the_session(manager: Manager, number: signal.Signals) -> None:
    manager.frames = [*RUNNING]
    with started("run", "--rm", "-c", "x", "python") as process:
        assert manager.begun.wait(20)
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 128 + number
    assert manager.deleted == [f"/session/{SID}?forced=true"]
    assert b"Traceback" not in err


def test_ctrl_c_in_the_queue_leaves_nothing_there(manager: Manager) -> None:
    """The answer with the id has not come yet; the name is ours, so the session can be ended by it."""
    manager.create_answer = "hold"
    manager.rows = []
    with started("run", "-c", "x", "python") as process:
        assert manager.begun.wait(20)
        name = f"/session/{manager.created['name']}"
        manager.answers[f"DELETE {name}"] = manager._delete
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
    assert process.returncode == exit_codes.INTERRUPTED
    assert manager.deleted == [f"{name}?forced=true"]


def test_ctrl_c_leaves_a_named_session_that_is_to_stay(manager: Manager) -> None:
    manager.frames = [*RUNNING]
    with started("run", "-t", "my-session", "-c", "x", "python") as process:
        assert manager.begun.wait(20)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 143
    assert b"stays, its code may still run" in err
    assert not manager.deleted


def test_nobody_reads_any_more(manager: Manager) -> None:
    big = {"status": "continued", "console": [["stdout", "x" * 100_000]]}
    manager.frames = [*RUNNING[:1], *[big] * 50, "wait-interrupt", KEYBOARD_INTERRUPT]
    with started("run", "--rm", "-c", "x", "python") as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
        assert process.wait(20) == exit_codes.BROKEN_PIPE
    assert b"Traceback" not in err and b"BrokenPipe" not in err
    assert manager.deleted == [f"/session/{SID}"]


def test_a_list_into_a_closed_pipe_is_quiet(manager: Manager) -> None:
    manager.rows = [{"id": str(n), "name": "n" * 60, "status": "RUNNING"} for n in range(3000)]
    with started("ps") as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(20) == exit_codes.BROKEN_PIPE


def test_a_slow_reader_loses_nothing_and_does_not_block_signals(manager: Manager) -> None:
    line = "x" * 99 + "\n"
    manager.frames = [{"status": "continued", "console": [["stdout", line * 5_000]]} for _ in range(40)]
    manager.frames.append({"status": "finished", "exitCode": 0})
    with started("run", "--rm", "-c", "x", "python") as process:
        out, _ = process.communicate(timeout=30)
    assert (process.returncode, len(out)) == (0, 20_000_000)
    with started("run", "--rm", "-c", "x", "python") as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGTERM)  # the writer is stuck in a full pipe
        assert process.wait(20) == 143


class Terminal:
    """A process on a pseudo-terminal."""

    def __init__(self, *arguments: str, columns: int = 80) -> None:
        self.master, slave = pty.openpty()
        termios.tcsetwinsize(slave, (24, columns))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bai_tui", *arguments],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            env=dict(os.environ),  # readline, which pytest loads, sets COLUMNS behind the back of os.environ
        )
        os.close(slave)
        self.seen = b""

    def until(self, text: bytes) -> None:
        while text not in self.seen:
            assert select.select([self.master], [], [], 20)[0], self.seen
            try:
                self.seen += os.read(self.master, 65536)
            except OSError:
                raise AssertionError(self.seen) from None

    def type(self, text: bytes) -> None:
        os.write(self.master, text)

    def end(self) -> int:
        while True:
            try:
                piece = os.read(self.master, 65536)
            except OSError:
                break
            if not piece:
                break
            self.seen += piece
        status = self.process.wait(20)
        os.close(self.master)
        return status


PROMPT = {"status": "waiting-input", "console": [["stdout", "? "]], "options": {"is_password": False}}


def test_a_terminal_gets_no_dangerous_sequences(manager: Manager) -> None:
    nasty = "\x1b]52;c;aGk=\x07a\x1b[31mred\x1b[0m\x1b[2J\x1b[6n\x9b1mb\x1bPq#\x1b\\c\r\x1b[Kd\x1b[?1049h"
    manager.frames = [
        {"status": "continued", "console": [["stdout", nasty[:20]]]},
        {"status": "finished", "console": [["stdout", nasty[20:]]], "exitCode": 0},
    ]
    terminal = Terminal("run", "--rm", "-q", "-c", "x", "python")
    assert terminal.end() == 0
    assert terminal.seen == b"a\x1b[31mred\x1b[0m1mbc\r\x1b[Kd"


def test_a_person_answers(manager: Manager) -> None:
    manager.frames = [
        PROMPT,
        {**PROMPT, "options": {"is_password": True}, "console": [["stdout", "secret? "]]},
        {"status": "finished", "exitCode": 0},
    ]
    terminal = Terminal("run", "--rm", "-c", "x", "python")
    terminal.until(b"? ")
    terminal.type(b"Ada\n")
    terminal.until(b"secret? ")
    while termios.tcgetattr(terminal.master)[3] & termios.ECHO:
        pass
    terminal.type(b"hidden\n")
    assert terminal.end() == 0
    assert manager.inputs == ["Ada", "hidden"]
    assert b"Ada" in terminal.seen and b"hidden" not in terminal.seen


def test_ctrl_c_at_a_prompt(manager: Manager) -> None:
    manager.frames = [{**PROMPT, "options": {"is_password": True}}, KEYBOARD_INTERRUPT]
    terminal = Terminal("run", "--rm", "-c", "x", "python")
    terminal.until(b"? ")
    while termios.tcgetattr(terminal.master)[3] & termios.ECHO:
        pass
    os.killpg(terminal.process.pid, signal.SIGINT)
    assert terminal.end() == exit_codes.INTERRUPTED
    assert manager.deleted == [f"/session/{SID}"]


@pytest.mark.parametrize("columns", [80, 60])
def test_the_list_fits_a_terminal(manager: Manager, columns: int) -> None:
    terminal = Terminal("ps", columns=columns)
    assert terminal.end() == 0
    lines = terminal.seen.decode().splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= columns, lines
    assert SID[:8] in lines[1] and SID not in lines[1]


def test_what_the_commands_import() -> None:
    """Start-up is a budget: `ps` needs neither httpx nor websockets, help not even asyncio."""
    code = (
        "import sys; from bai_tui.app.cli.main import invoke; invoke(sys.argv[1:]);"
        "heavy = ('asyncio', 'httpx', 'websockets', 'textual', 'aiohttp');"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    for words in (["--help"], ["ps", "--help"], ["run", "--help"], ["top", "--help"]):
        done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
        assert done.stderr.strip() == "[]"
