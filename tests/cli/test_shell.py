"""`bai-tui shell` in a terminal: every key arrives, the terminal is as it was afterwards, the status is the shell's."""

from __future__ import annotations

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bai_tui.app.cli import exit_codes
from bai_tui.tests.waiting import until_here

from .conftest import Outcome, Toy

Bai = Callable[..., Outcome]


class Terminal:
    """A terminal of a user in which the command runs."""

    def __init__(self, process: subprocess.Popen[bytes], fd: int) -> None:
        self.process, self.fd = process, fd
        self.shown = b""

    def sees(self, wanted: bytes) -> None:
        deadline = time.monotonic() + 20
        while wanted not in self.shown:
            assert time.monotonic() < deadline, self.shown
            try:
                self.shown += os.read(self.fd, 1 << 16)
            except BlockingIOError:
                time.sleep(0.01)  # what another process writes announces itself to nobody here

    def type(self, data: bytes) -> None:
        os.write(self.fd, data)

    def ends(self) -> int:
        """Returns the exit status."""

        def read() -> bool:
            try:
                self.shown += os.read(self.fd, 1 << 16)
            except (BlockingIOError, OSError):
                pass
            return self.process.poll() is not None

        until_here(read)
        return self.process.returncode


@contextmanager
def terminal(*words: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-m", "bai_tui", *words], stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.set_blocking(ours, False)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def test_keys_output_and_the_status_of_the_shell(toy: Toy) -> None:
    toy.session("work")
    with terminal("shell", "work") as user:
        user.sees(b"$ ")
        (shell,) = toy.service.terminals
        until_here(lambda: shell.sizes)
        assert shell.sizes[0] == (24, 80)
        assert not termios.tcgetattr(user.fd)[3] & termios.ICANON
        user.type(b"ab\x03\x1b[A\t")
        user.sees(b"AB\x03\x1b[A\t")
        fcntl.ioctl(user.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        user.process.send_signal(signal.SIGWINCH)
        until_here(lambda: shell.sizes[-1] == (30, 100))
        user.type(b"exit 7")
        assert user.ends() == 7
        assert shell.typed == b"ab\x03\x1b[A\texit 7"
        settings = termios.tcgetattr(user.fd)
        assert settings[3] & termios.ICANON and settings[3] & termios.ECHO
        assert b"\x1b[?1049l" in user.shown[-200:], "nothing of a program's modes stays"
    until_here(lambda: shell.is_closed)


def test_ctrl_bracket_leaves_and_the_shell_goes_on(toy: Toy) -> None:
    toy.session("work")
    with terminal("shell", "work") as user:
        user.sees(b"$ ")
        user.type(b"typed\x1dnot this")
        assert user.ends() == exit_codes.OK
    (shell,) = toy.service.terminals
    until_here(lambda: shell.is_closed)
    assert shell.typed == b"typed"


def test_the_end_of_the_session_is_told(toy: Toy) -> None:
    toy.session("work")
    with terminal("shell", "work") as user:
        user.sees(b"$ ")

        async def end() -> None:
            toy.service.terminals[0].end()

        toy.do(end())
        assert user.ends() == exit_codes.FAILED
        assert b"the session work has ended" in user.shown


def test_a_signal_leaves_the_terminal_as_it_was(toy: Toy) -> None:
    toy.session("work")
    with terminal("shell", "work") as user:
        user.sees(b"$ ")
        user.process.send_signal(signal.SIGTERM)
        assert user.ends() == 128 + signal.SIGTERM
        assert termios.tcgetattr(user.fd)[3] & termios.ICANON


@pytest.mark.parametrize(
    ("words", "status"), [(("shell", "work"), exit_codes.USAGE), (("session", "shell", "work"), 2)]
)
def test_it_needs_a_terminal(toy: Toy, bai: Bai, words: tuple[str, ...], status: int) -> None:
    refused = bai(*words)
    assert refused.status == status and "needs a terminal" in refused.err


def test_a_session_that_is_not_there(toy: Toy) -> None:
    with terminal("shell", "nobody") as user:
        assert user.ends() == exit_codes.NOT_FOUND
        assert b"nobody" in user.shown
