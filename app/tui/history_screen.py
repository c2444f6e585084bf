"""The history: sessions that ended, why they did, and what they wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import Screen
from textual.worker import Worker

from ...widgets.key_line import KeyLine
from ...widgets.output_console import OutputConsole
from ...widgets.session_columns import OF_ENDED
from ...widgets.session_list import SessionList
from ...widgets.text import one_line
from ...widgets.transcript import Transcript
from ..model.errors import BaiTuiError
from .actions import bindings
from .each import of
from .panes.browser import Browser, HistorySection
from .past import PAGE, Past

if TYPE_CHECKING:
    from .workbench import Workbench

_LOADING: Final = ("", "asking the server for the sessions that ended")
_EMPTY: Final = ("", "no session has ended yet")
_CLOSED: Final = "enter shows here what the session wrote"
_NEAR_END: Final = 20
"""Rows before the last one at which the next page is asked for."""


class HistoryPane(Browser):
    """The list of ended sessions; what it does not know yet is asked for when the cursor comes near."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("history")]
    pane_name: ClassVar[str] = "history"

    def __init__(self, bench: Workbench, past: Past, *, id: str) -> None:
        super().__init__(bench, memory=bench.memory.of(HistorySection), offered=OF_ENDED, empty=_LOADING, id=id)
        self.past = past
        self._loading = False

    def on_mount(self) -> None:
        super().on_mount()
        self.load()

    def load(self) -> None:
        """Asks for the next page, unless one is on the way or there is none."""
        if not self._loading and not self.past.complete:
            self._loading = True
            self.run_worker(self._load(), name="history", exit_on_error=False)

    async def _load(self) -> None:
        try:
            rows = await self.past.more()
        except BaiTuiError as error:
            self.list.set_empty(("", error.message))
            self.say(error.message)
            return
        finally:
            self._loading = False
        self.list.set_empty(_EMPTY)
        self.list.change_rows(rows)
        self._count()
        table = self.list.table
        if table.filtered and len(table.shown) < PAGE:
            # what the filter asks for may be further back
            self.load()
        self._ask_ahead()

    @on(SessionList.Selected)
    def _moved(self) -> None:
        self._ask_ahead()

    def _ask_ahead(self) -> None:
        table = self.list.table
        if table.places.get(self.cursor or "", 0) >= len(table.shown) - _NEAR_END:
            self.load()

    @on(Browser.Counted)
    def _counted(self) -> None:
        table, total = self.list.table, self.past.total
        parts = [f"{len(table.marks):,} marked"] if table.marks else []
        parts += [told] if (told := self.sort_told) else []
        if total is not None:
            parts.append(f"{total:,}" if self.past.complete else f"{len(table):,} of {total:,} loaded")
        self.border_subtitle = Content(f" {self.bench.glyphs.dot} ".join(parts))
        if table.filtered and len(table.shown) < _NEAR_END:
            self.load()

    # -- actions ---------------------------------------------------------------------------------------------------

    def action_open(self) -> None:
        screen = self.screen
        if isinstance(screen, HistoryScreen) and self.cursor is not None:
            screen.show_output(self.cursor)

    def action_again(self) -> None:
        """Launches sessions like these."""
        views = [view for session_id in self.targets if (view := self.past.view(session_id)) is not None]
        for view in views:
            self.bench.launching.like(view)
        if views:
            self.say(f"another session like {of([view.name for view in views])} is asked for")
            self.list.action_clear_marks()

    def action_switch(self) -> None:
        self.screen.set_focus(self.screen.query_one(OutputConsole))

    def action_close(self) -> None:
        self.screen.dismiss()


class HistoryScreen(Screen[None]):
    """The list above, the output of one session below."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "back", show=False, id="history-back", tooltip="Go back one step"),
    ]
    AUTO_FOCUS = "#ended-list"

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        past = Past(bench.connected, lambda: "journal" in bench.sync.connection.capabilities)
        self.pane = HistoryPane(bench, past, id="ended")
        self._past = past
        self.console = _Output(clock=bench.clock, glyphs=bench.glyphs, empty=_CLOSED, id="console")
        self._box = Vertical(self.console, id="ended-output")
        self._reading: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        yield self.pane
        yield self._box
        yield KeyLine(id="keys")

    def on_mount(self) -> None:
        self.pane.border_title = "History"
        self._box.border_title = "Output"
        self.console.show(Transcript())

    def show_output(self, session_id: str) -> None:
        """Shows what a session wrote, from its journal; what is read of another one is dropped."""
        view = self._past.view(session_id)
        if view is None:
            return
        if self._reading is not None:
            self._reading.cancel()
        transcript = Transcript()
        self.console.show(transcript)
        self._box.border_title = Content(f"Output {self.bench.glyphs.dot} {one_line(view.name)}")
        self.bench.did("logs", view.name)
        self._reading = self.run_worker(self._read(session_id, transcript), name="output", exit_on_error=False)

    async def _read(self, session_id: str, transcript: Transcript) -> None:
        nothing = True
        try:
            async for _ in self._past.output(session_id, transcript):
                nothing = False
                self.console.sync()
        except BaiTuiError as error:
            transcript.note(f"its output cannot be read: {error.message}", "error")
        if nothing or transcript.end == transcript.first:
            transcript.note("it wrote nothing", "quiet")
        self.console.sync()

    def action_back(self) -> None:
        if self.focused is self.console:
            self.set_focus(self.pane.list)
        elif not self.pane.step_back():
            self.dismiss()


class _Output(OutputConsole):
    """The console of the history: nothing runs there."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "screen.back", "list", id="history-output-back", tooltip="Go back to the list"),
    ]
