"""What happened and what was done, with its keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from ....widgets.log_list import LogLine, LogList
from ....widgets.text import one_line
from ..actions import bindings
from ..clipboard import said, to_programs
from ..happenings import Happening, Kind
from ..messages import Hinted

if TYPE_CHECKING:
    from ..workbench import Workbench

_KINDS: Final = ("both", "commands", "events")
_EMPTY: Final = "nothing has happened yet: events of sessions and what you do are listed here"
_EMPTY_HERE: Final = "nothing has happened to the selected session since you came: s shows all"


@dataclass(slots=True)
class EventsMemory:
    """What is remembered of the pane."""

    SECTION: ClassVar[str] = "events"

    kind: str = "both"
    one_session: bool = False


class EventsView(LogList, inherit_bindings=False):
    """The log with its keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("events")]

    async def action_copy(self) -> None:
        await self.run_action("screen.at('events', 'copy')")

    async def action_kind(self) -> None:
        await self.run_action("screen.at('events', 'kind')")

    async def action_one_session(self) -> None:
        await self.run_action("screen.at('events', 'one_session')")


class EventsPane(Vertical):
    """The events that the server pushed and the commands that the user's keys stood for, in one order."""

    pane_name: ClassVar[str] = "events"

    def __init__(self, bench: Workbench, *, id: str) -> None:
        super().__init__(id=id)
        self.bench = bench
        self.log_list = EventsView(glyphs=bench.glyphs, empty=_EMPTY, id="events")
        self._memory = bench.memory.of(EventsMemory)
        self._session: str | None = None
        self._entries: Sequence[Happening] = ()

    def compose(self) -> ComposeResult:
        yield self.log_list

    def on_mount(self) -> None:
        self._show_stand()

    def on_show(self) -> None:
        self.show_news()

    def focus_target(self) -> Widget:
        return self.log_list

    def tab_title(self) -> str:
        view = None if self._session is None else self.bench.store.view(self._session)
        if self._memory.one_session and view is not None:
            return f"Events {self.bench.glyphs.dot} {one_line(view.name)}"
        return "Events"

    def show_session(self, session_id: str | None) -> None:
        self._session = session_id
        if self._memory.one_session:
            self.show_news()

    def show_news(self) -> None:
        """Shows what happened since; nothing is worked out while the pane is out of sight."""
        if not self.display:
            return
        before = self._entries
        self._entries = [entry for entry in self.bench.happenings if self._wanted(entry)]
        gone = 0
        if before and self._entries and self._entries[0] is not before[0]:
            gone = next((at for at, entry in enumerate(before) if entry is self._entries[0]), 0)
        self.log_list.empty = _EMPTY_HERE if self._memory.one_session else _EMPTY
        self.log_list.set_lines([self._line(entry) for entry in self._entries], gone=gone)

    def _wanted(self, entry: Happening) -> bool:
        if self._memory.kind != "both" and entry.kind != self._memory.kind.removesuffix("s"):
            return False
        real_id = self.bench.store.real_id
        return not self._memory.one_session or real_id(entry.session_id or "") == self._session

    def _line(self, entry: Happening) -> LogLine:
        if entry.kind is Kind.COMMAND:
            return LogLine(entry.at_s, "$", entry.text, "command")
        return LogLine(entry.at_s, self.bench.glyphs.dot, entry.text, entry.level or "text")

    def _show_stand(self) -> None:
        whose = "of the selected session" if self._memory.one_session else "of all sessions"
        what = {"both": "events and commands", "commands": "commands", "events": "events"}[self._kind]
        self.border_subtitle = Content(f"{what} {whose}")

    @property
    def _kind(self) -> str:
        return self._memory.kind if self._memory.kind in _KINDS else "both"

    # -- actions ---------------------------------------------------------------------------------------------------

    def action_kind(self) -> None:
        self._memory.kind = _KINDS[(_KINDS.index(self._kind) + 1) % len(_KINDS)]
        self._changed()

    def action_one_session(self) -> None:
        self._memory.one_session = not self._memory.one_session
        self._changed()

    def _changed(self) -> None:
        self._entries = ()
        self.log_list.set_lines([])
        self.show_news()
        self._show_stand()

    async def action_copy(self) -> None:
        place = self.log_list.cursor
        if place is not None:
            text = self._entries[place].text
            self.app.copy_to_clipboard(text)
            self.run_worker(to_programs(text), name="copy", group="copy", exit_on_error=False)
            self.post_message(Hinted(said(text)))
