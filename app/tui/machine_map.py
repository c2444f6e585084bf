"""The bars of the map: what of the machine was given to whom, and what of that is really used. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from ...widgets.rows import BarUse, Gauge, Machine, MapBar, MapPart
from ...widgets.text import count, share, size
from ..client.views import SessionView
from ..model.metrics import CPU_UTIL, MEM_USED, Metrics
from ..model.slots import CPU, MEM
from .live import GpuUse, LiveStats

_MEASURED: Final = {CPU: CPU_UTIL, MEM: MEM_USED}
"""Slot -> the metric that says how much of it a session uses; its capacity is what the session was given."""


def bars_of(machine: Machine, views: Sequence[SessionView]) -> tuple[MapBar, ...]:
    """Returns the GPUs of a machine, then its cores and its memory; parts in the order of `views`."""
    places = {view.id: place for place, view in enumerate(views)}
    bars = []
    for gpu in machine.gpus:
        held = sorted(gpu.promised.items(), key=lambda item: places.get(item[0], len(places)))
        parts = [
            MapPart(sid, views[places[sid]].name if sid in places else sid[:8], amount, share(amount))
            for sid, amount in held
            if amount > 0
        ]
        model = gpu.model or gpu.kind
        note = model if gpu.kind != "mock" or "mock" in model.lower() else f"mock {model}"
        told = f"{share(gpu.used)}/{share(gpu.capacity)}"
        if gpu.lost:
            told = "lost"
        bars.append(MapBar(gpu.label, note, gpu.capacity, tuple(parts), told, gpu.lost))
    bars += [_slot_bar(gauge, views) for gauge in machine.gauges if gauge.label in _MEASURED]
    return tuple(bars)


def _slot_bar(gauge: Gauge, views: Iterable[SessionView]) -> MapBar:
    write = size if gauge.is_bytes else count
    parts = tuple(
        MapPart(view.id, view.name, amount, write(amount) + ("" if gauge.is_bytes else "c"))
        for view in views
        if (amount := view.occupying_slots.amount(gauge.label)) > 0
    )
    return MapBar(gauge.label, "", gauge.total, parts, f"{write(gauge.used)}/{write(gauge.total)}")


def use_of(bars: Iterable[MapBar], live: LiveStats, gpus_mem_bytes: Mapping[str, int]) -> dict[str, BarUse]:
    """Returns what is really used of each bar.

    Args:
        gpus_mem_bytes: GPU -> memory that it has.
    """
    return {
        bar.id: _slot_use(bar, live)
        if bar.id in _MEASURED
        else _gpu_use(bar, live.gpus.get(bar.id, GpuUse()), gpus_mem_bytes.get(bar.id, 0))
        for bar in bars
    }


def _gpu_use(bar: MapBar, use: GpuUse, mem_bytes: int) -> BarUse:
    if bar.lost or not mem_bytes or not bar.capacity:
        return BarUse()
    parts = {}
    for part in bar.parts:
        used = use.session_mem_bytes.get(part.session_id)
        promised = Decimal(mem_bytes) * part.amount / bar.capacity
        if promised and (used is not None or use.mem_used_bytes is not None):
            parts[part.session_id] = float(Decimal(used or 0) / promised)
    others = (use.mem_used_bytes or 0) - sum(use.session_mem_bytes.values())
    told = "" if use.mem_used_bytes is None else size(use.mem_used_bytes)
    if use.util_pct is not None:
        told = f"{told:<5}{use.util_pct:.0f} %"
    return BarUse(told, parts, max(0, others) / mem_bytes)


def _slot_use(bar: MapBar, live: LiveStats) -> BarUse:
    metric = _MEASURED[bar.id]
    parts = {}
    for part in bar.parts:
        measured = live.metrics(part.session_id).get(metric)
        if measured is not None:
            parts[part.session_id] = measured.current / _promised(bar.id, part.amount)
    return BarUse(_told(bar, live), parts)


def _promised(slot: str, amount: Decimal) -> float:
    """Returns an amount in the unit of its metric: a core is 100 percent."""
    return float(amount) * (100.0 if slot == CPU else 1.0)


def _told(bar: MapBar, live: LiveStats) -> str:
    if bar.id == CPU:
        return "" if live.cpu_pct is None else f"{float(bar.capacity) * live.cpu_pct / 100:<5.1f}{live.cpu_pct:.0f} %"
    used = live.mem_used_bytes
    return "" if used is None or not bar.capacity else f"{size(used):<5}{100 * used / float(bar.capacity):.0f} %"


def live_text(metrics: Metrics) -> str:
    """Returns what a session uses in 10 cells, for its row: percent of one core, and memory; empty = not known."""
    cpu, mem = metrics.get(CPU_UTIL), metrics.get(MEM_USED)
    if cpu is None and mem is None:
        return ""
    percent = "" if cpu is None else f"{cpu.current:.0f}%"
    return f"{percent:>5} {'' if mem is None else size(mem.current):>4}"
