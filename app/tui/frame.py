"""Where the panes of the main screen stand: which are seen, how large they are, and the edges that can be drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from textual.geometry import Offset, Region, Size

from .layout import EDGES, MAP_FROM, NARROW_BELOW, SOLO_BELOW, Layout, Places, drawn_to, places

if TYPE_CHECKING:
    from .main_screen import MainScreen

_BORDER: Final = 2
_ZOOMS: Final = ("sessions", "editor", "map", "details")
_STAND_INS: Final = ("map", "details")


class Edge(NamedTuple):
    """An edge between panes."""

    name: str
    """Field of `Layout`."""
    region: Region
    """Cells of both borders."""
    upright: bool
    """It is drawn to left and right."""
    sign: int
    """1 where the pane before it has the size that is remembered, -1 where it is the one behind it."""


class Frame:
    """Lays out one main screen."""

    def __init__(self, screen: MainScreen) -> None:
        self._screen = screen
        self._bench = screen.bench
        self._layout = screen.bench.memory.of(Layout)
        self.zoomed = ""
        """Name of the pane that has the whole screen; empty = none."""
        self.standing_in = ""
        """`map` or `details` where it stands in place of the work on a narrow screen, else empty."""
        self.places = Places()
        self._laid_out: object = None

    @property
    def narrow(self) -> bool:
        """Whether the panes stand below each other."""
        return self._screen.size.width < NARROW_BELOW

    # -- which panes are seen --------------------------------------------------------------------------------------

    def show(self, name: str) -> None:
        """Lets a pane be seen."""
        if self.zoomed and self.zoomed != name:
            self.zoom(name)
        if name == "map" and not self.narrow:
            self._layout.map = "shown"
            self.lay_out()
        elif name != "sessions":
            self.stand_in(name if name in _STAND_INS else "")
        if name in self._screen.dock:
            self._screen.dock.show(name)
            self._layout.dock = name

    def zoom(self, name: str) -> None:
        """Gives a pane the whole screen; empty = each its place again."""
        self.zoomed = name
        if name in self._screen.dock:
            self._screen.dock.show(name)
        self.lay_out()

    def toggle_map(self) -> None:
        """Shows or hides the map."""
        if self.zoomed:
            self.zoom("")
        if self.narrow:
            self.standing_in = "" if self.standing_in == "map" else "map"
        else:
            self._layout.map = "hidden" if self._screen.instruments.map_shown else "shown"
        self.lay_out()

    def stand_in(self, what: str) -> None:
        """Lets `map`, `details`, or nothing when empty, stand in place of the work where the screen is narrow."""
        if what != self.standing_in:
            self.standing_in = what
            self.lay_out()

    def sees(self, name: str) -> bool:
        """Whether a pane has a place on the screen now."""
        return self._screen.pane(name).region.area > 0

    # -- sizes -----------------------------------------------------------------------------------------------------

    def lay_out(self) -> None:
        """Gives every pane its place for the size of the screen, what is wanted and the number of bars in the map."""
        screen, size = self._screen, self._screen.size
        if not self.narrow:
            self.standing_in = ""
        alone = self.zoomed or (screen.focused_pane if size.height < SOLO_BELOW else "")
        shown = self.standing_in == "map" if self.narrow else self.wants_map(size)
        wants = self._map_wants() if shown and not self.narrow else 0
        now = places(size.width, size.height, self._layout, map_wants=wants)
        state = (now, alone, alone in screen.dock, shown, self.standing_in, self.narrow)
        if state == self._laid_out:
            return
        self._laid_out, self.places = state, now
        if wants:
            self._layout.map_lines = wants
        screen.set_class(bool(alone), "-zoomed")
        for pane in _ZOOMS:
            screen.set_class(pane == alone, f"-zoom-{pane}")
        screen.set_class(alone in screen.dock, "-zoom-dock")
        screen.set_class(shown, "-map")
        screen.set_class(self.standing_in == "details", "-details")
        instruments = screen.instruments
        instruments.map_shown = shown or alone == "map"
        instruments.details_shown = not self.narrow or "details" in (self.standing_in, alone)
        self._apply(now, alone)
        instruments.show_map()

    def _apply(self, now: Places, alone: str) -> None:
        screen = self._screen
        body, sessions, editor = screen.body.styles, screen.sessions.styles, screen.editor_pane.styles
        if self.narrow or alone:
            body.clear_rule("grid_columns")
            body.clear_rule("grid_rows")
        else:
            body.grid_columns = f"{now.side} 1fr" + (f" {now.right}" if now.right else "")
            rows = [str(now.map_height)] if now.map_height else []
            body.grid_rows = " ".join([*rows, "1fr", *([str(now.foot)] if now.foot else [])])
        if now.top and not alone:
            sessions.height = now.top
        else:
            sessions.clear_rule("height")
        if alone:
            editor.clear_rule("height")
        else:
            editor.height = now.editor

    def wants_map(self, size: Size) -> bool:
        """Whether the map is to be shown beside the panes of a screen of this size."""
        if size.width < NARROW_BELOW:
            return False
        if self._layout.map:
            return self._layout.map == "shown"
        gpus = self._bench.sync.connection.machine.gpus
        return size.height >= MAP_FROM and (bool(gpus) or self._layout.map_lines > 0)

    def _map_wants(self) -> int:
        """Returns the height of the map with its border; before the machine is known, that of the last time."""
        machine = self._bench.sync.connection.machine
        bars = len(machine.gpus) + sum(1 for gauge in machine.gauges if gauge.label != "gpu")
        return bars * 2 + _BORDER if bars else self._layout.map_lines

    # -- edges -----------------------------------------------------------------------------------------------------

    def edges(self) -> list[Edge]:
        """Returns the edges that can be drawn now."""
        screen, now = self._screen, self.places
        if screen.has_class("-zoomed"):
            return []
        body, editor, dock = screen.body.region, screen.editor_pane.region, screen.dock.region
        found = []
        if not self.standing_in:
            # before those above it: keys draw the edge below the editor
            found.append(Edge("editor", Region(dock.x, editor.bottom - 1, dock.width, 2), False, 1))
        if now.side:
            found.append(Edge("side", Region(body.x + now.side - 1, body.y, 2, body.height), True, 1))
        if now.right:
            right = screen.details.region
            found.append(Edge("right", Region(right.x - 1, right.y, 2, right.height), True, -1))
        if now.foot:
            foot = screen.details.region
            found.append(Edge("foot", Region(foot.x, foot.y - 1, foot.width, 2), False, -1))
        if now.map_height:
            above = screen.map.region
            found.append(Edge("map_height", Region(above.x, above.bottom - 1, above.width, 2), False, 1))
        if now.top:
            found.append(Edge("top", Region(body.x, body.y + now.top - 1, body.width, 2), False, 1))
        return found

    def edge_at(self, place: Offset) -> Edge | None:
        """Returns the edge at a cell of the screen."""
        return next((edge for edge in self.edges() if edge.region.contains_point(place)), None)

    def draw(self, edge: Edge, cells: int) -> None:
        """Draws an edge by so many cells, to the right or down; as far as there is room."""
        before = getattr(self.places, edge.name)
        setattr(self._layout, edge.name, drawn_to(edge.name, before + cells * edge.sign, self.places))
        self.lay_out()
        # not further than it went: the way back begins at once
        setattr(self._layout, edge.name, drawn_to(edge.name, getattr(self.places, edge.name), self.places))

    def draw_of(self, name: str, columns: int, lines: int) -> None:
        """Draws the edge of a pane that is nearest to it, to the right and down."""
        region = self._screen.pane(name).region
        if name in self._screen.dock:
            region = self._screen.dock.region
        for edge in self.edges():
            cells = columns if edge.upright else lines
            if cells and edge.region.overlaps(region):
                self.draw(edge, cells)
                return

    def as_it_comes(self) -> None:
        """Forgets every size that the user drew."""
        for edge in EDGES:
            setattr(self._layout, edge, 0)
        self.lay_out()
