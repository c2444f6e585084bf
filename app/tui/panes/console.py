"""The console and the line to answer in, with their keys."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.message import Message
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Input, Static

from ....widgets.glyphs import ASCII
from ....widgets.languages import of_image
from ....widgets.media import MediaView
from ....widgets.output_console import OutputConsole
from ....widgets.queue_lines import QueueLines
from ....widgets.search_line import SearchLine
from ....widgets.text import one_line
from ....widgets.transcript import Run
from ..actions import bindings, of
from ..reasons import silence
from .console_hands import ConsoleHands

if TYPE_CHECKING:
    from ..workbench import Workbench

_SILENT: Final = "nothing was said here yet: ^r runs the editor's text"
HINT_S: Final = 4.0
"""How long a hint stands in a border."""


@dataclass(slots=True)
class ConsoleMemory:
    """How the console was left."""

    SECTION: ClassVar[str] = "console"

    wrap: str = ""
    """`yes` or `no`; empty = as the settings say."""
    stamps: str = ""


class ConsoleView(OutputConsole, inherit_bindings=False):
    """The console; the pane around it has its keys."""

    search_keys: frozenset[str] = frozenset()
    """Those that begin a search: what is typed after them in one burst is what is searched, and no action."""

    async def on_key(self, event: events.Key) -> None:
        if (focused := self.screen.focused) is not self and focused is not None:
            # sent here before the focus went: it is for who has it now
            event.stop()
            event.prevent_default()
            focused.post_message(events.Key(event.key, event.character))
        elif event.key in self.search_keys and isinstance(self.parent, ConsolePane):
            # by its binding it would come after the keys that follow
            event.stop()
            event.prevent_default()
            self.parent.open_search()


class ConsolePane(ConsoleHands):
    """The console; below it the line to answer in while a run asks, and that to search in."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("console")]

    class Answered(Message):
        """Enter was pressed in the line."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    pane_name: ClassVar[str] = "console"
    console: ConsoleView

    def __init__(self, bench: Workbench, *, id: str) -> None:
        super().__init__(id=id)
        self.bench = bench
        self._glyphs = glyphs = bench.glyphs
        media = MediaView(images=bench.settings.images, ascii_only=glyphs is ASCII)
        self.console = ConsoleView(clock=bench.clock, glyphs=glyphs, empty=_SILENT, media=media, id="console")
        search = next(action for action in of("console") if action.id == "console-search")
        self.console.search_keys = frozenset(bench.keys.of(search))
        self.search_line = SearchLine(glyphs, self.console, id="search-line")
        self.queue_lines = QueueLines(glyphs, id="queue-lines")
        self._memory = bench.memory.of(ConsoleMemory)
        self._session: str | None = None
        self._run_clock: Timer | None = None
        self._run: Run | None = None
        self._stands = f"following {glyphs.down}"
        self._hint = ""
        self._said = Content("")
        self._hint_over: Timer | None = None
        self._drafts: dict[int, str] = {}

    def compose(self) -> ComposeResult:
        yield self.console
        yield self.queue_lines
        with Horizontal(id="answer-line"):
            yield Static(">", id="answer-mark", markup=False)
            yield Input(id="answer", compact=True, select_on_focus=False)
        yield self.search_line

    def hint(self, text: str, *, stays: bool = False) -> None:
        """Says why a key did nothing, for a few seconds or until the next hint; empty takes it back.

        It stands in the border; while another pane is in the place of this one, in a corner of the screen.
        """
        if self._hint_over is not None:
            self._hint_over.stop()
        if text and not self.is_on_screen:
            self.notify(text, markup=False, timeout=HINT_S)
        self._hint = text
        self._hint_over = None if stays or not text else self.set_timer(HINT_S, partial(self.hint, ""), name="hint")
        self._show_stand()

    def _show_stand(self) -> None:
        said = Content.styled(self._hint, "bold $warning") if self._hint else Content(self._stands)
        if said != self._said:
            # a border that is set paints its pane anew
            self._said = self.border_subtitle = said

    def on_mount(self) -> None:
        memory, settings = self._memory, self.bench.settings
        if not (memory.wrap == "yes" if memory.wrap else settings.wrap):
            self.console.set_wrap(False)
        if memory.stamps == "yes" if memory.stamps else settings.timestamps:
            self.console.set_stamps(True)
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
        view = None if session_id is None else self.bench.store.view(session_id)
        spoken = "" if view is None else self.bench.sync.connection.language_of(view.image)
        self.console.language = "" if view is None else of_image(view.image, spoken)
        self.console.show(transcript)
        self.show_silence()
        self._show_queue(session_id)
        if self._run_clock is not None:
            # nothing is painted again and again while nothing runs
            (self._run_clock.pause if transcript.current is None else self._run_clock.resume)()

    def show_silence(self) -> None:
        """Shows why the session says nothing yet."""
        bench = self.bench
        view = None if self._session is None else bench.store.view(self._session)
        if view is None or self._session is None:
            self.console.set_empty((_SILENT,))
            return
        progress, key = bench.store.image_progress(self._session), bench.keys.first("list-image-log")
        self.console.set_empty(silence(view, progress, self._glyphs, bench.clock(), key) or (_SILENT,))

    def _show_queue(self, session_id: str | None) -> None:
        """Shows what waits behind the run."""
        if session_id is None:
            self.queue_lines.show((), "", "")
            return
        queue, key = self.bench.runs.of(session_id).queue, self.bench.keys.first("queue")
        self.queue_lines.show([queued.code for queued in queue.waiting], queue.paused, f"{key} shows them")

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

    # -- what the console says -----------------------------------------------------------------------------------

    @on(OutputConsole.FollowChanged)
    @on(OutputConsole.Selected)
    def _stand_changed(self, event: Message) -> None:
        event.stop()
        console, dot = self.console, self._glyphs.dot
        if console.cursor is not None:
            lines = console.selected_text().count("\n") + 1 if console.cursor.origin is not None else 0
            chosen = (
                f"{lines:,} {'line' if lines == 1 else 'lines'} {dot} y copies" if lines else f"v begins {dot} V lines"
            )
            self._stands = f"selecting {dot} {chosen} {dot} escape ends"
        elif console.following:
            self._stands = f"following {self._glyphs.down}"
        else:
            unseen = f" {dot} {console.unseen:,} new lines" if console.unseen else ""
            self._stands = f"paused{unseen} {dot} f follows"
        self._show_stand()

    @on(OutputConsole.Found)
    def _found(self, event: OutputConsole.Found) -> None:
        event.stop()
        self.search_line.show_count(self.console.search, self.console.match)

    @on(OutputConsole.PlaceChosen)
    def _place_chosen(self, event: OutputConsole.PlaceChosen) -> None:
        event.stop()
        self.open_place(event)

    @on(OutputConsole.MediaChosen)
    def _media_chosen(self, event: OutputConsole.MediaChosen) -> None:
        event.stop()
        self.show_media(event.media)

    @on(OutputConsole.LinkChosen)
    def _link_chosen(self, event: OutputConsole.LinkChosen) -> None:
        event.stop()
        # shown, never opened: what a program calls its link may lead anywhere
        self.hint(f"link to {one_line(event.address)}", stays=True)

    # -- searching -----------------------------------------------------------------------------------------------

    def open_search(self) -> None:
        self.console.begin_search()
        self.search_line.add_class("-open")
        self.search_line.focus_field()

    def close_search(self) -> bool:
        if not self.search_line.has_class("-open"):
            return False
        self.search_line.remove_class("-open")
        self.console.end_search()
        self.screen.set_focus(self.console)
        return True

    @on(SearchLine.Changed)
    def _search_changed(self, event: SearchLine.Changed) -> None:
        event.stop()
        self.console.find(event.pattern, regex=event.regex, case=event.case)

    @on(SearchLine.Entered)
    def _search_entered(self, event: SearchLine.Entered) -> None:
        event.stop()
        self.console.accept_search()

    def action_search_option(self, option: str) -> None:
        """Switches how the search looks: `regex` or `case`."""
        if self.search_line.has_class("-open"):
            self.search_line.switch(option)

    # -- the look is remembered ------------------------------------------------------------------------------------

    def action_wrap(self) -> None:
        super().action_wrap()
        self._memory.wrap = "yes" if self.console.wrap else "no"

    def action_stamps(self) -> None:
        super().action_stamps()
        self._memory.stamps = "yes" if self.console.stamps else "no"
