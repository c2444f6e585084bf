"""Paints the rows of the code editor: each once, and again only when something about it changed.

TextArea builds a rich Text for every visible row at every key. Here a row is a strip that is kept with what it was
made of; a key makes anew the row that it changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from .highlight import Span

MATCH, CURRENT, SELECTED, BRACKET, CURSOR = 1, 2, 4, 8, 16
GUIDE: Final = 32
_CURSOR_ROW: Final = 64
_KEPT_ROWS: Final = 2_000

Layer = tuple[int, int, int]
"""(from, to, one of the flags) within a line."""


@dataclass(slots=True)
class Look:
    """The styles of the editor, for a theme."""

    base: Style
    cursor_row: Style
    gutter: Style
    cursor_gutter: Style
    mark: Style
    names: dict[str, Style]
    flags: dict[int, Style]
    guide: str = "│"
    """Shape of an indent guide; empty = none."""


@dataclass(frozen=True, slots=True)
class Row:
    """Everything that decides how a row looks."""

    text: str
    start: int
    """Where its section begins in the text."""
    end: int
    spans: Sequence[Span]
    layers: tuple[Layer, ...]
    gutter: str
    mark: str
    """A sign right of the number; empty = none."""
    on_cursor_row: bool
    selected_end: bool
    """The selection goes on behind the end of the line."""
    scroll_x: int
    width: int
    """Cells of the row, with the gutter."""
    tab: int


class Painter:
    """Makes strips of rows."""

    def __init__(self) -> None:
        self.look: Look | None = None
        self._styles: dict[tuple[str, int], Style] = {}
        self._kept: dict[tuple[int, int], tuple[Row, Strip]] = {}

    def use(self, look: Look) -> None:
        """Takes other styles."""
        if look != self.look:
            self.look = look
            self._styles.clear()
            self._kept.clear()

    def forget(self) -> None:
        """Makes every row be painted again."""
        self._kept.clear()

    def strip(self, key: tuple[int, int], row: Row) -> Strip:
        """Returns the strip of a row, of which there is one for each key."""
        kept = self._kept.get(key)
        if kept is not None and kept[0] == row:
            return kept[1]
        if len(self._kept) > _KEPT_ROWS:
            self._kept.clear()
        strip = self._paint(row)
        self._kept[key] = row, strip
        return strip

    def blank(self, width: int) -> Strip:
        """Returns a row below the last line."""
        assert self.look is not None
        return Strip.blank(width, self.look.base)

    def _style(self, name: str, flags: int) -> Style:
        style = self._styles.get((name, flags))
        if style is None:
            look = self.look
            assert look is not None
            style = look.base
            if flags & _CURSOR_ROW:
                style += look.cursor_row
            if name:
                style += look.names[name]
            for flag in (GUIDE, MATCH, CURRENT, SELECTED, BRACKET, CURSOR):
                if flags & flag:
                    style += look.flags[flag]
            self._styles[name, flags] = style
        return style

    def _paint(self, row: Row) -> Strip:
        look = self.look
        assert look is not None
        ground = _CURSOR_ROW if row.on_cursor_row else 0
        segments: list[Segment] = []
        gutter = len(row.gutter)
        if gutter:
            style = look.cursor_gutter if row.on_cursor_row else look.gutter
            if row.mark:
                segments += [Segment(row.gutter[:-2] + " ", style), Segment(row.mark, style + look.mark)]
            else:
                segments.append(Segment(row.gutter, style))
        room = row.width - gutter
        text, first, last = row.text, row.start, row.end
        plain = text.isascii() and "\t" not in text
        if plain:
            # a column is a cell: only what is to be seen is looked at
            first = row.start + row.scroll_x
            last = max(first, min(row.end, first + room))
        pieces, cells = self._pieces(row, first, last, ground, plain)
        if not plain:
            pieces = list(Strip(pieces, cells).crop(row.scroll_x, row.scroll_x + room))
            cells = min(max(0, cells - row.scroll_x), room)
        segments += pieces
        if cells < room:
            behind = room - cells
            if row.selected_end:
                segments.append(Segment(" ", self._style("", ground | SELECTED)))
                behind -= 1
            if behind:
                segments.append(Segment(" " * behind, self._style("", ground)))
        return Strip(segments, row.width)

    def _pieces(self, row: Row, first: int, last: int, ground: int, plain: bool) -> tuple[list[Segment], int]:
        """Returns the text from column `first` to `last`, and its cells."""
        text = row.text
        edges = {first, last}
        for start, end, _ in row.spans:
            if start < last and end > first:
                edges.add(max(start, first))
                edges.add(min(end, last))
        # the cursor may stand behind the last character
        behind = last == row.end
        for start, end, _ in row.layers:
            if start < last + behind and end > first:
                edges.add(max(start, first))
                edges.add(min(end, last + behind))
        borders = sorted(edges)
        segments: list[Segment] = []
        cells = 0
        spans, at = row.spans, 0
        for start, end in pairwise(borders):
            while at < len(spans) and spans[at][1] <= start:
                at += 1
            name = spans[at][2] if at < len(spans) and spans[at][0] <= start else ""
            flags = ground
            for begin, finish, flag in row.layers:
                if begin <= start < finish:
                    flags |= flag
            piece = text[start:end] if start < len(text) else " "
            if flags & GUIDE and self.look is not None and self.look.guide:
                piece = self.look.guide + piece[1:]
            if plain:
                cells += end - start
            else:
                if "\t" in piece:
                    piece = _expanded(piece, cells, row.tab)
                cells += cell_len(piece)
            segments.append(Segment(piece, self._style(name, flags)))
        return segments, cells


def _expanded(piece: str, at: int, tab: int) -> str:
    """Returns a piece of a line that begins at a cell, with spaces for its tabs."""
    parts = piece.split("\t")
    whole = ""
    for part in parts[:-1]:
        whole += part
        whole += " " * (tab - (at + cell_len(whole)) % tab)
    return whole + parts[-1]


def guides(text: str, depth: int, step: int) -> tuple[Layer, ...]:
    """Returns the indent guides of a line: one at each level within its indentation.

    Args:
        depth: Cells of its indentation; of an empty line, of that around it.
        step: Cells of a level.
    """
    reach = min(depth, len(text)) if "\t" not in text[:depth] else 0
    return tuple((column, column + 1, GUIDE) for column in range(step, reach, step) if text[column] == " ")
