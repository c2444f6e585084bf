"""What an editor does with lines: comments, levels, copies, moves, the indentation of a new line.

Pure: text and selection in, one change out. A change is one step to undo.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from .languages import Language

Location = tuple[int, int]
"""(row, column), from 0."""
Selection = tuple[Location, Location]
"""(where it was begun, where the cursor is)."""

PAIRS: Final = {"(": ")", "[": "]", "{": "}", '"': '"', "'": "'", "`": "`"}
_OPENING: Final = {"(": ")", "[": "]", "{": "}"}
_SPACES_MATTER: Final = frozenset({"markdown", "diff", "text"})
_WORD: Final = re.compile(r"[A-Za-z_]+")


@dataclass(frozen=True, slots=True)
class Change:
    """Replaces the text between two places and leaves a selection."""

    start: Location
    end: Location
    text: str
    selection: Selection


def rows_of(selection: Selection) -> tuple[int, int]:
    """Returns the first and last row that a selection touches; a row of which it has nothing is none."""
    (first, _), (last, column) = sorted(selection)
    return first, (last - 1 if last > first and column == 0 else last)


def _lines_changed(lines: Sequence[str], first: int, new: Sequence[str], selection: Selection) -> Change | None:
    """Returns the change of the lines from `first` to `new`; the selection keeps its characters."""
    last = first + len(new) - 1
    old = lines[first : last + 1]
    if list(old) == list(new):
        return None

    def moved(place: Location) -> Location:
        row, column = place
        if not first <= row <= last or (column == 0 and selection[0] != selection[1]):
            return place
        was, now = old[row - first], new[row - first]
        return row, min(len(now), max(0, column + len(now) - len(was)))

    return Change((first, 0), (last, len(old[-1])), "\n".join(new), (moved(selection[0]), moved(selection[1])))


def shift(lines: Sequence[str], selection: Selection, levels: int, width: int, tabs: bool) -> Change | None:
    """Moves the lines of the selection, or that of the cursor, levels to the right or left."""
    first, last = rows_of(selection)
    unit = "\t" if tabs else " " * width
    new = []
    for line in lines[first : last + 1]:
        if levels > 0:
            new.append(unit * levels + line if line.strip() else line)
            continue
        for _ in range(-levels):
            line = line[1 if line.startswith("\t") else min(width, len(line) - len(line.lstrip(" "))) :]
        new.append(line)
    return _lines_changed(lines, first, new, selection)


def toggle_comment(lines: Sequence[str], selection: Selection, language: Language) -> Change | None:
    """Makes comments of the lines of the selection, or takes the marks away where all of them are comments."""
    first, last = rows_of(selection)
    chosen = list(lines[first : last + 1])
    opening, closing = (language.comment, "") if language.comment else language.around
    if not opening:
        return None
    mark = opening.strip()
    full = [line for line in chosen if line.strip()]
    if not full:
        new = [f"{line}{opening.rstrip()} {closing}".rstrip() + (" " if not closing else "") for line in chosen]
        if len(new) > 1:
            return None
        return Change((first, 0), (first, len(chosen[0])), new[0], ((first, len(new[0])), (first, len(new[0]))))
    if all(line.lstrip().startswith(mark) and line.rstrip().endswith(closing) for line in full):
        new = [_without(line, mark, closing) if line.strip() else line for line in chosen]
    else:
        depth = min(len(line) - len(line.lstrip()) for line in full)
        new = [
            f"{line[:depth]}{mark} {line[depth:]}{f' {closing}' if closing else ''}" if line.strip() else line
            for line in chosen
        ]
    return _lines_changed(lines, first, new, selection)


def _without(line: str, mark: str, closing: str) -> str:
    depth = len(line) - len(line.lstrip())
    rest = line[depth + len(mark) :]
    rest = rest.removeprefix(" ")
    if closing:
        rest = rest.rstrip().removesuffix(closing).removesuffix(" ")
    return line[:depth] + rest


def duplicate(lines: Sequence[str], selection: Selection) -> Change:
    """Writes the lines of the selection, or the selected part of one line, once more."""
    start, end = sorted(selection)
    if start != end and start[0] == end[0]:
        text = lines[start[0]][start[1] : end[1]]
        return Change(end, end, text, (end, (end[0], end[1] + len(text))))
    first, last = rows_of(selection)
    text = "\n".join(lines[first : last + 1])
    by = last - first + 1
    place = (last, len(lines[last]))
    return Change(place, place, "\n" + text, _down(selection, by))


def _down(selection: Selection, rows: int) -> Selection:
    (a, b), (c, d) = selection
    return (a + rows, b), (c + rows, d)


def move(lines: Sequence[str], selection: Selection, direction: int) -> Change | None:
    """Moves the lines of the selection a line up (-1) or down (1); None at the edge."""
    first, last = rows_of(selection)
    if direction < 0:
        if first == 0:
            return None
        new = [*lines[first : last + 1], lines[first - 1]]
        return Change((first - 1, 0), (last, len(lines[last])), "\n".join(new), _down(selection, -1))
    if last + 1 >= len(lines):
        return None
    new = [lines[last + 1], *lines[first : last + 1]]
    (a, b), (c, d) = _down(selection, 1)
    # a selection that ends before the line below may now end before nothing
    a, c = min(a, len(lines) - 1), min(c, len(lines) - 1)
    return Change((first, 0), (last + 1, len(lines[last + 1])), "\n".join(new), ((a, b), (c, d)))


def join(lines: Sequence[str], first: int, last: int, *, spaced: bool = True) -> Change | None:
    """Joins lines into one, with one space where there was an indentation."""
    last = min(last, len(lines) - 1)
    if last <= first:
        return None
    whole = lines[first]
    place = len(whole)
    for line in lines[first + 1 : last + 1]:
        piece = line.lstrip() if spaced else line
        place = len(whole)
        if spaced and piece and whole and not whole[-1].isspace() and not piece.startswith(")"):
            whole += " "
        whole += piece
    return Change((first, 0), (last, len(lines[last])), whole, ((first, place), (first, place)))


def trimmed(lines: Sequence[str], keep_row: int | None = None) -> list[tuple[int, int, int]]:
    """Returns (row, from, to) of the spaces at the ends of lines, but for those before the cursor in its own row."""
    found = []
    for row, line in enumerate(lines):
        bare = len(line.rstrip(" \t"))
        if bare != len(line) and row != keep_row:
            found.append((row, bare, len(line)))
    return found


def _bare(code: str, language: Language) -> str:
    """Returns a line without the comment at its end, as far as that is plain to see."""
    mark = language.comment.strip()
    if mark and mark in code and not any(quote in code for quote in "\"'`"):
        code = code.partition(mark)[0]
    return code.strip()


def indent_after(before: str, language: Language, width: int, tabs: bool) -> str:
    """Returns how a line begins that follows `before`, the text up to the cursor."""
    indent = before[: len(before) - len(before.lstrip())]
    code = _bare(before, language)
    unit = "\t" if tabs else " " * width
    if code and re.search(language.opens, code):
        return indent + unit
    word = _WORD.match(code)
    if word is not None and word.group() in language.leaves:
        return indent[: -len(unit)] if indent.endswith(unit) else indent
    return indent


def new_line(lines: Sequence[str], selection: Selection, language: Language, width: int, tabs: bool) -> Change:
    """Returns what enter does: a line with the right indentation; a closing bracket goes to a line of its own."""
    (row, column), end = sorted(selection)
    before, after = lines[row][:column], lines[end[0]][end[1] :]
    indent = indent_after(before, language, width, tabs)
    base = before[: len(before) - len(before.lstrip())]
    text = "\n" + indent
    place = (row + 1, len(indent))
    opener = before.rstrip()[-1:]
    start = (row, column)
    if not before.strip():
        # spaces that the indentation of an empty line left behind go
        start = (row, column) if after.strip() else (row, 0)
    else:
        if language.name not in _SPACES_MATTER:
            start = (row, len(before.rstrip(" \t")))
        # what stood after the cursor is not indented twice
        end = (end[0], end[1] + len(after) - len(after.lstrip(" \t")))
        if opener in _OPENING and after.lstrip().startswith(_OPENING[opener]) and len(indent) > len(base):
            text += "\n" + base
    return Change(start, end, text, (place, place))


def closing_word(line: str, column: int, language: Language, width: int, tabs: bool) -> int:
    """Returns how many characters a line moves left because a word such as `end` was just completed in it."""
    code = line[:column].lstrip()
    unit = 1 if tabs else width
    indent = len(line) - len(line.lstrip())
    if line[column:].strip() or indent < unit:
        return 0
    if code in language.closes and indent >= unit:
        return unit
    return 0
