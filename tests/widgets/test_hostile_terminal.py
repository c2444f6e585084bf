"""Of the hostile corpus nothing reaches the user's terminal but text: tried in a real one."""

from __future__ import annotations

import os
import pty
import re
import select
import struct
import sys
import time
from fcntl import ioctl
from pathlib import Path
from termios import TIOCSWINSZ

import pyte

OURS = re.compile(
    rb"\x1b\[[0-9;]*m"  # colours
    rb"|\x1b\[\d+;\d+H|\x1b\[H"  # where it is painted
    rb"|\x1b\[\?(?:25|1000|1002|1003|1004|1006|1015|1016|1049|2004|2026|2048|7)[hl]"  # modes of the screen
    rb"|\x1b\[\?20(?:26|48)\$p|\x1b\[>\d*u|\x1b\[<u"  # what Textual asks when it starts
    rb"|\x1b\]22;[a-z]+\x1b\\|\x1b\]22;[a-z]+\x07|\x1b\]22;[a-z]+"  # the shape of the pointer
)
"""Every sequence that Textual itself sends."""


def test_nothing_but_text_arrives(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:  # pragma: no cover - another process
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor", HOME=str(tmp_path))
        os.execv(sys.executable, [sys.executable, "-m", "bai_tui.tests.widgets.hostile.in_a_terminal"])
    ioctl(terminal, TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen = b""
    deadline = time.monotonic() + 50
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.5)[0]:
            try:
                piece = os.read(terminal, 1 << 16)
            except OSError:
                break
            if not piece:
                break
            seen += piece
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    left = OURS.sub(b"", seen)
    found = re.search(rb".{0,40}[\x00-\x09\x0b\x0c\x0e-\x1f\x7f].{0,40}", left)
    assert found is None, found
    text = left.decode()  # whole characters only
    assert not re.search("[\x80-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]", text)
    assert "the end" in text
    screen = pyte.Screen(80, 24)
    # pyte does not know the protocol of keys, and would show the end of its sequences
    pyte.ByteStream(screen).feed(re.sub(rb"\x1b\[[<>]\d*u", b"", seen.split(b"\x1b[?1049l")[0]))
    assert screen.display[5].strip() == "the end"
    assert [line.strip() for line in (*screen.display[:5], *screen.display[6:])] == [""] * 23
