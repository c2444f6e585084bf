"""A log of one-line entries with a cursor: the newest at the bottom, followed until one looks back.

Line API: a screenful is painted, whatever the log holds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .glyphs import UNICODE, Glyphs
from .text import fit, one_line


class LogLine(NamedTuple):
    """An entry."""

    at_s: float
    """Unix time."""
    mark: str
    """A shape of one cell before the text: what kind of entry it is."""
    text: str
    style: str = "text"
    """`text`, `command`, `warning` or `error`."""


class LogList(ScrollView, can_focus=True):
    """Shows entries in their order.

    | Component class | What |
    | --- | --- |
    | `log--cursor` | the entry under the cursor, while the log has the focus |
    | `log--time` | when it happened |
    | `log--text`, `log--command`, `log--warning`, `log--error` | the entry |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "log--cursor",
        "log--time",
        "log--text",
        "log--command",
        "log--warning",
        "log--error",
    }
    DEFAULT_CSS = "LogList { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"

    class Moved(Message):
        """The cursor is on another entry, or left the newest one, or came back to it."""

        def __init__(self, log: LogList) -> None:
            super().__init__()
            self.log_list = log

        @property
        def control(self) -> LogList:
            return self.log_list

    def __init__(self, *, glyphs: Glyphs = UNICODE, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._empty = empty
        self._lines: Sequence[LogLine] = ()
        self._cursor = 0
        self.following = True
        """The cursor goes along with the newest entry."""

    @property
    def cursor(self) -> int | None:
        """Place of the entry under the cursor; None while there is none."""
        return self._cursor if self._lines else None

    def set_lines(self, lines: Sequence[LogLine], *, gone: int = 0, empty: str | None = None) -> None:
        """Shows entries; the cursor stays on its own when `gone` of the oldest have left since the last call."""
        self._lines = lines
        self._empty = self._empty if empty is None else empty
        if self.following or not lines:
            self._cursor = max(0, len(lines) - 1)
        else:
            self._cursor = min(max(0, self._cursor - gone), len(lines) - 1)
        self.virtual_size = Size(self.scrollable_content_region.width, len(lines))
        if self.following:
            self.scroll_end(animate=False, immediate=True, x_axis=False)
        elif gone:
            self.scroll_to(y=max(0, self.scroll_offset.y - gone), animate=False, immediate=True, force=True)
        self.refresh()

    def move(self, step: int) -> None:
        """Moves the cursor by so many entries."""
        self._go(self._cursor + step)

    def _go(self, place: int) -> None:
        if not self._lines:
            return
        self._cursor = max(0, min(len(self._lines) - 1, place))
        self.following = self._cursor == len(self._lines) - 1
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        if not top <= self._cursor < top + height:
            to = self._cursor if self._cursor < top else self._cursor - height + 1
            self.scroll_to(y=to, animate=False, immediate=True, force=True)
        self.refresh()
        self.post_message(self.Moved(self))

    def action_up(self) -> None:
        self.move(-1)

    def action_down(self) -> None:
        self.move(1)

    def action_page(self, direction: int) -> None:
        self.move(direction * max(1, self.scrollable_content_region.height - 1))

    def action_first(self) -> None:
        self._go(0)

    def action_last(self) -> None:
        self._go(len(self._lines) - 1)

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if row < len(self._lines):
            self._go(row)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_resize(self) -> None:
        if self.following:
            self.scroll_end(animate=False, immediate=True, x_axis=False)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        row = y + self.scroll_offset.y
        if not self._lines and y == 0:
            quiet = self.get_component_rich_style("log--time", partial=True)
            return Strip([Segment(fit(" " + self._empty, width), quiet)]).apply_style(self.rich_style)
        if row >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        line = self._lines[row]
        when = time.strftime(" %H:%M:%S ", time.localtime(line.at_s))
        text = fit(f"{line.mark} {one_line(line.text)}", max(0, width - len(when)), ellipsis=self._glyphs.ellipsis)
        strip = Strip(
            [
                Segment(when, self.get_component_rich_style("log--time", partial=True)),
                Segment(text, self.get_component_rich_style(f"log--{line.style}", partial=True)),
            ]
        ).adjust_cell_length(width)
        ground = self.rich_style
        if row == self._cursor and self.has_focus:
            ground += self.get_component_rich_style("log--cursor", partial=True)
        return strip.apply_style(ground)
