"""Shows what is known of one thing, a fact a line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .rows import Detail
from .text import fit, one_line
from .wrap_index import cuts

_LABEL_WIDTH = 8


class Details(ScrollView, can_focus=False):
    """Labels on the left, values on the right; a long value goes on in the next line.

    | Component class | What |
    | --- | --- |
    | `details--label`, `details--value`, `details--quiet` | the parts of a line |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"details--label", "details--value", "details--quiet"}
    DEFAULT_CSS = "Details { overflow-x: hidden; scrollbar-size-vertical: 1; }"

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._facts: Sequence[Detail] = ()
        self._lines: list[tuple[str, str, bool]] = []
        self._laid_out = 0

    def set_facts(self, facts: Sequence[Detail]) -> None:
        """Shows other facts."""
        if list(facts) != list(self._facts):
            self._facts = facts
            self._layout_lines()

    def on_resize(self) -> None:
        self._layout_lines()

    def _layout_lines(self) -> None:
        self._wrap()
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._lines))
        self.refresh()

    def _wrap(self) -> None:
        self._laid_out = self.scrollable_content_region.width
        width = max(4, self._laid_out - _LABEL_WIDTH - 2)
        self._lines = []
        for fact in self._facts:
            value = one_line(fact.value)
            for place, (start, end) in enumerate(cuts(value, width)):
                self._lines.append((fact.label if place == 0 else "", value[start:end], fact.quiet))

    def render_line(self, y: int) -> Strip:
        if self._laid_out != self.scrollable_content_region.width:
            # painted before the resize event was handled
            self._wrap()
        row = y + self.scroll_offset.y
        if row >= len(self._lines):
            return Strip.blank(self.size.width, self.rich_style)
        label, value, quiet = self._lines[row]
        strip = Strip(
            [
                Segment(" " + fit(label, _LABEL_WIDTH), self.get_component_rich_style("details--label", partial=True)),
                Segment(
                    value,
                    self.get_component_rich_style("details--quiet" if quiet else "details--value", partial=True),
                ),
            ]
        )
        return strip.adjust_cell_length(self.size.width).apply_style(self.rich_style)
