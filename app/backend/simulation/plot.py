"""A picture of values over time for a terminal: lines of braille dots, two by four to a cell."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Row, column -> bit of a braille cell."""
_BLANK = 0x2800


def plot(
    values: Sequence[float],
    *,
    title: str,
    width: int,
    height: int = 8,
    top: float | None = None,
    label: Callable[[float], str] = lambda value: f"{value:g}",
    begin: str = "",
    end: str = "",
) -> list[str]:
    """Returns the lines of a picture; nothing of it is wider than `width` cells if that is 40 or more.

    A column shows from the least to the greatest of the values that fall into it, so that no peak is lost.

    Args:
        values: at equal distances; NaN = there is none, nothing is drawn there.
        top: value of the upper edge; None = the greatest value. The lower edge is 0.
        label: writes a value of the axis.
        begin: text below the left edge.
        end: text below the right edge.
    """
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return [title, "  (nothing to show)"]
    most = top if top is not None else max(known)
    axis = [label(most), label(most / 2), label(0.0)]
    gutter = max(map(len, axis)) + 1
    columns = max(8, width - gutter - 1)
    rows = height * 4
    cells = [[_BLANK] * columns for _ in range(height)]
    for dot in range(columns * 2):
        first = dot * len(values) // (columns * 2)
        last = max(first + 1, (dot + 1) * len(values) // (columns * 2))
        part = [value for value in values[first:last] if not math.isnan(value)]
        if not part:
            continue
        low, high = (_row(value, most, rows) for value in (min(part), max(part)))
        for row in range(low, high + 1):
            upside = rows - 1 - row
            cells[upside // 4][dot // 2] |= _DOTS[upside % 4][dot % 2]
    labels = {0: axis[0], (height - 1) // 2: axis[1], height - 1: axis[2]}
    lines = [title]
    for row, line in enumerate(cells):
        dots = "".join(chr(cell) if cell != _BLANK else " " for cell in line)
        lines.append(f"{labels.get(row, ''):>{gutter - 1}} │{dots}")
    lines.append(f"{'':>{gutter - 1}} └{'─' * columns}")
    if begin or end:
        lines.append(f"{'':>{gutter}} {begin}{end:>{max(columns - len(begin), 1)}}")
    return [line.rstrip() for line in lines]


def _row(value: float, most: float, rows: int) -> int:
    if most <= 0:
        return 0
    return max(0, min(rows - 1, round(value / most * (rows - 1))))
