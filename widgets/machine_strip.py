"""The line at the top: where we are connected, and how much of the machine is given away."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from ..app.model.slots import CPU, MEM
from .bars import bar, lit
from .glyphs import UNICODE, Glyphs
from .rows import Gauge, GpuGauge, Machine, MachineUse
from .text import count, fit, one_line, share, size

GPUS_SHOWN = 8
_BARRED = (CPU, MEM)
"""Slots with a bar beside their numbers; GPUs without one each stand as numbers only."""
_WIDTHS: Final = (14, 8, 5, 0)
"""Cells of the bar of a GPU, widest first; 0 = numbers only."""
_NAME_CELLS: Final = 20
"""What name and place take while all is well: with less room GPUs are told of in sum."""
_TOLD_CELLS = 24
"""What a state may always take, whatever gauges there are: enough for `reconnecting in 15 s`."""


def used_bar(asked: float, used: float, width: int, glyphs: Glyphs) -> tuple[str, str, str, str]:
    """Returns the cells of a bar that are used of what was asked for, asked for but not used, used beyond it, and free.

    `asked` and `used` are fractions of the whole; programs that are in no session use beyond what was asked for.
    """
    asked_cells, used_cells = lit(asked, width), lit(used, width)
    within = min(asked_cells, used_cells)
    beyond = max(0, used_cells - asked_cells)
    return (
        glyphs.bar_full * within,
        glyphs.asked * (asked_cells - within),
        glyphs.bar_full * beyond,
        glyphs.bar_empty * (width - asked_cells - beyond),
    )


class MachineStrip(Widget):
    """One line. A bar says what is given away, and where that is measured, in full cells what of it is used.

    | Component class | What |
    | --- | --- |
    | `strip--brand`, `strip--place` | the name of the program; the endpoint |
    | `strip--good`, `strip--bad` | the state of the connection |
    | `strip--label`, `strip--value`, `strip--bar`, `strip--track`, `strip--full` | a gauge |
    """

    COMPONENT_CLASSES = {  # noqa: RUF012 - as Textual declares it
        "strip--brand",
        "strip--place",
        "strip--good",
        "strip--bad",
        "strip--label",
        "strip--value",
        "strip--bar",
        "strip--track",
        "strip--full",
    }
    DEFAULT_CSS = "MachineStrip { height: 1; }"

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._machine = Machine()
        self._use = MachineUse()
        self._fitting: tuple[Machine, int, tuple[int, ...]] = (self._machine, 0, _WIDTHS)
        """For this machine and this room: the widths of bars that are to be tried."""
        self._place = ""
        self._state = ""
        self._good = False
        self._note = ""

    @property
    def state(self) -> str:
        """What is said of the connection; empty while all is well."""
        return self._state

    def set_machine(self, machine: Machine) -> None:
        """Shows other gauges."""
        if machine != self._machine:
            self._machine = machine
            self.refresh()

    def set_use(self, use: MachineUse) -> None:
        """Shows what is really used; paints only when that reads differently."""
        before, self._use = self._use, use
        if before != use:
            self.refresh()

    def set_connection(self, place: str, state: str, *, good: bool) -> None:
        """Shows where we are connected, and in words what is wrong when it is not `good`."""
        if (place, state, good) != (self._place, self._state, self._good):
            self._place, self._state, self._good = place, state, good
            self.refresh()

    def set_note(self, note: str) -> None:
        """Shows a word that is to be seen before all else; empty = none."""
        if note != self._note:
            self._note = note
            self.refresh()

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        gauges = sum(segment.cell_length for segment in self._gauges(0))
        if gauges + _NAME_CELLS > width:
            gauges = sum(segment.cell_length for part in self._sums() for segment in part)
        left = self._left(max(_TOLD_CELLS, width - gauges - 2))
        used = sum(segment.cell_length for segment in left)
        right = self._right(width - used - 2)
        gap = max(1, width - used - sum(segment.cell_length for segment in right))
        strip = Strip([*left, Segment(" " * gap), *right])
        return strip.adjust_cell_length(width, base).apply_style(base)

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"strip--{name}", partial=True)

    def _left(self, room: int) -> list[Segment]:
        """Returns name, place and state; the state takes as much as leaves room for the gauges."""
        glyphs = self._glyphs
        mark = glyphs.running if self._good else glyphs.preparing
        state = self._style("good" if self._good else "bad")
        noted = [Segment(f"[{self._note}] ", self._style("bad"))] if self._note else []
        segments = [
            Segment(" bai-tui ", self._style("brand")),
            *noted,
            Segment(f"{glyphs.dot} {one_line(self._place)} ", self._style("place")),
        ]
        told = f"{mark} {one_line(self._state)}" if self._state else mark
        room = max(_TOLD_CELLS, room - sum(segment.cell_length for segment in segments))
        if cell_len(told) > room:
            told = fit(told, room, ellipsis=glyphs.ellipsis)
        return [*segments, Segment(told, state)]

    def _right(self, room: int) -> list[Segment]:
        """Returns as many gauges as fit: wide, narrow, numbers only, or all GPUs in one number."""
        if self._fitting[:2] != (self._machine, room):
            self._fitting = self._machine, room, _WIDTHS
        # what was too wide for this machine and room before is not tried again at each round of measuring
        for bar_width in self._fitting[2]:
            segments = self._gauges(bar_width)
            if sum(segment.cell_length for segment in segments) <= room:
                self._fitting = self._machine, room, _WIDTHS[_WIDTHS.index(bar_width) :]
                return segments
        parts = self._sums()
        while parts and sum(segment.cell_length for part in parts for segment in part) > room:
            # the GPUs stay longest: they are what is scarce
            parts.pop()
        return [segment for part in parts for segment in part]

    def _gauges(self, bar_width: int) -> list[Segment]:
        return [segment for part in self._parts(bar_width) for segment in part]

    def _parts(self, bar_width: int) -> list[list[Segment]]:
        parts = [self._gpu(gpu, bar_width) for gpu in self._machine.gpus[:GPUS_SHOWN]]
        if len(self._machine.gpus) > GPUS_SHOWN:
            parts.append([Segment(f"+{len(self._machine.gpus) - GPUS_SHOWN} gpus   ", self._style("label"))])
        return parts + [self._slot(gauge, bar_width) for gauge in self._machine.gauges]

    def _sums(self) -> list[list[Segment]]:
        """Returns the gauges in the shortest form that leaves none of them out."""
        gpus = self._machine.gpus
        if len(gpus) < 2:
            return self._parts(0)
        kind = " mock" if all(gpu.kind == "mock" for gpu in gpus) else ""
        used = sum((gpu.used for gpu in gpus), Decimal(0))
        told = f"{share(used)}/{share(sum((gpu.capacity for gpu in gpus), Decimal(0)))}   "
        part = [Segment(f"{len(gpus)} gpus{kind} ", self._style("label")), Segment(told, self._style("value"))]
        if lost := sum(gpu.lost for gpu in gpus):
            part.insert(1, Segment(f"{lost} lost ", self._style("bad")))
        return [part, *(self._slot(gauge, 0) for gauge in self._machine.gauges)]

    def _gpu(self, gpu: GpuGauge, width: int) -> list[Segment]:
        label = gpu.label + (" mock" if gpu.kind == "mock" else "")
        segments = [Segment(one_line(label) + " ", self._style("label"))]
        if width:
            memory = self._use.gpus_mem_bytes.get(gpu.label)
            used = memory / gpu.mem_bytes if memory is not None and gpu.mem_bytes else None
            segments += self._bar(gpu.used, gpu.capacity, used, width)
        if gpu.lost:
            return [*segments, Segment("lost   ", self._style("bad"))]
        return [*segments, Segment(share(gpu.used) + "   ", self._style("value"))]

    def _slot(self, gauge: Gauge, width: int) -> list[Segment]:
        write = size if gauge.is_bytes else count
        used, total = write(gauge.used), write(gauge.total)
        segments = [Segment(f"{gauge.label} ", self._style("label"))]
        if width and gauge.label in _BARRED:
            segments += self._bar(gauge.used, gauge.total, self._used(gauge), width // 2)
        return [*segments, Segment(fit(f"{used}/{total}", 9 if gauge.is_bytes else 5) + " ", self._style("value"))]

    def _used(self, gauge: Gauge) -> float | None:
        """Returns the fraction of a slot that is really used; None = not measured."""
        if gauge.is_bytes:
            used = self._use.mem_used_bytes
            return None if used is None or not gauge.total else used / float(gauge.total)
        return None if self._use.cpu_pct is None else self._use.cpu_pct / 100

    def _bar(self, asked: Decimal, whole: Decimal, used: float | None, width: int) -> list[Segment]:
        style = self._style("full" if asked >= whole else "bar")
        if used is None:
            filled, track = bar(asked, whole, width, self._glyphs)
            cells = [Segment(filled, style)]
        else:
            fraction = float(asked / whole) if whole else 0.0
            filled, idle, beyond, track = used_bar(fraction, used, width, self._glyphs)
            cells = [Segment(filled, style), Segment(idle, style), Segment(beyond, self._style("label"))]
        return [
            Segment(self._glyphs.bar_left, self._style("track")),
            *cells,
            Segment(track, self._style("track")),
            Segment(self._glyphs.bar_right + " ", self._style("track")),
        ]
