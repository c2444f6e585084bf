"""Shows what is known of one thing, a fact a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, NamedTuple

from rich.cells import cell_len
from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .glyphs import UNICODE, Glyphs
from .rows import Detail
from .sparkline import sparkline
from .text import fit, one_line
from .wrap_index import wrapped

_LABEL_WIDTH = 8
VALUE_WIDTH: Final = 14
"""What a value has at least beside its trend, so that the trends of several facts stand below each other."""
TREND_WIDTH: Final = 60
"""A cell for each second of the last minute, where there is room."""


class _Line(NamedTuple):
    label: str
    value: str
    style: str
    trend: str = ""


class Details(ScrollView, can_focus=True):
    """Labels on the left, values on the right; a long value goes on in the next line, a trend stands behind its value.

    | Component class | What |
    | --- | --- |
    | `details--label`, `details--value`, `details--quiet`, `details--trend` | the parts of a line |
    | `details--near`, `details--soon` | a value that needs the user, more or less |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "details--label",
        "details--value",
        "details--quiet",
        "details--trend",
        "details--near",
        "details--soon",
    }
    # the bar is always there (on the ground's colour it shows its thumb alone), so that no line is cut in two widths
    DEFAULT_CSS = "Details { overflow-x: hidden; overflow-y: scroll; scrollbar-size-vertical: 1; }"

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._glyphs = glyphs
        self._facts: Sequence[Detail] = ()
        self._lines: list[_Line] = []
        self._laid_out = (0, 0)
        """Width and height that the lines are for."""

    def set_facts(self, facts: Sequence[Detail], *, top: bool = False) -> None:
        """Shows other facts, painting the lines that changed; from the top when they are those of another thing."""
        if list(facts) != list(self._facts):
            before = self._lines
            self._facts = facts
            self._wrap()
            self.virtual_size = Size(self.scrollable_content_region.width, len(self._lines))
            for place in range(max(len(before), len(self._lines))):
                if before[place : place + 1] != self._lines[place : place + 1]:
                    self.refresh_lines(place)
        if top:
            self.scroll_home(animate=False)

    def on_resize(self) -> None:
        self._wrap()
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._lines))
        self.refresh()

    def _wrap(self) -> None:
        width, height = self._laid_out = self._room()
        width = max(4, width - _LABEL_WIDTH - 1)
        blocks = [(fact.spare, self._lines_of(fact, width)) for fact in self._facts]
        room = height - sum(len(lines) for spare, lines in blocks if not spare)
        self._lines = []
        for spare, lines in blocks:
            if spare:
                room -= len(lines)
            if not spare or room >= 0:
                self._lines += lines

    def _room(self) -> tuple[int, int]:
        return self.scrollable_content_region.width, self.scrollable_content_region.height

    def _lines_of(self, fact: Detail, width: int) -> list[_Line]:
        value = one_line(fact.value)
        style = fact.level or ("quiet" if fact.quiet else "value")
        if fact.trend:
            taken = max(VALUE_WIDTH, cell_len(value) + 1)
            trend = sparkline(fact.trend, min(TREND_WIDTH, width - taken - 1), self._glyphs)
            return [_Line(fact.label, fit(value, min(taken, width)), style, trend)]
        return [
            _Line(fact.label if place == 0 else "", text, style) for place, text in enumerate(wrapped(value, width))
        ]

    def render_line(self, y: int) -> Strip:
        if self._laid_out != self._room():
            # painted before the resize event was handled
            self._wrap()
        row = y + self.scroll_offset.y
        if row >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        line = self._lines[row]
        segments = [
            Segment(" " + fit(line.label, _LABEL_WIDTH), self.get_component_rich_style("details--label", partial=True)),
            Segment(line.value, self.get_component_rich_style(f"details--{line.style}", partial=True)),
            Segment(line.trend, self.get_component_rich_style("details--trend", partial=True)),
        ]
        # simple, so that it is the same to the last segment whichever way the screen comes by it
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style).simplify()
