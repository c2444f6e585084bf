"""The panes that one reads and does not type into: the strip, the map of the machine, the details.

Each shows what store, connection and the newest round of measuring say; a round repaints the lines that read
differently now and never lays anything out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from ...widgets.machine_strip import MachineStrip
from ...widgets.rows import BarUse, MachineUse, MapBar, MapPart
from ...widgets.text import one_line
from .details import nothing_selected, session_facts
from .layout import Layout
from .machine_map import bars_of, use_of
from .panes.details import DetailsPane
from .panes.map import MapPane

if TYPE_CHECKING:
    from textual.screen import Screen

    from .workbench import Workbench

NARROW_BELOW: Final = 100
"""Cells below which panes stand below each other, one of work, map and details at a time."""
WIDE_FROM: Final = 160
_SHORT_BELOW: Final = 34
_ROOM_FROM: Final = 38
"""Lines from which the map is shown without being asked for."""
_BORDER: Final = 2
_MOST: Final = 0.42
"""Of the height of the screen, for the map beside other panes."""
DETAILS_LINES: Final = 17
_DETAILS_LINES_SHORT: Final = 9


class Instruments:
    """Strip, map and details."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self._layout = bench.memory.of(Layout)
        self.strip = MachineStrip(glyphs=bench.glyphs, id="strip")
        self.map = MapPane(self._use_of, glyphs=bench.glyphs, id="map")
        self.details = DetailsPane(glyphs=bench.glyphs, id="details")
        self._detailed: str | None = None
        self._title = ""
        self._asked_narrow = ""
        """Which of `map` and `details` stands in place of the work on a narrow screen; empty = neither."""
        self._laid_out: object = None
        self._mapped: tuple[object, object] = (None, None)
        """Machine and rows that the map shows."""
        self.map_shown = False
        """Whether the map has a place: what is drawn before a style sheet is applied asks here."""
        self.details_shown = True

    def mounted(self) -> None:
        """Names the map; the details are named after their session."""
        self.map.border_title = "Machine"

    # -- showing ---------------------------------------------------------------------------------------------------

    def show_machine(self) -> None:
        """Shows what is given away."""
        machine = self._bench.sync.connection.machine
        self.strip.set_machine(machine)
        self.show_map()

    def show_map(self) -> None:
        """Shows who has what; nothing is worked out while the map is out of sight."""
        connection, store = self._bench.sync.connection, self._bench.store
        mapped = connection.machine, store.rows()
        if self.map_shown and not all(new is old for new, old in zip(mapped, self._mapped, strict=True)):
            self._mapped = mapped
            shared = "devices" not in connection.capabilities
            self.map.set_bars(bars_of(connection.machine, store.views(), shared=shared))

    def show_stats(self, selected: str | None) -> None:
        """Shows a round of measuring."""
        live = self._bench.sync.live
        memory = {gpu: use.mem_used_bytes for gpu, use in live.gpus.items() if use.mem_used_bytes is not None}
        self.strip.set_use(MachineUse(live.cpu_pct, live.mem_used_bytes, memory))
        if self.map_shown:
            self.map.use_changed()
        self.show_details(selected)

    def _use_of(self, bar: MapBar, parts: Sequence[MapPart]) -> BarUse:
        gpu = next((gpu for gpu in self._bench.sync.connection.machine.gpus if gpu.label == bar.id), None)
        return use_of(bar, parts, self._bench.sync.live, gpu.mem_bytes if gpu is not None else 0)

    def show_details(self, selected: str | None) -> None:
        """Shows the facts of a session."""
        if not self.details_shown:
            return
        store = self._bench.store
        view = None if selected is None else store.view(selected)
        if view is None or selected is None:
            facts, title = nothing_selected(), "Details"
        else:
            title = f"Details {self._bench.glyphs.dot} {one_line(view.name)}"
            # of a run of ours we know before the next list does
            view = replace(view, busy=store.is_busy(selected))
            facts = session_facts(view, self._bench.sync.live, self._bench.clock(), store.ends_at_s(selected))
        other = self._detailed is not None and store.real_id(self._detailed) != selected
        self._detailed = selected
        if title != self._title:
            # a border title that is set paints its pane anew
            self._title = title
            self.details.border_title = Content(title)
        self.details.set_facts(facts, top=other)

    # -- where they stand ------------------------------------------------------------------------------------------

    def toggle_map(self, screen: Screen[None], body: Widget) -> None:
        """Shows or hides the map."""
        if screen.size.width < NARROW_BELOW:
            self._asked_narrow = "" if self._asked_narrow == "map" else "map"
        else:
            self._layout.map = "hidden" if self.map_shown else "shown"
        self.lay_out(screen, body)

    def stand_in(self, what: str, screen: Screen[None], body: Widget) -> None:
        """Lets `details`, or nothing when empty, stand in place of the work where the screen is narrow."""
        if what != self._asked_narrow:
            self._asked_narrow = what
            self.lay_out(screen, body)

    @property
    def standing_in(self) -> str:
        """`map` or `details` where it stands in place of the work, else empty."""
        return self._asked_narrow

    def lay_out(self, screen: Screen[None], body: Widget) -> None:
        """Gives map and details their places for the size of the screen and the number of bars."""
        size = screen.size
        narrow = size.width < NARROW_BELOW
        if not narrow:
            self._asked_narrow = ""
        shown = self._asked_narrow == "map" if narrow else self._map_wanted(size)
        lines = self._map_lines(size) if shown and not narrow else 0
        now = (narrow, size.width >= WIDE_FROM, size.height < _SHORT_BELOW, shown, lines, self._asked_narrow)
        if now == self._laid_out:
            return
        self._laid_out = now
        screen.set_class(shown, "-map")
        screen.set_class(self._asked_narrow == "details", "-details")
        self.map_shown = shown
        self.details_shown = not narrow or self._asked_narrow == "details"
        if lines:
            self._layout.map_lines = lines
            foot = "" if size.width >= WIDE_FROM else f" {_foot(size)}"
            body.styles.grid_rows = f"{lines} 1fr{foot}"
        else:
            body.styles.clear_rule("grid_rows")
        self.show_map()

    def _map_wanted(self, size: Size) -> bool:
        if self._layout.map:
            return self._layout.map == "shown"
        gpus = self._bench.sync.connection.machine.gpus
        return size.height >= _ROOM_FROM and (bool(gpus) or self._layout.map_lines > 0)

    def _map_lines(self, size: Size) -> int:
        """Returns the height of the map with its border; before the machine is known, that of the last time."""
        machine = self._bench.sync.connection.machine
        bars = len(machine.gpus) + sum(1 for gauge in machine.gauges if gauge.label != "gpu")
        wanted = bars * 2 + _BORDER if bars else self._layout.map_lines
        return max(4, min(wanted, int(size.height * _MOST)))


def _foot(size: Size) -> int:
    return _DETAILS_LINES_SHORT if size.height < _SHORT_BELOW else DETAILS_LINES
