"""The Textual app: puts workbench and screens together."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from textual.actions import ActionParseResult
from textual.app import App, SystemCommand
from textual.binding import Binding, BindingType
from textual.command import Provider
from textual.dom import DOMNode
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.theme import Theme
from textual.timer import Timer
from textual.worker import Worker, WorkerState

from ...styles.themes import DARK_PALETTE, LIGHT_PALETTE, SHEETS, THEMES, fallbacks
from ...widgets._textual_private import add_filter, let_widgets_go, read_alt, write_to_terminal
from ...widgets.harmless import Harmless
from ..config import Paths, tui_settings
from ..contexts import choose
from ..model.endpoint import Endpoint
from ..tui_settings import TuiSettings
from .actions import ACTIONS
from .actions.keymap import problems_of_keys
from .actions.keys import NO_KEY, key_text
from .actions.table import changing
from .clipboard import to_programs
from .head_start import FirstList
from .layout import Layout
from .locate import CurrentEndpoint, FixedEndpoint
from .looks import FEW, dress, first_theme, no_colour
from .main_screen import MainScreen
from .messages import (
    AboutCame,
    Complained,
    ConnectionChanged,
    ConsoleChanged,
    Happened,
    ImagesChanged,
    InputAsked,
    Launched,
    LaunchFailed,
    MachineChanged,
    NoticesCame,
    SessionsChanged,
    StatsChanged,
    Told,
)
from .plain_shapes import PlainShapes
from .run_notices import RunNotices, by_program, sentence, sequence
from .workbench import Workbench, wants_ascii

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from .sync import Locator

log = logging.getLogger(__name__)


def _table_commands() -> type[Provider]:
    from .palette import TableCommands

    return TableCommands


_SAVE_EVERY_S = 5.0
_NOTICES_AFTER_S = 0.2


class BaiTuiApp(App[int], inherit_bindings=False):
    """The workspace.

    Args:
        locator: Where to go; None = the environment, else the local backend.
        folder: Where the editor's text is kept; None = nowhere.
        place: What tells this endpoint's text from others'.
        clock: Unix time.
        settings: What the configuration says about the screen; None = nothing.
        connect: Makes a client of an endpoint; None = the real one.
    """

    CSS_PATH = SHEETS  # type: ignore[assignment]  # Textual takes any sequence, and says list
    TITLE = "bai-tui"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "help_quit", show=False, system=True)]
    COMMANDS: ClassVar[set[type[Provider] | Callable[[], type[Provider]]]] = {_table_commands}
    ENABLE_COMMAND_PALETTE = False
    """Gives it no key of its own: the action table has one."""

    def __init__(
        self,
        locator: Locator | None = None,
        *,
        folder: Path | None = None,
        place: str = "local",
        clock: Callable[[], float] = time.time,
        ascii_only: bool = False,
        settings: TuiSettings | None = None,
        connect: Callable[[Endpoint], ApiClient] | None = None,
    ) -> None:
        let_widgets_go()
        mono = no_colour()
        self._plain = PlainShapes() if ascii_only else None
        # without colour Textual would turn themes into greys, which are colours to a terminal: none at all are wanted
        super().__init__(ansi_color=True if mono else None)
        add_filter(self, Harmless())
        self.use_command_palette = True
        for theme in THEMES:
            self.register_theme(theme)
        self.bench = Workbench(
            locator or CurrentEndpoint(),
            post=self.post_message,
            spawn=self._spawn,
            clock=clock,
            folder=folder,
            place=place,
            ascii_only=ascii_only,
            settings=settings,
            connect=connect,
        )
        self.set_keymap(self.bench.keys.keymap)
        # the theme, which is set below, has all styles made: once is enough
        self.set_reactive(App.ansi_theme_dark, DARK_PALETTE)
        self.set_reactive(App.ansi_theme_light, LIGHT_PALETTE)
        self.main = MainScreen(self.bench)
        """The screen below all dialogs."""
        few = mono or self.console.color_system in FEW
        remembered = self.bench.memory.of(Layout).theme
        self.theme = first_theme(self.bench.settings.theme, remembered, self.available_themes, few=few)
        self._theme_worn(self.current_theme)
        dress(self, ascii_only=ascii_only, mono=mono)
        self.next_context: str | None = None
        """Where the user went on to when the screen was left; None = nowhere."""
        self._generation = 0
        self._run_notices = RunNotices(self.bench.settings.notify_after_s)
        self._notice_timer: Timer | None = None

    def get_line_filters(self) -> Sequence[LineFilter]:
        filters = super().get_line_filters()
        return filters if self._plain is None else [*filters, self._plain]

    def get_key_display(self, binding: Binding) -> str:
        return "" if binding.key == NO_KEY else binding.key_display or key_text(binding.key)

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        """Does an action, unless it changes something and the read-only switch is on: the one place that keys, clicks
        and the palette pass."""
        if self.bench.read_only and isinstance(action, str):
            refused = changing(action, default_namespace)
            if refused is not None:
                self.main.refuse(refused)
                return True
        return await super().run_action(action, default_namespace, namespaces)

    def get_theme_variable_defaults(self) -> dict[str, str]:
        return fallbacks(self.current_theme)

    def get_default_screen(self) -> Screen[Any]:
        self.main.expect(self.size)
        return self.main

    def on_mount(self) -> None:
        self.theme_changed_signal.subscribe(self, self._theme_chosen)
        # the first list is asked for while the panes are made, so that the first frame holds it
        self._spawn(self.bench.sync.run(), "sync")
        self.main.call_after_refresh(self._begin)

    def _theme_chosen(self, theme: Theme) -> None:
        self.bench.memory.of(Layout).theme = theme.name
        self._theme_worn(theme)

    def _theme_worn(self, theme: Theme) -> None:
        self.set_class(theme.ansi, "-sixteen")

    def _begin(self) -> None:
        """Does what is not needed for the first frame."""
        if not gc.isenabled():
            # what a start makes stays: the collector need never look at it again
            gc.freeze()
            gc.enable()
        self.bench.sync.begun.set()
        self.set_interval(_SAVE_EVERY_S, self._save_state, name="save state")
        self._tell_of_keys()

    def _tell_of_keys(self) -> None:
        given = self.bench.settings.keys
        problems = problems_of_keys(given, ACTIONS) if given else []
        for problem in problems[:1]:
            more = f"; {len(problems) - 1} more: bai-tui config validate" if len(problems) > 1 else ""
            self._toast(f"keys.{problem.action}: {problem.message}{more}", severity="warning")

    def _spawn(self, work: Coroutine[Any, Any, object], name: str) -> Worker[object]:
        return self.run_worker(work, name=name, group=name, exit_on_error=False)

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            log.error("the worker %s failed", event.worker.name, exc_info=error)
            self._toast(f"{event.worker.name} failed ({type(error).__name__}: {error}); the log has more")

    # -- facts -----------------------------------------------------------------------------------------------------

    async def on_sessions_changed(self, message: SessionsChanged) -> None:
        if self.main.ready:
            self.main.show_sessions()
        await self.bench.runs.news()

    def on_machine_changed(self, message: MachineChanged) -> None:
        if self.main.ready:
            self.main.show_machine()

    def on_images_changed(self, message: ImagesChanged) -> None:
        if self.main.ready:
            self.main.show_images()

    def on_stats_changed(self, message: StatsChanged) -> None:
        if self.main.ready:
            self.main.show_stats()

    def on_notices_came(self, message: NoticesCame) -> None:
        if self._notice_timer is None:
            # one event comes for each session of a lost device: they become one toast
            self._notice_timer = self.set_timer(_NOTICES_AFTER_S, self._show_notices, name="notices")

    def _show_notices(self) -> None:
        self._notice_timer = None
        for notice in self.bench.sync.notices.flush():
            self._toast(notice.text, severity=notice.severity)
            if notice.severity != "information":
                self.bell()

    def on_told(self, message: Told) -> None:
        self._toast(message.text, severity="information")

    async def on_connection_changed(self, message: ConnectionChanged) -> None:
        connection = self.bench.sync.connection
        if connection.client is not None and connection.generation != self._generation and self.main.ready:
            self._generation = connection.generation
            self.bench.runs.watch(self.main.selected)
            self.bench.runs.reconnected()
        await self.bench.runs.news()
        if self.main.ready:
            self.main.show_connection()
            self.main.show_prompt()

    def on_about_came(self, message: AboutCame) -> None:
        if self.main.ready:
            self.main.show_details()

    def on_happened(self, message: Happened) -> None:
        if self.main.ready:
            self.main.events_pane.show_news()

    def on_console_changed(self, message: ConsoleChanged) -> None:
        self._notice_run(message.session_id)
        if self.main.ready and message.session_id == self.main.selected:
            self.main.show_console()

    def _notice_run(self, session_id: str) -> None:
        """Tells of a long run that ended, where nobody looks at it."""
        runs = self.bench.runs.of(session_id).feed.transcript.runs
        ended = self._run_notices.look(session_id, runs[-1] if runs else None, self.bench.clock())
        row = self.bench.store.row(session_id)
        if ended is None or row is None or (self.app_focus and session_id == self.main.selected):
            return
        text, settings = sentence(row.name, ended), self.bench.settings
        if session_id != self.main.selected:
            self._toast(text, severity="information")
        if settings.bell:
            self.bell()
        if settings.desktop_notice:
            if made := sequence(text, os.environ):
                write_to_terminal(self, made)
            else:
                self._spawn(by_program(text), "desktop notice")

    def copy_to_clipboard(self, text: str) -> None:
        super().copy_to_clipboard(text)
        self._spawn(to_programs(text), "clipboard")

    def on_input_asked(self, message: InputAsked) -> None:
        row = self.bench.store.row(message.session_id)
        if not self.main.ready:
            return
        if message.session_id != self.main.selected and row is not None:
            self._toast(f"{row.name} asks for input: select it to answer", severity="warning")
            self.bell()

    def on_launched(self, message: Launched) -> None:
        if (dialog := self.main.launch_dialog) is not None:
            dialog.dismiss(None)

    def on_launch_failed(self, message: LaunchFailed) -> None:
        if (dialog := self.main.launch_dialog) is not None:
            dialog.fail(message.reason)
        elif self.main.selected is not None:
            self._toast(message.reason)
        self.main.show_sessions()
        self.main.show_console()

    def on_complained(self, message: Complained) -> None:
        self._toast(message.text)

    def _toast(self, text: str, severity: SeverityLevel = "error") -> None:
        self.notify(text, severity=severity, markup=False)

    # -- leaving ---------------------------------------------------------------------------------------------------

    def action_leave(self) -> None:
        """Leaves; sessions go on. What `x` was to end in some seconds, and was not taken back, ends now."""
        self.bench.save_state()
        if self.bench.ending.waiting:
            self._spawn(self._end_and_leave(), "leave")
        else:
            self.exit(0)

    async def _end_and_leave(self) -> None:
        await self.bench.ending.flush()
        self.exit(0)

    def action_context(self, name: str) -> None:
        """Ends this screen, which its caller follows by one of another context; sessions go on."""
        self.next_context = name
        self.action_leave()

    async def action_quit(self) -> None:
        self.action_leave()

    async def _save_state(self) -> None:
        await asyncio.to_thread(self.bench.save_state)

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """Offers what Textual can do and the action table does not have."""
        for command in super().get_system_commands(screen):
            if command.title == "Screenshot":
                yield command


def run(endpoint: Endpoint | None = None, first: FirstList | None = None, *, read_only: bool = False) -> int:
    """Runs the TUI until the user leaves; returns the exit status. Who switches to another context gets a new screen.

    Args:
        endpoint: Where to go; None = to the context in force, whose local backend is started when none runs.
        first: The first list of there, if it was asked for already.
        read_only: The read-only switch is on at first, whatever the configuration says.

    Raises:
        ConfigError: the configuration says something wrong about the screen.
    """
    paths = Paths.of_user()
    settings = tui_settings(paths)
    if read_only:
        settings = replace(settings, read_only=True)
    read_alt()
    with _logging_to(paths.state):
        while True:
            locator = CurrentEndpoint() if endpoint is None else FixedEndpoint(endpoint)
            app = BaiTuiApp(
                locator,
                folder=paths.state,
                place=locator.memory,
                ascii_only=wants_ascii() if settings.ascii is None else settings.ascii,
                settings=settings,
            )
            app.bench.sync.first = first
            app.run()
            if app.next_context is None:
                return app.return_code or 0
            endpoint, first = None, None
            choose(app.next_context)


@contextlib.contextmanager
def _logging_to(folder: Path) -> Iterator[None]:
    """Sends what is logged meanwhile to `tui.log`: the terminal belongs to the screen."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        handler = logging.FileHandler(folder / "tui.log", encoding="utf-8", delay=True)
    except OSError:
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger(__name__.partition(".app.")[0])
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()
        logger.level, logger.propagate = before
