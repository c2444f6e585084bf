"""The bars of the map: what of the machine was given to whom, and what of that is really used. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Final

from ...widgets.rows import OTHERS, BarUse, Gauge, Machine, MapBar, MapPart
from ...widgets.text import count, share, size
from ..client.views import SessionView
from ..model.metrics import CPU_UTIL, CUDA_MEM, MEM_USED
from ..model.sessions import TERMINAL
from ..model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, GPU_ALIAS, MEM
from .live import GpuUse, LiveStats

_MEASURED: Final = {GPU_ALIAS: CUDA_MEM, CPU: CPU_UTIL, MEM: MEM_USED}
"""Gauge -> the metric that says how much of it a session uses; its capacity is what the session was given."""
_SLOTS: Final = {GPU_ALIAS: (CUDA_SHARES, CUDA_DEVICE), CPU: (CPU,), MEM: (MEM,)}
"""Gauge -> what of a session is in it."""


def bars_of(machine: Machine, views: Sequence[SessionView], *, shared: bool = False) -> tuple[MapBar, ...]:
    """Returns the GPUs of a machine, then its cores and its memory; parts in the order of `views`.

    GPUs of which a cluster tells in sum are one bar.

    Args:
        shared: others have sessions there that are not in `views`.
    """
    places = {view.id: place for place, view in enumerate(views)}
    bars = []
    for gpu in machine.gpus:
        held = sorted(gpu.promised.items(), key=lambda item: places.get(item[0], len(places)))
        parts = [
            MapPart(sid, views[places[sid]].name if sid in places else sid[:8] or "others", amount)
            for sid, amount in held
            if amount > 0
        ]
        model = gpu.model or gpu.kind
        note = model if gpu.kind != "mock" or "mock" in model.lower() else f"mock {model}"
        told = f"{share(gpu.used)}/{share(gpu.capacity)}"
        if gpu.lost:
            told = "lost"
        bars.append(MapBar(gpu.label, note, gpu.capacity, tuple(parts), told, lost=gpu.lost))
    bars += [_slot_bar(gauge, views, shared) for gauge in machine.gauges if gauge.label in _MEASURED]
    return tuple(bars)


def _slot_bar(gauge: Gauge, views: Iterable[SessionView], shared: bool) -> MapBar:
    write = size if gauge.is_bytes else count
    held = [
        (view, sum((view.occupying_slots.amount(slot) for slot in _SLOTS[gauge.label]), Decimal(0)))
        for view in views
        # the amounts of one that ended are what it held
        if view.status not in TERMINAL
    ]
    parts = [MapPart(view.id, view.name, amount) for view, amount in held if amount > 0]
    rest = gauge.used - sum((part.amount for part in parts), Decimal(0))
    if shared and rest > 0:
        parts.append(MapPart(OTHERS, "others", rest))
    told = f"{write(gauge.used)}/{write(gauge.total)}"
    if gauge.label == GPU_ALIAS:
        return MapBar(gauge.label, "all of them", gauge.total, tuple(parts), told)
    return MapBar(gauge.label, "", gauge.total, tuple(parts), told, "bytes" if gauge.is_bytes else "cores")


def use_of(bar: MapBar, parts: Iterable[MapPart], live: LiveStats, mem_bytes: int) -> BarUse:
    """Returns what is really used of a bar.

    Args:
        parts: those of its parts that are asked for.
        mem_bytes: memory of the GPU that it is.
    """
    if bar.id in _MEASURED:
        return _slot_use(bar, parts, live)
    return _gpu_use(bar, parts, live.gpus.get(bar.id, GpuUse()), mem_bytes)


def _gpu_use(bar: MapBar, parts: Iterable[MapPart], use: GpuUse, mem_bytes: int) -> BarUse:
    if bar.lost or not mem_bytes or not bar.capacity:
        return BarUse()
    fractions = {}
    for part in parts:
        if part.session_id == OTHERS:
            continue  # what they use is told of the whole GPU only
        used = use.session_mem_bytes.get(part.session_id)
        promised = float(part.amount / bar.capacity) * mem_bytes
        if used is not None or use.mem_used_bytes is not None:
            fractions[part.session_id] = (used or 0) / promised
    others = (use.mem_used_bytes or 0) - sum(use.session_mem_bytes.values())
    told = "" if use.mem_used_bytes is None else size(use.mem_used_bytes)
    if use.util_pct is not None:
        told = f"{told:<6}{use.util_pct:>3.0f} %"
    return BarUse(told, fractions, max(0, others) / mem_bytes)


def _slot_use(bar: MapBar, parts: Iterable[MapPart], live: LiveStats) -> BarUse:
    metric = _MEASURED[bar.id]
    fractions = {}
    for part in parts:
        measured = live.metrics(part.session_id).get(metric)
        promised = measured and measured.capacity if bar.id == GPU_ALIAS else _promised(bar.id, part.amount)
        if measured is not None and promised:
            fractions[part.session_id] = measured.current / promised
    return BarUse(_told(bar, live), fractions)


def _promised(slot: str, amount: Decimal) -> float:
    """Returns an amount of cores or memory in the unit of its metric: a core is 100 percent."""
    return float(amount) * (100.0 if slot == CPU else 1.0)


def _told(bar: MapBar, live: LiveStats) -> str:
    if bar.id == CPU:
        # of the cores that the machine has, which may be others than are offered
        return "" if live.cpu_pct is None else f"{'':<6}{live.cpu_pct:>3.0f} %"
    used = live.mem_used_bytes if bar.id == MEM else None
    return "" if used is None or not bar.capacity else f"{size(used):<6}{100 * used / float(bar.capacity):>3.0f} %"
