"""Where the keys of a motion or text object lead, with counts and what was looked for last."""

from __future__ import annotations

from typing import Final

from ..text_find import Finder, Query
from . import motions as go
from .effects import Mode, Place, Text

MAX_COUNT: Final = 100_000
_SIMPLE: Final = {
    "h": (go.left, go.EXCLUSIVE),
    "l": (go.right, go.EXCLUSIVE),
    " ": (go.on_a_character, go.EXCLUSIVE),
    "w": (go.word, go.EXCLUSIVE),
    "b": (go.word_back, go.EXCLUSIVE),
    "e": (go.word_end, go.INCLUSIVE),
    "ge": (go.word_end_back, go.INCLUSIVE),
    "{": (go.paragraph_back, go.EXCLUSIVE),
    "}": (go.paragraph, go.EXCLUSIVE),
}
_BIG: Final = {"W": go.word, "B": go.word_back, "E": go.word_end, "gE": go.word_end_back}


class Targets:
    """What motions remember."""

    def __init__(self) -> None:
        self.mode = Mode.NORMAL
        self._count = ""
        self._operator = ""
        self._operator_count = ""
        self._found: tuple[str, str] | None = None
        self._pattern = ""
        self._forward = True
        self._column: int | None = None
        """The column that up and down go back to."""

    @property
    def _times(self) -> int:
        return min(MAX_COUNT, int(self._count or 1) * int(self._operator_count or 1))

    def _target(self, sign: str, text: Text) -> tuple[Place, Place, str] | None:
        """Returns (from, to, kind) of a motion or text object; None when the sign is neither."""
        lines, place, times = text.lines, text.cursor, self._times
        row, column = place
        if sign[0] in "ia" and len(sign) == 2:
            span = go.text_object(lines, place, sign[0] == "a", sign[1])
            if span is None:
                return place, place, go.EXCLUSIVE
            first, end, whole = span
            return first, end, go.LINEWISE if whole or sign[1] == "p" else "object"
        if sign in _SIMPLE or sign in _BIG:
            big = sign in _BIG
            how = _SIMPLE[sign.lower()][1] if big else _SIMPLE[sign][1]
            if sign in "wW" and self._operator == "c" and lines[row][column : column + 1].strip():
                return place, self._end_of_word(text, big), go.INCLUSIVE
            for _ in range(times):
                before = place
                place = _BIG[sign](lines, place, True) if big else _SIMPLE[sign][0](lines, place)
                if place == before:
                    break
            if (
                sign in "wW"
                and self._operator
                and lines[row]
                and place[0] > row
                and place[1] <= go.first_sign(lines[place[0]])
            ):
                # a word at the end of its line does not take the line's end along
                while place[0] > row and (place[1] <= go.first_sign(lines[place[0]])):
                    place = place[0] - 1, len(lines[place[0] - 1])
                    if place[1]:
                        break
            return text.cursor, place, how
        if sign in ("j", "k", "+", "-", "_", "G", "gg") or (sign == "%" and (self._count or self._operator_count)):
            target = self._line_target(sign, text)
            # beyond the first or last line there is nothing to go to, or to operate on
            return (place, place, go.EXCLUSIVE) if target is None else (place, target, go.LINEWISE)
        simple = {
            "0": ((row, 0), go.EXCLUSIVE),
            "^": ((row, go.first_sign(lines[row])), go.EXCLUSIVE),
            "|": ((row, min(times - 1, go.last_column(lines[row]))), go.EXCLUSIVE),
        }
        if sign in simple:
            return place, *simple[sign]
        if sign == "$":
            down = min(len(lines) - 1, row + times - 1)
            self._column = MAX_COUNT
            return place, (down, go.last_column(lines[down])), go.INCLUSIVE
        if sign[0] in "ftFT" and len(sign) == 2:
            self._found = sign[0], sign[1]
            return self._in_line(text, *self._found)
        if sign in (";", ",") and self._found is not None:
            how, char = self._found
            return self._in_line(text, how.swapcase() if sign == "," else how, char, again=True)
        if sign == "%":
            partner = go.partner(lines, place)
            return place, partner or place, go.INCLUSIVE if partner else go.EXCLUSIVE
        if sign in ("n", "N", "*", "#") and (self._operator or self.mode is not Mode.NORMAL):
            found = self._search(text, sign)
            return place, found or place, go.EXCLUSIVE
        return None

    def _end_of_word(self, text: Text, big: bool) -> Place:
        """Where `cw` ends: it leaves the spaces behind the word."""
        row, column = text.cursor
        line = text.lines[row]
        this = go.kind(line[column], big)
        while column + 1 < len(line) and go.kind(line[column + 1], big) == this:
            column += 1
        place = (row, column)
        for _ in range(self._times - 1):
            place = go.word_end(text.lines, place, big)
        return place

    def _line_target(self, sign: str, text: Text) -> Place | None:
        lines, (row, column) = text.lines, text.cursor
        last = len(lines) - 1
        given = self._count or self._operator_count
        if sign in ("G", "gg"):
            down = (last if sign == "G" else 0) if not given else min(last, self._times - 1)
            return down, go.first_sign(lines[down])
        if sign == "%":
            down = min(last, max(0, (self._times * len(lines) + 99) // 100 - 1))
            return down, go.first_sign(lines[down])
        steps = {"j": self._times, "k": -self._times, "+": self._times, "-": -self._times, "_": self._times - 1}[sign]
        if (steps > 0 and row == last) or (steps < 0 and row == 0):
            return None
        down = min(max(0, row + steps), last)
        if sign not in "jk":
            return down, go.first_sign(lines[down])
        if self._column is None:
            self._column = column
        return down, min(self._column, go.last_column(lines[down]))

    def _in_line(self, text: Text, how: str, char: str, *, again: bool = False) -> tuple[Place, Place, str]:
        place = go.in_line(text.lines, text.cursor, how, char, self._times, again=again)
        inclusive = how in "ft" and place is not None
        return text.cursor, place or text.cursor, go.INCLUSIVE if inclusive else go.EXCLUSIVE

    def _search(self, text: Text, sign: str) -> Place | None:
        if sign in "*#":
            row, column = text.cursor
            line = text.lines[row]
            while column < len(line) and go.kind(line[column]) != 1:
                column += 1
            span = go.text_object(text.lines, (row, column), False, "w")
            if span is None or column >= len(line):
                return None
            word = line[span[0][1] : span[1][1]]
            self._pattern, self._forward = rf"\b{word}\b", sign == "*"
        forward = self._forward == (sign != "N")
        if not self._pattern:
            return None
        finder = Finder(Query(self._pattern, regex=True))
        row, column = text.cursor
        match = finder.after(text.lines, (row, column + 1)) if forward else finder.before(text.lines, (row, column))
        return None if match is None else match[0]
