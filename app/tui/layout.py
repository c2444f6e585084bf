"""How much of the screen each pane takes: pure arithmetic, and what of it is remembered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

NARROW_BELOW: Final = 100
"""Cells below which panes stand below each other, one of work, map and details at a time."""
WIDE_FROM: Final = 160
"""Cells from which the details have a column of their own."""
SHORT_BELOW: Final = 34
TINY_BELOW: Final = 22
SOLO_BELOW: Final = 14
"""Lines below which only the pane that has the focus is seen."""
MAP_FROM: Final = 38
"""Lines from which the map is shown without being asked for."""
DETAILS_LINES: Final = 17
_AROUND: Final = 2
"""Lines of the strip and of the keys."""
_LEAST_LINES: Final = 4
_LEAST_SIDE: Final = 24
_LEAST_WORK: Final = 40
_MAP_MOST: Final = 0.42
"""Of the height of the screen, where nobody drew it higher."""
_EDITOR_PERMILLE: Final = 400


@dataclass(slots=True)
class Layout:
    """What is remembered of the main screen; 0 and empty = as it comes."""

    SECTION: ClassVar[str] = "layout"

    session: str = ""
    """Id of the selected session."""
    theme: str = ""
    map: str = ""
    """`shown` or `hidden` as the user wants it; empty = where it has room."""
    map_lines: int = 0
    """Height of the map when it was seen last: it has its place from the first frame on."""
    dock: str = ""
    """Pane of the dock that was seen last."""
    side: int = 0
    """Cells of the column at the left."""
    right: int = 0
    """Cells of the column at the right."""
    foot: int = 0
    """Lines of the details below the list."""
    map_height: int = 0
    """Lines that the user gave the map."""
    top: int = 0
    """Lines of the list where panes stand below each other."""
    editor: int = 0
    """Thousandths that the editor takes of its height and the dock's."""


EDGES: Final = ("side", "right", "foot", "map_height", "top", "editor")
"""The fields of `Layout` that can be drawn."""


@dataclass(frozen=True, slots=True)
class Places:
    """Cells and lines that the panes take; 0 = there is no such edge."""

    side: int = 0
    right: int = 0
    foot: int = 0
    map_height: int = 0
    top: int = 0
    editor: int = 0
    work: int = 0
    """Lines of editor and dock together."""


def places(width: int, height: int, wishes: Layout, *, map_wants: int) -> Places:
    """Returns what each pane takes of a screen.

    Args:
        map_wants: Lines that the map has use for; 0 = it is not shown, or in place of the work.
    """
    room = max(1, height - _AROUND)
    if width < NARROW_BELOW:
        top = _within(wishes.top or (4 if height < TINY_BELOW else 6), 3, room - 2 * _LEAST_LINES)
        return Places(top=top, work=room - top, editor=_editor(room - top, wishes.editor or 500))
    wide = width >= WIDE_FROM
    right = _within(wishes.right or 42, _LEAST_SIDE, width - _LEAST_WORK - _LEAST_SIDE) if wide else 0
    side = _within(wishes.side or (44 if wide else 40), _LEAST_SIDE, width - _LEAST_WORK - right)
    drawn = wishes.map_height or min(map_wants, int(height * _MAP_MOST))
    above = _within(drawn, _LEAST_LINES, room - 2 * _LEAST_LINES) if map_wants else 0
    foot = 0
    if not wide:
        foot = wishes.foot or (9 if height < SHORT_BELOW else DETAILS_LINES)
        foot = _within(foot, 3, room - max(above, _LEAST_LINES) - (1 if above else 0))
    work = room - above
    return Places(side, right, foot, above, 0, _editor(work, wishes.editor or _EDITOR_PERMILLE), work)


def drawn_to(edge: str, cells: int, now: Places) -> int:
    """Returns what to remember for an edge that the user drew to so many cells; it is held in bounds when used."""
    return max(1, cells * 1000 // max(1, now.work)) if edge == "editor" else max(1, cells)


def _editor(work: int, permille: int) -> int:
    return _within((work * permille + 500) // 1000, _LEAST_LINES, work - _LEAST_LINES)


def _within(value: int, least: int, most: int) -> int:
    return max(1, min(max(value, least), most))
