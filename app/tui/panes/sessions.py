"""The session list with its keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.widget import Widget

from ....widgets.session_list import SessionList
from ..actions import bindings
from ..store import LAUNCHING

if TYPE_CHECKING:
    from ..workbench import Workbench


class SessionsPane(SessionList):
    """The sessions of the store; what its keys do, they do to the session under the cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("sessions")]
    pane_name: ClassVar[str] = "sessions"

    def __init__(self, bench: Workbench, *, empty: tuple[str, ...], live: Callable[[str], str], id: str) -> None:
        super().__init__(clock=bench.clock, glyphs=bench.glyphs, empty=empty, live=live, id=id)
        self.bench = bench

    def focus_target(self) -> Widget:
        return self

    def show_session(self, session_id: str | None) -> None:
        """Does nothing: the session that is selected is the one under its cursor."""

    def action_kill(self) -> None:
        if self.cursor is not None and not self.cursor.startswith(LAUNCHING):
            self.bench.ending.kill(self.cursor)

    def action_extend(self) -> None:
        self._hint_for(self.bench.upkeep.extend)

    def action_take_back(self) -> None:
        self._hint_for(self.bench.upkeep.take_back)

    def action_prioritize(self, direction: int) -> None:
        self._hint_for(lambda session_id: self.bench.upkeep.prioritize(session_id, direction))

    def _hint_for(self, act: Callable[[str], str | None]) -> None:
        """Does something to the selected session; says why where that cannot be."""
        if self.cursor is not None:
            wrong = act(self.cursor)
            if wrong is not None:
                self.notify(wrong, severity="warning", markup=False, timeout=3)
