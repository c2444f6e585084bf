"""Tables for people (cut to the terminal) and for pipes (whole values), ages and sizes in words."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from math import ceil

from ..model.slots import CUDA_SHARES, GPU_ALIAS, KNOWN_SLOTS, ResourceSlots, format_amount, is_bytes
from .talk import harmless

_GAP = "  "
_LEAST_WIDTH = 6
EMPTY = "-"
_MINUTE_S = 60
_UNITS = ((86400 * 7, "w"), (86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def width_of(text: str) -> int:
    """Returns how many cells `text` takes."""
    if text.isascii():
        return len(text)
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def cut(text: str, width: int) -> str:
    """Returns `text` in at most `width` cells, with an ellipsis where something is missing."""
    if width_of(text) <= width:
        return text
    kept = ""
    for character in text:
        if width_of(kept + character) > width - 1:
            break
        kept += character
    return f"{kept}…"


def _natural(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(map(width_of, column)) for column in zip(*rows, strict=True)]


def _line(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _shrunk(widths: list[int], room: int, flexible: Mapping[int, int]) -> list[int]:
    def to_spare(index: int) -> tuple[int, int]:
        return widths[index] - flexible[index] if widths[index] > flexible[index] else 0, widths[index]

    excess = _line(widths) - room
    while excess > 0:
        # Of the columns that may shrink, that gives way first which is the farthest above its width, then the widest.
        widest = max(flexible, key=to_spare, default=None)
        if widest is None or widths[widest] <= _LEAST_WIDTH:
            break
        widths[widest] -= 1
        excess -= 1
    return widths


def _kept(lines: Sequence[Sequence[str]], room: int, flexible: Mapping[int, int], optional: Sequence[int]) -> list[int]:
    """Returns the columns that have room: of the optional ones the empty and then the first named go."""
    natural = _natural(lines)
    least = [min(width, flexible.get(index, width)) for index, width in enumerate(natural)]
    kept = list(range(len(natural)))
    empty = [index for index in optional if all(line[index] == EMPTY for line in lines[1:])]
    for index in [*empty, *(index for index in optional if index not in empty)]:
        if index not in empty and _line([least[column] for column in kept]) <= room:
            break
        kept.remove(index)
    return kept


def lines_of(
    header: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    flexible: Mapping[int, int],
    *,
    optional: Sequence[int] = (),
    room: int | None = None,
) -> list[str]:
    """Returns lines of aligned columns without their ends.

    Empty values show as `-`, so that a line always has as many words as columns unless a value holds spaces.

    Args:
        flexible: columns that are cut until a line fits into `room`, each with the width that optional ones make
            way for.
        optional: columns that are left out when they are empty, or when there is no room, the first named first.
        room: cells of a line; None = as many as it takes, with every column.
    """
    clean = [[harmless(cell).replace("\n", " ").replace("\t", " ") or EMPTY for cell in row] for row in rows]
    lines = [list(header), *clean] if header is not None else clean
    if not lines:
        return []
    if room is not None and optional:
        kept = _kept(lines, room, flexible, optional)
        lines = [[line[index] for index in kept] for line in lines]
        flexible = {kept.index(index): width for index, width in flexible.items() if index in kept}
    widths = _natural(lines) if room is None else _shrunk(_natural(lines), room, flexible)
    return [
        _GAP.join(
            cut(cell, width) + " " * max(0, width - width_of(cell)) for cell, width in zip(line, widths, strict=True)
        ).rstrip()
        for line in lines
    ]


def table(
    header: Sequence[str] | None,
    rows: Sequence[Sequence[str]],
    flexible: Iterable[int] | Mapping[int, int] = (),
    *,
    optional: Sequence[int] = (),
) -> str:
    """Returns `lines_of`, each ended by a newline, fitted to a terminal; in a pipe every value is there, and whole."""
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    if not isinstance(flexible, Mapping):
        flexible = dict.fromkeys(flexible, _LEAST_WIDTH)
    return "".join(f"{line}\n" for line in lines_of(header, rows, flexible, optional=optional, room=room))


def block(pairs: Sequence[tuple[str, str]], indent: str = "") -> str:
    """Returns lines of names and values below each other; the values are untrusted."""
    width = max((len(name) for name, _ in pairs), default=0)
    return "".join(f"{indent}{name:{width}}  {harmless(value)}\n" for name, value in pairs)


def moment(when: datetime | None) -> str:
    """Returns a time in UTC, such as `2026-11-23T03:30:29Z`; empty when not known."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if when else ""


def age(since: datetime | None, now: datetime | None = None) -> str:
    """Returns the time since then in its largest unit, such as `12s`, `5m`, `3h`, `2d`; empty when not known."""
    if since is None:
        return ""
    return duration(((now or datetime.now(UTC)) - since).total_seconds())


def duration(seconds: float) -> str:
    """Returns a duration in its largest unit."""
    whole = max(0, int(seconds))
    for size, unit in _UNITS:
        if whole >= size:
            return f"{whole // size}{unit}"
    return "0s"


def remaining(seconds: float) -> str:
    """Returns a time that is left: `45s`, `29m`, `1h59m`, `2d3h`; a second that has begun counts whole."""
    whole = max(0, ceil(seconds))
    for (unit, name), (below, low) in pairwise(_UNITS[1:]):
        if whole >= unit and unit > _MINUTE_S:
            rest = whole % unit // below
            return f"{whole // unit}{name}{f'{rest}{low}' if rest else ''}"
    return duration(whole)


def size(amount: Decimal) -> str:
    """Returns bytes in words: `512m`, `1g`, `1.5g`; exact where that is short."""
    for power, unit in ((4, "t"), (3, "g"), (2, "m"), (1, "k")):
        base = Decimal(1024) ** power
        if amount >= base:
            return f"{format_amount(round(amount / base, 1).normalize())}{unit}"
    return format_amount(amount)


def slots(amounts: ResourceSlots) -> str:
    """Returns slots in words: `cpu 1, mem 1g, gpu 0.5`."""
    known = [name for name in KNOWN_SLOTS if amounts.amount(name)]
    shown = []
    for name in [*known, *(name for name in amounts if name not in KNOWN_SLOTS and amounts[name])]:
        amount = amounts[name]
        label = GPU_ALIAS if name == CUDA_SHARES else name
        shown.append(f"{label} {size(amount) if is_bytes(name) else format_amount(amount)}")
    return ", ".join(shown)
