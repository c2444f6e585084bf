"""A terminal that lives without being seen: takes what comes, in slices, and remembers it.

Whoever shows it hears of changes. Reading is paced by `write`: while it works, nothing more is read, so that a flood
costs time, in small parts, and no memory.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from .terminal_cells import Piece, pieces_of
from .terminal_screen import TerminalScreen

SLICE_S: Final = 0.004
"""The loop of the program is never held up for much longer."""
_PART_BYTES: Final = 1024


class TerminalEmulator:
    """The screen of one terminal, with what was scrolled off."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.screen = TerminalScreen(columns, rows)
        self.changed: Callable[[], None] | None = None
        """Is called when there is something new to be shown."""
        self.rung: Callable[[], None] | None = None
        """Is called when the bell was rung, however often."""

    async def write(self, data: bytes) -> bytes:
        """Takes in output; returns what is to be typed in answer to it. Safe to cancel: what was taken in stays."""
        answers = b""
        begun_s = time.monotonic()
        for first in range(0, len(data), _PART_BYTES):
            self.screen.feed(data[first : first + _PART_BYTES])
            answers = (answers + self.screen.take_answers())[:_PART_BYTES]
            if time.monotonic() - begun_s > SLICE_S:
                self._tell()
                await asyncio.sleep(0)
                begun_s = time.monotonic()
        self._tell()
        return answers

    def say(self, text: str) -> None:
        """Writes a line of ours below everything, whatever the program has left behind."""
        screen = self.screen
        screen.show_alternate(False, with_cursor=True)
        screen.feed(b"\x18\x1b[!p\x1b[0m")
        if screen.cursor.x:
            screen.feed(b"\r\n")
        shown = "".join(char for char in text if char.isprintable())
        screen.feed(b"\x1b[2m" + shown.encode("utf-8", "replace") + b"\x1b[m\r\n")
        self._tell()

    def begin(self) -> None:
        """Forgets everything: what there was comes again."""
        screen = self.screen
        screen.reset()
        screen.history.clear()
        self._tell()

    def resize(self, rows: int, columns: int) -> None:
        """Changes the size of the screen."""
        self.screen.resize(rows, columns)

    def _tell(self) -> None:
        rung, self.screen.bells = self.screen.bells, 0
        if rung and self.rung is not None:
            self.rung()
        if self.changed is not None:
            self.changed()

    # --- rows: those that were scrolled off have negative numbers

    @property
    def first_row(self) -> int:
        """Number of the oldest row: 0 is the top of the screen."""
        return 0 if self.screen.is_alternate else -len(self.screen.history)

    def row(self, number: int) -> list[Piece]:
        """Returns a row as text by pen; empty where there is none."""
        if number >= 0:
            return list(pieces_of(self.screen.line(number), self.screen.columns)) if number < self.screen.lines else []
        history = self.screen.history
        return list(history[number].pieces) if -number <= len(history) else []

    def goes_on(self, number: int) -> bool:
        """Whether a row goes on in the next one: it was too long for the screen."""
        if number >= 0:
            return self.screen.line(number).wrapped
        return self.screen.history[number].wrapped

    def rows(self, first: int, last: int) -> Iterator[list[Piece]]:
        """Yields rows, the last one included."""
        return (self.row(number) for number in range(first, last + 1))
