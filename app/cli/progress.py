"""How far something is, on stderr: a bar that is painted over on a terminal, plain lines elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Final

from .tables import cut, width_of
from .talk import harmless, say

_BAR: Final = 20
_EVERY_S: Final = 0.1
"""A terminal is painted no more often."""
_LINE_EVERY_S: Final = 1.0
"""Elsewhere no more lines are written: what is passed over was not even read."""
_STEP_PERCENT: Final = 10
"""So far a step that keeps its words must get for another line."""
_LEAST_MESSAGE: Final = 12


def bar(share: float, *, plain: bool = False) -> str:
    """Returns a bar of `_BAR` cells.

    Args:
        share: 0 to 1.
        plain: of ASCII only.
    """
    full, empty = ("#", ".") if plain else ("█", "░")
    cells = int(max(0.0, min(1.0, share)) * _BAR)
    return full * cells + empty * (_BAR - cells)


def spent(seconds: float) -> str:
    """Returns a time as a clock shows it: `0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class ProgressLine:
    """One line that tells how far something is.

    Args:
        name: what it is about; it begins the line.
        quiet: nothing is written at all.
        clock: monotonic seconds.
    """

    def __init__(self, name: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = harmless(name)
        self._quiet = quiet
        self._clock = clock
        self._began_s = clock()
        self._next_s = self._began_s
        self._terminal = sys.stderr.isatty()
        self._plain = not (sys.stderr.encoding or "").lower().startswith("utf")
        self._painted = False
        self._told = ("", -1)
        """Words and percent of the last line."""

    @property
    def elapsed_s(self) -> float:
        return self._clock() - self._began_s

    def show(self, current: float, total: float, message: str) -> None:
        """Shows how far it is, unless that was done just before.

        Args:
            total: in the unit of `current`; 0 = nobody knows.
            message: untrusted.
        """
        now = self._clock()
        message = " ".join(harmless(message.replace("\n", " ")).split())
        percent = int(current * 100 / total) if total > 0 else -1
        if self._quiet or (now < self._next_s and message == self._told[0]):
            return
        if self._terminal:
            self._next_s = now + _EVERY_S
            self._told = (message, percent)
            self._paint(self.line(shutil.get_terminal_size().columns, current, total, message))
        elif now >= self._next_s and (message != self._told[0] or percent >= self._told[1] + _STEP_PERCENT):
            self._next_s = now + _LINE_EVERY_S
            self._told = (message, percent)
            say(f"{self._name}: {f'{percent} %, ' if percent >= 0 else ''}{message}")

    def line(self, width: int, current: float, total: float, message: str) -> str:
        """Returns what a terminal shows, in less than `width` cells: the bar goes before the words do."""
        time_spent = spent(self.elapsed_s)
        heads = [f"{self._name}  {time_spent}", time_spent]
        if total > 0:
            share = min(1.0, current / total)
            known = f"{int(share * 100):3d} %  {time_spent}"
            heads = [f"{self._name}  {bar(share, plain=self._plain)}  {known}", f"{self._name}  {known}", known]
        head = next((head for head in heads if width_of(head) + _LEAST_MESSAGE < width), heads[-1])
        return cut(f"{head}  {message}", width - 1)

    def clear(self) -> None:
        """Takes the line off a terminal, so that something else can be said."""
        if self._painted:
            self._write("\r\x1b[K")
            self._painted = False

    def _paint(self, text: str) -> None:
        self._write(f"\r{text}\x1b[K")
        self._painted = True

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError, UnicodeEncodeError):
            pass  # a closed stderr is not worth an error
