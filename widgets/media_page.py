"""Shows one piece of rich output as large as there is room, scrolled in both directions; trees fold under a cursor."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .blocks import ROLES
from .lines import Media
from .media import MediaView

_ROLES: Final = (*ROLES, "cursor")


class MediaPage(ScrollView, can_focus=True):
    """A page of rich output.

    | Component class | What |
    | --- | --- |
    | `media-page--...` | each role of `blocks.ROLES` |
    | `media-page--cursor` | the line of a tree that keys fold |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"media-page--{role}" for role in _ROLES}
    DEFAULT_CSS: ClassVar[str] = """
    MediaPage { overflow: auto; }
    MediaPage > .media-page--head { text-style: bold; }
    MediaPage > .media-page--strong { text-style: bold; }
    MediaPage > .media-page--em { text-style: italic; }
    MediaPage > .media-page--link { text-style: underline; }
    MediaPage > .media-page--cursor { text-style: reverse; }
    """

    class Shown(Message):
        """Another piece is shown, or it is laid out anew."""

        def __init__(self, page: MediaPage) -> None:
            super().__init__()
            self.page = page

        @property
        def control(self) -> MediaPage:
            return self.page

    def __init__(self, media: Media, view: MediaView, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._media = media
        self._view = view
        self._cursor = 0

    @property
    def media(self) -> Media:
        """What is shown."""
        return self._media

    @property
    def has_cursor(self) -> bool:
        """Whether there is a tree whose lines fold."""
        return self._view.can_toggle(self._media, self._width, 0)

    @property
    def rows(self) -> int:
        """Rows of the page."""
        return self.virtual_size.height

    def show(self, media: Media) -> None:
        """Shows another piece, from its beginning."""
        self._media, self._cursor = media, 0
        self.scroll_to(0, 0, animate=False, force=True)
        self._lay_out()

    def on_mount(self) -> None:
        self._view.attach(self, "media-page--", self._repaint)

    def _repaint(self) -> None:
        self.refresh()

    def on_unmount(self) -> None:
        self._view.close()

    def on_resize(self) -> None:
        self._lay_out()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._view.forget_styles()

    def step(self, rows: int) -> None:
        """Moves the cursor of a tree, or the page, by rows."""
        if not self.has_cursor:
            self.scroll_relative(y=rows, animate=False)
            return
        last = self._view.height(self._media, self._width) - 1
        self._cursor = max(0, min(self._cursor + rows, last))
        top, height = self.scroll_offset.y, max(1, self.scrollable_content_region.height)
        if self._cursor < top:
            self.scroll_to(y=self._cursor, animate=False, force=True)
        elif self._cursor >= top + height:
            self.scroll_to(y=self._cursor - height + 1, animate=False, force=True)
        self.refresh()

    def toggle(self) -> bool:
        """Opens or closes the line of a tree under the cursor; returns whether there is something to."""
        if not self._view.toggle(self._media, self._width, self._cursor):
            return False
        self._lay_out()
        return True

    def on_click(self, event: events.Click) -> None:
        row = self.scroll_offset.y + event.get_content_offset_capture(self).y
        if self._view.can_toggle(self._media, self._width, row):
            event.stop()
            self._cursor = row
            self.toggle()

    @property
    def _width(self) -> int:
        return max(1, self.scrollable_content_region.width)

    def _lay_out(self) -> None:
        self._view.max_rows = max(1, self.scrollable_content_region.height - 1)
        width = self._width
        rows = self._view.height(self._media, width)
        self._cursor = min(self._cursor, rows - 1)
        self.virtual_size = Size(max(width, self._view.widest(self._media, width)), rows)
        self.refresh()
        self.post_message(self.Shown(self))

    def render_line(self, y: int) -> Strip:
        row, base = self.scroll_offset.y + y, self.rich_style
        width = self._width
        if row >= self.virtual_size.height:
            return Strip.blank(self.size.width, base)
        strip = self._view.strip(self._media, width, row)
        if row == self._cursor and self.has_cursor and self.has_focus:
            cursor = self.get_component_rich_style("media-page--cursor", partial=True)
            strip = Strip([Segment(text, (style or Style()) + cursor) for text, style, _ in strip])
        # measured while it is known which segments are no text, but pixels
        left, cells = self.scroll_offset.x, strip.cell_length
        if left or cells > width:
            strip = strip.crop(left, left + width)
        return strip.apply_style(base).extend_cell_length(self.size.width, base)
