"""JSON as a tree that folds: only what is open is ever turned into lines.

Pure and without recursion. A text that is too long or too deep to be parsed at once stays text.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Final

from rich.cells import cell_len

from .blocks import Piece, RichLine, Shapes, cut_line
from .text import one_line

MAX_CHARS: Final = 2_000_000
"""A longer text is not parsed: that would stop the screen for too long."""
PAGE: Final = 100
"""Entries of one list or object that are shown at first, and more at each step."""
MAX_LINES: Final = 20_000
_MAX_STRING_CHARS: Final = 1_000
_OPEN_AT_FIRST: Final = 12
"""Entries up to which what is within the top is open at first."""

Path = tuple[int, ...]
"""Which entry, from the top down."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree."""

    line: RichLine
    path: Path | None = None
    """What a click opens or closes; None = nothing."""
    shows_more: bool = False


@dataclass(slots=True)
class JsonTree:
    """A parsed text and what of it is open."""

    value: Any
    open: set[Path] = field(default_factory=set)
    shown: dict[Path, int] = field(default_factory=dict)
    """Entries that are shown, where more than the first `PAGE`."""

    @classmethod
    def parse(cls, text: str) -> JsonTree | None:
        """Returns the tree of a text; None for one that is no JSON, too long or too deep."""
        if len(text) > MAX_CHARS:
            return None
        try:
            value = json.loads(text, parse_int=_short_int)
        except (ValueError, RecursionError):
            return None
        tree = cls(value)
        tree.open.add(())
        if isinstance(value, dict | list) and len(value) <= _OPEN_AT_FIRST:
            entries = value.values() if isinstance(value, dict) else value
            for index, entry in enumerate(entries):
                if isinstance(entry, dict | list) and 0 < len(entry) <= _OPEN_AT_FIRST:
                    tree.open.add((index,))
        return tree

    def toggle(self, row: Row) -> bool:
        """Opens or closes what a line stands for; returns whether that changed anything."""
        if row.path is None:
            return False
        if row.shows_more:
            self.shown[row.path] = self.shown.get(row.path, PAGE) + 10 * PAGE
        elif row.path in self.open:
            self.open.discard(row.path)
        else:
            self.open.add(row.path)
        return True

    def rows(self, width: int, shapes: Shapes | None = None) -> list[Row]:
        """Returns what is open as lines of at most `width` cells."""
        shapes = shapes or Shapes()
        rows: list[Row] = []
        stack: list[tuple[Path, str | None, Any, bool]] = [((), None, self.value, False)]
        while stack and len(rows) < MAX_LINES:
            path, key, value, is_rest = stack.pop()
            indent: Piece = ("  " * min(len(path), max(1, width // 6)), "")
            if is_rest:
                said = f"{shapes.ellipsis} {value:,} more"
                rows.append(Row(cut_line((indent, (f"  {said}", "quiet")), width, shapes.ellipsis), path, True))
                continue
            folds = isinstance(value, dict | list) and bool(value)
            is_open = folds and path in self.open
            mark = f"{shapes.opened if is_open else shapes.closed} " if folds else "  "
            named: tuple[Piece, ...] = () if key is None else ((f"{key}: ", "key"),)
            line = (indent, (mark, "mark"), *named, _value(value))
            rows.append(Row(cut_line(line, width, shapes.ellipsis), path if folds else None))
            if not is_open:
                continue
            room = self.shown.get(path, PAGE)
            entries = _entries(value, room)
            if len(value) > room:
                stack.append((path, None, len(value) - room, True))
            stack.extend(
                ((*path, index), name, entry, False) for index, (name, entry) in reversed(list(enumerate(entries)))
            )
        return rows


def _short_int(digits: str) -> int | str:
    """Returns a number; one of more digits than Python turns into an int stays text."""
    return int(digits) if len(digits) <= 400 else digits


def _entries(value: dict[str, Any] | list[Any], room: int) -> list[tuple[str, Any]]:
    if isinstance(value, list):
        return [(str(index), entry) for index, entry in enumerate(value[:room])]
    found: list[tuple[str, Any]] = []
    for name, entry in value.items():
        if len(found) >= room:
            break
        found.append((one_line(name[:_MAX_STRING_CHARS]), entry))
    return found


def _value(value: Any) -> Piece:
    if isinstance(value, dict):
        return (f"{{{len(value):,}}}", "quiet")
    if isinstance(value, list):
        return (f"[{len(value):,}]", "quiet")
    if isinstance(value, str):
        return (f'"{one_line(value[:_MAX_STRING_CHARS])}"', "string")
    if value is None or isinstance(value, bool):
        return (json.dumps(value), "constant")
    return (str(value), "number")


def widest(rows: list[Row]) -> int:
    """Returns the cells of the longest line."""
    return max((sum(cell_len(text) for text, _ in row.line) for row in rows), default=0)
