"""A line of output as cells that can be written over, as a terminal has them.

A character of two cells stands in its first one and leaves the second empty; marks that combine stand with the
character that they are on. Pure.
"""

from __future__ import annotations

from itertools import groupby

from rich.cells import get_character_cell_size

from .ansi import MAX_MARKS, PLAIN, Sgr
from .lines import Styled


class Cells:
    """Characters with their styles, one for each cell."""

    __slots__ = ("_styles", "_texts")

    def __init__(self, texts: list[str], styles: list[Sgr]) -> None:
        self._texts = texts
        self._styles = styles

    @classmethod
    def of(cls, text: str, style: Sgr) -> Cells:
        """Returns the cells of a text in one style."""
        texts = list(text) if text.isascii() else _cells(text)
        return cls(texts, [style] * len(texts))

    @classmethod
    def of_line(cls, line: str | Styled) -> Cells:
        """Returns the cells of a line."""
        if isinstance(line, str):
            return cls.of(line, PLAIN)
        if line.text.isascii():
            return cls(list(line.text), [style for start, end, style in line.spans for _ in range(start, end)])
        whole = cls([], [])
        for start, end, style in line.spans:
            part = cls.of(line.text[start:end], style)
            whole._texts += part._texts
            whole._styles += part._styles
        return whole

    def __len__(self) -> int:
        return len(self._texts)

    def take(self, count: int) -> Cells:
        """Takes the first `count` cells out and returns them; a wide character is not torn apart."""
        texts = self._texts
        if count < len(texts) and texts[count] == "" and count > 1:
            count -= 1
        first = Cells(texts[:count], self._styles[:count])
        del texts[:count], self._styles[:count]
        return first

    def write(self, column: int, cells: Cells) -> None:
        """Writes over what stands from `column` on."""
        texts, styles = self._texts, self._styles
        gap = column - len(texts)
        if gap > 0:
            texts += [" "] * gap
            styles += [PLAIN] * gap
        end = column + len(cells)
        self._part(column)
        self._part(end)
        texts[column:end] = cells._texts
        styles[column:end] = cells._styles

    def mark(self, column: int, mark: str) -> None:
        """Puts a combining mark onto the character before `column`; where there is none, it is dropped."""
        at = min(column, len(self._texts)) - 1
        if at > 0 and self._texts[at] == "":
            at -= 1
        if at >= 0 and len(self._texts[at]) <= MAX_MARKS:
            self._texts[at] += mark

    def cut(self, column: int) -> None:
        """Erases from `column` on."""
        self._part(column)
        del self._texts[column:], self._styles[column:]

    def blank(self, start: int, end: int) -> None:
        """Erases cells, which stay as blanks."""
        end = min(end, len(self._texts))
        if start < end:
            self._part(start)
            self._part(end)
            self._texts[start:end] = [" "] * (end - start)
            self._styles[start:end] = [PLAIN] * (end - start)

    def delete(self, column: int, count: int) -> None:
        """Takes cells out; what follows moves up."""
        self._part(column)
        self._part(column + count)
        del self._texts[column : column + count], self._styles[column : column + count]

    def insert(self, column: int, count: int, most: int) -> None:
        """Puts blanks in; what follows moves on, at most to `most` cells."""
        if column < len(self._texts):
            self._part(column)
            self._texts[column:column] = [" "] * count
            self._styles[column:column] = [PLAIN] * count
            self.cut(most)

    def _part(self, column: int) -> None:
        """Turns a wide character that lies across the beginning of `column` into blanks."""
        if 0 < column < len(self._texts) and self._texts[column] == "":
            self._texts[column - 1] = self._texts[column] = " "

    def line(self) -> str | Styled:
        """Returns the line that the cells are."""
        text = "".join(self._texts)
        if all(style is PLAIN for style in self._styles):
            return text
        spans, start, at = [], 0, 0
        for style, group in groupby(self._styles):
            cells = sum(1 for _ in group)
            length = cells if text.isascii() else sum(map(len, self._texts[at : at + cells]))
            at += cells
            if length:
                spans.append((start, start + length, style))
            start += length
        return Styled(text, tuple(spans)) if spans else text


def leading_marks(text: str) -> int:
    """Returns how many characters at the beginning of a text belong to the one before it."""
    count = 0
    while count < len(text) and get_character_cell_size(text[count]) == 0:
        count += 1
    return count


def _cells(text: str) -> list[str]:
    cells: list[str] = []
    for char in text:
        size = get_character_cell_size(char)
        if size == 0:
            at = len(cells) - 1 if len(cells) < 2 or cells[-1] else len(cells) - 2
            if cells and len(cells[at]) <= MAX_MARKS:
                cells[at] += char
            continue
        cells.append(char)
        if size == 2:
            cells.append("")
    return cells
