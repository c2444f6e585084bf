"""Writes a program's output into lines as a terminal would: what adds only is fast, what moves about is right.

Pure: no Textual, no clock.
"""

from __future__ import annotations

from itertools import groupby
from typing import Final

from .ansi import ERROR, PLAIN, Parser, Sgr, apply_sgr, plain
from .line_store import LineStore
from .lines import Line, Styled

MAX_LINE_CHARS: Final = 16_384
"""A longer line goes on in the next one: a program that never ends its line must not stall the screen."""
MAX_CLIMB: Final = 500
"""Lines that cursor-up can reach back."""


class Pen:
    """Where output goes on, and in which style.

    Args:
        store: Takes the lines.
        climb: Lines that cursor-up can reach back; they are never left out.
    """

    def __init__(self, store: LineStore, climb: int = MAX_CLIMB) -> None:
        self._store = store
        self._climb = climb
        self._row = 0
        self._column = 0
        self._floor = 0
        self._buffer: list[str] | None = None
        self._styles: list[Sgr] = []
        self._style = {False: PLAIN, True: ERROR}
        self._parser = {False: Parser(), True: Parser()}

    @property
    def row(self) -> int:
        """Number of the line in which output goes on."""
        return self._row

    def begin(self) -> None:
        """Goes on below everything, in no style; what stands above is out of reach."""
        self.skip()
        self._floor = self._row
        self._style = {False: PLAIN, True: ERROR}
        self._parser = {False: Parser(), True: Parser()}

    def skip(self) -> None:
        """Goes on below everything."""
        self.close()
        self._row, self._column = self._store.end, 0

    def write(self, text: str, *, error: bool = False) -> None:
        """Adds output, interpreting its escape sequences."""
        if self._parser[error].idle and self._style[error] is PLAIN and self._at_end() and plain(text):
            self._write_plain(text)
        else:
            self._write_tokens(text, error)

    def _at_end(self) -> bool:
        """Whether the cursor stands after everything, so that text only adds."""
        if self._row == self._store.end:
            return self._column == 0
        if self._row != self._store.end - 1:
            return False
        last = self._store.lines[-1]
        return isinstance(last, str) and self._column == len(last)

    def _write_plain(self, text: str) -> None:
        parts: list[str] = text.split("\n")
        if self._row < self._store.end:
            self._store.touch(self._row)
            parts[0] = str(self._store.lines.pop()) + parts[0]
        else:
            self._store.touch(self._row)
        if max(map(len, parts)) > MAX_LINE_CHARS:
            parts = [piece for part in parts for piece in _pieces(part)]
        self._store.chars += len(text)
        last = parts.pop()
        self._store.lines.extend(parts)
        if last:
            self._store.lines.append(last)
            self._row = self._store.end - 1
        else:
            self._row = self._store.end
        self._column = len(last)

    def _write_tokens(self, text: str, error: bool) -> None:
        base = ERROR if error else PLAIN
        style = self._style[error]
        for kind, value, numbers in self._parser[error].feed(text):
            if kind == "text":
                self._put(value, style)
            elif kind == "sgr":
                style = apply_sgr(style, numbers, base)
                if style == base:
                    style = base
            elif kind == "c0":
                self._control(value, style)
            else:
                self._move(value, numbers)
        self._style[error] = style
        self.close()

    def _control(self, char: str, style: Sgr) -> None:
        if char == "\n":
            self._line(self._row)
            self._go(self._row + 1)
            self._column = 0
        elif char == "\r":
            self._column = 0
        elif char == "\b":
            self._column = max(0, self._column - 1)
        else:
            self._put(" " * (8 - self._column % 8), style)

    def _move(self, final: str, numbers: tuple[int, ...]) -> None:
        first = numbers[0] if numbers else -1
        amount = max(1, first)
        if final in "AF":
            self._go(max(self._floor, self._store.unbroken, self._store.end - self._climb, self._row - amount))
        elif final in "BE":
            self._go(min(self._row + amount, self._store.end))
        elif final == "C":
            self._column = min(self._column + amount, MAX_LINE_CHARS - 1)
        elif final == "D":
            self._column = max(0, self._column - amount)
        elif final == "G":
            self._column = min(amount, MAX_LINE_CHARS) - 1
        elif final == "K":
            self._erase(max(0, first))
        elif final == "J" and first <= 0:
            self._erase(0)
            below = self._row + 1 - self._store.base
            if below < len(self._store.lines):
                del self._store.lines[below:]
                self._store.touch(self._row)
        if final in "EF":
            self._column = 0

    def _erase(self, mode: int) -> None:
        chars, styles = self._line(self._row)
        if mode == 0:
            del chars[self._column :], styles[self._column :]
        elif mode == 1:
            until = min(self._column + 1, len(chars))
            chars[:until], styles[:until] = [" "] * until, [PLAIN] * until
        elif mode == 2:
            chars.clear()
            styles.clear()
        self._store.touch(self._row)

    def _put(self, text: str, style: Sgr) -> None:
        self._store.chars += len(text)
        while text:
            room = MAX_LINE_CHARS - self._column
            if room <= 0:
                self._go(self._row + 1)
                self._column = 0
                continue
            piece, text = text[:room], text[room:]
            chars, styles = self._line(self._row)
            if len(chars) < self._column:
                gap = self._column - len(chars)
                chars.extend(" " * gap)
                styles.extend([PLAIN] * gap)
            end = self._column + len(piece)
            chars[self._column : end] = piece
            styles[self._column : end] = [style] * len(piece)
            self._column = end
            self._store.touch(self._row)

    def _line(self, row: int) -> tuple[list[str], list[Sgr]]:
        """Returns the characters and styles of the cursor's line, open for change."""
        if self._buffer is None:
            if row == self._store.end:
                self._store.lines.append("")
                self._store.touch(row)
            line = self._store.lines[row - self._store.base]
            if isinstance(line, str):
                self._buffer, self._styles = list(line), [PLAIN] * len(line)
            elif isinstance(line, Styled):
                self._buffer = list(line.text)
                self._styles = [style for start, end, style in line.spans for _ in range(start, end)]
            else:  # pragma: no cover - the floor keeps the cursor below lines of ours
                self._buffer, self._styles = [], []
        return self._buffer, self._styles

    def _go(self, row: int) -> None:
        if row == self._row:
            return
        self.close()
        self._row = row
        if row < self._store.end and not isinstance(self._store.lines[row - self._store.base], str | Styled):
            self._row = self._store.end
            self._column = 0

    def close(self) -> None:
        """Closes the line that is open for change."""
        if self._buffer is None:
            return
        text, styles = "".join(self._buffer), self._styles
        self._buffer, self._styles = None, []
        line: Line = text
        if any(style is not PLAIN for style in styles):
            spans, start = [], 0
            for style, group in groupby(styles):
                end = start + sum(1 for _ in group)
                spans.append((start, end, style))
                start = end
            line = Styled(text, tuple(spans))
        self._store.lines[self._row - self._store.base] = line


def _pieces(text: str) -> list[str]:
    return [text[at : at + MAX_LINE_CHARS] for at in range(0, len(text), MAX_LINE_CHARS)] or [""]
