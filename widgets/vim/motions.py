"""Where a motion leads from a place. Pure functions of lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from .effects import Place

Lines = Sequence[str]
EXCLUSIVE, INCLUSIVE, LINEWISE = "exclusive", "inclusive", "linewise"
Motion = Callable[[Lines, Place], Place]
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
_PARTNERS: Final = {**_BRACKETS, **{close: open_ for open_, close in _BRACKETS.items()}}


def kind(char: str, big: bool = False) -> int:
    """Returns 0 for a space, 1 for what belongs to a word, 2 for other signs (1 too where words are big)."""
    if char.isspace():
        return 0
    return 1 if big or char.isalnum() or char == "_" else 2


def first_sign(line: str) -> int:
    """Returns the column of the first character that is no space; of a line of spaces, the last column."""
    return len(line) - len(line.lstrip()) if line.strip() else max(0, len(line) - 1)


def last_column(line: str) -> int:
    """Returns the last column on which the cursor can stand in normal mode."""
    return max(0, len(line) - 1)


def left(lines: Lines, place: Place) -> Place:
    return place[0], max(0, place[1] - 1)


def right(lines: Lines, place: Place) -> Place:
    return place[0], min(len(lines[place[0]]), place[1] + 1)


def back_a_character(lines: Lines, place: Place) -> Place:
    row, column = place
    if column:
        return row, column - 1
    return (row - 1, last_column(lines[row - 1])) if row else place


def on_a_character(lines: Lines, place: Place) -> Place:
    row, column = place
    if column + 1 < len(lines[row]) or row + 1 >= len(lines):
        return row, min(column + 1, len(lines[row]))
    return row + 1, 0


def word(lines: Lines, place: Place, big: bool = False) -> Place:
    """The beginning of the next word; an empty line is one."""
    row, column = place
    line = lines[row]
    if column < len(line) and (this := kind(line[column], big)):
        while column < len(line) and kind(line[column], big) == this:
            column += 1
    while True:
        while column < len(line) and line[column].isspace():
            column += 1
        if column < len(line):
            return row, column
        if row + 1 >= len(lines):
            return row, len(line)
        row, column = row + 1, 0
        line = lines[row]
        if not line:
            return row, 0


def word_back(lines: Lines, place: Place, big: bool = False) -> Place:
    """The beginning of the word, or of the one before."""
    row, column = place
    line = lines[row]
    column = min(column, len(line)) - 1
    while True:
        if column < 0:
            if row == 0:
                return 0, 0
            row -= 1
            line = lines[row]
            column = len(line) - 1
            if not line:
                return row, 0
        elif line[column].isspace():
            column -= 1
        else:
            this = kind(line[column], big)
            while column > 0 and kind(line[column - 1], big) == this:
                column -= 1
            return row, column


def word_end(lines: Lines, place: Place, big: bool = False) -> Place:
    """The end of the word, or of the next one."""
    row, column = place
    line = lines[row]
    column += 1
    while True:
        if column >= len(line):
            if row + 1 >= len(lines):
                return row, last_column(line)
            row, column = row + 1, 0
            line = lines[row]
        elif line[column].isspace():
            column += 1
        else:
            this = kind(line[column], big)
            while column + 1 < len(line) and kind(line[column + 1], big) == this:
                column += 1
            return row, column


def word_end_back(lines: Lines, place: Place, big: bool = False) -> Place:
    """The end of the word before."""
    row, column = place
    line = lines[row]
    column = min(column, last_column(line))
    if line and (this := kind(line[column], big)):
        while column >= 0 and kind(line[column], big) == this:
            column -= 1
    else:
        column -= 1
    while True:
        if column < 0:
            if row == 0:
                return 0, 0
            row -= 1
            line = lines[row]
            column = len(line) - 1
            if not line:
                return row, 0
        elif line[column].isspace():
            column -= 1
        else:
            return row, column


def paragraph(lines: Lines, place: Place) -> Place:
    """The empty line behind the paragraph, or the end."""
    row = place[0]
    while row < len(lines) and not lines[row]:
        row += 1
    while row < len(lines) and lines[row]:
        row += 1
    return (row, 0) if row < len(lines) else (len(lines) - 1, len(lines[-1]))


def paragraph_back(lines: Lines, place: Place) -> Place:
    """The empty line before the paragraph, or the beginning."""
    row = place[0]
    while row > 0 and not lines[row]:
        row -= 1
    while row > 0 and lines[row]:
        row -= 1
    return row, 0


def partner(lines: Lines, place: Place) -> Place | None:
    """The partner of the bracket at the cursor, or of the next one in the line."""
    row, column = place
    line = lines[row]
    while column < len(line) and line[column] not in _PARTNERS:
        column += 1
    if column >= len(line):
        return None
    this = line[column]
    return _search(lines, (row, column), this, _PARTNERS[this], 1 if this in _BRACKETS else -1)


def _search(lines: Lines, place: Place, same: str, other: str, step: int, depth: int = 0) -> Place | None:
    """Returns where the depth that `same` adds to and `other` takes from comes back to nothing."""
    row, column = place
    while 0 <= row < len(lines):
        line = lines[row]
        while 0 <= column < len(line):
            if line[column] == same:
                depth += 1
            elif line[column] == other:
                depth -= 1
                if depth == 0:
                    return row, column
            column += step
        row += step
        column = 0 if step > 0 or not 0 <= row < len(lines) else len(lines[row]) - 1
    return None


def in_line(lines: Lines, place: Place, how: str, char: str, count: int, *, again: bool = False) -> Place | None:
    """Where `f`, `t`, `F` or `T` leads; None where there is no such character."""
    row, column = place
    line = lines[row]
    if how in "ft":
        if again and how == "t" and line[column + 1 : column + 2] == char:
            column += 1
        for _ in range(count):
            column = line.find(char, column + 1)
            if column < 0:
                return None
        return row, column - (how == "t")
    if again and how == "T" and column and line[column - 1] == char:
        column -= 1
    for _ in range(count):
        column = line.rfind(char, 0, max(0, column))
        if column < 0:
            return None
    return row, column + (how == "T")


# -- text objects ------------------------------------------------------------------------------------------------------

Span = tuple[Place, Place, bool]
"""(first, behind the last, whether it is whole lines)."""


def text_object(lines: Lines, place: Place, around: bool, what: str) -> Span | None:
    """Returns the text object at a place, as `iw` or `a(`; None where there is none."""
    if what in "wW":
        return _word_object(lines, place, around, what == "W")
    if what in "\"'`":
        return _quote_object(lines[place[0]], place, around, what)
    pair = {"b": "(", ")": "(", "B": "{", "}": "{", "]": "[", ">": "<"}.get(what, what)
    if pair in "([{<":
        return _bracket_object(lines, place, around, pair)
    if what == "p":
        return _paragraph_object(lines, place, around)
    return None


def _word_object(lines: Lines, place: Place, around: bool, big: bool) -> Span | None:
    row, column = place
    line = lines[row]
    if not line:
        return (row, 0), (row, 0), False
    column = min(column, len(line) - 1)
    start = end = column
    this = kind(line[column], big)
    while start > 0 and kind(line[start - 1], big) == this:
        start -= 1
    while end < len(line) and kind(line[end], big) == this:
        end += 1
    if around:
        if this == 0 and end < len(line):
            this = kind(line[end], big)
            while end < len(line) and kind(line[end], big) == this:
                end += 1
        elif end < len(line) and line[end].isspace():
            while end < len(line) and line[end].isspace():
                end += 1
        elif this:
            while start > 0 and line[start - 1].isspace():
                start -= 1
    return (row, start), (row, end), False


def _quote_object(line: str, place: Place, around: bool, quote: str) -> Span | None:
    row, column = place
    marks = [found.end() - 1 for found in re.finditer(rf"(?<!\\)(?:\\\\)*{quote}", line)]
    for start, end in zip(marks[::2], marks[1::2], strict=False):
        if column <= end:
            if not around:
                return (row, start + 1), (row, end), False
            stop = end + 1
            while stop < len(line) and line[stop].isspace():
                stop += 1
            return (row, start), (row, stop), False
    return None


def _bracket_object(lines: Lines, place: Place, around: bool, opening: str) -> Span | None:
    closing = ">" if opening == "<" else _BRACKETS[opening]
    row, column = place
    under = lines[row][column : column + 1]
    start: Place | None
    if under == opening:
        start = place
    else:
        before = (row, column - 1)
        start = _search(lines, before, closing, opening, -1, depth=1) or _next(lines, place, opening)
    if start is None:
        return None
    end = _search(lines, start, opening, closing, 1)
    if end is None:
        return None
    if around:
        return start, (end[0], end[1] + 1), False
    first = (start[0], start[1] + 1)
    if end[0] > start[0] and not lines[start[0]][first[1] :].strip() and not lines[end[0]][: end[1]].strip():
        # the lines between brackets that stand alone
        if end[0] == start[0] + 1:
            return first, first, False
        return (start[0] + 1, 0), (end[0] - 1, len(lines[end[0] - 1])), True
    return first, end, False


def _next(lines: Lines, place: Place, char: str) -> Place | None:
    """Returns where a character stands next."""
    row, column = place
    while row < len(lines):
        if (found := lines[row].find(char, column)) >= 0:
            return row, found
        row, column = row + 1, 0
    return None


def _paragraph_object(lines: Lines, place: Place, around: bool) -> Span:
    row = place[0]
    empty = not lines[row].strip()
    first = last = row
    while first > 0 and (not lines[first - 1].strip()) == empty:
        first -= 1
    while last + 1 < len(lines) and (not lines[last + 1].strip()) == empty:
        last += 1
    if around:
        while last + 1 < len(lines) and (not lines[last + 1].strip()) != empty:
            last += 1
    return (first, 0), (last, len(lines[last])), True
