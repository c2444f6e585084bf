"""What `bai-tui top` shows of one moment, as lines. Knows no terminal and no server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from ..model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, format_amount
from .tables import age, cut, lines_of, remaining, size, slots
from .talk import harmless
from .usage import Usage, bytes_text, percent, session_json, usage_of

if TYPE_CHECKING:
    from ..client.views import DeviceView, MachineView, SessionView, StatsView

SORTS: Final = ("cpu", "mem", "gpu-mem", "gpu", "idle", "age", "name")
_HEADER: Final = ("NAME", "STATUS", "CPU", "MEM", "GPU-MEM", "GPU", "IDLE", "AGE", "SLOTS", "ID", "IMAGE", "INFO")
_FLEXIBLE: Final = {"NAME": 16, "SLOTS": 16, "IMAGE": 16, "INFO": 40}
_OPTIONAL: Final = ("ID", "IMAGE", "SLOTS", "AGE", "INFO", "GPU", "GPU-MEM")
_BAR: Final = 16
_NARROW: Final = 100
"""Columns below which bars are half as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Everything that is shown, as it came from the server."""

    server: str
    stats: StatsView
    sessions: Sequence[SessionView]
    machine: MachineView
    problem: str = ""
    """Why nothing newer comes; empty = all is well."""


class Style:
    """Colours, where they are wanted."""

    def __init__(self, colours: bool) -> None:
        self._colours = colours

    def __call__(self, text: str, *codes: int) -> str:
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m" if self._colours and text else text

    def load(self, text: str, fraction: float) -> str:
        """Returns `text` in the colour of how full something is."""
        return self(text, 31 if fraction > 1 else 33 if fraction > 0.85 else 32)


def as_json(moment: Moment) -> Mapping[str, Any]:
    """Returns a moment as data."""
    stats, machine = moment.stats, moment.machine
    known = bool(stats.mem_used_bytes)
    return {
        "time": datetime.fromtimestamp(stats.time_s, UTC).isoformat(),
        "server": moment.server,
        "cpu_pct": stats.cpu_pct if known else None,
        "mem_used_bytes": stats.mem_used_bytes if known else None,
        "available": machine.available.wire(),
        "occupied": machine.occupied.wire(),
        "gpus": [
            {
                "id": gpu.id,
                "model": gpu.model,
                "kind": gpu.kind,
                "lost": gpu.lost,
                "capacity": format_amount(gpu.capacity),
                "promised": {sid: format_amount(share) for sid, share in gpu.promised.items()},
                "mem_bytes": gpu.mem_bytes,
                "mem_used_bytes": gpu.mem_used_bytes,
                "session_mem_bytes": dict(gpu.session_mem_bytes),
                "util_pct": gpu.util_pct,
                "temperature_c": gpu.temperature_c,
                "power_w": gpu.power_w,
            }
            for gpu in _gpus(moment)
        ],
        "sessions": [session_json(view, stats.sessions.get(view.id, {})) for view in moment.sessions],
    }


def lines(moment: Moment, sort: str, *, width: int | None, height: int | None, style: Style) -> list[str]:
    """Returns a frame.

    Args:
        sort: one of `SORTS`.
        width: cells of a line; None = as many as it takes.
        height: lines that there are; None = as many as it takes. Sessions that have no room are counted.
        style: of headings and bars.
    """
    head = [_title(moment, sort, width, style), _machine(moment, width)]
    bar = (
        0
        if width is not None and width < _NARROW // 2
        else _BAR // 2
        if width is not None and width < _NARROW
        else _BAR
    )
    head += _gpu_lines(_gpus(moment), bar, width, style)
    table = _sessions(moment, sort, width)
    room = None if height is None else height - len(head) - 2
    if room is not None and len(table) - 1 > room:
        room = max(0, room - 1)
        table = [*table[: room + 1], f"... and {len(table) - 1 - room} more"]
    return [*head, "", style(table[0], 7), *table[1:]]


def _gpus(moment: Moment) -> Sequence[DeviceView]:
    return moment.stats.gpus or moment.machine.gpus


def _title(moment: Moment, sort: str, width: int | None, style: Style) -> str:
    count: dict[str, int] = {}
    for view in moment.sessions:
        count[view.status_text.lower()] = count.get(view.status_text.lower(), 0) + 1
    told = ", ".join(f"{number} {status}" for status, number in count.items()) or "no sessions"
    when = datetime.fromtimestamp(moment.stats.time_s).astimezone().strftime("%H:%M:%S")
    if moment.problem:
        return style(_fit(f"{when} {moment.server}  {harmless(moment.problem)}", width), 31)
    return style(_fit(f"{when} {moment.server}  {harmless(told)}  by {sort}", width), 1)


def _fit(text: str, width: int | None) -> str:
    return text if width is None else cut(text, width)


def _machine(moment: Moment, width: int | None) -> str:
    stats, machine = moment.stats, moment.machine
    parts = []
    if stats.mem_used_bytes:
        parts.append(f"cpu {percent(stats.cpu_pct)}, memory {bytes_text(stats.mem_used_bytes)} used")
    promised = []
    for name, label in ((CPU, "cpu"), (MEM, "mem"), (CUDA_SHARES, "gpu"), (CUDA_DEVICE, "whole gpu")):
        there = machine.available.amount(name)
        if there:
            words: Callable[[Decimal], str] = size if name == MEM else format_amount
            promised.append(f"{label} {words(machine.occupied.amount(name))}/{words(there)}")
    if promised:
        parts.append(f"promised {', '.join(promised)}")
    return _fit("; ".join(parts) or "the server tells nothing of its machines", width)


def _bar(fraction: float, cells: int, style: Style) -> str:
    """Returns a bar; what is not zero shows, and only what is full is full."""
    full = min(cells, round(fraction * cells))
    full = max(full, 1) if fraction > 0 else full
    full = min(full, cells - 1) if fraction < 1 else full
    return style.load("█" * full, fraction) + "░" * (cells - full)


def _gpu_lines(gpus: Sequence[DeviceView], bar: int, width: int | None, style: Style) -> list[str]:
    """Returns one line a GPU: promised | really used."""
    names = [harmless(f"{gpu.id} {gpu.model}{' (mock)' if gpu.kind == 'mock' else ''}") for gpu in gpus]
    most = max(map(len, names), default=0)
    if width is not None:
        most = min(most, max(6, width // 4))
    found = []
    for gpu, name in zip(gpus, names, strict=True):
        promised = sum(gpu.promised.values(), Decimal(0))
        share = float(promised / gpu.capacity) if gpu.capacity else 0.0
        left = f"promised {_gap(_bar(share, bar, style), bar)}{format_amount(promised)}/{format_amount(gpu.capacity)}"
        label = f"{cut(name, most):{most}}"
        if gpu.lost:
            found.append(f"{label}  {left} | {style('lost', 31)}")
            continue
        if gpu.mem_used_bytes is None:
            found.append(f"{label}  {left} | use is not measured")
            continue
        memory = gpu.mem_used_bytes / gpu.mem_bytes if gpu.mem_bytes else 0.0
        used = f"{bytes_text(gpu.mem_used_bytes)}/{bytes_text(gpu.mem_bytes)}"
        rest = [percent(gpu.util_pct)] if gpu.util_pct is not None else []
        rest += [f"{gpu.temperature_c:.0f}C"] if gpu.temperature_c is not None else []
        rest += [f"{gpu.power_w:.0f}W"] if gpu.power_w is not None else []
        found.append(f"{label}  {left} | used {_gap(_bar(memory, bar, style), bar)}{'  '.join([used, *rest])}")
    return found


def _gap(bar: str, cells: int) -> str:
    return f"{bar} " if cells else ""


def _sessions(moment: Moment, sort: str, width: int | None) -> list[str]:
    found = [
        (replace(view, stat=stat), usage_of(view, stat))
        for view in moment.sessions
        for stat in [moment.stats.sessions.get(view.id, {})]
    ]
    found.sort(key=lambda one: one[0].name)
    found.sort(key=lambda one: _rank(sort, *one))
    rows = [_row(view, usage, full_id=width is None) for view, usage in found]
    flexible = {_HEADER.index(name): least for name, least in _FLEXIBLE.items()}
    return lines_of(_HEADER, rows, flexible, optional=[_HEADER.index(name) for name in _OPTIONAL], room=width)


def _row(view: SessionView, usage: Usage, *, full_id: bool) -> list[str]:
    return [
        view.name,
        view.status_text,
        usage.cpu,
        usage.mem,
        usage.gpu_mem,
        usage.gpu,
        "" if view.idle_remaining_s is None else remaining(view.idle_remaining_s),
        age(view.created_at),
        slots(view.occupying_slots or view.requested_slots),
        view.id if full_id else view.id[:8],
        view.image,
        view.waiting.text if view.waiting else view.status_info or "",
    ]


def _rank(sort: str, view: SessionView, usage: Usage) -> float:
    """Returns what sessions are ordered by: most used first, soonest ended first, youngest first."""
    if sort == "idle":
        return float("inf") if view.idle_remaining_s is None else view.idle_remaining_s
    if sort == "age":
        return -view.created_at.timestamp() if view.created_at else 0.0
    used = {"cpu": usage.cpu_pct, "mem": usage.mem_bytes, "gpu-mem": usage.gpu_mem_bytes, "gpu": usage.gpu_pct}
    number = used.get(sort)
    return 0.0 if sort == "name" else float("inf") if number is None else -number
