"""The resize mode: arrow keys, which every terminal sends, draw the edges of the pane that has the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.screen import ModalScreen
from textual.widgets import Static

if TYPE_CHECKING:
    from .frame import Frame

_COLUMNS = 4
_STEPS = {
    "left": (-_COLUMNS, 0), "h": (-_COLUMNS, 0), "right": (_COLUMNS, 0), "l": (_COLUMNS, 0),
    "up": (0, -1), "k": (0, -1), "down": (0, 1), "j": (0, 1),
}  # fmt: skip


class ResizeScreen(ModalScreen[None]):
    """A line at the foot of the screen; the panes behind it change at once.

    Args:
        pane: Name of the pane whose edges move.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "close", "done", id="resize-close", tooltip="Keep the sizes"),
        Binding("equals_sign", "forget", "as it comes", id="resize-forget", tooltip="Forget every size that was drawn"),
    ]

    def __init__(self, frame: Frame, pane: str) -> None:
        super().__init__()
        self._frame = frame
        self._pane = pane

    def compose(self) -> ComposeResult:
        yield Static(
            f" resize {self._pane}:  arrows or h j k l draw its edges   = as it comes   enter done",
            id="resize-line",
            markup=False,
        )

    def on_key(self, event: events.Key) -> None:
        if (step := _STEPS.get(event.key)) is not None:
            event.stop()
            self._frame.draw_of(self._pane, *step)

    def on_click(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.dismiss(None)

    def action_forget(self) -> None:
        self._frame.as_it_comes()
