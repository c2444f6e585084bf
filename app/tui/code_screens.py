"""Screens about code: what was run before, what waits to be run, and all that is known of a name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar, Final, Literal

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ...widgets.lines import title_of
from ...widgets.text import one_line
from ..model.inspection import Inspection
from .code_history import Hit, search
from .dialogs import Dialog

if TYPE_CHECKING:
    from .code_history import CodeHistory, Entry
    from .run_queue import RunQueue

SHOWN: Final = 200
"""Entries of the list at most: who wants others types another letter."""
_PREVIEW_CHARS: Final = 20_000

Pick = tuple[Literal["put", "run"], str]
"""What is to be done with which code."""


def painted(code: str, language: str = "python") -> Content:
    """Returns foreign code in colours, as text that holds no markup."""
    from textual.highlight import highlight

    clean = "\n".join(one_line(line.expandtabs(4)) for line in code[:_PREVIEW_CHARS].split("\n"))
    return highlight(clean, language=language)


class CodeHistoryScreen(Dialog[Pick | None]):
    """Looks for code that was run before: a few letters of it, the list, the marked one in full."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "close", id="history-close", tooltip="Close"),
        Binding("ctrl+r,f5", "run", "run", id="history-run", tooltip="Run the marked one again", priority=True),
        Binding("down,ctrl+n", "move(1)", "next", show=False, id="history-down", tooltip="Mark the next one"),
        Binding("up,ctrl+p", "move(-1)", "previous", show=False, id="history-up", tooltip="Mark the one before"),
        Binding(
            "pagedown", "move(10)", "page down", show=False, id="history-page-down", tooltip="Mark one further down"
        ),
        Binding("pageup", "move(-10)", "page up", show=False, id="history-page-up", tooltip="Mark one further up"),
        Binding("ctrl+d", "forget", "forget", id="history-forget", tooltip="Forget the marked one", priority=True),
    ]

    def __init__(self, history: CodeHistory) -> None:
        super().__init__()
        self._history = history
        self._entries: Sequence[Entry] = ()
        self._hits: Sequence[Hit] = ()
        self._loaded = False

    def compose(self) -> ComposeResult:
        with Vertical(id="code-history") as box:
            box.border_title = "What was run"
            box.border_subtitle = "enter puts it into the editor · ^r runs it · ^d forgets it · escape closes"
            yield Input(id="history-search", placeholder="a few letters of it", compact=True)
            with Horizontal():
                yield OptionList(id="history-list")
                with VerticalScroll(id="history-preview", can_focus=False):
                    yield Static(id="history-code", markup=False)
            yield Static(id="history-about", markup=False)

    async def on_mount(self) -> None:
        self.query_one("#history-list", OptionList).can_focus = False
        self.query_one("#history-search", Input).focus()
        self._entries = await asyncio.to_thread(self._history.load)
        self._loaded = True
        self._show()

    @on(Input.Changed, "#history-search")
    def _show(self) -> None:
        listing = self.query_one("#history-list", OptionList)
        self._hits = search(self._entries, self.query_one("#history-search", Input).value)[:SHOWN]
        listing.clear_options()
        listing.add_options([Option(_line(hit)) for hit in self._hits])
        if self._hits:
            listing.highlighted = 0
        self._preview()

    @property
    def marked(self) -> Hit | None:
        """The entry under the cursor."""
        at = self.query_one("#history-list", OptionList).highlighted
        return self._hits[at] if at is not None and at < len(self._hits) else None

    @on(OptionList.OptionHighlighted)
    def _preview(self) -> None:
        hit, code = self.marked, self.query_one("#history-code", Static)
        about = self.query_one("#history-about", Static)
        if hit is None:
            code.update("")
            nothing = "nothing was run yet" if not self._entries else "nothing that was run fits this"
            about.update(nothing if self._loaded else "")
            return
        entry = hit.entry
        code.update(painted(entry.code))
        self.query_one("#history-preview").scroll_to(y=max(0, hit.line - 3), animate=False)
        when = datetime.fromtimestamp(entry.time_s).astimezone().strftime("%Y-%m-%d %H:%M")
        times = f" · {entry.count} times" if entry.count > 1 else ""
        where = " · ".join(one_line(part) for part in (entry.session, entry.image) if part)
        about.update(f"{when}{times}" + (f" · {where}" if where else ""))

    def action_move(self, step: int) -> None:
        listing = self.query_one("#history-list", OptionList)
        if self._hits:
            listing.highlighted = min(max(0, (listing.highlighted or 0) + step), len(self._hits) - 1)

    @on(Input.Submitted)
    @on(OptionList.OptionSelected)
    def _put(self) -> None:
        self._pick("put")

    def action_run(self) -> None:
        self._pick("run")

    def _pick(self, what: Literal["put", "run"]) -> None:
        if (hit := self.marked) is not None:
            self.dismiss((what, hit.entry.code))

    async def action_forget(self) -> None:
        hit = self.marked
        if hit is None:
            return
        listing = self.query_one("#history-list", OptionList)
        at = listing.highlighted or 0
        try:
            await asyncio.to_thread(self._history.remove, hit.entry.code)
        except OSError as error:
            self.query_one("#history-about", Static).update(f"it cannot be forgotten: {error.strerror or error}")
            return
        self._entries = [entry for entry in self._entries if entry.code != hit.entry.code]
        self._show()
        if self._hits:
            listing.highlighted = min(at, len(self._hits) - 1)


def _line(hit: Hit) -> Content:
    """Returns a line of the list: the best line of the code, with what fits in it, and how many there are."""
    lines = hit.entry.code.split("\n")
    line = lines[hit.line] if hit.line < len(lines) else ""
    left = len(line) - len(line.lstrip())
    shown = Content(one_line(line[left:].expandtabs(1)))
    for offset in hit.offsets:
        if left <= offset:
            shown = shown.stylize("bold underline", offset - left, offset - left + 1)
    more = f"  +{len(lines) - 1}" if len(lines) > 1 else ""
    return Content.assemble(shown, (more, "$foreground 60%"))


class RunQueueScreen(ModalScreen[None]):
    """Lists what waits behind the run of a session."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "close", id="queue-close", tooltip="Close"),
        Binding("x,delete", "cancel", "take out", id="queue-cancel", tooltip="Take the marked one out"),
        Binding("X,shift+x", "clear", "take all out", id="queue-clear", tooltip="Take all out"),
        Binding("g", "go_on", "go on", id="queue-go-on", tooltip="Run what waits although a run failed"),
        Binding("K,shift+up", "shift(-1)", "sooner", id="queue-sooner", tooltip="Move the marked one up"),
        Binding("J,shift+down", "shift(1)", "later", id="queue-later", tooltip="Move the marked one down"),
        Binding("j", "move(1)", "next", show=False, id="queue-down", tooltip="Mark the next one"),
        Binding("k", "move(-1)", "previous", show=False, id="queue-up", tooltip="Mark the one before"),
    ]

    def __init__(self, queue: RunQueue, name: str, go_on: Callable[[], None], changed: Callable[[], None]) -> None:
        super().__init__()
        self._queue = queue
        self._session = name
        self._go_on = go_on
        self._changed = changed
        self._seen: tuple[object, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="run-queue") as box:
            box.border_title = Content(f"Queue of {one_line(self._session)}")
            box.border_subtitle = "x takes one out · X all · J K order · g goes on · escape closes"
            yield Static(id="queue-state", markup=False)
            yield OptionList(id="queue-list")
            with VerticalScroll(id="queue-preview", can_focus=False):
                yield Static(id="queue-code", markup=False)

    def on_mount(self) -> None:
        self.query_one("#queue-list").focus()
        self.show()

    def show(self) -> None:
        """Shows the queue as it is now."""
        listing = self.query_one_optional("#queue-list", OptionList)
        if listing is None:
            return  # not there yet, or not any more
        waiting = self._queue.waiting
        paused = self._queue.paused
        said = f"paused: {paused}, g goes on" if paused else "runs as soon as the run before has succeeded"
        self.query_one("#queue-state", Static).update(said if waiting else "nothing waits")
        if waiting != self._seen:
            at = listing.highlighted or 0
            self._seen = waiting
            listing.clear_options()
            listing.add_options([Option(Content(one_line(title_of(queued.code)))) for queued in waiting])
            if waiting:
                listing.highlighted = min(at, len(waiting) - 1)
        self._preview()

    @on(OptionList.OptionHighlighted)
    def _preview(self) -> None:
        waiting, at = self._queue.waiting, self._at
        self.query_one("#queue-code", Static).update(painted(waiting[at].code) if at < len(waiting) else "")

    @property
    def _at(self) -> int:
        return self.query_one("#queue-list", OptionList).highlighted or 0

    def _do(self, done: bool) -> None:
        if done:
            self._changed()
        self.show()

    def action_cancel(self) -> None:
        waiting, at = self._queue.waiting, self._at
        self._do(at < len(waiting) and self._queue.cancel(waiting[at].number))

    def action_clear(self) -> None:
        self._do(self._queue.clear() > 0)

    def action_go_on(self) -> None:
        self._go_on()
        self.show()

    def action_shift(self, step: int) -> None:
        waiting, at = self._queue.waiting, self._at
        if at < len(waiting) and self._queue.move(waiting[at].number, step):
            self._do(True)
            self.query_one("#queue-list", OptionList).highlighted = at + step

    def action_move(self, step: int) -> None:
        listing = self.query_one("#queue-list", OptionList)
        if len(self._queue):
            listing.highlighted = min(max(0, self._at + step), len(self._queue) - 1)


class NameScreen(ModalScreen[None]):
    """All that a kernel tells of a name: documentation and source."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss(None)", "close", id="name-close", tooltip="Close"),
        Binding("j", "scroll(1)", "down", show=False, id="name-down", tooltip="Scroll down a line"),
        Binding("k", "scroll(-1)", "up", show=False, id="name-up", tooltip="Scroll up a line"),
    ]

    def __init__(self, told: Inspection) -> None:
        super().__init__()
        self._told = told

    def compose(self) -> ComposeResult:
        told = self._told
        with Vertical(id="name") as box:
            box.border_title = Content(one_line(f"{told.name}: {told.type}"))
            box.border_subtitle = "escape closes"
            with VerticalScroll(id="name-scroll"):
                yield Static(painted(told.name + told.signature) if told.signature else Content(""), id="name-head")
                yield Static(Content("\n".join(one_line(line) for line in told.doc.split("\n"))), id="name-doc")
                if told.text:
                    yield Static(painted(told.text), id="name-source")

    def on_mount(self) -> None:
        self.query_one("#name-scroll").focus()

    def action_scroll(self, step: int) -> None:
        self.query_one("#name-scroll").scroll_relative(y=step, animate=False)
