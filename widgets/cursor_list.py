"""A list of one-line rows with a cursor. Line API: a screenful is painted, whatever the list holds."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .glyphs import UNICODE, Glyphs
from .text import fit


class CursorList(ScrollView, can_focus=True, inherit_bindings=False):
    """Moves a cursor over rows that its children paint.

    | Component class | What |
    | --- | --- |
    | `cursor-list--cursor` | the row under the cursor, while the list has the focus |
    | `cursor-list--quiet` | what stands in the empty list |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"cursor-list--cursor", "cursor-list--quiet"}
    DEFAULT_CSS = "CursorList { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"

    class Moved(Message):
        """The cursor was moved by the user."""

        def __init__(self, cursor_list: CursorList) -> None:
            super().__init__()
            self.cursor_list = cursor_list

        @property
        def control(self) -> CursorList:
            return self.cursor_list

    class Chosen(Message):
        """A row was clicked twice."""

        def __init__(self, cursor_list: CursorList) -> None:
            super().__init__()
            self.cursor_list = cursor_list

        @property
        def control(self) -> CursorList:
            return self.cursor_list

    def __init__(self, *, glyphs: Glyphs = UNICODE, empty: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.glyphs = glyphs
        self.empty = empty
        """What stands in the empty list."""
        self._cursor = 0

    # -- for the child class -------------------------------------------------------------------------------------

    def row_count(self) -> int:
        """Returns how many rows there are."""
        raise NotImplementedError

    def paint_row(self, row: int, width: int) -> list[Segment]:
        """Returns a row, not wider than `width` cells."""
        raise NotImplementedError

    # -- the cursor ----------------------------------------------------------------------------------------------

    @property
    def cursor(self) -> int | None:
        """Place of the row under the cursor; None while there is none."""
        return self._cursor if self.row_count() else None

    @property
    def at_end(self) -> bool:
        """Whether the cursor is on the last row, or there is none."""
        return self._cursor >= self.row_count() - 1

    def rows_changed(self, cursor: int, top: int | None = None) -> None:
        """Shows other rows, with the cursor on one of them.

        Args:
            top: first row that is seen; None = as before, as far as the cursor can be seen there.
        """
        count = self.row_count()
        self._cursor = max(0, min(count - 1, cursor))
        self.virtual_size = Size(self.scrollable_content_region.width, count)
        if top is not None:
            self.scroll_to(y=max(0, top), animate=False, immediate=True, force=True)
        self._show_cursor()
        self.refresh()

    def go(self, row: int) -> None:
        """Puts the cursor on a row, or on the nearest that there is."""
        count = self.row_count()
        if count:
            self._cursor = max(0, min(count - 1, row))
            self._show_cursor()
            self.refresh()
            self.post_message(self.Moved(self))

    def _show_cursor(self) -> None:
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        if not top <= self._cursor < top + height:
            to = self._cursor if self._cursor < top else self._cursor - height + 1
            self.scroll_to(y=to, animate=False, immediate=True, force=True)

    def action_up(self) -> None:
        self.go(self._cursor - 1)

    def action_down(self) -> None:
        self.go(self._cursor + 1)

    def action_page(self, direction: int) -> None:
        self.go(self._cursor + direction * max(1, self.scrollable_content_region.height - 1))

    def action_first(self) -> None:
        self.go(0)

    def action_last(self) -> None:
        self.go(self.row_count() - 1)

    def on_click(self, event: events.Click) -> None:
        row = event.y + self.scroll_offset.y
        if row < self.row_count():
            self.go(row)
            if event.chain == 2:
                self.post_message(self.Chosen(self))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_resize(self) -> None:
        self._show_cursor()

    # -- painting ------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        row = y + self.scroll_offset.y
        ground = self.rich_style
        if not self.row_count() and y == 0:
            quiet = self.get_component_rich_style("cursor-list--quiet", partial=True)
            return Strip([Segment(fit(" " + self.empty, width), quiet)]).apply_style(ground)
        if row >= self.row_count():
            return Strip.blank(width, ground)
        strip = Strip(self.paint_row(row, width)).adjust_cell_length(width)
        if row == self._cursor and self.has_focus:
            ground += self.get_component_rich_style("cursor-list--cursor", partial=True)
        return strip.apply_style(ground)
