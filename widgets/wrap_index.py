"""Maps lines of any width to the rows of a screen, so that 100,000 wrapped lines scroll as fast as ten."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from rich.cells import cell_len, get_character_cell_size

from .transcript import Line, Media, Note, Styled


def text_of(line: Line) -> str | None:
    """Returns the text that wraps; None for a line that is always one row."""
    if isinstance(line, str):
        return line
    if isinstance(line, Media):
        return line.alt or f"[{line.mime}]"
    return line.text if isinstance(line, Styled | Note) else None


def height(line: Line, width: int) -> int:
    """Returns the rows of a line."""
    text = text_of(line)
    if text is None or (len(text) * 2 <= width):
        return 1
    if text.isascii():
        return max(1, -(-len(text) // width))
    return 1 if cell_len(text) <= width else len(cuts(text, width))


def wrapped(text: str, width: int) -> list[str]:
    """Returns one line of text in lines of at most `width` cells, broken between words; a longer word is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and cell_len(line) + 1 + cell_len(word) <= width:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
        pieces = [word[start:end] for start, end in cuts(word, width)]
        lines += pieces[:-1]
        line = pieces[-1]
    return [*lines, line]


def cuts(text: str, width: int) -> list[tuple[int, int]]:
    """Returns `(start, end)` of the part of `text` in each row. A character of two cells is never split."""
    if text.isascii():
        return [(at, min(at + width, len(text))) for at in range(0, len(text), width)] or [(0, 0)]
    parts, start, cells = [], 0, 0
    for index, char in enumerate(text):
        size = get_character_cell_size(char)
        if cells + size > width and index > start:
            parts.append((start, index))
            start, cells = index, 0
        cells += size
    parts.append((start, len(text)))
    return parts


class WrapIndex:
    """Row numbers of lines. Lines are counted from the first that there is."""

    def __init__(self) -> None:
        self._width = 1
        self._starts: list[int] = []
        self._rows = 0

    @property
    def width(self) -> int:
        """Cells of a row."""
        return self._width

    @property
    def rows(self) -> int:
        """Rows of all lines together."""
        return self._rows

    def rebuild(self, lines: Sequence[Line], width: int) -> None:
        """Counts everything anew for a width in cells."""
        self._width = max(1, width)
        self._starts, self._rows = [], 0
        self.extend(lines)

    def update(self, lines: Sequence[Line], changed: int) -> None:
        """Counts anew from line `changed` on."""
        if changed < len(self._starts):
            self._rows = self._starts[changed]
            del self._starts[changed:]
        self.extend(lines[len(self._starts) :])

    def extend(self, lines: Sequence[Line]) -> None:
        """Counts more lines."""
        rows, width, append = self._rows, self._width, self._starts.append
        for line in lines:
            append(rows)
            if isinstance(line, str) and ((cells := len(line)) * 2 <= width or (cells <= width and line.isascii())):
                # nearly every line: worth the while where 100,000 are counted
                rows += 1
            else:
                rows += height(line, width)
        self._rows = rows

    def locate(self, row: int) -> tuple[int, int]:
        """Returns (line, row within it) of a row that exists."""
        line = bisect_right(self._starts, row) - 1
        return line, row - self._starts[line]

    def row_of(self, line: int) -> int:
        """Returns the first row of a line; the end for a line that is not there yet."""
        return self._starts[line] if line < len(self._starts) else self._rows
