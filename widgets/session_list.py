"""The list of sessions: one or two lines each, a cursor that stays on its session, rows that never jump.

Line API: only what is on the screen is rendered, so that thousands of rows cost what a screenful costs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..app.model.slots import CPU, MEM
from .glyphs import UNICODE, Glyphs, status_class, status_glyph, status_word
from .rows import SessionRow
from .text import count, duration, fit, gpu_amount, left, one_line, share, size

ONE_LINE_FROM: Final = 70
"""Cells from which a session takes one line with columns instead of two lines."""
NEAR_S: Final = 600.0
"""Time left from which the row of a session says when an idle check ends it, in place of its age."""
SOON_S: Final = 120.0
"""Time left from which that is said in words, and how to keep it."""
_AGE_WIDTH: Final = 6
_WORD_WIDTH: Final = 10
_IMAGE_LEAST: Final = 8
"""Cells below which an image's name says nothing any more."""


def idle_level(remaining_s: float) -> str:
    """Returns how much an end that is so far off needs the user: `soon`, `near`, or nothing."""
    return "soon" if remaining_s <= SOON_S else "near" if remaining_s <= NEAR_S else ""


class SessionList(ScrollView, can_focus=True):
    """Shows rows in the order given.

    | Component class | What |
    | --- | --- |
    | `sessions--cursor` | the row under the cursor |
    | `sessions--name`, `sessions--quiet` | the name; everything that only adds to it |
    | `sessions--running`, `-busy`, `-waiting`, `-asks`, `-failed`, `-ended` | glyph and word of a state |
    | `sessions--alarm` | what needs the user now |
    | `sessions--near` | an end that comes nearer |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "sessions--cursor",
        "sessions--cursor-mark",
        "sessions--name",
        "sessions--quiet",
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

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs = UNICODE,
        empty: Sequence[str] = (),
        live: Callable[[str], str] | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._rows: Sequence[SessionRow] = ()
        self._places: dict[str, int] = {}
        self._cursor: str | None = None
        self._clock = clock
        self._glyphs = glyphs
        self._empty = empty
        self._styles: dict[str, Style] = {}
        self._ages: list[tuple[str, str]] = []
        self._live = live or (lambda session_id: "")
        """Id -> what the session uses now, in few cells of fixed width; empty = not known."""
        self._lives: dict[str, str] = {}
        """What of that is on the screen."""

    @property
    def rows(self) -> Sequence[SessionRow]:
        return self._rows

    @property
    def cursor(self) -> str | None:
        """Id of the session under the cursor."""
        return self._cursor

    @property
    def row_height(self) -> int:
        """Lines of one session."""
        return 1 if self.scrollable_content_region.width >= ONE_LINE_FROM else 2

    def set_empty(self, lines: Sequence[str]) -> None:
        """Sets what stands in the empty list: what would fill it, and which key does."""
        self._empty = lines
        if not self._rows:
            self.refresh()

    def set_rows(self, rows: Sequence[SessionRow]) -> None:
        """Shows `rows`. The cursor stays on its session; when that is gone, on the one that took its place."""
        old_place = self._places.get(self._cursor or "", 0)
        old_count = len(self._rows)
        old_top = old_place * self.row_height - self.scroll_offset.y
        self._rows = rows
        self._places = {row.id: place for place, row in enumerate(rows)}
        before = self._cursor
        if before not in self._places:
            self._cursor = rows[min(old_place, len(rows) - 1)].id if rows else None
        if len(rows) != old_count:
            self._resize_virtual()
        place = self._places.get(self._cursor or "", 0)
        if before is not None and place != old_place:
            # what came or went above must not move what is being looked at
            self.scroll_to(y=place * self.row_height - old_top, animate=False, force=True)
        self.refresh()
        if self._cursor != before:
            self.post_message(self.Selected(self, self._cursor))

    def select(self, session_id: str) -> None:
        """Puts the cursor on a session that is in the list."""
        if session_id in self._places and session_id != self._cursor:
            self._cursor = session_id
            self._show_cursor()
            self.refresh()
            self.post_message(self.Selected(self, session_id))

    def rename_row(self, old_id: str, new_id: str) -> None:
        """Lets the cursor go along when a session gets its real id; call before `set_rows`."""
        if self._cursor == old_id:
            self._cursor = new_id
        if old_id in self._places:
            self._places[new_id] = self._places[old_id]

    def tick(self) -> None:
        """Paints the rows anew in which an age or the time that is left reads differently now."""
        visible = self._visible()
        ages = [(self._age(row), self._doomed(row)) for row in visible]
        if ages != self._ages:
            for row, before, now in zip(visible, self._ages or ages, ages, strict=False):
                if before != now or len(self._ages) != len(ages):
                    self._refresh_row(row)
            self._ages = ages

    def live_changed(self) -> None:
        """Paints the rows in view anew whose use reads differently now."""
        shown, self._lives = self._lives, {row.id: self._live(row.id) for row in self._visible()}
        for row in self._visible():
            if shown.get(row.id) != self._lives[row.id]:
                self._refresh_row(row)

    def _visible(self) -> Sequence[SessionRow]:
        """Returns the rows that are on the screen."""
        first = self.scroll_offset.y // self.row_height
        return self._rows[first : (self.scroll_offset.y + self.size.height) // self.row_height + 1]

    def _refresh_row(self, row: SessionRow) -> None:
        self.refresh_lines(self._places[row.id] * self.row_height, self.row_height)

    # -- moving --------------------------------------------------------------------------------------------------

    def _move(self, step: int) -> None:
        if not self._rows:
            return
        place = self._places.get(self._cursor or "", 0)
        self.select(self._rows[max(0, min(len(self._rows) - 1, place + step))].id)

    def action_up(self) -> None:
        self._move(-1)

    def action_down(self) -> None:
        self._move(1)

    def action_page(self, direction: int) -> None:
        self._move(direction * max(1, self.size.height // self.row_height - 1))

    def action_first(self) -> None:
        self._move(-len(self._rows))

    def action_last(self) -> None:
        self._move(len(self._rows))

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = (offset.y + self.scroll_offset.y) // self.row_height
        if 0 <= place < len(self._rows):
            self.select(self._rows[place].id)

    def _show_cursor(self) -> None:
        place, height = self._places.get(self._cursor or "", 0), self.row_height
        top = self.scroll_offset.y
        if place * height < top:
            self.scroll_to(y=place * height, animate=False, force=True)
        elif (place + 1) * height > top + self.size.height:
            self.scroll_to(y=(place + 1) * height - self.size.height, animate=False, force=True)

    def _resize_virtual(self) -> None:
        self.virtual_size = Size(self.scrollable_content_region.width, len(self._rows) * self.row_height)

    def on_resize(self) -> None:
        self._resize_virtual()
        self._show_cursor()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    # -- painting --------------------------------------------------------------------------------------------------

    def row_region(self, session_id: str) -> Region | None:
        """Returns where a session is painted, None when it is out of view."""
        place = self._places.get(session_id)
        if place is None:
            return None
        region = Region(0, place * self.row_height - self.scroll_offset.y, self.size.width, self.row_height)
        return region if region.overlaps(Region(0, 0, self.size.width, self.size.height)) else None

    def _style(self, name: str) -> Style:
        style = self._styles.get(name)
        if style is None:
            style = self._styles[name] = self.get_component_rich_style(f"sessions--{name}", partial=True)
        return style

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        if not self._rows:
            text = self._empty[y] if y < len(self._empty) else ""
            return Strip([Segment(fit(" " + text, width), base + self._style("quiet"))], width)
        place, part = divmod(y + self.scroll_offset.y, self.row_height)
        if place >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[place]
        inner = max(1, self.scrollable_content_region.width - 1)
        if self.row_height == 1:
            segments = self._columns(row, inner)
        else:
            segments = self._head(row, inner) if part == 0 else self._foot(row, inner)
        mark = self._glyphs.cursor if row.id == self._cursor else " "
        strip = Strip([Segment(mark, self._style("cursor-mark")), *segments]).adjust_cell_length(width)
        if row.id == self._cursor:
            base = base + self._style("cursor")
        return strip.apply_style(base)

    def _head(self, row: SessionRow, width: int) -> list[Segment]:
        """First of two lines: glyph, name, word, age."""
        glyph, word, style = self._state(row)
        name_width = width - 2 - _WORD_WIDTH - _AGE_WIDTH - 1
        return [
            Segment(glyph + " ", style),
            Segment(fit(one_line(row.name), name_width, ellipsis=self._glyphs.ellipsis), self._style("name")),
            Segment(fit(word, _WORD_WIDTH, right=True), style),
            self._when(row),
        ]

    def _foot(self, row: SessionRow, width: int) -> list[Segment]:
        """Second of two lines: what needs the user, else why it waits, else image and slots."""
        told = self._told(row, width - 2)
        if told is not None:
            return [Segment("  ", None), told]
        return [Segment("  " + self._amounts(row, width - 2), self._style("quiet"))]

    def _columns(self, row: SessionRow, width: int) -> list[Segment]:
        """One line: glyph, word, name, image, slots, age."""
        glyph, word, style = self._state(row)
        name_width = min(24, (width - 24) // 3)
        rest = width - 2 - _WORD_WIDTH - 1 - name_width - 1 - _AGE_WIDTH - 1
        told = self._told(row, rest)
        ellipsis = self._glyphs.ellipsis
        if told is None:
            told = Segment(self._amounts(row, rest), self._style("quiet"))
        return [
            Segment(f"{glyph} {fit(word, _WORD_WIDTH)} ", style),
            Segment(fit(one_line(row.name), name_width, ellipsis=ellipsis) + " ", self._style("name")),
            told,
            self._when(row),
        ]

    def _amounts(self, row: SessionRow, width: int) -> str:
        """Returns the image as far as it has room, what is used, and what was asked for."""
        slots = self._slots(row)
        live = self._live(row.id)
        numbers = f"{live}  {slots}" if live else slots
        image = width - len(numbers) - 2
        if image < _IMAGE_LEAST:
            return fit(numbers, width - 1, right=True) + " "
        return f"{fit(one_line(row.image), image, ellipsis=self._glyphs.ellipsis)} {numbers} "

    def _when(self, row: SessionRow) -> Segment:
        """Returns the age, or the time that is left when that is little."""
        doomed = self._doomed(row)
        text, style = (f"{self._glyphs.left}{doomed}", "near") if doomed else (self._age(row), "quiet")
        return Segment(fit(text, _AGE_WIDTH, right=True) + " ", self._style(style))

    def _doomed(self, row: SessionRow) -> str:
        """Returns the time until an idle check ends it; empty when that is far off or never."""
        remaining = None if row.ends_at_s is None else row.ends_at_s - self._clock()
        return left(remaining) if remaining is not None and idle_level(remaining) else ""

    def _told(self, row: SessionRow, width: int) -> Segment | None:
        alarm = row.alarm
        if not alarm and row.ends_at_s is not None and idle_level(row.ends_at_s - self._clock()) == "soon":
            alarm = f"ends soon: {row.ends_why} {self._glyphs.dot} + keeps it"
        text, style = (alarm, "alarm") if alarm else (row.note, "failed" if row.ended else "quiet")
        if not text:
            return None
        line = text if alarm else f"{self._glyphs.branch} {text}"
        return Segment(fit(one_line(line), width, ellipsis=self._glyphs.ellipsis), self._style(style))

    def _state(self, row: SessionRow) -> tuple[str, str, Style]:
        return (
            status_glyph(self._glyphs, row.status, busy=row.busy, asks=row.asks),
            status_word(row.status, one_line(row.status_text), busy=row.busy, asks=row.asks),
            self._style(status_class(row.status, busy=row.busy, asks=row.asks)),
        )

    def _age(self, row: SessionRow) -> str:
        return "" if row.since_s is None else duration(self._clock() - row.since_s)

    def _slots(self, row: SessionRow) -> str:
        """Returns `▰▰▱▱ 0.50  1c   1G`, cpu and memory in fixed columns at the right."""
        slots = dict(row.slots)
        cpu = f"{count(slots[CPU])}c" if CPU in slots else ""
        mem = size(slots[MEM]) if MEM in slots else ""
        gpu = gpu_amount(slots)
        text = f"{cpu:>3} {mem:>4}"
        if not gpu:
            return text
        lit = min(4, max(1, round(gpu * 4)))
        glyphs = self._glyphs
        return f"{glyphs.share_on * lit}{glyphs.share_off * (4 - lit)} {share(gpu):>4} {text}"
