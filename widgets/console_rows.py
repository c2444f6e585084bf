"""Where a console stands in its transcript: which rows there are, and which line stays under the reader.

The base of `OutputConsole`: everything about scrolling and folding, nothing about painting. Line API: only rows on the
screen are ever rendered.
"""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Collection
from typing import ClassVar, Final, NamedTuple
from weakref import WeakKeyDictionary

from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ._textual_private import set_virtual_size
from .console_paint import STAMP, MediaRows, parts
from .lines import Header, Media
from .transcript import Run, Transcript
from .wrap_index import WrapIndex, one_row

HELD: Final = 300
"""Lines around the view that are left out last while somebody reads there."""


class Place(NamedTuple):
    """A place in a transcript that is found again whatever happens around it."""

    number: int
    """Of the line."""
    char: int = 0
    part: int = 0
    """Row within the line, where that is rich output."""


class ConsoleMessage(Message):
    """What a console tells of itself."""

    def __init__(self, console: ConsoleRows) -> None:
        super().__init__()
        self.console = console

    @property
    def control(self) -> ConsoleRows:
        return self.console


class ConsoleState(ConsoleMessage):
    """What a console tells of itself, the newest of which says it all."""

    def can_replace(self, message: Message) -> bool:
        return type(message) is type(self) and message.control is self.console


class ConsoleRows(ScrollView):
    """Rows of a transcript."""

    ALLOW_SELECT = True
    DEFAULT_CSS: ClassVar[str] = """
    ConsoleRows { overflow-x: hidden; overflow-y: auto; scrollbar-size: 1 1; scrollbar-gutter: stable; }
    ConsoleRows.-unwrapped { overflow-x: auto; }
    """

    class FollowChanged(ConsoleState):
        """Whether new output scrolls into view changed, or how much of it was not seen."""

        def __init__(self, console: ConsoleRows, following: bool, unseen: int) -> None:
            super().__init__(console)
            self.following = following
            self.unseen = unseen
            """Lines that came since the end was left, and were not looked at."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.time,
        media: MediaRows | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._clock = clock
        self._transcript = Transcript()
        self._index = WrapIndex(one_row if media is None else media.height)
        self._wrap = True
        self._stamps = False
        self._following = True
        self._seen_end = 0
        self._moving = False
        self._anchor = Place(0)
        self._chosen: Run | None = None
        self._left: WeakKeyDictionary[Transcript, Place] = WeakKeyDictionary()
        """Where those were left that are not shown, if they were not followed."""

    # -- what is shown -----------------------------------------------------------------------------------------

    @property
    def transcript(self) -> Transcript:
        """What is shown."""
        return self._transcript

    @property
    def following(self) -> bool:
        """Whether new output scrolls into view."""
        return self._following

    @property
    def unseen(self) -> int:
        """Lines that came since the view was left; 0 while it follows."""
        return 0 if self._following else max(0, self._transcript.end - self._seen_end)

    @property
    def wrap(self) -> bool:
        """Whether long lines go on in the next row."""
        return self._wrap

    @property
    def stamps(self) -> bool:
        """Whether the time at which each line came stands before it."""
        return self._stamps

    def show(self, transcript: Transcript) -> None:
        """Shows another transcript, where it was left when it was shown before."""
        if transcript is self._transcript:
            self.sync()
            return
        if self._following:
            self._left.pop(self._transcript, None)
        else:
            self._left[self._transcript] = self._anchor
        self._transcript = transcript
        place = self._left.get(transcript)
        self._following = place is None
        self._anchor = place or Place(transcript.first)
        self._seen_end = transcript.end
        self._chosen = None
        self._lay_out()
        self._tell()

    def sync(self) -> None:
        """Paints what changed in the transcript since the last call."""
        transcript = self._transcript
        broken = transcript.store.version != self._index.version
        changed, touched = transcript.take_changes()
        if touched:
            # the line of a run stands above what it wrote last
            self._forget_strips()
            self.refresh()
        if changed is None and not broken:
            return
        rows = self._index.rows
        first_row = 0 if changed is None or broken else self._index.row_of(changed)
        self._index.update(transcript, changed)
        if changed is not None:
            self._lines_changed(changed)
        if self._index.rows != rows or not self._wrap:
            self._resize_virtual()
        if self._following:
            self._seen_end = transcript.end
        self._stay()
        self._refresh_rows(min(first_row, self._index.rows - 1))
        if not self._following:
            self._tell()

    def tick(self) -> None:
        """Paints the line of the run that is going on, for its clock."""
        run = self._transcript.current
        if run is not None and run.start >= self._transcript.first:
            offset = self._index.row_of(run.start) - self.scroll_offset.y
            if 0 <= offset < self.size.height:
                self.refresh(Region(0, offset, self.size.width, 1))

    # -- following and scrolling -------------------------------------------------------------------------------

    def follow(self) -> None:
        """Goes to the end and stays there."""
        self._following = True
        self._seen_end = self._transcript.end
        self._transcript.held = None
        self._scroll(self.max_scroll_y)
        self._tell()

    def pause(self) -> None:
        """Stays where it is, whatever comes."""
        if self._following:
            self._following = False
            self._seen_end = self._transcript.end
            self._remember_place()
            self._tell()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        # what is cut off by a larger screen is no movement of the reader's
        if self._moving or round(old_value) == round(new_value) or round(old_value) > self.max_scroll_y:
            return
        at_end = round(new_value) >= self.max_scroll_y
        if at_end != self._following and (at_end or new_value < old_value):
            self._following = at_end
            self._seen_end = self._transcript.end
        self._remember_place()
        self._tell()

    def reveal(self, number: int, char: int = 0, *, top: bool = False) -> None:
        """Scrolls so that a character is to be seen, unfolding its run; at the top of the view if asked."""
        run = self._transcript.run_at(number)
        if run is not None and run.folded and number > run.start:
            self.fold(run, False)
        row = self.row_at(Place(number, char))
        height = max(1, self.scrollable_content_region.height)
        above, below = self.scroll_offset.y, self.scroll_offset.y + height
        if top:
            self._go(row)
        elif not above <= row < below:
            # a step beyond an edge moves the view by as little; a leap puts the place into its middle
            near = row - above if row < above else row - below + 1
            self._go(above + near if abs(near) <= 2 else row - height // 2)

    def row_at(self, place: Place) -> int:
        """Returns the row of a place; of one that is folded away, that of its run's line."""
        number = place.number
        if self._index.hidden(number):
            run = self._transcript.run_at(number)
            number = run.start if run is not None else number
        row = self._index.row_of(number)
        line = self._transcript.line(number)
        if line is None or number != place.number:
            return row
        if isinstance(line, Media):
            return row + min(place.part, self._index.height_of(line) - 1)
        if not place.char:
            return row
        starts = [start for start, _ in parts(line, self._index.width)]
        return row + max(0, bisect_right(starts, place.char) - 1)

    def place_at(self, row: int) -> Place:
        """Returns the place at the beginning of a row; the end for a row that there is not."""
        if not 0 <= row < self._index.rows:
            return Place(self._transcript.end)
        number, part = self._index.locate(row)
        line = self._transcript.line(number)
        if line is None or not part or isinstance(line, Media):
            return Place(number, 0, part)
        starts = parts(line, self._index.width)
        return Place(number, starts[min(part, len(starts) - 1)][0], part)

    def _go(self, row: int) -> None:
        """Scrolls as the reader would."""
        row = max(0, min(row, self.max_scroll_y))
        if self._following:
            self._seen_end = self._transcript.end
        self._following = row >= self.max_scroll_y and self._following
        self._scroll(row)
        self._remember_place()
        self._tell()

    def _stay(self) -> None:
        """Scrolls to where the view is to be after rows changed: the end, or the line that was at its top."""
        self._scroll(self.max_scroll_y if self._following else self.row_at(self._anchor))

    def _remember_place(self) -> None:
        self._anchor = self.place_at(self.scroll_offset.y)
        bottom = self.place_at(min(self.scroll_offset.y + self.size.height, self._index.rows) - 1).number
        self._seen_end = max(self._seen_end, bottom + 1)
        self._transcript.held = None if self._following else (self._anchor.number - HELD, bottom + HELD)

    def _scroll(self, row: int) -> None:
        self._moving = True
        try:
            self.scroll_to(y=row, animate=False, force=True)
        finally:
            self._moving = False

    def _tell(self) -> None:
        self.post_message(self.FollowChanged(self, self._following, self.unseen))

    # -- runs --------------------------------------------------------------------------------------------------

    @property
    def run(self) -> Run | None:
        """The run that keys act on: the one that was gone to, else the newest, or the one that is read."""
        runs = self._transcript.runs
        if self._chosen is not None and self._chosen in runs:
            return self._chosen
        if self._following:
            return runs[-1] if runs else None
        return self._transcript.run_at(self._anchor.number) or (runs[0] if runs else None)

    def choose(self, run: Run | None) -> None:
        """Makes keys act on a run; None = on the newest one, or the one that is read."""
        if run is not self._chosen:
            self._chosen = run
            self._forget_strips()
            self.refresh()

    def step_run(self, step: int) -> Run | None:
        """Goes so many runs on; returns where that led, None where there are no runs."""
        runs = self._transcript.runs
        at = self.run
        if at is None:
            return None
        place = runs.index(at)
        if self._chosen is None and not self._following and step < 0 and self._anchor.number > at.start:
            # first to the beginning of the one that is read
            step += 1
        run = runs[max(0, min(place + step, len(runs) - 1))]
        self.choose(run)
        self.pause()
        self.reveal(run.start, top=True)
        return run

    def fold(self, run: Run, folded: bool) -> None:
        """Puts the output of a run away, or shows it again."""
        self._refold([run], folded)

    def fold_all(self, folded: bool) -> None:
        """Puts the output of all runs away but of the one that goes on, or shows it again."""
        self._refold([run for run in self._transcript.runs if not (folded and run.going)], folded)

    def show_code(self, run: Run, shown: bool) -> None:
        """Shows the whole code of a run below its line, or only its first line."""
        if run.code_shown != shown:
            run.code_shown = shown
            self._recount([run])

    def recount(self, number: int) -> None:
        """Takes that a line may have another height now; the view stays where it is."""
        self._index.forget(number, number)
        self._index.update(self._transcript, None)
        self._forget_strips()
        self._resize_virtual()
        self._stay()
        self.refresh()

    def _refold(self, runs: Collection[Run], folded: bool) -> None:
        changed = [run for run in runs if run.folded != folded]
        for run in changed:
            run.folded = folded
        if changed:
            self._recount(changed)

    def _recount(self, runs: Collection[Run]) -> None:
        """Counts the rows of runs anew; the line of a single one stays where it is on the screen."""
        only = next(iter(runs)) if len(runs) == 1 else None
        was = None if only is None else self._index.row_of(only.start) - self.scroll_offset.y
        for run in runs:
            self._index.forget(*self._transcript.span(run))
        self._index.update(self._transcript, None)
        self._forget_strips()
        self._resize_virtual()
        if only is not None and was is not None and 0 <= was < self.size.height:
            self._scroll(self._index.row_of(only.start) - was)
            self._following = self._following and self.scroll_offset.y >= self.max_scroll_y
            self._remember_place()
        else:
            self._stay()
        self.refresh()
        self._tell()

    def media(self) -> list[Media]:
        """Returns all rich output that is here, the oldest first."""
        return [line for line in self._transcript.lines if isinstance(line, Media)]

    def media_in_view(self) -> Media | None:
        """Returns the lowest rich output on the screen; where there is none, the newest of all."""
        for row in range(self.scroll_offset.y + self.size.height - 1, self.scroll_offset.y - 1, -1):
            if 0 <= row < self._index.rows:
                line = self._transcript.line(self._index.locate(row)[0])
                if isinstance(line, Media):
                    return line
        return next((line for line in reversed(self._transcript.lines) if isinstance(line, Media)), None)

    # -- layout ------------------------------------------------------------------------------------------------

    def set_wrap(self, wrap: bool) -> None:
        """Lets long lines go on in the next row, or go on to the right."""
        self._wrap = wrap
        self.set_class(not wrap, "-unwrapped")
        if wrap:
            self.scroll_to(x=0, animate=False, force=True)
        self._lay_out()

    def set_stamps(self, stamps: bool) -> None:
        """Shows the time at which each line came, or not."""
        self._stamps = stamps
        self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def render_lines(self, crop: Region) -> list[Strip]:
        if self._text_width != self._index.row_width:
            # painted in a new width before the event of it came: the reader's line is in its place already
            self._index.lay_out(self._transcript, self._text_width, wrap=self._wrap)
            self._forget_strips()
            self.set_scroll(None, self._bottom if self._following else min(self._bottom, self.row_at(self._anchor)))
        return super().render_lines(crop)

    @property
    def _bottom(self) -> int:
        return max(0, self._index.rows - self.scrollable_content_region.height)

    @property
    def _row_width(self) -> int:
        return max(1, self.scrollable_content_region.width)

    @property
    def _text_width(self) -> int:
        return max(1, self._row_width - (STAMP if self._stamps else 0))

    def _lay_out(self) -> None:
        self._transcript.take_changes()
        self._index.lay_out(self._transcript, self._text_width, wrap=self._wrap)
        self._forget_strips()
        self._lines_changed(self._transcript.first)
        self._resize_virtual()
        self._stay()
        self.refresh()

    def _resize_virtual(self) -> None:
        width = self._row_width
        if not self._wrap:
            width = max(width, self._index.widest + self._row_width - self._text_width)
        self._moving = True
        try:
            set_virtual_size(self, Size(width, self._index.rows))
        finally:
            self._moving = False

    def _refresh_rows(self, first_row: int) -> None:
        top = max(0, first_row - self.scroll_offset.y)
        if top < self.size.height:
            self.refresh(Region(0, top, self.size.width, self.size.height - top))

    # -- for the child class -----------------------------------------------------------------------------------

    def _forget_strips(self) -> None:
        """Called when rows look different."""

    def _lines_changed(self, number: int) -> None:
        """Called when lines from a number on are others."""

    def _is_header(self, number: int) -> bool:
        return isinstance(self._transcript.line(number), Header)
