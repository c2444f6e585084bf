"""A list of sessions that is filtered, sorted and marked, and remembers how: of live ones, and of ended ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widget import Widget

from ....widgets.filter_line import FilterLine
from ....widgets.rows import SessionRow, SessionUse
from ....widgets.session_columns import BY_ID, ENDED, LISTED, Column
from ....widgets.session_filter import FilterError, parsed
from ....widgets.session_list import SessionList

if TYPE_CHECKING:
    from ..workbench import Workbench

PINS_KEPT: Final = 200
"""Of pinned sessions, ended ones too; the oldest pin goes first."""


@dataclass(slots=True)
class ListSection:
    """How the session list was left."""

    SECTION: ClassVar[str] = "sessions"

    columns: list[str] = field(default_factory=lambda: list(LISTED))
    sort: str = ""
    """Id of a column; empty = as they came."""
    falling: bool = False
    """The most comes first."""
    filter: str = ""
    pins: list[str] = field(default_factory=list)
    """Ids."""


@dataclass(slots=True)
class HistorySection:
    """How the history was left."""

    SECTION: ClassVar[str] = "history"

    columns: list[str] = field(default_factory=lambda: list(ENDED))
    sort: str = ""
    falling: bool = False
    filter: str = ""
    pins: list[str] = field(default_factory=list)


class Browser(Vertical):
    """The list with its filter line.

    Args:
        memory: How it was left, and is to be found again.
        offered: The columns that it can show.
    """

    class Counted(Message):
        """Another number of rows is shown, or marked."""

    def __init__(
        self,
        bench: Workbench,
        *,
        memory: ListSection | HistorySection,
        offered: Sequence[Column],
        empty: Sequence[str] = (),
        use: Callable[[str], SessionUse | None] | None = None,
        id: str,
    ) -> None:
        super().__init__(id=id)
        self.bench = bench
        self._memory = memory
        self._offered = offered
        known = [column for column in memory.columns if column in BY_ID]
        self.list = SessionList(
            clock=bench.clock, glyphs=bench.glyphs, empty=empty, use=use, columns=known, id=f"{id}-list"
        )
        self.list.table.pins.update(memory.pins)
        self.line = FilterLine(memory.filter, id=f"{id}-filter")
        if memory.sort in BY_ID:
            self.list.set_sort(memory.sort, falling=memory.falling)
        self._wrong = ""
        self._apply(memory.filter)

    def compose(self) -> ComposeResult:
        yield self.list
        yield self.line

    def on_mount(self) -> None:
        self._count()

    def focus_target(self) -> Widget:
        return self.list

    # -- what is shown ---------------------------------------------------------------------------------------------

    @property
    def rows(self) -> Sequence[SessionRow]:
        """The rows that are shown."""
        return self.list.rows

    @property
    def cursor(self) -> str | None:
        """Id of the session under the cursor."""
        return self.list.cursor

    @property
    def targets(self) -> list[str]:
        """Ids that an action is for: the marked ones that are shown, else the one under the cursor."""
        return self.list.table.targets()

    def select(self, session_id: str) -> None:
        """Puts the cursor on a session; what hides it is taken away."""
        table = self.list.table
        if session_id not in table.places and table.row(session_id) is not None:
            self.line.close()
            self.list.set_filter(None)
        self.list.select(session_id)

    def _count(self) -> None:
        """Says how many there are."""
        table = self.list.table
        if self._wrong:
            self.line.tell(self._wrong, error=True)
        else:
            self.line.tell(f"{len(table.shown):,} of {len(table):,}" if self.line.text else "")
        self.post_message(self.Counted())

    @property
    def sort_told(self) -> str:
        """What rows are sorted by; empty = by their arrival."""
        column = self.list.table.column
        if column is None:
            return ""
        glyphs = self.bench.glyphs
        return f"{column.title}{glyphs.falling if self.list.table.falling else glyphs.rising}"

    # -- filter ----------------------------------------------------------------------------------------------------

    def action_filter(self) -> None:
        """Opens the line to filter by; in the line, its key is a letter."""
        if self.line.is_open and self.line.field.has_focus:
            self.line.field.insert_text_at_cursor("/")
        else:
            self.line.open()

    @on(FilterLine.Changed)
    def _filter_changed(self, event: FilterLine.Changed) -> None:
        event.stop()
        self._memory.filter = event.text
        self._apply(event.text)
        self._count()

    def _apply(self, text: str) -> None:
        """Filters; a filter that cannot be read leaves the one before in force."""
        try:
            test = parsed(text, self.bench.clock, self.list.table.sets)
        except FilterError as error:
            self._wrong = str(error)
        else:
            self._wrong = ""
            self.list.set_filter(test)

    @on(FilterLine.Left)
    def _filter_left(self, event: FilterLine.Left) -> None:
        event.stop()
        self.screen.set_focus(self.list)

    def step_back(self) -> bool:
        """Closes what is open: the filter, then the marks; returns whether there was anything."""
        if self.line.is_open:
            self.line.close()
            self.screen.set_focus(self.list)
            return True
        if self.list.table.marks:
            self.list.action_clear_marks()
            return True
        return False

    # -- order and columns -----------------------------------------------------------------------------------------

    def action_sort(self) -> None:
        """Asks what to sort by."""
        from ..column_box import ColumnBox

        memory = self._memory
        box = ColumnBox(self.bench.glyphs, sorted_by=memory.sort, falling=memory.falling, offered=self._offered)
        self.app.push_screen(box, self._sort_taken)

    def _sort_taken(self, column: str | None) -> None:
        if column is not None:
            self.sort(column)

    def sort(self, column: str) -> None:
        """Sorts by a column, the other way round where it is sorted by that already; an empty id = as they came."""
        memory = self._memory
        memory.falling = not memory.falling if column and column == memory.sort else False
        memory.sort = column
        self.list.set_sort(column, falling=memory.falling)
        self.post_message(self.Counted())

    def action_reverse(self) -> None:
        """Turns the order round."""
        if self._memory.sort:
            self.sort(self._memory.sort)
        else:
            self.sort("age")

    @on(SessionList.HeaderClicked)
    def _header_clicked(self, event: SessionList.HeaderClicked) -> None:
        event.stop()
        self.sort(event.column)

    def action_columns(self) -> None:
        """Asks which columns to show."""
        from ..column_box import ColumnBox

        memory = self._memory
        self.app.push_screen(
            ColumnBox(
                self.bench.glyphs,
                sorted_by=memory.sort,
                falling=memory.falling,
                offered=self._offered,
                shown=self.list.columns,
                changed=self._columns_changed,
            )
        )

    def _columns_changed(self, columns: Sequence[str]) -> None:
        self._memory.columns = list(columns)
        self.list.set_columns(columns)

    # -- moving and marking ----------------------------------------------------------------------------------------

    def action_down(self) -> None:
        self.list.action_down()

    def action_up(self) -> None:
        self.list.action_up()

    def action_first(self) -> None:
        self.list.action_first()

    def action_last(self) -> None:
        self.list.action_last()

    def action_page(self, direction: int) -> None:
        self.list.action_page(direction)

    def action_mark(self) -> None:
        self.list.action_mark()

    def action_mark_range(self) -> None:
        self.list.action_mark_range()

    def action_mark_shown(self) -> None:
        self.list.action_mark_shown()

    def action_clear_marks(self) -> None:
        self.list.action_clear_marks()

    @on(SessionList.MarksChanged)
    def _marks_changed(self, event: SessionList.MarksChanged) -> None:
        event.stop()
        self.post_message(self.Counted())

    # -- pins ------------------------------------------------------------------------------------------------------

    def pin(self, ids: Sequence[str]) -> bool:
        """Pins sessions, or unpins them where all are pinned; returns whether they are pinned now."""
        pins = self._memory.pins
        pinned = not all(session_id in pins for session_id in ids)
        self._memory.pins = [one for one in pins if one not in ids] + (list(ids) if pinned else [])
        del self._memory.pins[:-PINS_KEPT]
        self.list.set_pinned(ids, pinned)
        return pinned

    def say(self, text: str) -> None:
        """Tells in a few words what a key did, or why it did nothing."""
        self.notify(text, severity="information", markup=False, timeout=3)
