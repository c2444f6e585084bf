"""Chooses a server: the contexts with their state, what is typed filters them, enter goes there."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ...widgets.text import one_line
from ..client.probe import Probe
from ..config import Paths
from ..model.errors import BaiTuiError
from ..reach import Place, places, reach, state_of
from .dialogs import Dialog

_ADD = "`bai-tui context add NAME --endpoint URL --access-key KEY` adds a server"


class ContextsScreen(Dialog[str | None]):
    """The contexts; gives the name of the one to go to, None = stay.

    Args:
        current: Name of the one that the workspace is at.
        mark: What stands before it.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "stay", id="contexts-close", tooltip="Stay with this server"),
        Binding("down", "move(1)", "next", show=False, id="contexts-down", tooltip="Go to the next context"),
        Binding("up", "move(-1)", "previous", show=False, id="contexts-up", tooltip="Go to the previous context"),
    ]

    def __init__(self, current: str, *, mark: str) -> None:
        super().__init__()
        self._current = current
        self._mark = mark
        self._places: list[Place] = []
        self._states: dict[str, Probe] = {}

    def compose(self) -> ComposeResult:
        with Vertical(id="contexts") as box:
            box.border_title = "Go to another server"
            box.border_subtitle = "type to filter · enter goes there · escape stays"
            yield Input(placeholder="name or address", id="context-search", compact=True)
            yield OptionList(id="context-list", markup=False)
            yield Static(_ADD, id="context-about", markup=False)

    def on_mount(self) -> None:
        self.query_one(Input).focus()
        self.run_worker(self._load(), name="contexts", exit_on_error=False)

    async def _load(self) -> None:
        """Lists the contexts at once, and then what each says, as it comes."""
        paths = Paths.of_user()
        try:
            self._places = await asyncio.to_thread(places, paths)
        except BaiTuiError as exc:
            self.query_one("#context-about", Static).update(exc.message)
            return
        self._show()

        async def ask(name: str) -> None:
            self._states[name] = await reach(paths, name)
            self._show()

        await asyncio.gather(*(ask(place.name) for place in self._places))

    def _show(self) -> None:
        options = self.query_one(OptionList)
        before = options.highlighted_option
        wanted = self.query_one(Input).value.strip().lower()
        shown = [place for place in self._places if wanted in place.name.lower() or wanted in place.url.lower()]
        options.clear_options()
        options.add_options([Option(self._row(place), id=place.name) for place in shown])
        names = [place.name for place in shown]
        keep = before.id if before is not None and before.id in names else None
        if keep is None and self._current in names and not wanted:
            keep = self._current
        options.highlighted = names.index(keep) if keep is not None else 0 if names else None

    def _row(self, place: Place) -> Content:
        state = self._states.get(place.name)
        here = place.name == self._current
        return Content.assemble(
            (f"{self._mark if here else ' '} ", "$accent"),
            f"{one_line(place.name):<16} ",
            (f"{one_line(place.url) or 'this machine':<34} ", "$quiet"),
            (
                "asking ..." if state is None else one_line(state_of(state)),
                "" if state and state.sessions else "$quiet",
            ),
        )

    @on(Input.Changed)
    def _filtered(self) -> None:
        self._show()

    @on(Input.Submitted)
    def _entered(self) -> None:
        option = self.query_one(OptionList).highlighted_option
        if option is not None:
            self._go(option.id)

    @on(OptionList.OptionSelected)
    def _clicked(self, event: OptionList.OptionSelected) -> None:
        self._go(event.option_id)

    def _go(self, name: str | None) -> None:
        self.dismiss(None if name == self._current else name)

    def action_move(self, step: int) -> None:
        options = self.query_one(OptionList)
        if step > 0:
            options.action_cursor_down()
        else:
            options.action_cursor_up()
