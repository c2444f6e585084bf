"""Finds places in code in what programs say: tracebacks of Python and IPython, compilers, linters, test runners.

Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Location:
    """A place in code, and which characters of a line name it."""

    start: int
    end: int
    path: str
    """Empty for a cell."""
    row: int
    """Counted from 0, as the column is."""
    column: int = 0
    cell: int | None = None
    """Number of the cell as the kernel counts; None = a file."""


_PYTHON: Final = re.compile(r'File "(?P<path>[^"\n]{1,4096})", line (?P<row>\d{1,7})')
_IPYTHON_FILE: Final = re.compile(r"File (?P<path>[^\s\":][^\":\n]{0,4096}?):(?P<row>\d{1,7})(?=[,\s]|$)")
_CELL: Final = re.compile(
    r"(?:Cell In ?\[(?P<cell>\d{1,7})\]|Input In ?\[(?P<input>\d{1,7})\]|<cell (?P<plain>\d{1,7})>|"
    r"<ipython-input-(?P<old>\d{1,7})-[0-9a-f]+>)(?:, line |\", line |:| line )(?P<row>\d{1,7})"
)
_COMPILER: Final = re.compile(
    r"(?P<path>(?:[A-Za-z]:)?[\w.~/\\@+-]*[\w~+-]\.[A-Za-z][A-Za-z0-9]{0,5}):(?P<row>\d{1,7})(?::(?P<column>\d{1,5}))?"
    r"(?=[:\s,)\]]|$)"
)
_CELL_FILE: Final = re.compile(r"<(?:cell |ipython-input-)(\d+)")
_ARROW: Final = re.compile(r"^-*> ?(\d+) (.*)$")
_NUMBERED: Final = re.compile(r"^\s+\d+ ")


def find(text: str) -> list[Location]:
    """Returns the places that a line names, in its order."""
    if ":" not in text and "line " not in text:
        return []
    found: list[Location] = []
    taken: list[tuple[int, int]] = []

    def take(match: re.Match[str], path: str, cell: int | None, column: int = 0) -> None:
        start, end = match.span()
        row = int(match["row"]) - 1
        if row >= 0 and not any(left < end and start < right for left, right in taken):
            taken.append((start, end))
            found.append(Location(start, end, path, row, max(0, column - 1), cell))

    for match in _PYTHON.finditer(text):
        inner = _CELL_FILE.match(match["path"])
        if inner is not None:
            take(match, "", int(inner[1]))
        elif not match["path"].startswith("<"):
            take(match, match["path"], None)
        else:
            taken.append(match.span())
    for match in _CELL.finditer(text):
        number = match["cell"] or match["input"] or match["plain"] or match["old"]
        take(match, "", int(number))
    for match in _IPYTHON_FILE.finditer(text):
        take(match, match["path"], None)
    for match in _COMPILER.finditer(text):
        if "//" not in text[max(0, match.start() - 8) : match.end()]:
            take(match, match["path"], None, int(match["column"] or 1))
    found.sort(key=lambda location: location.start)
    return found


def source_after(lines: Sequence[str], row: int) -> str:
    """Returns the line of source that a traceback shows for a place, stripped; empty where it shows none.

    Args:
        lines: What follows the line that names the place.
        row: The place's row, counted from 0.
    """
    if not lines:
        return ""
    for line in lines[:12]:
        match = _ARROW.match(line)
        if match is not None:
            return match[2].strip() if int(match[1]) == row + 1 else ""
        if not _NUMBERED.match(line):
            break
    first = lines[0]
    return first.strip() if first.startswith("    ") and not _NUMBERED.match(first) else ""


def code_of_cell(cell: int, row: int, shown: str, codes: Sequence[str]) -> int | None:
    """Returns the index of the code in which a place of a cell is.

    A kernel counts the cells that it ran, which may differ from what is known here: so the line that the traceback
    shows decides where it can, and else the number.

    Args:
        cell: Number of the cell, counted from 1 by the kernel.
        row: Row in it, from 0.
        shown: That line as the traceback shows it, stripped; empty = not known.
        codes: What was run up to the traceback, oldest first; the last is the run that it came from.
    """

    def fits(index: int) -> bool:
        lines = codes[index].splitlines()
        return row < len(lines) and (not shown or lines[row].strip() == shown)

    if not codes:
        return None
    guess = cell - 1
    order = [guess] if 0 <= guess < len(codes) else []
    order += range(len(codes) - 1, -1, -1)
    return next((index for index in order if fits(index)), None)
