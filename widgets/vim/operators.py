"""What operators do to a part of the text, and what is put from a register."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .. import line_commands
from . import motions as go
from .effects import Act, Edit, Effect, Place, Text


@dataclass(frozen=True, slots=True)
class Register:
    """What was deleted or copied."""

    text: str
    whole: bool
    """Whole lines, without the last line's end."""


@dataclass(frozen=True, slots=True)
class Done:
    """What an operator did."""

    effects: Sequence[Effect]
    cursor: Place
    register: Register | None = None
    inserts: bool = False


def _part(lines: Sequence[str], first: Place, end: Place) -> str:
    if first[0] == end[0]:
        return lines[first[0]][first[1] : end[1]]
    return "\n".join([lines[first[0]][first[1] :], *lines[first[0] + 1 : end[0]], lines[end[0]][: end[1]]])


def operate(operator: str, first: Place, end: Place, whole: bool, text: Text, cursor: Place | None = None) -> Done:
    """Returns what an operator does.

    Args:
        operator: `d`, `c`, `y`, `>`, `<`, `gu`, `gU`, `g~`, `gc`, `J`, `gJ`, or `r` and a character.
        first: Where it begins.
        end: Behind the last character.
        whole: Whether it takes whole lines.
        cursor: Where the cursor goes if the text stays as it is; None = to the beginning.
    """
    at = cursor or first
    lines = text.lines
    top, bottom = first[0], min(end[0], len(lines) - 1)
    if whole and operator in ("d", "c", "y"):
        return _on_lines(operator, top, bottom, text, cursor or first)
    if operator in (">", "<"):
        change = line_commands.shift(
            lines, ((top, 0), (bottom, len(lines[bottom]))), 1 if operator == ">" else -1, text.indent_width, text.tabs
        )
        row = change.text.split("\n")[0] if change is not None else lines[top]
        place = top, go.first_sign(row)
        return Done([] if change is None else [Edit(change.start, change.end, change.text, place)], place)
    if operator == "gc":
        return Done([Act("comment", f"{top} {bottom}")], (top, go.first_sign(lines[top])))
    if operator in ("J", "gJ"):
        joined = line_commands.join(lines, top, max(bottom, top + 1), spaced=operator == "J")
        if joined is None:
            return Done([], first)
        place = top, min(joined.selection[1][1], go.last_column(joined.text))
        return Done([Edit(joined.start, joined.end, joined.text, place)], place)
    if whole:
        first, end = (top, 0), (bottom, len(lines[bottom]))
    taken = _part(lines, first, end)
    if operator == "y":
        return Done([], first, Register(taken, False))
    if operator in ("d", "c"):
        kept = lines[first[0]][: first[1]] + lines[end[0]][end[1] :]
        inserts = operator == "c"
        place = first if inserts else (first[0], min(first[1], go.last_column(kept)))
        return Done([Edit(first, end, "", place)], place, Register(taken, False), inserts)
    if operator[0] == "r":
        new = "".join(char if char == "\n" else operator[1] for char in taken)
    else:
        new = {"gu": str.lower, "gU": str.upper, "g~": str.swapcase}[operator](taken)
    place = at if whole else first
    return Done([Edit(first, end, new, place)], place)


def _on_lines(operator: str, top: int, bottom: int, text: Text, at: Place) -> Done:
    lines = text.lines
    register = Register("\n".join(lines[top : bottom + 1]), True)
    if operator == "y":
        return Done([], (top, min(at[1], go.last_column(lines[top]))), register)
    if operator == "c":
        indent = len(lines[top]) - len(lines[top].lstrip())
        cursor = top, indent
        return Done([Edit(cursor, (bottom, len(lines[bottom])), "", cursor)], cursor, register, True)
    if bottom + 1 < len(lines):
        cursor = top, go.first_sign(lines[bottom + 1])
        return Done([Edit((top, 0), (bottom + 1, 0), "", cursor)], cursor, register)
    if top > 0:
        cursor = top - 1, go.first_sign(lines[top - 1])
        return Done([Edit((top - 1, len(lines[top - 1])), (bottom, len(lines[bottom])), "", cursor)], cursor, register)
    return Done([Edit((0, 0), (bottom, len(lines[bottom])), "", (0, 0))], (0, 0), register)


def put(register: Register, text: Text, behind: bool, times: int) -> Edit | None:
    """Returns what putting a register does; None when nothing is in it."""
    row, column = text.cursor
    line = text.lines[row]
    if register.whole:
        block = "\n".join([register.text] * times)
        first = register.text.split("\n")[0]
        if behind:
            end = (row, len(line))
            return Edit(end, end, "\n" + block, (row + 1, go.first_sign(first)))
        return Edit((row, 0), (row, 0), block + "\n", (row, go.first_sign(first)))
    if not register.text:
        return None
    block = register.text * times
    place = row, min(len(line), column + (1 if behind and line else 0))
    if "\n" in block:
        return Edit(place, place, block, place)
    return Edit(place, place, block, (row, place[1] + len(block) - 1))
