"""The workspace as a newcomer meets it: an empty home, a real terminal, a real backend that it starts by itself."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

LIMIT_S = 60.0
CTRL_O, CTRL_Q, CTRL_R, ENTER, F2 = b"\x0f", b"\x11", b"\x12", b"\r", b"\x1bOQ"
_ESCAPES = re.compile(
    rb"\x1b(?:\[[0-9;:<=>?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[()][A-Z0-9]|.)"
)


class Terminal:
    """A program in a terminal of 100x30 cells."""

    def __init__(self, arguments: list[str], environ: dict[str, str], folder: Path) -> None:
        self._end, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
        self.process = subprocess.Popen(
            arguments, stdin=inner, stdout=inner, stderr=inner, env=environ, cwd=folder, start_new_session=True
        )
        os.close(inner)
        self._painted = b""

    def press(self, keys: bytes) -> None:
        """Types; what was painted before counts no more."""
        self._painted = b""
        os.write(self._end, keys)

    def wait_for(self, *texts: str) -> None:
        """Reads until all of `texts` have been painted since the last key."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            plain = _ESCAPES.sub(b"", self._painted).decode(errors="replace")
            missing = [text for text in texts if text not in plain]
            if not missing:
                return
            left_s = deadline - time.monotonic()
            assert left_s > 0 and self._read(left_s), f"never painted: {missing}; last was\n{plain[-3000:]}"

    def _read(self, within_s: float) -> bool:
        if not select.select([self._end], [], [], within_s)[0]:
            return False
        try:
            data = os.read(self._end, 65536)
        except OSError:
            return False
        self._painted += data
        return bool(data)

    def status(self) -> int:
        """Reads on until the program ends; returns its exit status."""
        while self._read(LIMIT_S):
            pass
        return self.process.wait(LIMIT_S)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._end)


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BACKEND_", "XDG_", "BAI_TUI_A"))}
    home = tmp_path / "home"
    home.mkdir()
    environ = {**kept, "HOME": str(home), "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    yield environ
    subprocess.run([sys.executable, "-m", "bai_tui", "serve", "--stop"], env=environ, check=False, capture_output=True)


def test_the_first_minute(environ: dict[str, str], tmp_path: Path) -> None:
    asks = tmp_path / "asks.py"
    asks.write_text('who = input("who? ")\nprint("hello", who.upper())\n')
    terminal = Terminal([sys.executable, "-m", "bai_tui"], environ, tmp_path)
    try:
        terminal.wait_for("runs code in sessions", "no sessions yet")
        terminal.press(CTRL_R)
        terminal.wait_for("py-1", "hello from Python", "24/24", "✓")
        terminal.press(CTRL_O)
        terminal.wait_for("Open a file")
        terminal.press(str(asks).encode() + ENTER)
        terminal.wait_for('who = input("who? ")')
        terminal.press(CTRL_R)
        terminal.wait_for("who?", "input for run [2]")
        terminal.press(b"ada" + ENTER)
        terminal.wait_for("hello ADA", "✓", "running")
        terminal.press(F2 + b"x")
        terminal.wait_for("ended")
        terminal.press(CTRL_Q)
        assert terminal.status() == 0
    finally:
        terminal.close()
    listed = subprocess.run(
        [sys.executable, "-m", "bai_tui", "ps", "--name-only"], env=environ, check=True, capture_output=True, text=True
    )
    assert "py-1" not in listed.stdout
