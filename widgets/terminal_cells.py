"""Cells of a terminal's screen: a character and the pen that it was written with. Pure: no Textual."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Final, NamedTuple

Colour = int | tuple[int, int, int] | None
"""A number of the palette, red, green and blue, or the default."""


class Pen(NamedTuple):
    """How characters look."""

    fg: Colour = None
    bg: Colour = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    blink: bool = False
    reverse: bool = False
    hidden: bool = False
    strike: bool = False


class Cell(NamedTuple):
    """One column of a row; the second column of a wide character has no text."""

    text: str
    pen: Pen


PLAIN: Final = Pen()
BLANK: Final = Cell(" ", PLAIN)
MAX_MARKS: Final = 4
"""Combining characters of one cell."""

_PEN_OF: Final = itemgetter(1)
_ON: Final = {1: "bold", 2: "dim", 3: "italic", 4: "underline", 5: "blink", 6: "blink", 7: "reverse", 8: "hidden"}
_OFF: Final[Mapping[int, tuple[str, ...]]] = {
    21: ("bold",), 22: ("bold", "dim"), 23: ("italic",), 24: ("underline",), 25: ("blink",), 27: ("reverse",),
    28: ("hidden",), 29: ("strike",),
}  # fmt: skip


class Line(dict[int, Cell]):
    """A row: what is not there is blank."""

    wrapped = False
    """It goes on in the row below."""

    def __missing__(self, column: int) -> Cell:
        return BLANK


class Runs(NamedTuple):
    """A row that cannot be written to any more: pieces of one pen."""

    pieces: tuple[tuple[str, Pen], ...]
    wrapped: bool


Piece = tuple[str, Pen]


def pieces_of(line: Mapping[int, Cell], columns: int) -> Iterator[Piece]:
    """Yields a row as text by pen, blank cells at its end left out."""
    last = min(max(line, default=-1) + 1, columns)
    while last and line.get(last - 1, BLANK) == BLANK:
        last -= 1
    cells = [line.get(x, BLANK) for x in range(last)]
    for pen, group in groupby(cells, key=_PEN_OF):
        yield "".join([cell.text for cell in group]), pen


@lru_cache(maxsize=1024)
def repen(pen: Pen, codes: tuple[tuple[int, ...], ...]) -> Pen:
    """Returns the pen after a sequence that selects how to write (SGR)."""
    changes: dict[str, object] = {}
    position = 0
    while position < len(codes):
        code, *further = codes[position]
        position += 1
        if code <= 0:
            pen, changes = PLAIN, {}
        elif code == 4 and further:
            changes["underline"] = further[0] != 0
        elif code in _ON:
            changes[_ON[code]] = True
        elif code == 9:
            changes["strike"] = True
        elif code in _OFF:
            changes.update(dict.fromkeys(_OFF[code], False))
        elif 30 <= code <= 37:
            changes["fg"] = code - 30
        elif 40 <= code <= 47:
            changes["bg"] = code - 40
        elif 90 <= code <= 97:
            changes["fg"] = code - 82
        elif 100 <= code <= 107:
            changes["bg"] = code - 92
        elif code in (39, 49):
            changes["fg" if code == 39 else "bg"] = None
        elif code in (38, 48):
            taken = 0
            if not further:
                rest = [part[0] for part in codes[position : position + 4]]
                taken = {5: 2, 2: 4}.get(rest[0] if rest else 0, 0)
                further = rest[:taken]
            position += taken
            if (colour := _colour(further)) is not None:
                changes["fg" if code == 38 else "bg"] = colour
    return pen._replace(**changes) if changes else pen  # type: ignore[arg-type]  # the names are those of its fields


def _colour(values: list[int]) -> Colour:
    match values:
        case [5, number, *_]:
            return min(max(number, 0), 255)
        case [2, red, green, blue] | [2, _, red, green, blue, *_]:
            return (min(max(red, 0), 255), min(max(green, 0), 255), min(max(blue, 0), 255))
    return None
