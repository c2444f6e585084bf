"""The panes that share the lower right: one of them is seen, the others are tabs in its title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget

from .pane import Pane


class DockPane(Pane, Protocol):
    """A pane that stands in the dock."""

    def tab_title(self) -> str:
        """Returns what its tab says: its name, and what it is about when it is seen."""


class Dock(Vertical):
    """Shows one of its panes.

    Args:
        panes: Widgets that are `DockPane`s as well; the first one is seen first.
    """

    def __init__(self, panes: Sequence[Widget], *, separator: str, id: str) -> None:
        super().__init__(id=id)
        self._panes: dict[str, Widget] = {_as_pane(pane).pane_name: pane for pane in panes}
        self._separator = separator
        self.current = next(iter(self._panes))
        """Name of the pane that is seen."""
        self._titled: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        yield from self._panes.values()

    def on_mount(self) -> None:
        self.show(self.current)

    def __contains__(self, name: object) -> bool:
        return name in self._panes

    @property
    def panes(self) -> tuple[Widget, ...]:
        """Its panes, in the order of their tabs."""
        return tuple(self._panes.values())

    def pane(self, name: str) -> Widget:
        """Returns the pane of that name."""
        return self._panes[name]

    def show_session(self, session_id: str | None) -> None:
        """Tells every pane which session is selected."""
        for pane in self._panes.values():
            _as_pane(pane).show_session(session_id)

    def show(self, name: str) -> None:
        """Lets a pane be seen in place of the others; nothing changes where there is none of that name."""
        if name not in self._panes:
            return
        self.current = name
        for key, pane in self._panes.items():
            pane.display = key == name
        self.show_tabs()

    def show_tabs(self) -> None:
        """Writes the tabs into the title of the pane that is seen; a click on one shows its pane."""
        parts: list[Content] = []
        title = _as_pane(self._panes[self.current]).tab_title()
        if (self.current, title) == self._titled:
            # a border title that is set paints its pane anew
            return
        self._titled = self.current, title
        for name in self._panes:
            seen = name == self.current
            text = title if seen else name.capitalize()
            tab = Content(text) if seen else Content.styled(text, f"dim @click=screen.pane({name!r})")
            parts += [Content(self._separator), tab] if parts else [tab]
        self._panes[self.current].border_title = Content("").join(parts)


def _as_pane(widget: Widget) -> DockPane:
    return widget  # type: ignore[return-value]  # a widget of ours that keeps the Protocol: see `panes`
