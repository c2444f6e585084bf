"""The list of sessions: one or two lines each, a cursor that stays on its session, rows that never jump.

Line API: only what is on the screen is rendered, so that thousands of rows cost what a screenful costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .glyphs import UNICODE, Glyphs
from .rows import SessionRow, SessionUse
from .session_columns import BY_ID, COLUMNS, LISTED, Look
from .session_filter import Test
from .session_paint import RowPainter
from .session_table import SessionTable
from .text import fit

ONE_LINE_FROM: Final = 70
"""Cells from which a session takes one line with columns instead of two lines."""
HEADER_FROM: Final = 6
"""Lines from which the columns have a line with their titles."""
_SORTED_EVERY: Final = 3
"""Rounds of measuring after which rows that are sorted by a measured column change their places."""


class SessionList(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows sessions, filtered and sorted.

    | Component class | What |
    | --- | --- |
    | `sessions--cursor` | the row under the cursor |
    | `sessions--cursor-mark` | the bar before it |
    | `sessions--header`, `sessions--header-sorted` | titles of columns; of the one that rows are sorted by |
    | `sessions--name`, `sessions--quiet` | the name; everything that only adds to it |
    | `sessions--marked` | name and mark of a marked row |
    | `sessions--running`, `-busy`, `-waiting`, `-asks`, `-failed`, `-ended` | glyph and word of a state |
    | `sessions--alarm` | what needs the user now |
    | `sessions--near` | an end that comes nearer |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "sessions--cursor",
        "sessions--cursor-mark",
        "sessions--header",
        "sessions--header-sorted",
        "sessions--name",
        "sessions--quiet",
        "sessions--marked",
        "sessions--running",
        "sessions--busy",
        "sessions--waiting",
        "sessions--asks",
        "sessions--failed",
        "sessions--ended",
        "sessions--alarm",
        "sessions--near",
    }
    DEFAULT_CSS = """
    SessionList { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    class Selected(Message):
        """The cursor is on another session, or on none."""

        def __init__(self, sessions: SessionList, session_id: str | None) -> None:
            super().__init__()
            self.sessions = sessions
            self.session_id = session_id

        @property
        def control(self) -> SessionList:
            return self.sessions

    class HeaderClicked(Message):
        """The title of a column was clicked."""

        def __init__(self, column: str) -> None:
            super().__init__()
            self.column = column

    class MarksChanged(Message):
        """Other rows are marked."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs = UNICODE,
        empty: Sequence[str] = (),
        use: Callable[[str], SessionUse | None] | None = None,
        columns: Sequence[str] = LISTED,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._clock = clock
        self._glyphs = glyphs
        self._empty = empty
        self._use = use or (lambda session_id: None)
        self._columns = tuple(columns)
        self.table = SessionTable(self._look)
        """What is shown, and in which order: to be changed by the methods of the list only."""
        self._styles: dict[str, Style] = {}
        self._ages: list[tuple[str, str, str]] = []
        self._lives: dict[str, tuple[str, ...]] = {}
        """What of the measured columns is on the screen."""
        self._rounds = 0
        self._blank = {column.id for column in COLUMNS if column.live or column.id == "gpu"}
        """Columns that said nothing of any session so far: they take no room."""
        self._painter: RowPainter | None = None
        self._painted_s = -1.0

    # -- reading ---------------------------------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[SessionRow]:
        """The rows that are shown."""
        return self.table.shown

    @property
    def cursor(self) -> str | None:
        """Id of the session under the cursor; of one that the filter hides where it hides all."""
        return self.table.cursor

    @property
    def columns(self) -> tuple[str, ...]:
        """Ids of the columns that were chosen."""
        return self._columns

    @property
    def row_height(self) -> int:
        """Lines of one session."""
        return 1 if self.scrollable_content_region.width >= ONE_LINE_FROM else 2

    @property
    def header_height(self) -> int:
        """Lines of the titles: 1, or 0 where they have no room."""
        return 1 if self.row_height == 1 and self.size.height >= HEADER_FROM and len(self.table) else 0

    # -- rows ------------------------------------------------------------------------------------------------------

    def set_empty(self, lines: Sequence[str]) -> None:
        """Sets what stands in the empty list: what would fill it, and which key does."""
        self._empty = lines
        if not self.table.shown:
            self.refresh()

    def set_rows(self, rows: Sequence[SessionRow]) -> None:
        """Shows `rows`. The cursor stays on its session; when that is gone, on one that stood beside it."""
        self._seen(rows)
        self._rearranged(lambda: self.table.replace(rows))

    def change_rows(self, changed: Iterable[SessionRow], gone: Iterable[str] = ()) -> None:
        """Shows rows that changed or came, and no more those that went: paints what reads differently now."""
        changed = list(changed)
        self._seen(changed)
        shown = len(self.table.shown)
        moved = False

        def change() -> None:
            nonlocal moved
            moved = self.table.change(changed, gone)

        place, before, total = self.table.places.get(self.cursor or ""), self.cursor, len(self.table)
        change()
        if moved or self.cursor != before or (not total) != (not len(self.table)):
            self._settle(before, place, shown)
            return
        if len(self.table.shown) != shown:
            self._resize_virtual()
        first, end = self._range()
        for row in changed:
            at = self.table.places.get(row.id)
            if at is not None and first <= at < end:
                self._refresh_row(row)

    def _seen(self, rows: Iterable[SessionRow]) -> None:
        """Gives room to columns that say something of a session for the first time."""
        if not self._blank:
            return
        look = self._look()
        columns = [BY_ID[column] for column in self._blank]
        found = {column.id for row in rows for column in columns if column.text(row, look)}
        if found:
            self._blank -= found
            self._painter = None
            self.refresh()

    def rename_row(self, old_id: str, new_id: str) -> None:
        """Lets cursor and marks go along when a session gets its real id; call before its row comes."""
        self.table.renamed(old_id, new_id)

    def set_filter(self, test: Test | None) -> None:
        """Shows the rows that meet `test`; None = all."""
        self._rearranged(lambda: self.table.filter(test))

    def set_sort(self, column: str, *, falling: bool = False) -> None:
        """Sorts by a column; an empty id = by arrival."""
        self._rearranged(lambda: self.table.sort(BY_ID.get(column), falling=falling))

    def set_columns(self, columns: Sequence[str]) -> None:
        """Shows other columns."""
        self._columns = tuple(columns)
        self._painter = None
        self.refresh()

    def set_pinned(self, ids: Iterable[str], pinned: bool) -> None:
        """Puts sessions before all others, or back."""
        self._rearranged(lambda: self.table.pin(ids, pinned))

    def _rearranged(self, change: Callable[[], object]) -> None:
        before, shown = self.cursor, len(self.table.shown)
        place = self.table.places.get(before or "")
        change()
        self._settle(before, place, shown)

    def _settle(self, before: str | None, old_place: int | None, old_count: int) -> None:
        """Shows another order: the row under the cursor stays where it is on the screen."""
        if len(self.table.shown) != old_count:
            self._resize_virtual()
        place = self.table.places.get(self.cursor or "", 0)
        if before is not None and old_place is not None and place != old_place:
            # what came or went above must not move what is being looked at
            self.scroll_to(
                y=place * self.row_height - (old_place * self.row_height - self.scroll_offset.y),
                animate=False,
                force=True,
            )
            self._show_cursor()
        self.refresh()
        if self.cursor != before:
            self.post_message(self.Selected(self, self.cursor))

    def select(self, session_id: str) -> None:
        """Puts the cursor on a session that is shown."""
        if session_id in self.table.places and session_id != self.cursor:
            before, self.table.cursor = self.cursor, session_id
            scrolled = self.scroll_offset.y
            self._show_cursor()
            if self.scroll_offset.y != scrolled:
                self.refresh()
            else:
                self._refresh_id(before)
                self._refresh_id(session_id)
            self.post_message(self.Selected(self, session_id))

    # -- time ------------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Paints the rows anew in which an age or the time that is left reads differently now."""
        visible, look = self._visible(), self._look()
        painter = self._painter_of()
        ages = [(look.age(row), look.doomed(row), painter.told(row)[0]) for row in visible]
        if ages != self._ages:
            for row, before, now in zip(visible, self._ages or ages, ages, strict=False):
                if before != now or len(self._ages) != len(ages):
                    self._refresh_row(row)
            self._ages = ages

    def live_changed(self) -> None:
        """Paints the rows in view anew whose use reads differently now."""
        self._rounds += 1
        sorted_by = self.table.column
        if sorted_by is not None and sorted_by.live and self._rounds % _SORTED_EVERY == 0:
            self._rearranged(self.table.arrange)
            return
        self._seen(self._visible())
        live = [BY_ID[column] for column in self._columns if BY_ID[column].live]
        if not live:
            return
        look, visible = self._look(), self._visible()
        shown = self._lives
        self._lives = {row.id: tuple(column.text(row, look) for column in live) for row in visible}
        for row in visible:
            if shown.get(row.id) != self._lives[row.id]:
                self._refresh_row(row)

    def _range(self) -> tuple[int, int]:
        """Returns the first place on the screen, and the one after the last."""
        height = self.row_height
        first = self.scroll_offset.y // height
        return first, (self.scroll_offset.y + self.size.height) // height + 1

    def _visible(self) -> Sequence[SessionRow]:
        """Returns the rows that are on the screen."""
        first, end = self._range()
        return self.table.shown[first:end]

    def _refresh_row(self, row: SessionRow) -> None:
        self._refresh_id(row.id)

    def _refresh_id(self, session_id: str | None) -> None:
        place = self.table.places.get(session_id or "")
        if place is not None:
            self.refresh_lines(place * self.row_height + self.header_height, self.row_height)

    # -- moving and marking ----------------------------------------------------------------------------------------

    def _move(self, step: int) -> None:
        target = self.table.move(step)
        if target is not None:
            self.select(target)

    def action_up(self) -> None:
        self._move(-1)

    def action_down(self) -> None:
        self._move(1)

    def action_page(self, direction: int) -> None:
        self._move(direction * max(1, (self.size.height - self.header_height) // self.row_height - 1))

    def action_first(self) -> None:
        self._move(-len(self.table.shown))

    def action_last(self) -> None:
        self._move(len(self.table.shown))

    def action_mark(self) -> None:
        """Marks the row under the cursor, or not, and goes on to the next one."""
        self.table.toggle()
        self._refresh_id(self.cursor)
        self.post_message(self.MarksChanged())
        self._move(1)

    def action_mark_range(self) -> None:
        self._marked(self.table.mark_range)

    def action_mark_shown(self) -> None:
        self._marked(self.table.mark_shown)

    def action_clear_marks(self) -> None:
        self._marked(self.table.clear_marks)

    def _marked(self, change: Callable[[], None]) -> None:
        change()
        self.refresh()
        self.post_message(self.MarksChanged())

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        if offset.y < self.header_height:
            column = self._painter_of().column_at(offset.x - 1, self._inner)
            if column is not None:
                self.post_message(self.HeaderClicked(column))
            return
        place = (offset.y - self.header_height + self.scroll_offset.y) // self.row_height
        if 0 <= place < len(self.table.shown):
            self.select(self.table.shown[place].id)
            if event.ctrl:
                self._marked(self.table.toggle)
            elif event.shift:
                self._marked(self.table.mark_range)

    def _show_cursor(self) -> None:
        place, height = self.table.places.get(self.cursor or "", 0), self.row_height
        top, room = self.scroll_offset.y, self.size.height - self.header_height
        if place * height < top:
            self.scroll_to(y=place * height, animate=False, force=True)
        elif room > 0 and (place + 1) * height > top + room:
            self.scroll_to(y=(place + 1) * height - room, animate=False, force=True)

    def _resize_virtual(self) -> None:
        lines = len(self.table.shown) * self.row_height + self.header_height
        self.virtual_size = Size(self.scrollable_content_region.width, lines)

    def on_resize(self) -> None:
        self._resize_virtual()
        self._show_cursor()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()
        self._painter = None

    # -- painting --------------------------------------------------------------------------------------------------

    def row_region(self, session_id: str) -> Region | None:
        """Returns where a session is painted, None when it is out of view."""
        place = self.table.places.get(session_id)
        if place is None:
            return None
        top = self.header_height
        region = Region(0, place * self.row_height - self.scroll_offset.y + top, self.size.width, self.row_height)
        return region if region.overlaps(Region(0, top, self.size.width, self.size.height - top)) else None

    def _look(self) -> Look:
        return Look(self._glyphs, self._clock(), self._use)

    @property
    def _inner(self) -> int:
        """Cells beside the cursor's bar."""
        return max(1, self.scrollable_content_region.width - 1)

    def _painter_of(self) -> RowPainter:
        """Returns what paints rows now."""
        now_s = self._clock()
        if self._painter is None:
            columns = [column for column in self._columns if column not in self._blank]
            self._painter = RowPainter(
                self._look(), self._style, columns=columns, marks=self.table.marks, pins=self.table.pins
            )
        elif now_s != self._painted_s:
            self._painter.look = self._look()
        self._painted_s = now_s
        return self._painter

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self._styles[name] = self.get_component_rich_style(f"sessions--{name}", partial=True)
        return style

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        table = self.table
        if not table.shown:
            lines = ("", "nothing here matches the filter", "escape clears it") if len(table) else self._empty
            text = lines[y] if y < len(lines) else ""
            return Strip([Segment(fit(" " + text, width), base + self._style("quiet"))], width)
        painter, inner, top = self._painter_of(), self._inner, self.header_height
        if y < top:
            column = table.column
            title = painter.header(inner, column.id if column is not None else "", table.falling)
            return Strip([Segment(" ", None), *title]).adjust_cell_length(width).apply_style(base)
        place, part = divmod(y - top + self.scroll_offset.y, self.row_height)
        if place >= len(table.shown):
            return Strip.blank(width, base)
        row = table.shown[place]
        if self.row_height == 1:
            segments = painter.line(row, inner)
        else:
            segments = painter.head(row, inner) if part == 0 else painter.foot(row, inner)
        mark = self._glyphs.cursor if row.id == table.cursor else " "
        strip = Strip([Segment(mark, self._style("cursor-mark")), *segments]).adjust_cell_length(width)
        if row.id == table.cursor:
            base = base + self._style("cursor")
        return strip.apply_style(base)
