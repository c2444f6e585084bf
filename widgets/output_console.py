"""Shows a transcript: runs with their output and their state, what is searched, selected and clickable in it.

What keeps the text under the reader in its place is `ConsoleRows`; here is what one sees and does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.cache import LRUCache
from textual.geometry import Offset
from textual.message import Message
from textual.selection import Selection
from textual.strip import Strip
from textual.timer import Timer

from .blocks import ROLES
from .console_paint import STAMP, MediaRows, Painter, Range, full_text, overlay, parts
from .console_rows import ConsoleRows
from .console_search import Search
from .console_select import TextCursor, text_between
from .glyphs import UNICODE, Glyphs
from .lines import Header, Line, Media, Run, Styled
from .locations import Location, code_of_cell, find, source_after
from .transcript import Transcript

_SEARCH_SLICE_S: Final = 0.006
STYLES: Final = (
    *("stderr", "run", "number", "chosen", "ok", "failed", "going", "quiet", "media", "alarm", "error"),
    *("gap", "stamp", "found", "current", "place", "cursor"),
    *(f"rich-{role}" for role in ROLES),
)
"""Ends of the names of the component classes."""


class OutputConsole(ConsoleRows, can_focus=True):
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

    class Found(Message):
        """The search found more, was begun, went on or ended."""

        def __init__(self, console: OutputConsole) -> None:
            super().__init__()
            self.console = console

        @property
        def control(self) -> OutputConsole:
            return self.console

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, OutputConsole.Found) and message.console is self.console

    class PlaceChosen(Message):
        """A place in code that the output names was clicked, or opened by key."""

        def __init__(self, console: OutputConsole, location: Location, number: int) -> None:
            super().__init__()
            self.console = console
            self.location = location
            self.number = number
            """Of the line that names it."""

        @property
        def control(self) -> OutputConsole:
            return self.console

    class MediaChosen(Message):
        """Rich output was clicked where nothing folds."""

        def __init__(self, console: OutputConsole, media: Media) -> None:
            super().__init__()
            self.console = console
            self.media = media

        @property
        def control(self) -> OutputConsole:
            return self.console

    class LinkChosen(Message):
        """A link in the output was clicked: it is to be shown, not opened."""

        def __init__(self, console: OutputConsole, address: str) -> None:
            super().__init__()
            self.console = console
            self.address = address

        @property
        def control(self) -> OutputConsole:
            return self.console

    class Selected(Message):
        """The selection by keys was begun, changed or ended."""

        def __init__(self, console: OutputConsole) -> None:
            super().__init__()
            self.console = console

        @property
        def control(self) -> OutputConsole:
            return self.console

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, OutputConsole.Selected) and message.console is self.console

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
        self.search: Search | None = None
        self.cursor: TextCursor | None = None
        """The cursor of the selection by keys, while that goes on."""
        self._empty = empty
        self._media = media
        self._painter = Painter(self._style, glyphs, clock, media, lambda: self.language)
        self._strips: LRUCache[tuple[int, int], tuple[Line, Strip]] = LRUCache(2048)
        self._component: dict[str, Style] = {}
        self._searching: Timer | None = None
        self._match: tuple[int, int, int] | None = None
        """(number of the line, begin, end) of the match that was gone to."""
        self._place: tuple[int, Location] | None = None
        """The place in code that was gone to, after the number of its line."""
        self._pressed_at: Offset | None = None

    def on_mount(self) -> None:
        if self._media is not None:
            self._media.attach(self, "console--rich-", self._repaint)

    def on_unmount(self) -> None:
        if self._media is not None:
            self._media.close()

    def show(self, transcript: Transcript) -> None:
        if transcript is not self._transcript:
            self.end_selection()
            self._match = self._place = None
            pattern = self.search
            super().show(transcript)
            if pattern is not None:
                self.find(pattern.pattern, regex=pattern.regex, case=pattern.case, go=False)
        else:
            super().show(transcript)

    # -- searching ---------------------------------------------------------------------------------------------

    def find(self, pattern: str, *, regex: bool = False, case: bool | None = None, go: bool = True) -> None:
        """Highlights what a pattern finds, in what is here and what comes; an empty one finds nothing.

        Args:
            case: Whether capitals count; None = only where the pattern has some.
            go: Whether the nearest match above is gone to, or the nearest below where there is none above.
        """
        self.search = Search(self._transcript, pattern, regex=regex, case=case) if pattern else None
        self._match = None
        self._forget_strips()
        self.refresh()
        if self.search is not None:
            self.search.advance(_SEARCH_SLICE_S)
            self._go_on_searching()
            if go:
                number = self._anchor.number if not self._following else self._transcript.end
                self._go_to_match(self.search.nearest(number))
        self.post_message(self.Found(self))

    def find_next(self, direction: int) -> bool:
        """Goes to the next match, or the last one for -1; returns whether there is one."""
        if self.search is None:
            return False
        if self._match is not None:
            number, char = self._match[0], self._match[1]
        elif direction > 0:
            number, char = self.place_at(self.scroll_offset.y)[:2]
            char -= 1
        else:
            number, char = self.place_at(self.scroll_offset.y + self.size.height)[:2]
        self._go_to_match(self.search.step(number, char, direction))
        self.post_message(self.Found(self))
        return self._match is not None

    @property
    def match(self) -> int:
        """Which match was gone to, counted from 1; 0 = none."""
        return 0 if self.search is None or self._match is None else self.search.place(self._match[0], self._match[1])

    def _go_to_match(self, match: tuple[int, int, int] | None) -> None:
        self._match = match
        self._forget_strips()
        if match is not None:
            if self.cursor is not None:
                self.cursor.go(match[0], match[1])
                self._cursor_moved()
            self._following = False
            self.reveal(match[0], match[1])
        self.refresh()

    def _lines_changed(self, number: int) -> None:
        if self.search is not None:
            self.search.changed(number)
            self._go_on_searching()

    def _go_on_searching(self) -> None:
        if self._searching is None and self.search is not None and not self.search.done and self.is_mounted:
            self._searching = self.set_timer(0.02, self._search_on, name="search")

    def _search_on(self) -> None:
        self._searching = None
        if self.search is not None:
            self.search.advance(_SEARCH_SLICE_S)
            self._go_on_searching()
            self.post_message(self.Found(self))

    # -- selecting by keys -------------------------------------------------------------------------------------

    def begin_selection(self, *, by_line: bool | None = None) -> bool:
        """Shows a cursor that keys move, at the bottom of the view; returns False where there is nothing to select.

        Args:
            by_line: Selects from there on, whole lines or characters; None = nothing yet.
        """
        if not self._transcript.lines:
            return False
        if self.cursor is None:
            bottom = min(self.scroll_offset.y + self.scrollable_content_region.height, self._index.rows) - 1
            place = self.place_at(max(0, bottom))
            if self._match is not None and self._shown(self._match[0]):
                place = place._replace(number=self._match[0], char=self._match[1])
            self._following = False
            self.cursor = TextCursor(self._transcript, (place.number, place.char))
        if by_line is not None:
            self.cursor.mark(by_line=by_line)
        self._cursor_moved()
        return True

    def end_selection(self) -> None:
        """Takes the cursor away, and what it selected."""
        if self.cursor is not None:
            self.cursor = None
            self.screen.clear_selection()
            self._forget_strips()
            self.refresh()
            self.post_message(self.Selected(self))

    def move_cursor(self, move: Callable[[TextCursor], object]) -> None:
        """Lets the cursor of the selection move, and shows where it is."""
        if self.cursor is not None:
            move(self.cursor)
            self._cursor_moved()

    def _cursor_moved(self) -> None:
        assert self.cursor is not None
        chosen = self.cursor.range()
        selections = {**self.screen.selections}
        selections.pop(self, None)
        if chosen is not None:
            (first, start), (last, end) = chosen
            selections[self] = Selection(Offset(start, first), Offset(end, last))
        self.screen.selections = selections
        self._forget_strips()
        self.reveal(*self.cursor.spot)
        self.refresh()
        self.post_message(self.Selected(self))

    def _shown(self, number: int) -> bool:
        row = self._index.row_of(number) - self.scroll_offset.y
        return not self._index.hidden(number) and 0 <= row < self.size.height

    def selected_text(self) -> str:
        """Returns what is selected, by keys or with the mouse; empty = nothing."""
        selection = self.text_selection
        found = None if selection is None else self.get_selection(selection)
        return "" if found is None else found[0]

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """Returns the selected text; rows that one line was wrapped into are one line again."""
        start, end = selection
        first = (self._transcript.first, 0) if start is None else (start.y, start.x)
        return text_between(self._transcript, first, None if end is None else (end.y, end.x)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self._forget_strips()
        self.refresh()

    # -- places in code ----------------------------------------------------------------------------------------

    def step_place(self, direction: int) -> bool:
        """Goes to the next place in code that the output names, or the last one for -1; returns whether there is."""
        store = self._transcript.store
        if self._place is not None and self._shown(self._place[0]):
            number, char = self._place[0], self._place[1].start
        else:
            row = self.scroll_offset.y + (0 if direction > 0 else self.scrollable_content_region.height)
            number, char = self.place_at(row).number, -1
        index = store.index(number)
        for at in range(index, len(store.lines)) if direction > 0 else range(min(index, len(store.lines) - 1), -1, -1):
            line_number = store.number(at)
            found = self._locations(store.lines[at])
            if line_number == number:
                found = [place for place in found if (place.start > char if direction > 0 else place.start < char)]
            if found:
                self._place = line_number, found[0 if direction > 0 else -1]
                self._forget_strips()
                self._following = False
                self.reveal(line_number, self._place[1].start)
                self.refresh()
                return True
        return False

    def open_place(self) -> bool:
        """Opens the place that was gone to; returns whether there is one on the screen."""
        if self._place is None or not self._shown(self._place[0]):
            return False
        self.post_message(self.PlaceChosen(self, self._place[1], self._place[0]))
        return True

    def cell_of(self, location: Location, number: int) -> Run | None:
        """Returns the run whose code a place is in that the line with this number names; None = not known."""
        transcript = self._transcript
        run = transcript.run_at(number)
        if location.cell is None or run is None:
            return None
        index = transcript.store.index(number)
        after = [full_text(line) for line in transcript.lines[index + 1 : index + 13]]
        runs = [other for other in transcript.runs if other.start <= run.start]
        at = code_of_cell(location.cell, location.row, source_after(after, location.row), [one.code for one in runs])
        return None if at is None else runs[at]

    @staticmethod
    def _locations(line: Line) -> list[Location]:
        return [] if isinstance(line, Header | Media) else find(full_text(line))

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
            if row == 0 and self._empty:
                width = self._row_width
                return Strip([Segment(self._empty, self._style("quiet"))]).adjust_cell_length(width).apply_style(base)
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
                shown = self._painter.run(line.run, after - first - 1, width, chosen=line.run is self._chosen)
            else:
                shown = [Segment("    "), *self._painter.code(line.run, part - 1, self._index.row_width)]
            shown = overlay(
                shown, self._marks(line, number, start, end, whole=part == 0), start if part == 0 else start - 4
            )
            return Strip(shown).crop(0, width).apply_offsets(start if part == 0 else start - 4, number)
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
