"""The line after `:`."""

from __future__ import annotations

import re
from typing import Final

from ..text_find import Finder, PatternError, Query
from . import motions as go
from .effects import Act, Edit, Effect, Look, Move, Say, Text
from .operators import operate

_RANGE: Final = re.compile(r"^(%|(?:(\.|\$|\d+|'<)(?:,(\.|\$|\d+|'>))?))?\s*(.*)$", re.DOTALL)
_COMMANDS: Final = {
    "w": "write",
    "write": "write",
    "wq": "write-quit",
    "x": "write-quit",
    "q": "quit",
    "quit": "quit",
    "q!": "quit!",
    "quit!": "quit!",
    "e": "edit",
    "edit": "edit",
    "e!": "reload",
    "edit!": "reload",
    "saveas": "save-as",
    "bn": "next-tab",
    "bnext": "next-tab",
    "tabn": "next-tab",
    "bp": "previous-tab",
    "bprevious": "previous-tab",
    "tabp": "previous-tab",
    "bd": "quit",
    "tabnew": "new",
    "enew": "new",
    "set": "set",
}


def run_line(typed: str, text: Text, rows: tuple[int, int] | None = None) -> list[Effect]:
    """Returns what a line does.

    Args:
        typed: Without the colon.
        text: The text now.
        rows: The lines that were selected.
    """
    found = _RANGE.match(typed.strip())
    assert found is not None
    span, first, last, command = found.groups()
    top, bottom = rows or (text.cursor[0], text.cursor[0])
    end = len(text.lines) - 1
    if span == "%":
        top, bottom = 0, end
    elif first:
        top = bottom = _row(first, text, rows)
        if last:
            bottom = _row(last, text, rows)
        top, bottom = sorted((min(max(0, top), end), min(max(0, bottom), end)))
    if not command:
        return [Move((bottom, go.first_sign(text.lines[bottom])))] if span else []
    substitution = re.match(r"s(?:ubstitute)?([^\w\s])", command)
    if substitution:
        return _substitute(command[substitution.end() :], substitution[1], top, bottom, text)
    name, _, argument = command.partition(" ")
    if name in ("noh", "nohl", "nohlsearch"):
        return [Look("")]
    if name in ("d", "delete", "y", "yank", ">", "<"):
        done = operate(name[0], (top, 0), (bottom, len(text.lines[bottom])), True, text)
        copied: list[Effect] = [Act("copy", done.register.text)] if done.register is not None else []
        return [*done.effects, *copied, Move(done.cursor)]
    if name in _COMMANDS:
        return [Act(_COMMANDS[name], argument.strip())]
    return [Say(f"no such command: {name}; there are w q wq e s d bn bp set noh and line numbers")]


def _row(word: str, text: Text, rows: tuple[int, int] | None) -> int:
    if word == ".":
        return text.cursor[0]
    if word == "$":
        return len(text.lines) - 1
    if word.startswith("'"):
        return (rows or (text.cursor[0],) * 2)[word == "'>"]
    return int(word[:9]) - 1


def _substitute(rest: str, mark: str, top: int, bottom: int, text: Text) -> list[Effect]:
    parts = re.split(rf"(?<!\\){re.escape(mark)}", rest)
    pattern = parts[0].replace("\\" + mark, mark)
    new = parts[1].replace("\\" + mark, mark) if len(parts) > 1 else ""
    flags = parts[2].strip() if len(parts) > 2 else ""
    if not pattern:
        return [Say("s needs what to look for: s/this/that/")]
    unknown = flags.strip("giI")
    if unknown:
        return [Say(f"s does not know {unknown[0]}: there are g (all in a line), i and I")]
    try:
        finder = Finder(Query(pattern, regex=True, case="i" not in flags))
        lines = list(text.lines[top : bottom + 1])
        count, row = 0, top
        for at, line in enumerate(lines):
            spans = finder.in_line(line)
            if not spans:
                continue
            row = top + at
            if "g" in flags:
                _, _, fresh, more = finder.replaced([line], new)
                lines[at] = "\n".join(fresh)
                count += more
            else:
                start, stop = spans[0]
                lines[at] = line[:start] + finder.replacement(line[start:stop], new) + line[stop:]
                count += 1
    except PatternError as error:
        return [Say(str(error))]
    if not count:
        return [Look(pattern), Say(f"not found: {pattern}")]
    edit = Edit((top, 0), (bottom, len(text.lines[bottom])), "\n".join(lines), (row, 0))
    return [edit, Say(f"{count} replaced")]
