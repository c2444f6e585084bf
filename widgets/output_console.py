"""Shows a transcript: runs with their output and their state, what is searched, selected and clickable in it.

What keeps the text under the reader in its place is `ConsoleRows`; here is what one sees and does.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Offset
from textual.strip import Strip

from .blocks import ROLES
from .console_finding import ConsoleFinding
from .console_paint import STAMP, MediaRows, Painter, Range, overlay, parts
from .console_rows import ConsoleMessage
from .glyphs import UNICODE, Glyphs
from .lines import Header, Line, Media, Styled
from .wrap_index import CODE_INDENT

STYLES: Final = (
    *("stderr", "run", "number", "chosen", "ok", "failed", "going", "quiet", "media", "alarm", "error"),
    *("gap", "stamp", "found", "current", "place", "cursor"),
    *(f"rich-{role}" for role in ROLES),
)
"""Ends of the names of the component classes."""


class OutputConsole(ConsoleFinding, can_focus=True):
    """A pane of output.

    | Component class | What |
    | --- | --- |
    | `console--stderr` | text of the error stream that has no colour of its own |
    | `console--run` | the line that begins a run |
    | `console--number`, `console--chosen` | its number and time; of the run that keys act on |
    | `console--ok`, `console--failed`, `console--going` | its end |
    | `console--quiet`, `console--media`, `console--alarm`, `console--error` | lines of ours |
    | `console--gap` | what stands for lines that were left out |
    | `console--stamp` | the time before a line |
    | `console--found`, `console--current` | matches of the search, and the one that was gone to |
    | `console--place` | what names a place in code |
    | `console--cursor` | the cursor of the selection by keys |
    | `console--rich-...` | code and rich output, for each role of `blocks.ROLES` |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"console--{name}" for name in STYLES}
    DEFAULT_CSS: ClassVar[str] = """
    OutputConsole > .console--place { text-style: underline; }
    OutputConsole > .console--found { text-style: reverse; }
    OutputConsole > .console--current { text-style: bold reverse; }
    OutputConsole > .console--cursor { text-style: reverse; }
    """

    class MediaChosen(ConsoleMessage):
        """Rich output was clicked where nothing folds."""

        def __init__(self, console: OutputConsole, media: Media) -> None:
            super().__init__(console)
            self.media = media

    class LinkChosen(ConsoleMessage):
        """A link in the output was clicked: it is to be shown, not opened."""

        def __init__(self, console: OutputConsole, address: str) -> None:
            super().__init__(console)
            self.address = address

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs = UNICODE,
        empty: str = "",
        media: MediaRows | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(clock=clock, media=media, id=id, classes=classes)
        self.language = ""
        """The language of the code that is run here, as Pygments calls it; empty = not known."""
        self._empty: Sequence[str] = empty.splitlines()
        self._media = media
        self._painter = Painter(self._style, glyphs, clock, media, lambda: self.language)
        self._strips: LRUCache[tuple[int, int], tuple[Line, Strip]] = LRUCache(2048)
        self._component: dict[str, Style] = {}
        self._pressed_at: Offset | None = None

    def on_mount(self) -> None:
        if self._media is not None:
            self._media.attach(self, "console--rich-", self._repaint)

    def set_empty(self, lines: Sequence[str]) -> None:
        """Sets what stands there while nothing was said; a line that is too long is cut."""
        if list(lines) != list(self._empty):
            self._empty = lines
            if not self._index.rows:
                self.refresh()

    def on_unmount(self) -> None:
        if self._media is not None:
            self._media.close()

    # -- the mouse ---------------------------------------------------------------------------------------------

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self._pressed_at = event.screen_offset

    def on_click(self, event: events.Click) -> None:
        # the end of a drag is none
        if event.screen_offset != self._pressed_at or event.chain > 1:
            return
        place = event.style.meta.get("offset")
        line = None if place is None else self._transcript.line(place[1])
        if place is None or line is None:
            return
        number = place[1]
        if isinstance(line, Header):
            event.stop()
            self.choose(line.run)
            self.fold(line.run, not line.run.folded)
            return
        if isinstance(line, Media):
            part = self._index.locate(self.scroll_offset.y + event.get_content_offset_capture(self).y)[1]
            event.stop()
            if self._media is not None and self._media.toggle(line, self._index.row_width, part):
                self.recount(number)
            else:
                self.post_message(self.MediaChosen(self, line))
            return
        _, offset = self.screen.get_widget_and_offset_at(event.screen_x, event.screen_y)
        char = -1 if offset is None or offset.y != number else offset.x
        for location in self._locations(line):
            if location.start <= char < location.end:
                event.stop()
                self._place = number, location
                self.post_message(self.PlaceChosen(self, location, number))
                return
        if isinstance(line, Styled):
            for start, end, style in line.spans:
                if style.link and start <= char < end:
                    event.stop()
                    self.post_message(self.LinkChosen(self, style.link))
                    return

    # -- painting ----------------------------------------------------------------------------------------------

    def _repaint(self) -> None:
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._component.clear()
        self._forget_strips()
        if self._media is not None:
            self._media.forget_styles()

    def _forget_strips(self) -> None:
        self._strips.clear()

    def _style(self, name: str) -> Style:
        style = self._component.get(name)
        if style is None:
            style = self._component[name] = self.get_component_rich_style(f"console--{name}", partial=True)
        return style

    def render_line(self, y: int) -> Strip:
        row, base = self.scroll_offset.y + y, self.rich_style
        if not 0 <= row < self._index.rows:
            if not self._index.rows and 0 <= row < len(self._empty):
                said = Segment(self._empty[row], self._style("quiet"))
                return Strip([said]).adjust_cell_length(self._row_width).apply_style(base)
            return Strip.blank(self.size.width, base)
        number, part = self._index.locate(row)
        line = self._transcript.line(number)
        if line is None:
            return Strip.blank(self.size.width, base)
        lasting = not isinstance(line, Header | Media)
        cached = self._strips.get((number, part)) if lasting else None
        if cached is not None and cached[0] is line:
            strip = cached[1]
        else:
            strip = self._row(line, number, part).apply_style(base)
            if lasting:
                self._strips[number, part] = (line, strip)
        if not self._wrap and lasting:
            strip = self._scrolled(strip)
        return strip.extend_cell_length(self.size.width, base)

    def _scrolled(self, strip: Strip) -> Strip:
        """Returns what is to be seen of a line that is not wrapped; the time before it stays."""
        stamp = STAMP if self._stamps else 0
        left = self.scroll_offset.x
        shown = strip.crop(stamp + left, left + self._row_width)
        return Strip.join([strip.crop(0, stamp), shown]) if stamp else shown

    def _row(self, line: Line, number: int, part: int) -> Strip:
        """Returns a row with everything on it, which knows of each character where it is from."""
        width = self._row_width
        rows = parts(line, self._index.width)
        if isinstance(line, Media):
            drawn = self._painter.media(line, self._index.row_width, part)
            start, end = rows[0]
            shown = list(drawn) if drawn is not None else self._painter.text(line, start, end)
            strip = self._stamped(shown, number, part)
            # measured while it is known which segments are no text, but pixels
            return Strip(strip, strip.cell_length).apply_offsets(0, number)
        start, end = rows[min(part, len(rows) - 1)]
        if isinstance(line, Header):
            first, after = self._transcript.span(line.run)
            if part == 0:
                shown, begin = (
                    self._painter.run(line.run, after - first - 1, width, chosen=line.run is self._chosen),
                    start,
                )
            else:
                code = self._painter.code(line.run, part - 1, self._index.row_width)
                shown, begin = [Segment(" " * CODE_INDENT), *code], start - CODE_INDENT
            shown = overlay(shown, self._marks(line, number, start, end, whole=part == 0), begin)
            return Strip(shown).crop(0, width).apply_offsets(begin, number)
        shown = self._painter.text(line, start, end)
        if self.cursor is not None and self.cursor.spot == (number, end) == (number, start):
            shown = [Segment(" ")]
        shown = overlay(shown, self._marks(line, number, start, end), start)
        strip = self._stamped(shown, number, part)
        return strip.apply_offsets(start - (STAMP if self._stamps else 0), number)

    def _stamped(self, segments: list[Segment], number: int, part: int) -> Strip:
        if self._stamps:
            return Strip([self._painter.stamp(self._transcript.time_of(number), part == 0), *segments])
        return Strip(segments)

    def _marks(self, line: Line, number: int, start: int, end: int, *, whole: bool = False) -> list[Range]:
        """Returns what is to be seen on the characters of a row besides their own styles."""
        marks: list[Range] = []
        for place in self._locations(line):
            chosen = self._place is not None and self._place == (number, place)
            marks.append((place.start, place.end, self._style("current" if chosen else "place")))
        if isinstance(line, Header) and not whole and self._place is not None and self._place[0] == number:
            marks.append((self._place[1].start, self._place[1].end, self._style("current")))
        if self.search is not None and not isinstance(line, Header):
            for left, right in self.search.spans(line):
                current = self._match is not None and self._match[:2] == (number, left)
                marks.append((left, right, self._style("current" if current else "found")))
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(number)) is not None:
            left, right = max(0, span[0]), span[1] if span[1] != -1 else 1 << 30
            # of the line of a run not the characters on the screen are copied, so all of it or nothing is
            if whole:
                left, right = (0, 1 << 30) if left <= end else (0, 0)
            marks.append((left, right, self.screen.get_component_rich_style("screen--selection")))
        if self.cursor is not None and self.cursor.spot[0] == number:
            at = self.cursor.spot[1]
            marks.append((at, max(at + 1, end) if whole else at + 1, self._style("cursor")))
        return [mark for mark in marks if mark[0] < (1 << 30 if whole else max(end, start + 1)) and mark[1] > start]
