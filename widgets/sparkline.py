"""A line of small columns: what a quantity was over time. Pure text."""

from __future__ import annotations

from collections.abc import Sequence

from .glyphs import Glyphs


def sparkline(values: Sequence[float | None], width: int, glyphs: Glyphs) -> str:
    """Returns the values in at most `width` cells, right-aligned: 0 is the lowest column, 1 or more the full one.

    None is a blank: not measured. Where there are more values than cells, a cell shows the highest of its values.
    """
    cells = min(width, len(values))
    if cells <= 0:
        return ""
    cuts = [cell * len(values) // cells for cell in range(cells + 1)]
    return "".join(_column(values[cuts[cell] : cuts[cell + 1]], glyphs) for cell in range(cells)).rjust(width)


def _column(group: Sequence[float | None], glyphs: Glyphs) -> str:
    known = [value for value in group if value is not None]
    if not known:
        return " "
    steps = len(glyphs.columns)
    return glyphs.columns[max(0, min(steps - 1, round(max(known) * (steps - 1))))]
