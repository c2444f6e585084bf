"""A log of one-line entries with a cursor: the newest at the bottom, followed until one looks back."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from rich.segment import Segment

from .cursor_list import CursorList
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


class LogList(CursorList):
    """Shows entries in their order.

    | Component class | What |
    | --- | --- |
    | `log--time` | when it happened |
    | `log--text`, `log--command`, `log--warning`, `log--error` | the entry |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--time", "log--text", "log--command", "log--warning", "log--error"}

    def __init__(self, *, glyphs: Glyphs = UNICODE, empty: str = "", id: str | None = None) -> None:
        super().__init__(glyphs=glyphs, empty=empty, id=id)
        self._lines: Sequence[LogLine] = ()

    def set_lines(self, lines: Sequence[LogLine], *, gone: int = 0) -> None:
        """Shows entries.

        On the newest one, the cursor goes along with what comes; else it stays on its own, and the screen on what is
        read, when `gone` of the oldest have left since the last call.
        """
        following = self.at_end
        self._lines = lines
        if following:
            self.rows_changed(len(lines) - 1)
        else:
            self.rows_changed(self._cursor - gone, self.scroll_offset.y - gone)

    def row_count(self) -> int:
        return len(self._lines)

    def paint_row(self, row: int, width: int) -> list[Segment]:
        line = self._lines[row]
        when = time.strftime(" %H:%M:%S ", time.localtime(line.at_s))
        text = fit(f"{line.mark} {one_line(line.text)}", max(0, width - len(when)), ellipsis=self.glyphs.ellipsis)
        return [
            Segment(when, self.get_component_rich_style("log--time", partial=True)),
            Segment(text, self.get_component_rich_style(f"log--{line.style}", partial=True)),
        ]
