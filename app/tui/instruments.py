"""The panes that one reads and does not type into: the strip, the map of the machine, the details.

Each shows what store, connection and the newest round of measuring say; a round repaints the lines that read
differently now and never lays anything out.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual.content import Content

from ...widgets.image_words import progress_text
from ...widgets.machine_strip import MachineStrip
from ...widgets.rows import BarUse, MachineUse, MapBar, MapPart
from ...widgets.text import one_line
from .details import nothing_selected, session_facts
from .further import further_facts
from .machine_map import bars_of, use_of
from .panes.details import DetailsPane
from .panes.map import MapPane

if TYPE_CHECKING:
    from .workbench import Workbench

_BAR_CELLS: Final = 10
_MANY: Final = 500
"""Sessions from which the map is not worked out at every change."""
_MAP_REST: Final = 20.0
"""Then it rests so many times what it took: a twentieth of the time at most goes to it."""


class Instruments:
    """Strip, map and details."""

    def __init__(self, bench: Workbench) -> None:
        self._bench = bench
        self.strip = MachineStrip(glyphs=bench.glyphs, id="strip")
        self.map = MapPane(self._use_of, glyphs=bench.glyphs, id="map")
        self.details = DetailsPane(glyphs=bench.glyphs, id="details")
        self._detailed: str | None = None
        self._title = ""
        self._map_again_s = 0.0
        """Monotonic time from which the map of many sessions is worked out again."""
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
        if not self.map_shown or all(new is old for new, old in zip(mapped, self._mapped, strict=True)):
            return
        began_s = time.monotonic()
        if len(mapped[1]) > _MANY and began_s < self._map_again_s:
            # the tick of every second asks again
            return
        self._mapped = mapped
        shared = "devices" not in connection.capabilities
        self.map.set_bars(bars_of(connection.machine, store.views(), shared=shared))
        self._map_again_s = began_s + _MAP_REST * (time.monotonic() - began_s)

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

    def _progress_of(self, session_id: str) -> str:
        progress = self._bench.store.image_progress(session_id)
        if progress is None:
            return ""
        return progress_text(progress, self._bench.glyphs, self._bench.clock(), width=_BAR_CELLS, percents=True)

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
            row = store.row(selected)
            facts = session_facts(
                view,
                self._bench.sync.live,
                self._bench.clock(),
                store.ends_at_s(selected),
                asks=row is not None and row.asks,
                progress=self._progress_of(selected),
            )
            facts += further_facts(
                self._bench.abouts.of(selected),
                self._bench.runs.of(selected).feed.transcript.runs,
                [entry for entry in self._bench.happenings if entry.session_id == selected],
                self._bench.glyphs,
                self._bench.clock(),
            )
        other = self._detailed is not None and store.real_id(self._detailed) != selected
        self._detailed = selected
        if title != self._title:
            # a border title that is set paints its pane anew
            self._title = title
            self.details.border_title = Content(title)
        self.details.set_facts(facts, top=other)
