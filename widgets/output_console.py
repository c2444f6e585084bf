"""Shows a transcript: wrapped lines, runs with their state, follow mode that never moves what is being read.

Line API with a cache of strips: only rows on the screen are ever rendered.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import ClassVar

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from .ansi import Sgr
from .glyphs import UNICODE, Glyphs
from .text import fit, one_line, took
from .transcript import Header, Line, Note, Run, RunState, Styled, Transcript
from .wrap_index import WrapIndex, cuts, text_of


@lru_cache(maxsize=4096)
def rich_style(style: Sgr) -> Style:
    """Returns the Rich style of an interpreted one, without the default colour of the error stream."""

    def colour(value: int | tuple[int, int, int] | None) -> Color | None:
        if value is None:
            return None
        return Color.from_ansi(value) if isinstance(value, int) else Color.from_rgb(*value)

    return Style(
        color=colour(style.fg),
        bgcolor=colour(style.bg),
        bold=style.bold or None,
        dim=style.dim or None,
        italic=style.italic or None,
        underline=style.underline or None,
        reverse=style.reverse or None,
        strike=style.strike or None,
    )


class OutputConsole(ScrollView, can_focus=True):
    """A pane of output.

    | Component class | What |
    | --- | --- |
    | `console--stderr` | text of the error stream that has no colour of its own |
    | `console--run` | the line that begins a run |
    | `console--number` | its number and time |
    | `console--ok`, `console--failed`, `console--going` | its end |
    | `console--quiet`, `console--media`, `console--alarm`, `console--error` | lines of ours |
    """

    ALLOW_SELECT = True
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "console--stderr",
        "console--run",
        "console--number",
        "console--ok",
        "console--failed",
        "console--going",
        "console--quiet",
        "console--media",
        "console--alarm",
        "console--error",
    }
    DEFAULT_CSS = """
    OutputConsole { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    """

    class FollowChanged(Message):
        """Whether new output scrolls into view changed, or how much of it was not seen."""

        def __init__(self, console: OutputConsole, following: bool, unseen: int) -> None:
            super().__init__()
            self.console = console
            self.following = following
            self.unseen = unseen
            """Lines below the view since it was left."""

        @property
        def control(self) -> OutputConsole:
            return self.console

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs = UNICODE,
        empty: str = "",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._empty = empty
        self._transcript = Transcript()
        self._index = WrapIndex()
        self._first = 0
        self._following = True
        self._seen_end = 0
        self._moving = False
        self._clock = clock
        self._glyphs = glyphs
        self._strips: LRUCache[tuple[int, int], tuple[Line, Strip]] = LRUCache(2048)
        self._component: dict[str, Style] = {}
        self._reading: dict[int, tuple[bool, int]] = {}

    @property
    def transcript(self) -> Transcript:
        """What is shown."""
        return self._transcript

    @property
    def following(self) -> bool:
        """Whether new output scrolls into view."""
        return self._following

    def show(self, transcript: Transcript) -> None:
        """Shows another transcript, where it was left when it was shown before."""
        if transcript is self._transcript:
            self.sync()
            return
        if not self._following:
            self._reading[id(self._transcript)] = (False, self._first_line())
        else:
            self._reading.pop(id(self._transcript), None)
        self._transcript = transcript
        _, line = self._reading.get(id(transcript), (True, 0))
        self._following = id(transcript) not in self._reading
        self._seen_end = transcript.end
        self._strips.clear()
        self._rebuild()
        self._scroll(self.max_scroll_y if self._following else self._index.row_of(max(0, line - self._first)))
        self.refresh()
        self._tell()

    def sync(self) -> None:
        """Paints what changed in the transcript since the last call."""
        transcript = self._transcript
        changed = transcript.take_changes()
        if changed is None:
            return
        if transcript.first != self._first:
            self._keep_place(self._rebuild)
            self.refresh()
        else:
            before = self._index.rows
            first_row = self._index.row_of(changed - self._first)
            self._index.update(transcript.lines, changed - self._first)
            if self._index.rows != before:
                self._resize_virtual()
            self._refresh_rows(first_row)
        if self._following:
            self._scroll(self.max_scroll_y)
            self._seen_end = transcript.end
        else:
            self._tell()

    def follow(self) -> None:
        """Goes to the end and stays there."""
        self._following = True
        self._seen_end = self._transcript.end
        self._scroll(self.max_scroll_y)
        self._tell()

    def tick(self) -> None:
        """Paints the line of the run that is going on, for its clock."""
        run = self._transcript.current
        if run is None:
            return
        for offset in range(self.size.height):
            line, _ = self._at(self.scroll_offset.y + offset)
            if isinstance(line, Header) and line.run is run:
                self.refresh(Region(0, offset, self.size.width, 1))

    # -- scrolling ---------------------------------------------------------------------------------------------

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if self._moving or round(old_value) == round(new_value):
            return
        at_end = round(new_value) >= self.max_scroll_y
        if at_end != self._following and (at_end or new_value < old_value):
            self._following = at_end
            self._seen_end = self._transcript.end
            self._tell()

    def on_resize(self) -> None:
        self._strips.clear()
        self._keep_place(self._rebuild)
        if self._following:
            self._scroll(self.max_scroll_y)

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()
        self._component.clear()

    def _tell(self) -> None:
        self.post_message(self.FollowChanged(self, self._following, max(0, self._transcript.end - self._seen_end)))

    def _scroll(self, row: int) -> None:
        self._moving = True
        try:
            self.scroll_to(y=row, animate=False, force=True)
        finally:
            self._moving = False

    def _first_line(self) -> int:
        """Returns the absolute number of the line at the top of the view."""
        row = self.scroll_offset.y
        return self._first + self._index.locate(row)[0] if row < self._index.rows else self._transcript.end

    def _keep_place(self, change: Callable[[], None]) -> None:
        """Changes the rows so that the line at the top of the view stays there."""
        line = self._first_line()
        change()
        if not self._following:
            self._scroll(self._index.row_of(max(0, line - self._first)))

    def _rebuild(self) -> None:
        self._transcript.take_changes()
        self._first = self._transcript.first
        self._index.rebuild(self._transcript.lines, self._width)
        self._resize_virtual()

    @property
    def _width(self) -> int:
        return max(1, self.scrollable_content_region.width)

    def _resize_virtual(self) -> None:
        self.virtual_size = Size(self._width, self._index.rows)

    def _refresh_rows(self, first_row: int) -> None:
        top = max(0, first_row - self.scroll_offset.y)
        if top < self.size.height:
            self.refresh(Region(0, top, self.size.width, self.size.height - top))

    # -- painting ----------------------------------------------------------------------------------------------

    def _at(self, row: int) -> tuple[Line | None, int]:
        if not 0 <= row < self._index.rows:
            return None, 0
        line, part = self._index.locate(row)
        return (self._transcript.lines[line], part) if line < len(self._transcript.lines) else (None, 0)

    def _style(self, name: str) -> Style:
        style = self._component.get(name)
        if style is None:
            style = self._component[name] = self.get_component_rich_style(f"console--{name}", partial=True)
        return style

    def render_line(self, y: int) -> Strip:
        width, row = self._width, self.scroll_offset.y + y
        if width != self._index.width:
            # painted before the resize event was handled
            self._strips.clear()
            self._index.rebuild(self._transcript.lines, width)
        line, part = self._at(row)
        base = self.rich_style
        if line is None:
            if row == 0 and self._empty:
                return Strip([Segment(self._empty, self._style("quiet"))]).adjust_cell_length(width).apply_style(base)
            return Strip.blank(self.size.width, base)
        selection = self.text_selection
        key = (row, part)
        cached = self._strips.get(key)
        if cached is not None and cached[0] is line and selection is None and not isinstance(line, Header):
            return cached[1]
        strip = self._render_run(line.run, width) if isinstance(line, Header) else self._render_text(line, part, width)
        if selection is not None and (span := selection.get_span(row)) is not None:
            strip = self._selected(strip, span)
        strip = strip.apply_style(base).extend_cell_length(self.size.width, base).apply_offsets(0, row)
        if selection is None:
            self._strips[key] = (line, strip)
        return strip

    def _selected(self, strip: Strip, span: tuple[int, int]) -> Strip:
        start, end = span
        length = strip.cell_length
        end = length if end == -1 else min(end, length)
        if start >= end:
            return strip
        style = self.screen.get_component_rich_style("screen--selection")
        before, middle, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end, length)
        chosen = Strip([Segment(text, (own or Style()) + style) for text, own, _ in middle], middle.cell_length)
        return Strip.join([before, chosen, after])

    def _render_text(self, line: Line, part: int, width: int) -> Strip:
        text = text_of(line) or ""
        parts = cuts(text, width)
        start, end = parts[min(part, len(parts) - 1)]
        if isinstance(line, Note):
            return Strip([Segment(one_line(text[start:end]), self._style(line.kind))])
        if not isinstance(line, Styled):
            return Strip([Segment(one_line(text[start:end]))])
        segments = []
        for span_start, span_end, style in line.spans:
            left, right = max(start, span_start), min(end, span_end)
            if left < right:
                shown = rich_style(style)
                if style.error:
                    shown = self._style("stderr") + shown
                segments.append(Segment(one_line(text[left:right]), shown))
        return Strip(segments)

    def _render_run(self, run: Run, width: int) -> Strip:
        started = time.strftime("%H:%M:%S", time.localtime(run.started_s))
        left = f"[{run.number}] {started}  "
        mark, kind = self._mark(run)
        elapsed = took((run.ended_s if run.ended_s is not None else self._clock()) - run.started_s)
        right = f"{mark}  {elapsed}"
        room = width - cell_len(left) - cell_len(right) - 2
        title = fit(one_line(run.title), room, ellipsis=self._glyphs.ellipsis) if room > 0 else ""
        segments = [
            Segment(left, self._style("number")),
            Segment(title, self._style("run")),
            Segment("  ", self._style("run")),
            Segment(right, self._style(kind)),
        ]
        return Strip(segments).crop(0, width)

    def _mark(self, run: Run) -> tuple[str, str]:
        glyphs = self._glyphs
        if run.going:
            if run.note:
                return f"{glyphs.preparing} {run.note}", "going"
            if run.waiting:
                return f"{glyphs.asks} asks", "alarm"
            frame = int((self._clock() - run.started_s) * 8) % len(glyphs.spinner)
            return glyphs.spinner[frame], "going"
        if run.state is RunState.OK:
            return glyphs.ok, "ok"
        if run.state is RunState.INTERRUPTED:
            return f"{glyphs.failed} interrupted", "failed"
        if run.state is RunState.ENDED:
            return f"{glyphs.failed} session ended", "failed"
        if run.state is RunState.LOST:
            return f"{glyphs.asks} lost", "failed"
        code = "" if run.exit_code is None else f" exit {run.exit_code}"
        return f"{glyphs.failed}{code}", "failed"

    # -- copying -----------------------------------------------------------------------------------------------

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Returns the selected text; rows that one line was wrapped into are joined by line ends as shown."""
        last = self._index.rows if selection.end is None else min(self._index.rows, selection.end.y + 1)
        rows = []
        for row in range(last):
            line, part = self._at(row)
            if isinstance(line, Header):
                rows.append(f"[{line.run.number}] {line.run.title}")
            elif line is not None:
                text = text_of(line) or ""
                parts = cuts(text, self._width)
                start, end = parts[min(part, len(parts) - 1)]
                rows.append(text[start:end])
        return selection.extract("\n".join(rows)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self._strips.clear()
        self.refresh()
