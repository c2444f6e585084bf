"""A terminal that shows one frame after the other: alternate screen, keys, resize, stop and go on.

Everything is undone by `leave`, in whatever way the program ends.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any, Final, Self

_ENTER: Final = "\x1b[?1049h\x1b[?25l\x1b[?7l"
"""Alternate screen, no cursor, no wrapping of a line that was too long before a resize."""
_LEAVE: Final = "\x1b[?7h\x1b[?25h\x1b[?1049l"
_HOME: Final = "\x1b[H"
_REST_OF_LINE: Final = "\x1b[K"
_REST_OF_SCREEN: Final = "\x1b[J"
_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O.|.)?")
"""Arrows and the like, which mean nothing here."""


class Screen:
    """Takes the terminal of stdout, and the keys of stdin where that is a terminal. Use as an async context manager."""

    def __init__(
        self, *, on_key: Callable[[str], None], on_resize: Callable[[], None], on_signal: Callable[[int], None]
    ) -> None:
        self._on_key = on_key
        self._on_resize = on_resize
        self._on_signal = on_signal
        self._before: list[Any] | None = None
        """How the terminal handled keys before; None = keys are not ours."""

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal, number)
        loop.add_signal_handler(signal.SIGWINCH, self._on_resize)
        loop.add_signal_handler(signal.SIGTSTP, self._stop)
        self._take()
        if self._before is not None:
            loop.add_reader(0, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(0)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGTSTP):
            loop.remove_signal_handler(number)
        self._give()

    @property
    def size(self) -> tuple[int, int]:
        """Columns and lines."""
        found = shutil.get_terminal_size()
        return found.columns, found.lines

    def paint(self, lines: Sequence[str]) -> None:
        """Shows `lines` from the top; nothing is erased that is written anew, so nothing flickers."""
        _, height = self.size
        text = f"{_REST_OF_LINE}\r\n".join(lines[:height])
        self._write(f"{_HOME}{text}{_REST_OF_LINE}{_REST_OF_SCREEN}")

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:
            self._on_signal(signal.SIGHUP)  # the terminal has gone

    def _take(self) -> None:
        import termios

        if os.isatty(0):
            self._before = termios.tcgetattr(0)
            now = termios.tcgetattr(0)
            now[3] &= ~(termios.ICANON | termios.ECHO)
            termios.tcsetattr(0, termios.TCSADRAIN, now)
        self._write(_ENTER)

    def _give(self) -> None:
        import contextlib
        import termios

        self._write(_LEAVE)
        if self._before is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(0, termios.TCSADRAIN, self._before)

    def _stop(self) -> None:
        """Does what ctrl+z is expected to do: the shell gets its screen, and `fg` brings ours back."""
        self._give()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._take()
        self._on_resize()

    def _read(self) -> None:
        try:
            keys = os.read(0, 1024).decode("utf-8", "replace")
        except OSError:
            keys = ""
        if not keys:
            asyncio.get_running_loop().remove_reader(0)
            self._on_signal(signal.SIGHUP)
            return
        for key in _SEQUENCE.sub("", keys):
            self._on_key(key)
