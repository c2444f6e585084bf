"""Writes a program's output into lines as a terminal would: what adds only is fast, what moves about is right.

Text that only goes on, with or without colours, is cut into lines at once; around anything else the line is opened
into cells (`cells.py`), which can be written over. Pure: no Textual, no clock.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from rich.cells import cell_len

from .ansi import ERROR, HALVES, HIDDEN, MARKS, MAX_MARKS, PLAIN, SGR, Parser, Sgr, next_style, plain
from .cells import Cells, leading_marks
from .line_store import LineStore
from .lines import Styled

MAX_LINE_CHARS: Final = 16_384
"""A longer line goes on in the next one: a program that never ends its line must not stall the screen."""
MAX_CLIMB: Final = 500
"""Lines that cursor-up can reach back."""
SCREEN_ROWS: Final = 24
"""Lines at the end of a run that count as its screen, for programs that go to a place on it or erase it."""
_TAB: Final = 8
_AT_END: Final = -1
"""The column after the last cell of the last line, whatever that is."""

_RESETS: Final = frozenset(("", "0"))
_COMPLEX: Final = re.compile(
    f"[\\x00-\\x08\\x0b-\\x1a\\x1c-\\x1f\\x7f-\\x9f{HIDDEN}{HALVES}]|\\x1b(?!\\[[0-9:;]*m)|{MARKS}{{{MAX_MARKS + 1}}}"
)
_COMPLEX_ASCII: Final = re.compile(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]|\x1b(?!\[[0-9:;]*m)")


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
        self._top = 0
        """Number of the first line of the program's screen, at least."""
        self._saved = (0, 0)
        self._open: Cells | None = None
        """The cursor's line while it is changed."""
        self._last = ""
        """The last character that was written, for programs that have it repeated."""
        self._style = {False: PLAIN, True: ERROR}
        self._parser = {False: Parser(), True: Parser()}

    @property
    def row(self) -> int:
        """Number of the line in which output goes on."""
        return self._row

    def begin(self) -> None:
        """Goes on below everything, in no style; what stands above is out of reach."""
        self.skip()
        self._floor = self._top = self._row
        self._saved = (self._row, 0)
        self._style = {False: PLAIN, True: ERROR}
        self._parser = {False: Parser(), True: Parser()}

    def skip(self) -> None:
        """Goes on below everything."""
        self.close()
        self._row, self._column = self._store.end, 0

    def write(self, text: str, *, error: bool = False) -> None:
        """Adds output, interpreting its escape sequences."""
        parser = self._parser[error]
        text = parser.take() + text
        while text:
            if parser.idle and self._at_end():
                if self._style[error] is PLAIN and plain(text):
                    self._add_plain(text)
                    return
                text = self._add_some(text, error)
                continue
            # most lines go on as usual after the next line end
            line = text.find("\n") + 1
            self._interpret(text[:line] if line else text, error)
            text = text[line:] if line else ""

    def _add_some(self, text: str, error: bool) -> str:
        """Adds what only goes on, and interprets the first line that does more; returns the rest."""
        if "\r\n" in text:
            text = text.replace("\r\n", "\n")
        found = (_COMPLEX_ASCII if text.isascii() else _COMPLEX).search(text)
        if found is None:
            self._add(text, error)
            return ""
        line = text.rfind("\n", 0, found.start()) + 1
        if line:
            self._add(text[:line], error)
        after = text.find("\n", found.start()) + 1 or len(text)
        self._interpret(text[line:after], error)
        return text[after:]

    # -- what only goes on ---------------------------------------------------------------------------------------

    def _at_end(self) -> bool:
        """Whether the cursor stands after everything, so that text only adds."""
        if self._row == self._store.end:
            return self._column == 0
        return self._column == _AT_END and self._row == self._store.end - 1

    def _add_plain(self, text: str) -> None:
        store = self._store
        parts: list[str] = text.split("\n")
        store.touch(self._row)
        if self._row < store.end:
            before = store.lines[-1]
            if not isinstance(before, str):
                self._add(text, False)
                return
            store.lines.pop()
            parts[0] = before + parts[0]
        if max(map(len, parts)) > MAX_LINE_CHARS:
            parts = [piece for part in parts for piece in _pieces(part)]
        store.chars += len(text)
        last = parts.pop()
        store.lines.extend(parts)
        self._end_with(last)

    def _end_with(self, last: str | Styled) -> None:
        """Puts the line that is not ended yet."""
        store = self._store
        if last:
            store.lines.append(last)
            self._row, self._column = store.end - 1, _AT_END
            text = last if isinstance(last, str) else last.text
            self._last = text[-1:]
        else:
            self._row, self._column = store.end, 0

    def _add(self, text: str, error: bool) -> None:
        """Adds text with nothing in it but colours, tabs and line ends."""
        self._store.touch(self._row)
        self._store.chars += len(text)
        begin, end = 0, text.rfind("\n")
        if self._row < self._store.end:
            # what goes on in a line that is there already
            begin = text.find("\n") + 1 or len(text)
            self._add_pieces(text[:begin], error)
        if begin <= end:
            if "\t" in text or len(max(text[begin:end].split("\n"), key=len)) > MAX_LINE_CHARS:
                end = begin - 1
            else:
                self._add_lines(text[begin:end].split("\n"), error)
        if end + 1 < len(text) and begin < len(text):
            self._add_pieces(text[max(begin, end + 1) :], error)

    def _add_lines(self, written: list[str], error: bool) -> None:
        """Adds whole lines, of which those with colours are interpreted when they are looked at."""
        style, base, append = self._style[error], ERROR if error else PLAIN, self._store.lines.append
        for line in written:
            if "\x1b" in line:
                codes = SGR.findall(line)
                text = SGR.sub("", line)
                if not text or (style is PLAIN and all(code in _RESETS for code in codes)):
                    append(text)
                else:
                    append(Styled.later(text, line, style))
                if codes[-1] in _RESETS and not style.link:
                    style = base
                else:
                    for code in codes:
                        style = next_style(style, code, base)
            elif style is PLAIN or not line:
                append(line)
            else:
                append(Styled(line, ((0, len(line), style),)))
        self._style[error] = style
        self._row, self._column = self._store.end, 0

    def _add_pieces(self, text: str, error: bool) -> None:
        """Adds to the line that is not ended yet, and whatever follows."""
        store, style = self._store, self._style[error]
        base = ERROR if error else PLAIN
        pieces: list[tuple[str, Sgr]] = []
        used = 0
        if self._row < store.end:
            before = store.lines.pop()
            if isinstance(before, Styled):
                pieces = [(before.text[start:end], own) for start, end, own in before.spans]
                used = len(before.text)
            elif isinstance(before, str):
                pieces = [(before, PLAIN)]
                used = len(before)
        lines = store.lines
        parts = SGR.split(text)
        for index in range(0, len(parts), 2):
            if index:
                style = next_style(style, parts[index - 1], base)
            part = parts[index]
            if not part:
                continue
            begin = 0
            while True:
                newline = part.find("\n", begin)
                piece = part[begin:] if newline == -1 else part[begin:newline]
                if piece:
                    if "\t" in piece:
                        piece = _expanded(piece, pieces)
                    while used + len(piece) > MAX_LINE_CHARS:
                        room = MAX_LINE_CHARS - used
                        lines.append(_line([*pieces, (piece[:room], style)]))
                        pieces, used, piece = [], 0, piece[room:]
                    pieces.append((piece, style))
                    used += len(piece)
                if newline == -1:
                    break
                lines.append(_line(pieces))
                pieces, used = [], 0
                begin = newline + 1
        self._style[error] = style
        self._end_with(_line(pieces))

    # -- what moves about ----------------------------------------------------------------------------------------

    def _interpret(self, text: str, error: bool) -> None:
        base = ERROR if error else PLAIN
        if self._column == _AT_END:
            self._column = len(self._line(self._row))
        for kind, value, numbers in self._parser[error].feed(text):
            if kind == "text":
                self._put(value, self._style[error])
            elif kind == "sgr":
                self._style[error] = next_style(self._style[error], value, base)
            elif kind == "c0":
                self._control(value, self._style[error])
            elif kind == "link":
                style = replace(self._style[error], link=value)
                self._style[error] = base if style == base else style
            elif kind == "esc":
                self._short(value)
            else:
                self._move(value, numbers, self._style[error])
        at_end = self._row == self._store.end - 1 and self._column == len(self._line(self._row))
        self.close()
        if at_end and self._store.lines[-1] == "":
            # a line that nothing was written in is not there yet
            self._store.drop(len(self._store.lines) - 1)
            self._column = 0
        elif at_end:
            self._column = _AT_END

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
            self._put(" " * (_TAB - self._column % _TAB), style)

    def _short(self, final: str) -> None:
        if final == "7":
            self._saved = (self._row, self._column)
        elif final == "8":
            self._return()
        elif final == "M":
            self._up(1)
        else:
            self._down(1)
            self._column = 0 if final == "E" else self._column

    def _up(self, amount: int) -> None:
        self._go(max(self._floor, self._store.unbroken, self._store.end - self._climb, self._row - amount))

    def _down(self, amount: int) -> None:
        self._go(min(self._row + amount, self._store.end))

    def _return(self) -> None:
        row, column = self._saved
        self._go(max(self._floor, self._store.unbroken, self._store.end - self._climb, min(row, self._store.end)))
        self._column = column

    def _screen(self) -> int:
        """Returns the number of the first line of the program's screen."""
        self._top = max(self._top, self._floor, self._store.unbroken, self._store.end - min(SCREEN_ROWS, self._climb))
        return self._top

    def _move(self, final: str, numbers: tuple[int, ...], style: Sgr) -> None:
        first = numbers[0] if numbers else -1
        amount = max(1, first)
        if final in "AF":
            self._up(amount)
        elif final in "BEe":
            self._down(amount)
        elif final in "Ca":
            self._column = min(self._column + amount, MAX_LINE_CHARS - 1)
        elif final == "D":
            self._column = max(0, self._column - amount)
        elif final in "G`":
            self._column = min(amount, MAX_LINE_CHARS) - 1
        elif final in "Hfd":
            self._go(min(self._screen() + min(amount, SCREEN_ROWS) - 1, self._store.end))
            if final != "d":
                self._column = min(max(1, numbers[1] if len(numbers) > 1 else 1), MAX_LINE_CHARS) - 1
        elif final == "Z":
            self._column = max(0, (self._column - 1) // _TAB * _TAB - _TAB * (min(amount, MAX_LINE_CHARS) - 1))
        elif final == "s":
            self._saved = (self._row, self._column)
        elif final == "u":
            self._return()
        elif final == "J":
            self._erase_screen(first)
        elif final == "b":
            if self._last:
                self._put(self._last * min(amount, MAX_LINE_CHARS), style)
        else:
            self._change(final, first)
        if final in "EF":
            self._column = 0

    def _change(self, final: str, first: int) -> None:
        """Erases, inserts or deletes within the line."""
        line, amount = self._line(self._row), max(1, min(first, MAX_LINE_CHARS))
        if final == "K":
            if first <= 0:
                line.cut(self._column)
            elif first == 1:
                line.blank(0, self._column + 1)
            elif first == 2:
                line.cut(0)
        elif final == "X":
            line.blank(self._column, self._column + amount)
        elif final == "P":
            line.delete(self._column, amount)
        elif final == "@":
            line.insert(self._column, amount, MAX_LINE_CHARS)
        self._store.touch(self._row)

    def _erase_screen(self, mode: int) -> None:
        store = self._store
        if mode <= 0:
            self._line(self._row).cut(self._column)
            self._cut_below(self._row + 1)
        elif mode == 1:
            for row in range(self._screen(), self._row):
                index = row - store.base
                if isinstance(store.lines[index], str | Styled):
                    store.lines[index] = ""
                    store.touch(row)
            self._line(self._row).blank(0, self._column + 1)
        elif mode in (2, 3):
            # what is above the screen stays: that has scrolled away
            self.close()
            top = self._screen()
            column = 0 if self._column == _AT_END else self._column
            self._cut_below(top)
            self._row = min(self._row, store.end)
            self._column = column if self._row < store.end or not column else 0
        store.touch(self._row)

    def _cut_below(self, row: int) -> None:
        """Takes output away from a line on; lines of ours stay, with what is above them."""
        store = self._store
        first = max(row - store.base, 0)
        while any(not isinstance(line, str | Styled) for line in store.lines[first:]):
            first += 1
        if first < len(store.lines):
            store.drop(first)

    def _put(self, text: str, style: Sgr) -> None:
        if not text:
            return
        self._store.chars += len(text)
        if not text.isascii() and (marks := leading_marks(text)):
            for mark in text[:marks]:
                self._line(self._row).mark(self._column, mark)
            self._store.touch(self._row)
            text = text[marks:]
        cells = Cells.of(text, style)
        self._last = text[-1:] or self._last
        while len(cells):
            room = MAX_LINE_CHARS - self._column
            if room <= 0:
                self._go(self._row + 1)
                self._column = 0
                continue
            piece = cells if len(cells) <= room else cells.take(room)
            line = self._line(self._row)
            line.write(self._column, piece)
            self._column += len(piece)
            self._store.touch(self._row)
            if piece is cells:
                break

    def _line(self, row: int) -> Cells:
        """Returns the cells of the cursor's line, open for change."""
        if self._open is None:
            if row == self._store.end:
                self._store.lines.append("")
                self._store.touch(row)
            line = self._store.lines[row - self._store.base]
            self._open = Cells.of_line(line if isinstance(line, str | Styled) else "")
        return self._open

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
        if self._open is not None:
            self._store.lines[self._row - self._store.base] = self._open.line()
            self._open = None


def _line(pieces: list[tuple[str, Sgr]]) -> str | Styled:
    """Returns a line of pieces that follow each other."""
    if not pieces:
        return ""
    if len(pieces) == 1 and pieces[0][1] is PLAIN:
        return pieces[0][0]
    spans: list[tuple[int, int, Sgr]] = []
    start = at = 0
    before = pieces[0][1]
    is_plain = before is PLAIN
    for text, style in pieces:
        if style is not before and style != before:
            spans.append((start, at, before))
            start, before = at, style
            is_plain = is_plain and style is PLAIN
        at += len(text)
    text = "".join([text for text, _ in pieces])
    if is_plain:
        return text
    spans.append((start, at, before))
    return Styled(text, tuple(spans))


def _expanded(piece: str, before: list[tuple[str, Sgr]]) -> str:
    """Returns a piece of a line with blanks in place of its tabs."""
    column = sum(cell_len(text) for text, _ in before)
    parts = piece.split("\t")
    for index, part in enumerate(parts[:-1]):
        column += cell_len(part)
        blanks = _TAB - column % _TAB
        parts[index] += " " * blanks
        column += blanks
    return "".join(parts)


def _pieces(text: str) -> list[str]:
    return [text[at : at + MAX_LINE_CHARS] for at in range(0, len(text), MAX_LINE_CHARS)] or [""]
