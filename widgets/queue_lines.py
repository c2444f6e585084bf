"""Lines that say what waits behind a run; nothing is to be seen while nothing waits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from .glyphs import UNICODE, Glyphs
from .lines import title_of
from .text import fit, one_line

LINES: Final = 3
"""Lines of code that are shown; one more says how many there are."""


class QueueLines(Widget, can_focus=False):
    """What waits, a line each, and why it waits.

    | Component class | What |
    | --- | --- |
    | `queue--code` | the first line of what waits |
    | `queue--state` | how many wait |
    | `queue--paused` | why nothing goes on |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"queue--code", "queue--state", "queue--paused"}
    DEFAULT_CSS = """
    QueueLines {
        display: none;
        height: auto;
        & > .queue--code { color: $foreground 70%; }
        & > .queue--state { color: $foreground 60%; }
        & > .queue--paused { color: $warning; text-style: bold; }
    }
    """

    class Clicked(Message):
        """The lines were clicked."""

    def __init__(self, glyphs: Glyphs = UNICODE, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._said: tuple[tuple[str, ...], str, str] = ((), "", "")

    def show(self, waiting: Sequence[str], paused: str, keys: str) -> None:
        """Shows what waits.

        Args:
            waiting: Code, first things first.
            paused: Why nothing goes on; empty while it will.
            keys: Which key leads to all of it.
        """
        said = (tuple(waiting), paused, keys)
        if said == self._said:
            return
        before, self._said = self._said, said
        self.display = bool(waiting)
        self.refresh(layout=len(before[0]) != len(waiting))

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return min(LINES, len(self._said[0])) + 1 if self._said[0] else 0

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Clicked())

    def render_line(self, y: int) -> Strip:
        (waiting, paused, keys), width, glyphs = self._said, self.size.width, self._glyphs
        if y < min(LINES, len(waiting)):
            text = f" {glyphs.preparing} {one_line(title_of(waiting[y]))}"
            return Strip(
                [Segment(fit(text, width, ellipsis=glyphs.ellipsis), self.get_component_rich_style("queue--code"))],
                width,
            )
        head = f" {len(waiting)} queued"
        tail = f" {glyphs.dot} {keys}"
        if not paused:
            return Strip([Segment(fit(head + tail, width), self.get_component_rich_style("queue--state"))], width)
        text = f"{head}, paused: {one_line(paused)}{tail}"
        return Strip([Segment(fit(text, width), self.get_component_rich_style("queue--paused"))], width)
