"""The lines of a terminal: text, cursor, the lines that were scrolled off, and a second screen. Pure: no Textual.

pyte knows how a VT220 moves its cursor, its lines and its characters. Here is what differs from it: cells have pens of
our own, erasing takes the colour of the background, full-screen programs have a screen of their own, and no count or
size that a program may name makes it grow, or take long.
"""

from __future__ import annotations

import unicodedata
from collections import deque
from typing import Any, Final

import pyte
from pyte import charsets
from pyte import modes as pyte_modes
from pyte.screens import Margins
from rich.cells import get_character_cell_size

from .terminal_cells import BLANK, MAX_MARKS, PLAIN, Cell, Line, Pen, Runs, pieces_of

HISTORY_LINES: Final = 5000
_MARKS: Final = frozenset({"Mn", "Me"})


class _PenCells(dict[str, Cell]):
    """The cells of one pen, made when they are first needed."""

    def __init__(self, pen: Pen) -> None:
        super().__init__()
        self._pen = pen

    def __missing__(self, text: str) -> Cell:
        cell = Cell(text, self._pen)
        if len(self) < 4096:
            self[text] = cell
        return cell


class _Buffer(dict[int, Line]):
    """The lines of a screen, blank where nothing was written."""

    def __missing__(self, y: int) -> Line:
        line = self[y] = Line()
        return line


class TerminalLines(pyte.Screen):
    """A screen, and what was scrolled off it."""

    def __init__(self, columns: int, lines: int, *, history_lines: int = HISTORY_LINES) -> None:
        self.history: deque[Runs] = deque(maxlen=history_lines)
        """Lines that were scrolled off the top, the newest last."""
        self.scrolled = 0
        """How many lines were ever scrolled off."""
        self._pen_cells: dict[str, Cell] = {}
        self._cells_pen: Pen | None = None
        self._saved: dict[bool, tuple[Any, ...]] = {}
        self._other: dict[int, Any] | None = None
        """The lines of the main screen while the alternate one is seen."""
        self._last = " "
        super().__init__(max(columns, 1), max(lines, 1))

    @property
    def is_alternate(self) -> bool:
        """Whether a full-screen program has the screen."""
        return self._other is not None

    def line(self, y: int) -> Line:
        """Returns a row of the screen."""
        return self.buffer[y]  # type: ignore[no-any-return]  # all lines are ours

    # --- text

    @property
    def default_char(self) -> Any:
        """An empty cell."""
        return BLANK

    def reset(self) -> None:
        """Begins anew; what was scrolled off stays."""
        super().reset()
        self.buffer: Any = _Buffer()
        self.cursor.attrs = PLAIN  # type: ignore[assignment]  # our cells have pens
        self.savepoints = []
        self.g0_charset = self.g1_charset = charsets.LAT1_MAP
        self._saved.clear()
        self._other = None

    @property
    def pen(self) -> Pen:
        """What text is written with."""
        return self.cursor.attrs  # type: ignore[return-value]  # see `reset`

    def _cells(self) -> dict[str, Cell]:
        pen = self.pen
        if pen is not self._cells_pen:
            self._cells_pen = pen
            self._pen_cells = _PenCells(pen)
        return self._pen_cells

    def draw(self, data: str) -> None:
        """Writes text at the cursor."""
        charset = self.g1_charset if self.charset else self.g0_charset
        if charset is not charsets.LAT1_MAP:
            data = data.translate(charset)
        self._last = data[-1:]
        if data.isascii() and pyte_modes.IRM not in self.mode:
            self._draw_narrow(data)
            return
        for char in data:
            self._draw_char(char)

    def _draw_narrow(self, data: str) -> None:
        cells, cursor, columns = self._cells(), self.cursor, self.columns
        position = 0
        while position < len(data):
            if cursor.x >= columns and not self._wrap(1):
                # without wrapping, the last column takes what comes last
                cursor.x = columns - 1
                position = len(data) - 1
            part = data[position : position + columns - cursor.x]
            line = self.buffer[cursor.y]
            self._split_wide(line, cursor.x, cursor.x + len(part))
            line.update(zip(range(cursor.x, cursor.x + len(part)), map(cells.__getitem__, part), strict=True))
            cursor.x += len(part)
            position += len(part)

    def _draw_char(self, char: str) -> None:
        cursor, width = self.cursor, get_character_cell_size(char)
        if width == 0:
            self._mark(char)
            return
        if width > self.columns:
            return
        if cursor.x + width > self.columns and not self._wrap(width):
            cursor.x = self.columns - width
        if pyte_modes.IRM in self.mode:
            self.insert_characters(width)
        line = self.buffer[cursor.y]
        self._split_wide(line, cursor.x, cursor.x + width)
        line[cursor.x] = self._cells()[char]
        if width == 2:
            line[cursor.x + 1] = Cell("", self.pen)
        cursor.x += width

    def _wrap(self, width: int) -> bool:
        if pyte_modes.DECAWM not in self.mode:
            return False
        self.buffer[self.cursor.y].wrapped = True
        self.cursor.x = 0
        self.index()
        return True

    def _split_wide(self, line: Line, first: int, end: int) -> None:
        """Blanks the halves that are left of wide characters whose other half is written over."""
        if first and line.get(first, BLANK).text == "":
            line[first - 1] = Cell(" ", line[first - 1].pen)
        if end < self.columns and line.get(end, BLANK).text == "":
            line[end] = Cell(" ", line[end].pen)

    def _mark(self, char: str) -> None:
        """Puts a combining character on the last one; those that only control how text is laid out are dropped."""
        x, line = self.cursor.x - 1, self.buffer[self.cursor.y]
        if x >= 0 and line[x].text == "":
            x -= 1
        if x < 0 or unicodedata.category(char) not in _MARKS:
            return
        cell = line[x]
        if len(cell.text) <= MAX_MARKS:
            line[x] = Cell(unicodedata.normalize("NFC", cell.text + char), cell.pen)

    # --- lines

    def index(self) -> None:
        """Moves down a line, and the lines up where there is none below."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        cursor = self.cursor
        if cursor.y != bottom:
            cursor.y = min(cursor.y + 1, self.lines - 1)
            return
        buffer = self.buffer
        if top == 0 and self._other is None:
            self._keep(buffer[0])
        for y in range(top, bottom):
            buffer[y] = buffer[y + 1]
        self._new_line(bottom)

    def linefeed(self) -> None:
        """Does what a line feed does."""
        self.index()
        if pyte_modes.LNM in self.mode:
            self.cursor.x = 0

    def reverse_index(self) -> None:
        """Moves up a line, and the lines down where there is none above."""
        top, bottom = self.margins or Margins(0, self.lines - 1)
        if self.cursor.y != top:
            self.cursor_up()
            return
        for y in range(bottom, top, -1):
            self.buffer[y] = self.buffer[y - 1]
        self._new_line(top)

    def _new_line(self, y: int) -> None:
        self.buffer[y] = Line()
        if self.pen.bg is not None:
            self._blank(y, range(self.columns))

    def _keep(self, line: Line) -> None:
        self.scrolled += 1
        self.history.append(Runs(tuple(pieces_of(line, self.columns)), line.wrapped))

    def _scroll(self, count: int) -> None:
        """Moves the lines between the margins up, or down."""
        y, cursor = self.cursor.y, self.cursor
        top, bottom = self.margins or Margins(0, self.lines - 1)
        cursor.y = bottom if count > 0 else top
        for _ in range(min(abs(count), bottom - top + 1)):
            (self.index if count > 0 else self.reverse_index)()
        cursor.y = y

    def _blank(self, y: int, columns: range) -> None:
        """Erases cells, in the colour of the background."""
        line = self.buffer[y]
        bg = self.pen.bg
        if bg is None:
            if len(columns) >= self.columns:
                self.buffer[y] = Line()
                return
            for x in columns:
                line.pop(x, None)
        else:
            cell = Cell(" ", Pen(bg=bg))
            for x in columns:
                line[x] = cell
        if columns:
            self._split_wide(line, columns[0], columns[-1] + 1)
        line.wrapped = False

    def erase_in_line(self, how: int = 0, private: bool = False) -> None:
        """Erases to the end of the line, from its beginning, or all of it."""
        x = min(self.cursor.x, self.columns - 1)
        interval = {0: range(x, self.columns), 1: range(x + 1), 2: range(self.columns)}.get(how)
        if interval is not None:
            self._blank(self.cursor.y, interval)

    def erase_in_display(self, how: int = 0, *args: Any, **kwargs: Any) -> None:
        """Erases below the cursor, above it, the whole screen, or what was scrolled off."""
        y = self.cursor.y
        if how == 3:
            self.history.clear()
            return
        if how == 2 and self._other is None:
            # what `clear` clears can be read in what was scrolled off
            used = max((row for row in range(self.lines) if self.buffer[row]), default=-1)
            for row in range(used + 1):
                self._keep(self.buffer[row])
        rows = {0: range(y + 1, self.lines), 1: range(y), 2: range(self.lines)}.get(how, range(0))
        for row in rows:
            self._blank(row, range(self.columns))
        if how in (0, 1):
            self.erase_in_line(how)

    def erase_characters(self, count: int | None = None) -> None:
        """Erases cells from the cursor on."""
        x = min(self.cursor.x, self.columns - 1)
        self._blank(self.cursor.y, range(x, min(x + (count or 1), self.columns)))

    def insert_characters(self, count: int | None = None) -> None:
        """Moves the rest of the line to the right."""
        x, line = min(self.cursor.x, self.columns - 1), self.buffer[self.cursor.y]
        count = min(count or 1, self.columns - x)
        moved = [(column + count, line[column]) for column in range(x, self.columns - count)]
        line.update(moved)
        self._blank(self.cursor.y, range(x, x + count))

    def delete_characters(self, count: int | None = None) -> None:
        """Moves the rest of the line to the left."""
        x, line = min(self.cursor.x, self.columns - 1), self.buffer[self.cursor.y]
        count = min(count or 1, self.columns - x)
        line.update([(column - count, line[column]) for column in range(x + count, self.columns)])
        self._blank(self.cursor.y, range(self.columns - count, self.columns))

    def insert_lines(self, count: int | None = None) -> None:
        """Moves the lines from the cursor on down."""
        self._shift_lines(-(count or 1))

    def delete_lines(self, count: int | None = None) -> None:
        """Moves the lines below the cursor up."""
        self._shift_lines(count or 1)

    def _shift_lines(self, count: int) -> None:
        top, bottom = self.margins or Margins(0, self.lines - 1)
        y = self.cursor.y
        if not top <= y <= bottom:
            return
        rows = [self.buffer[row] for row in range(y, bottom + 1)]
        moved = min(abs(count), len(rows))
        rows = rows[moved:] if count > 0 else rows[: len(rows) - moved]
        first = y if count > 0 else y + moved
        for row, line in enumerate(rows, first):
            self.buffer[row] = line
        fresh = range(bottom + 1 - moved, bottom + 1) if count > 0 else range(y, y + moved)
        for row in fresh:
            self._new_line(row)
        self.cursor.x = 0

    def alignment_display(self) -> None:
        """Fills the screen with E."""
        for y in range(self.lines):
            self.buffer[y] = Line({x: Cell("E", PLAIN) for x in range(self.columns)})

    def resize(self, lines: int | None = None, columns: int | None = None) -> None:
        """Changes the size: the cursor's line stays in sight, what is above it scrolls off."""
        lines, columns = max(lines or self.lines, 1), max(columns or self.columns, 1)
        if (lines, columns) == (self.lines, self.columns):
            return
        self._resize_rows(self.buffer, self.cursor.y, lines, keep=self._other is None)
        if self._other is not None:
            saved = self._saved.get(False)
            self._resize_rows(self._other, saved[0][1] if saved is not None else 0, lines, keep=True)
        surplus = self._surplus(self.cursor.y, lines)
        self.lines, self.columns = lines, columns
        self.margins = None
        self.cursor.y -= surplus
        self.tabstops = set(range(8, columns, 8))
        self.ensure_hbounds()
        self.ensure_vbounds()

    @staticmethod
    def _surplus(y: int, lines: int) -> int:
        return max(y - (lines - 1), 0)

    def _resize_rows(self, rows: dict[int, Any], y: int, lines: int, *, keep: bool) -> None:
        surplus = self._surplus(y, lines)
        for row in range(surplus):
            if keep:
                self._keep(rows[row])
        if surplus:
            for row in range(lines):
                rows[row] = rows[row + surplus]
        for row in [row for row in rows if row >= lines]:
            del rows[row]

    # --- cursor and screens

    def _place(self) -> tuple[Any, ...]:
        cursor = self.cursor
        place = (cursor.x, cursor.y, cursor.attrs)
        return (place, self.g0_charset, self.g1_charset, self.charset, pyte_modes.DECOM in self.mode)

    def save_cursor(self) -> None:
        """Notes where the cursor is, and how it writes; each screen has one such place."""
        self._saved[self.is_alternate] = self._place()

    def restore_cursor(self) -> None:
        """Goes where the cursor was noted."""
        saved = self._saved.get(self.is_alternate)
        if saved is None:
            self.mode.discard(pyte_modes.DECOM)
            self.cursor_position()
            return
        (self.cursor.x, self.cursor.y, self.cursor.attrs), self.g0_charset, self.g1_charset, self.charset, origin = (
            saved
        )
        (self.mode.add if origin else self.mode.discard)(pyte_modes.DECOM)
        self.cursor.x = min(self.cursor.x, self.columns)
        self.ensure_vbounds()

    def cursor_to_line(self, line: int | None = None) -> None:
        """Goes to a line, counted from the upper margin where the program wants that."""
        top = self.margins.top if self.margins is not None and pyte_modes.DECOM in self.mode else 0
        self.cursor.y = (line or 1) - 1 + top
        self.ensure_vbounds()

    def show_alternate(self, on: bool, *, with_cursor: bool) -> None:
        if on == self.is_alternate:
            return
        if on:
            if with_cursor or False not in self._saved:
                self._saved[False] = self._place()
            self._other, self.buffer = self.buffer, _Buffer()
        else:
            assert self._other is not None
            self.buffer, self._other = self._other, None
            self.margins = None
            if with_cursor:
                self.restore_cursor()
