"""The panes of the main screen: widgets with the keys of the action table."""

from __future__ import annotations

from functools import partial
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widgets import Input, Static

from ...widgets.details import Details
from ...widgets.glyphs import Glyphs
from ...widgets.gpu_map import GpuMap
from ...widgets.output_console import OutputConsole
from ...widgets.session_list import SessionList
from ...widgets.transcript import Run
from .actions import bindings

HINT_S: Final = 4.0
"""How long a hint stands in a border."""


class SessionsPane(SessionList):
    """The session list with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("sessions")]


class MapPane(GpuMap, inherit_bindings=False):
    """The map of the machine with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("map")]


class DetailsPane(Details, inherit_bindings=False):
    """The details with their keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("details")]


class ConsoleView(OutputConsole, inherit_bindings=False):
    """The console with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("console")]


class ConsolePane(Vertical):
    """The console and, while a run asks, the line to answer in."""

    class Answered(Message):
        """Enter was pressed in the line."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    def __init__(self, console: ConsoleView, glyphs: Glyphs, *, id: str) -> None:
        super().__init__(id=id)
        self.console = console
        self._glyphs = glyphs
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
        self._show_stand()

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
