"""What the main screen does about itself: which pane is seen and has the focus, edges, help, jumping, themes."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from textual import events
from textual.screen import Screen
from textual.widget import Widget

from .focus import pane_of
from .frame import Edge, Frame
from .layout import SOLO_BELOW
from .read_only import SENTENCE, WORD

if TYPE_CHECKING:
    from .actions import Action
    from .instruments import Instruments
    from .jump import Place
    from .panes.console import ConsolePane
    from .panes.dock import Dock
    from .panes.map import MapPane
    from .panes.pane import Pane
    from .panes.sessions import SessionsPane
    from .workbench import Workbench

_REFUSED_S = 3.0


class Around(Screen[None]):
    """A base of the main screen."""

    bench: Workbench
    frame: Frame
    instruments: Instruments
    sessions: SessionsPane
    map: MapPane
    dock: Dock
    console_pane: ConsolePane
    _prompt_for: str | None
    _held: tuple[Edge, int] | None = None
    """The edge that the mouse holds, and the column or line where it took it."""

    @property
    def selected(self) -> str | None:
        """Id of the session under the cursor."""
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """Whether the panes are there."""
        raise NotImplementedError

    def pane(self, name: str) -> Widget:
        """Returns a pane by its name in the action table."""
        raise NotImplementedError

    @property
    def panes(self) -> tuple[Widget, ...]:
        """Every pane; each is a `Pane` as well."""
        raise NotImplementedError

    def show_details(self) -> None:
        """Shows the facts of the selected session."""
        raise NotImplementedError

    # -- focus -----------------------------------------------------------------------------------------------------

    @property
    def focused_pane(self) -> str:
        """Name of the pane that has the focus, before that pane has heard of it."""
        return pane_of(self.focused) or "sessions"

    def action_pane(self, name: str) -> None:
        self._prompt_for = self.selected if name == "console" else None
        self.frame.show(name)
        if name == "details":
            self.show_details()
        # at once: a key that follows in the same burst is for that pane
        self.set_focus(cast("Pane", self.pane(name)).focus_target())

    def on_descendant_focus(self) -> None:
        if self.ready and self.size.height < SOLO_BELOW:
            self.frame.lay_out()

    # -- which panes are seen --------------------------------------------------------------------------------------

    def action_map(self) -> None:
        self._prompt_for = None
        self.frame.toggle_map()
        if self.frame.standing_in and self.size.height < SOLO_BELOW:
            self.set_focus(self.map)
        elif self.focused_pane != "sessions" and (self.frame.standing_in or self.focused is self.map):
            # what has the focus is not to be seen any more
            self.set_focus(self.sessions)

    def action_along(self, step: int) -> None:
        """Selects the next session that has cells in the map."""
        holders = self.map.holders()
        if holders:
            place = holders.index(self.selected) + step if self.selected in holders else 0
            self.sessions.select(holders[place % len(holders)])

    def action_zoom(self) -> None:
        self.frame.zoom("" if self.frame.zoomed else self.focused_pane)

    # -- edges -----------------------------------------------------------------------------------------------------

    @property
    def allow_select(self) -> bool:
        """Whether a press of the mouse begins to select text: not where it takes an edge."""
        return super().allow_select and not (self.ready and self.frame.edge_at(self.app.mouse_position))

    def on_mouse_down(self, event: events.MouseDown) -> None:
        if event.button == 1 and self.ready:
            edge = self.frame.edge_at(event.screen_offset)
            self._held = None if edge is None else (edge, _along(edge, event))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._held is None:
            return
        if not event.button:
            self._let_go()
            return
        edge, last = self._held
        now = _along(edge, event)
        if now != last:
            # only now: a press that does not move is a click on a tab
            self.capture_mouse()
            before = getattr(self.frame.places, edge.name)
            self.frame.draw(edge, now - last)
            # the edge stops at its bounds and waits there for the mouse
            self._held = edge, last + (getattr(self.frame.places, edge.name) - before) * edge.sign

    def on_mouse_up(self) -> None:
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held = None
            self.release_mouse()

    def action_resize(self) -> None:
        from .resize import ResizeScreen

        if self.frame.zoomed:
            self.frame.zoom("")
        self.app.push_screen(ResizeScreen(self.frame, self.focused_pane))

    # -- finding one's way -----------------------------------------------------------------------------------------

    def action_help(self) -> None:
        from .help import HelpScreen

        self.app.push_screen(HelpScreen(self.focused_pane, self.bench.keys))

    def action_jump(self) -> None:
        from .jump import JumpScreen, places_of

        async def jump(place: Place | None) -> None:
            if place is not None:
                await self.run_action(place.action)

        self.app.push_screen(JumpScreen(places_of(self, self.panes)), jump)

    def action_contexts(self) -> None:
        from .contexts import ContextsScreen

        async def go(name: str | None) -> None:
            if name is not None:
                await self.app.run_action(f"app.context({name!r})")

        self.app.push_screen(ContextsScreen(self.bench.sync.connection.place, mark=self.bench.glyphs.running), go)

    def action_theme(self) -> None:
        from .theme_chooser import ThemeChooser

        self.app.push_screen(ThemeChooser())

    # -- the read-only switch --------------------------------------------------------------------------------------

    def action_read_only(self) -> None:
        self.bench.switch.on = not self.bench.switch.on
        self.show_read_only()

    def show_read_only(self) -> None:
        """Says in the strip how the switch stands."""
        self.instruments.strip.set_note(WORD if self.bench.read_only else "")

    def refuse(self, action: Action) -> None:
        """Says where the user looks that the switch forbids an action."""
        pane = "sessions" if self.focused_pane == "sessions" else action.target
        if pane in ("map", "details", "everywhere"):
            pane = self.focused_pane
        if pane in ("editor", "console"):
            self.console_pane.hint(SENTENCE)
        else:
            self.notify(SENTENCE, severity="warning", markup=False, timeout=_REFUSED_S)


def _along(edge: Edge, event: events.MouseEvent) -> int:
    return int(event.screen_x if edge.upright else event.screen_y)
