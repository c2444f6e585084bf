"""The main screen: shows what store, runs and connection say, and turns keys into calls of the workbench."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, cast

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Vertical
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import TextArea

from ...widgets.gpu_map import GpuMap
from ...widgets.key_line import KeyLine
from ...widgets.session_list import SessionList
from .actions import bindings
from .actions.table import FOOTER_ORDER
from .around import Around
from .code_actions import CodeActions
from .frame import Frame
from .instruments import Instruments
from .layout import NARROW_BELOW, SHORT_BELOW, TINY_BELOW, WIDE_FROM, Layout
from .messages import CodeAsked, FileSaved, Hinted, LocationAsked
from .panes.console import ConsolePane
from .panes.dock import Dock
from .panes.editor import EditorPane
from .panes.events import EventsPane
from .panes.files import FilesPane
from .panes.pane import Pane
from .panes.sessions import SessionsPane
from .panes.terminal import TerminalPane
from .store import LaunchRequest

if TYPE_CHECKING:
    from ...widgets.code_editor import CodeEditor
    from .actions.keys import Keys
    from .launch_screen import LaunchScreen
    from .panes.console import ConsoleView
    from .workbench import Workbench


def empty_list(keys: Keys) -> tuple[str, ...]:
    """Returns what the list says while there is no session."""
    new, run = keys.first("list-new"), keys.first("run")
    return (
        "",
        "no sessions yet",
        "",
        f"{new:<2} picks an image and launches",
        f"{run:<2} runs the editor's text right away",
    )


class MainScreen(Around, CodeActions):
    """The one screen below all dialogs."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("everywhere")]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (NARROW_BELOW, "-normal"), (WIDE_FROM, "-wide")]  # noqa: RUF012 - Textual's own form of it
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (TINY_BELOW, "-short"), (SHORT_BELOW, "-tall")]  # noqa: RUF012 - Textual's own form of it
    AUTO_FOCUS = "#sessions-list"

    def __init__(self, bench: Workbench) -> None:
        super().__init__()
        self.bench = bench
        self._wanted: str | None = None
        """A session to select as soon as it is in the list."""
        self._shown = self._resumed = False
        self._told: str | None = ""
        """The session that the panes of the dock know of."""
        self._listed = False
        """The rows of the first list are shown."""
        self._waiting_code: str | None = None
        """What is to be run as soon as it is known which sessions there are."""
        self._prompt_for: str | None = None
        """The session in which the last thing done was to run or to answer: its prompt may take the focus. Whoever
        does something else meanwhile must not find the next key in another field."""
        self.instruments = Instruments(bench)
        self.strip, self.map, self.details = self.instruments.strip, self.instruments.map, self.instruments.details
        self.body = Container(id="body")
        self.sessions = SessionsPane(bench, empty=empty_list(bench.keys), id="sessions")
        self.editor_pane = EditorPane(bench, id="editor-pane")
        self.console_pane = ConsolePane(bench, id="console-pane")
        self.events_pane = EventsPane(bench, id="events-pane")
        self.files_pane = FilesPane(bench, id="files-pane")
        self.dock = Dock(
            [self.console_pane, TerminalPane(bench, id="terminal-pane"), self.files_pane, self.events_pane],
            separator=f" {bench.glyphs.between} ",
            id="dock",
        )

        self.frame = Frame(self)

    def expect(self, size: Size) -> None:
        """Takes the classes of a size before anything is styled: taken with the first resize, as Textual does it, they
        would have every widget styled a second time."""
        for cells, breakpoints in ((size.width, self.HORIZONTAL_BREAKPOINTS), (size.height, self.VERTICAL_BREAKPOINTS)):
            fits = [name for least, name in sorted(breakpoints) if cells >= least]
            self.add_class(fits[-1], update=False)
        self.set_class(self.frame.wants_map(size), "-map", update=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Leaves keys that were pressed before there is anything to act on."""
        return self.ready and super().check_action(action, parameters) is not False

    def compose(self) -> ComposeResult:
        yield self.strip
        with self.body:
            yield self.sessions
            yield self.map
            with Vertical(id="work"):
                yield self.editor_pane
                yield self.dock
            yield self.details
        yield KeyLine(FOOTER_ORDER, id="keys")

    def on_mount(self) -> None:
        self.sessions.border_title = "Sessions"
        self.instruments.mounted()
        self._shown = True
        self.show_read_only()
        self.dock.show(self.bench.memory.of(Layout).dock)
        self._wanted = self.bench.memory.of(Layout).session or None
        self._show_session()
        self.show_connection()
        self.show_sessions()
        self.frame.lay_out()
        self.show_machine()
        self.show_console()
        self.set_interval(1.0, self._tick, name="ages")

    # -- parts -----------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the panes are there: before, and while the app closes, there is nothing to show facts on."""
        return self._shown and all(
            pane.is_attached
            for pane in (self.strip, self.sessions, self.map, self.editor_pane, self.dock, self.details)
        )

    @property
    def editor(self) -> CodeEditor:
        """The text that is seen."""
        return self.editor_pane.editor

    @property
    def console(self) -> ConsoleView:
        """The transcript that is seen."""
        return self.console_pane.console

    def pane(self, name: str) -> Widget:
        """Returns a pane by its name in the action table; a `Pane` as well.

        Raises:
            KeyError: there is none of that name.
        """
        found = next((pane for pane in self.panes if cast("Pane", pane).pane_name == name), None)
        return found if found is not None else self.dock.pane(name)

    @property
    def panes(self) -> tuple[Widget, ...]:
        """Every pane; each is a `Pane` as well."""
        return (self.sessions, self.editor_pane, *self.dock.panes, self.map, self.details)

    @property
    def selected(self) -> str | None:
        """Id of the session under the cursor."""
        return self.sessions.cursor

    @property
    def launch_dialog(self) -> LaunchScreen | None:
        """The launch form while it is open."""
        if len(self.app.screen_stack) < 2:
            return None
        from .launch_screen import LaunchScreen

        return self.app.screen if isinstance(self.app.screen, LaunchScreen) else None

    # -- showing ---------------------------------------------------------------------------------------------------

    def show_sessions(self) -> None:
        """Shows the rows of the store."""
        store, sessions = self.bench.store, self.sessions
        for old, new in store.take_renames():
            self.bench.runs.renamed(old, new)
            sessions.rename_row(old, new)
            if self._wanted == old:
                self._wanted = new
        sessions.show_rows()
        if self._wanted is not None and store.view(self._wanted) is not None:
            wanted, self._wanted = self._wanted, None
            sessions.select(wanted)
        self._show_session()
        self.console_pane.show_silence()
        self.instruments.show_map()
        self.show_details()
        self._listed = store.known
        self._show_wait()

    def on_screen_suspend(self) -> None:
        # a dialog is in front now: sixels would be painted over it
        self.console_pane.console.refresh()

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        # widgets get their styles as they are mounted: the first time there is nothing to do over
        event.refresh_styles, self._resumed = self._resumed, True
        self.console_pane.console.refresh()

    def show_console(self) -> None:
        """Shows what the selected session said meanwhile."""
        self.console_pane.show_session(self.selected)
        self.dock.show_tabs()
        self.show_prompt()
        self.show_code()

    def show_prompt(self) -> None:
        """Shows the line to answer in while the selected session asks and can be answered."""
        opened = self.console_pane.show_prompt()
        asked_here = self.bench.store.real_id(self._prompt_for or "") == self.selected
        if opened and self.app.screen is self and asked_here:
            self.dock.show("console")
            self.console_pane.focus_answer()

    def show_connection(self) -> None:
        """Shows how we stand with the server."""
        connection = self.bench.sync.connection
        said = connection.said(self.bench.clock())
        news = " / ".join(connection.announced.splitlines())
        self.strip.set_connection(connection.place, said or news, good=not said and not (news and connection.is_ours))
        if not said:
            self.sessions.set_empty(empty_list(self.bench.keys))
        else:
            self.sessions.set_empty(("", said.partition(": ")[0], *connection.trouble.splitlines()))
        self._show_wait()

    def show_machine(self) -> None:
        """Shows slots and GPUs."""
        connection = self.bench.sync.connection
        self.frame.lay_out()
        self.instruments.show_machine()
        if (dialog := self.launch_dialog) is not None:
            dialog.set_machine(connection.machine)
        self.show_details()

    def show_images(self) -> None:
        """Shows the images, and how far those are that are being built."""
        if (dialog := self.launch_dialog) is not None:
            dialog.set_images(self.bench.sync.connection.images)
        self.show_details()

    def show_details(self) -> None:
        """Shows the facts of the selected session."""
        self.instruments.show_details(self.selected)

    def show_stats(self) -> None:
        """Shows a round of measuring."""
        self.instruments.show_stats(self.selected)
        self.sessions.live_changed()

    def on_resize(self) -> None:
        if self.ready:
            self.frame.lay_out()
            self.show_details()

    def _show_session(self) -> None:
        """Tells the panes which session is selected, and under which id and name."""
        self.editor_pane.show_session(self.selected)
        if self._told != self.selected:
            self._told = self.selected
            self.dock.show_session(self.selected)
        self.dock.show_tabs()

    def _tick(self) -> None:
        self.sessions.tick()
        self.instruments.show_map()
        if not self.bench.sync.live.fresh:
            self.show_details()
        if self.bench.sync.connection.client is None:
            self.show_connection()

    # -- what the panes say ----------------------------------------------------------------------------------------

    @on(SessionList.Selected)
    def _selected(self, event: SessionList.Selected) -> None:
        real_id = self.bench.store.real_id
        # a launch may have got its id since the message was sent
        session_id = None if event.session_id is None else real_id(event.session_id)
        if real_id(self._prompt_for or "") != session_id:
            self._prompt_for = None
        self.bench.runs.watch(session_id)
        self.bench.memory.of(Layout).session = session_id or ""
        self.map.select(session_id)
        self._show_session()
        self.show_prompt()
        self.show_details()

    @on(GpuMap.Chosen)
    def _cells_clicked(self, event: GpuMap.Chosen) -> None:
        self.sessions.select(event.session_id)

    @on(TextArea.Changed, "#editor")
    def _edited(self) -> None:
        self._prompt_for = None

    @on(CodeAsked)
    def _code_asked(self, event: CodeAsked) -> None:
        self._ask_to_run(event.code)

    @on(LocationAsked)
    async def _location_asked(self, event: LocationAsked) -> None:
        wrong = await self.editor_pane.open_at(event)
        if wrong is None:
            self.action_pane("editor")
        elif not self.console_pane.show_code_of(event):
            self.console_pane.hint(wrong)

    @on(FileSaved)
    def _file_saved(self, event: FileSaved) -> None:
        self.files_pane.saved(event.path)

    @on(Hinted)
    def _hinted(self, event: Hinted) -> None:
        self.console_pane.hint(event.text, stays=event.stays)

    @on(ConsolePane.Answered)
    def _answered(self, event: ConsolePane.Answered) -> None:
        if self.selected is not None:
            self._prompt_for = self.selected
            self.bench.answer(self.selected, event.text)

    # -- actions ---------------------------------------------------------------------------------------------------

    def action_run(self) -> None:
        self._ask_to_run(self.editor_pane.take_all())

    def _ask_to_run(self, code: str) -> None:
        if (refused := self.bench.refuse_changes()) is not None:
            self.console_pane.hint(refused)
        elif not code.strip():
            self.console_pane.hint("the editor is empty: write something to run")
        elif self._listed:
            self._run(code)
        else:
            self._waiting_code = code
            self._show_wait()

    def _run(self, code: str) -> None:
        # what it says is to be seen
        self.frame.stand_in("")
        if self.focused_pane in self.dock and self.focused_pane != "console":
            self.action_pane("console")
        else:
            self.dock.show("console")
        selected = self.selected
        row = None if selected is None else self.bench.store.row(selected)
        if row is None or selected is None or row.ended:
            self._prompt_for = self._wanted = self.bench.execute_in_place_of(row, code)
            self.show_sessions()
        else:
            self._prompt_for = selected
            if self.bench.execute(selected, code) is not None:
                self.console_pane.hint("queued: it runs when the run before has succeeded")
        self.console.follow()

    def _show_wait(self) -> None:
        """Says that a run waits for the first list, or begins it when that has come."""
        if self._waiting_code is None:
            return
        if self._listed:
            code, self._waiting_code = self._waiting_code, None
            self.console_pane.hint("")
            self._run(code)
        else:
            said = self.bench.sync.connection.said(self.bench.clock()).partition(": ")[0]
            self.console_pane.hint(f"runs when connected ({said}) {self.bench.glyphs.dot} escape drops it", stays=True)

    def action_interrupt(self) -> None:
        if self.selected is not None:
            wrong = self.bench.interrupt(self.selected)
            if wrong is not None:
                self.console_pane.hint(wrong)

    def action_launch(self) -> None:
        from .launch_screen import LaunchScreen

        self.app.push_screen(LaunchScreen(self.bench, self._launch))
        self.bench.refresh_images()

    def action_again(self) -> None:
        """Launches what was launched last once more."""
        wanted = self.bench.launching.again()
        if wanted is None:
            self.action_launch()
        else:
            self._wanted = wanted
            self.show_sessions()

    def _launch(self, request: LaunchRequest) -> None:
        self._wanted = self.bench.launching.launch(request)
        self.show_sessions()

    def action_enter_session(self) -> None:
        self.action_pane("console" if self.console_pane.asking else "editor")

    async def action_at(self, pane: str, action: str) -> None:
        """Does an action of a pane that need not have the focus."""
        self._prompt_for = None
        await self.pane(pane).run_action(action)

    def action_back(self) -> None:
        self._prompt_for = None
        if self._waiting_code is not None:
            self._waiting_code = None
            self.console_pane.hint("")
        elif (step_back := getattr(self.pane(self.focused_pane), "step_back", None)) is not None and step_back():
            # a pane that had something open: a search, a selection
            pass
        elif self.frame.zoomed:
            self.frame.zoom("")
        elif self.frame.standing_in:
            self.frame.stand_in("")
            self.set_focus(self.sessions.focus_target())
        elif self.console_pane.asking and self.focused_pane == "console" and self.focused is not self.console:
            self.set_focus(self.console)
        else:
            self.set_focus(self.sessions.focus_target())
