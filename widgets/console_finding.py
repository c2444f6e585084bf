"""What one looks for in a console: matches of a search, a selection by keys, places in code.

Between `ConsoleRows`, which knows where everything is, and `OutputConsole`, which paints it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from textual.geometry import Offset
from textual.selection import Selection
from textual.timer import Timer

from .console_paint import MediaRows, full_text
from .console_rows import ConsoleMessage, ConsoleRows, ConsoleState, Place
from .console_search import Search
from .console_select import TextCursor, text_between
from .lines import Header, Line, Media, Run
from .locations import Location, code_of_cell, find, source_after
from .transcript import Transcript

_SEARCH_SLICE_S: Final = 0.006


class ConsoleFinding(ConsoleRows):
    """Rows of a transcript in which something is found or chosen."""

    class Found(ConsoleState):
        """The search found more, was begun, went on or ended."""

    class PlaceChosen(ConsoleMessage):
        """A place in code that the output names was clicked, or opened by key."""

        def __init__(self, console: ConsoleFinding, location: Location, number: int) -> None:
            super().__init__(console)
            self.location = location
            self.number = number
            """Of the line that names it."""

    class Selected(ConsoleState):
        """The selection by keys was begun, changed or ended."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        media: MediaRows | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(clock=clock, media=media, id=id, classes=classes)
        self.search: Search | None = None
        self.cursor: TextCursor | None = None
        """The cursor of the selection by keys, while that goes on."""
        self._searching: Timer | None = None
        self._match: tuple[int, int, int] | None = None
        """(number of the line, begin, end) of the match that was gone to."""
        self._origin: Place | None = None
        """Where the search began; None = at the end, which was followed."""
        self._begun = False
        """The pattern is still being written."""
        self._going = False
        """A match is to be gone to when it is known."""
        self._place: tuple[int, Location] | None = None
        """The place in code that was gone to, after the number of its line."""

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

    def begin_search(self) -> None:
        """Notes where the reader is: from there the nearest match is gone to, and back there if nothing comes of it."""
        self._origin = None if self._following else self._anchor
        self._begun = True

    def accept_search(self) -> None:
        """Stays where the search led to."""
        self._begun = False

    def end_search(self) -> None:
        """Forgets the search; who has not accepted it is taken back to where it began."""
        if self._begun:
            self._begun = False
            if self._origin is None:
                self.follow()
            else:
                self._anchor = self._origin
                self._stay()
        self.find("", go=False)

    def find(self, pattern: str, *, regex: bool = False, case: bool | None = None, go: bool = True) -> None:
        """Highlights what a pattern finds, in what is here and what comes; an empty one finds nothing.

        Args:
            case: Whether capitals count; None = only where the pattern has some.
            go: Whether a match is gone to: the newest for who follows, else the first from the top of the view on.
        """
        if not self._begun:
            self._origin = None if self._following else self._anchor
        self.search = Search(self._transcript, pattern, regex=regex, case=case) if pattern else None
        self._match = None
        self._going = go and self.search is not None
        self._forget_strips()
        self.refresh()
        if self.search is not None:
            self.search.advance(_SEARCH_SLICE_S)
            self._go_to_first()
            self._go_on_searching()
        self.post_message(self.Found(self))

    def _go_to_first(self) -> None:
        """Goes to the match that a search is to lead to, once it is known which one that is."""
        if self.search is None or not self._going:
            return
        if self._origin is None:
            if self.search.done:
                self._going = False
                self._go_to_match(self.search.step(self._transcript.end, 0, -1))
            return
        match = self.search.step(self._origin.number, self._origin.char - 1, 1)
        if self.search.done or (match is not None and match[0] >= self._origin.number):
            self._going = False
            self._go_to_match(match)

    def find_next(self, direction: int) -> bool:
        """Goes to the next match, or the last one for -1; returns whether there is one."""
        if self.search is None:
            return False
        self._going = False
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
            self.pause()
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
            self._go_to_first()
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
            self.pause()
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
                self.pause()
                self.reveal(line_number, self._place[1].start)
                self.refresh()
                return True
        return False

    def go_to_code(self, run: Run, row: int) -> None:
        """Goes to a line of the code of a run, which is shown below its line."""
        lines = run.code_lines
        if row < len(lines):
            head = len(full_text(Header(run))) - len("\n".join(lines))
            start = head + sum(len(line) + 1 for line in lines[:row])
            self._place = run.start, Location(start, start + len(lines[row]), "", row)
            self._forget_strips()
            self.pause()
            self.reveal(run.start, start)
            self.refresh()

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
