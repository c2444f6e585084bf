"""The terminal of the selected session, with its keys."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.widget import Widget
from textual.worker import Worker

from ....widgets.terminal import Terminal
from ....widgets.text import one_line
from ..actions import bindings
from ..messages import Hinted
from ..read_only import SENTENCE
from ..terminals import SessionTerminal, Terminals

if TYPE_CHECKING:
    from ..workbench import Workbench

_NO_SESSION = "no session is selected: a terminal opens in one that runs"


class TerminalView(Terminal, inherit_bindings=False):
    """The terminal with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("terminal")]

    class RestartAsked(Message):
        """Another shell is wanted in place of the one that has ended."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.can_restart = False
        """Whether the shell has ended."""

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaves the keys to the program where their action means nothing."""
        if action == "restart":
            return self.can_restart
        if action == "look_back":
            return self.can_look_back
        return super().check_action(action, parameters)

    async def action_leave(self) -> None:
        await self.run_action("screen.pane('sessions')")

    def action_restart(self) -> None:
        self.post_message(self.RestartAsked())

    def action_look_back(self, pages: int) -> None:
        self.look_back_pages(pages)


class TerminalPane(Vertical):
    """The terminal of the selected session; it is opened when the pane is first seen."""

    pane_name: ClassVar[str] = "terminal"

    def __init__(self, bench: Workbench, *, id: str) -> None:
        super().__init__(id=id)
        self.bench = bench
        self.terminal = TerminalView(id="terminal")
        self.terminals = Terminals(bench.store, bench.connected, self._spawn, self._stands)
        self._session: str | None = None
        self._shown: SessionTerminal | None = None

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> Worker[None]:
        # the app's, which tells of workers that fail
        return self.app.run_worker(work, name=name, group=name, exit_on_error=False)

    def compose(self) -> ComposeResult:
        yield self.terminal

    def focus_target(self) -> Widget:
        return self.terminal

    def tab_title(self) -> str:
        """What its tab says."""
        view = None if self._session is None else self.bench.store.view(self._session)
        return "Terminal" if view is None else f"Terminal {self.bench.glyphs.dot} {one_line(view.name)}"

    def show_session(self, session_id: str | None) -> None:
        """Shows the terminal of a session, opening it if the pane is seen."""
        self._session = session_id
        if self.display and self.is_attached:
            self._show_terminal()

    def on_show(self) -> None:
        self._show_terminal()

    def _show_terminal(self) -> None:
        session_id = self._session
        known = session_id is not None and self.bench.store.view(session_id) is not None
        if session_id is None or not known or self.bench.store.real_id(session_id) != session_id:
            self._shown = None
            self.terminal.can_restart = False
            self.terminal.show(None, note=_NO_SESSION if session_id is None else "the session is being launched")
            return
        self._shown = self.terminals.of(session_id)
        self._stands(self._shown)

    def _stands(self, terminal: SessionTerminal) -> None:
        """Shows how a terminal stands, if it is the one that is seen."""
        if terminal is not self._shown or not self.is_attached:
            return
        view = self.terminal
        if view.can_restart != terminal.has_ended:
            view.can_restart = terminal.has_ended
            view.refresh_bindings()
        view.show(terminal.emulator, is_open=terminal.holds_keys, note=terminal.note)
        self._show_note(0)

    def _show_note(self, back: int) -> None:
        note = self._shown.note if self._shown is not None else ""
        if back:
            self.border_subtitle = Content(f"{back} lines back {self.bench.glyphs.dot} typing goes to the end")
        else:
            self.border_subtitle = Content(note if self._shown is not None and self._shown.emulator is not None else "")

    # --- what the widget says

    @on(Terminal.Typed)
    async def _typed(self, event: Terminal.Typed) -> None:
        event.stop()
        if self.bench.read_only:
            self.border_subtitle = Content(SENTENCE)
        elif self._shown is not None:
            await self._shown.type(event.data)

    @on(Terminal.Sized)
    async def _sized(self, event: Terminal.Sized) -> None:
        event.stop()
        if self._shown is not None:
            await self._shown.resize(event.rows, event.columns)

    @on(Terminal.Scrolled)
    def _scrolled(self, event: Terminal.Scrolled) -> None:
        event.stop()
        self._show_note(event.back)

    @on(Terminal.Copied)
    def _copied(self, event: Terminal.Copied) -> None:
        event.stop()
        self.app.copy_to_clipboard(event.text)
        lines = event.text.count("\n") + 1
        self.post_message(Hinted(f"copied {lines} line{'s' if lines > 1 else ''}"))

    @on(TerminalView.RestartAsked)
    async def _restart_asked(self, event: TerminalView.RestartAsked) -> None:
        event.stop()
        if self._shown is not None:
            await self._shown.restart()
