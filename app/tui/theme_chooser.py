"""Chooses a theme: the one that the cursor is on is worn at once; escape puts the old one on again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from ...styles.themes import ABOUT_THEMES


class ThemeChooser(ModalScreen[None]):
    """The themes in a box at the right, so that the panes can be seen beside it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "as before", id="themes-close", tooltip="Put the old theme on again"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._before = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="themes") as box:
            box.border_title = "Theme"
            box.border_subtitle = "enter keeps, escape undoes"
            yield OptionList(id="theme-list")

    def on_mount(self) -> None:
        self._before = self.app.theme
        names = self.names(self.app.available_themes)
        options = self.query_one(OptionList)
        options.add_options([Option(_label(name), id=name) for name in names])
        options.highlighted = names.index(self._before)
        options.focus()

    @staticmethod
    def names(available: Iterable[str]) -> list[str]:
        """Returns the themes in the order of the list: ours, then Textual's."""
        return [*ABOUT_THEMES, *sorted(set(available) - set(ABOUT_THEMES))]

    @on(OptionList.OptionHighlighted)
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option_id is not None and event.option_id != self.app.theme:
            self.app.theme = event.option_id

    @on(OptionList.OptionSelected)
    def _selected(self) -> None:
        self.dismiss(None)

    def action_close(self) -> None:
        self.app.theme = self._before
        self.dismiss(None)


def _label(name: str) -> Content:
    about = ABOUT_THEMES.get(name, "")
    return Content.assemble(f"{name:<14}", (about, "$text-muted")) if about else Content(name)
