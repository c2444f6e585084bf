"""The console and the line to answer in, with their keys."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from ....widgets.output_console import OutputConsole
from ....widgets.text import one_line
from ....widgets.transcript import Run
from ..actions import bindings

if TYPE_CHECKING:
    from ..workbench import Workbench

_SILENT: Final = "nothing was said here yet: ^r runs the editor's text"
HINT_S: Final = 4.0
"""How long a hint stands in a border."""


class ConsoleView(OutputConsole, inherit_bindings=False):
    """The console with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("console")]

    def action_follow(self) -> None:
        self.follow()

    def action_clear(self) -> None:
        self.transcript.clear()
        self.sync()


class ConsolePane(Vertical):
    """The console and, while a run asks, the line to answer in."""

    class Answered(Message):
        """Enter was pressed in the line."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    pane_name: ClassVar[str] = "console"

    def __init__(self, bench: Workbench, *, id: str) -> None:
        super().__init__(id=id)
        self.bench = bench
        self._glyphs = glyphs = bench.glyphs
        self.console = ConsoleView(clock=bench.clock, glyphs=glyphs, empty=_SILENT, id="console")
        self._session: str | None = None
        self._run_clock: Timer | None = None
        self._run: Run | None = None
        self._stands = f"following {glyphs.down}"
        self._hint = ""
        self._hint_over: Timer | None = None
        self._drafts: dict[int, str] = {}

    def compose(self) -> ComposeResult:
        yield self.console
        with Horizontal(id="answer-line"):
            yield Static(">", id="answer-mark", markup=False)
            yield Input(id="answer", compact=True, select_on_focus=False)

    def hint(self, text: str, *, stays: bool = False) -> None:
        """Says in the border why a key did nothing, for a few seconds or until the next hint; empty takes it back."""
        if self._hint_over is not None:
            self._hint_over.stop()
        self._hint = text
        self._hint_over = None if stays or not text else self.set_timer(HINT_S, partial(self.hint, ""), name="hint")
        self._show_stand()

    def _show_stand(self) -> None:
        self.border_subtitle = Content.styled(self._hint, "bold $warning") if self._hint else Content(self._stands)

    def on_mount(self) -> None:
        self._run_clock = self.set_interval(0.125, self.console.tick, name="run clock", pause=True)
        self._show_stand()

    def focus_target(self) -> Widget:
        return self.query_one("#answer", Input) if self.asking else self.console

    def tab_title(self) -> str:
        """What its tab says."""
        view = None if self._session is None else self.bench.store.view(self._session)
        return "Console" if view is None else f"Console {self._glyphs.dot} {one_line(view.name)}"

    def show_session(self, session_id: str | None) -> None:
        """Shows the transcript of a session, or the welcome while there is none."""
        self._session = session_id
        transcript = self.bench.welcome if session_id is None else self.bench.runs.of(session_id).feed.transcript
        self.console.show(transcript)
        if self._run_clock is not None:
            # nothing is painted again and again while nothing runs
            (self._run_clock.pause if transcript.current is None else self._run_clock.resume)()

    def show_prompt(self) -> bool:
        """Shows the line to answer in while the session asks and can be answered; returns whether it just opened."""
        session_id = self._session
        run = None if session_id is None else self.bench.runs.of(session_id).feed.current
        asks = run is not None and run.waiting and session_id is not None and self.bench.runs.can_answer(session_id)
        return self.ask(run if asks else None)

    def ask(self, run: Run | None) -> bool:
        """Shows the line for a run that waits, or hides it for None; returns whether it was just opened.

        What was typed stays with its run while another one is looked at.
        """
        asked = run is not None and run.waiting
        line, field = self.query_one("#answer-line"), self.query_one("#answer", Input)
        before = self._run
        if asked and run is before:
            return False
        if before is not None:
            self._drafts[id(before)] = field.value
            if not before.waiting:
                self._drafts.pop(id(before), None)
        had_focus = self.screen.focused is field
        self._run = run if asked else None
        line.set_class(asked, "-asked")
        if asked and run is not None:
            field.password = run.is_password
            what = "password" if run.is_password else f"input for run [{run.number}]"
            field.placeholder = f"{what} {self._glyphs.dot} f4 answers"
            field.value = self._drafts.get(id(run), "")
            field.cursor_position = len(field.value)
        else:
            field.value = ""
            if had_focus:
                self.screen.set_focus(self.console)
        return asked

    @property
    def asking(self) -> bool:
        """Whether the line is open."""
        return self._run is not None

    def focus_answer(self) -> None:
        """Puts the cursor into the line."""
        self.screen.set_focus(self.query_one("#answer", Input))

    @on(Input.Submitted, "#answer")
    def _answered(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Answered(event.value))
        event.input.value = ""

    @on(OutputConsole.FollowChanged)
    def _follow_changed(self, event: OutputConsole.FollowChanged) -> None:
        event.stop()
        if event.following:
            self._stands = f"following {self._glyphs.down}"
        else:
            unseen = f" {self._glyphs.dot} {event.unseen:,} new lines" if event.unseen else ""
            self._stands = f"paused{unseen} {self._glyphs.dot} f follows"
        self._show_stand()
