"""The facts of the details pane about one session. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from ...widgets.glyphs import status_word
from ...widgets.rows import Detail
from ...widgets.session_columns import idle_level
from ...widgets.text import count, duration, left, share, size
from ..client.views import SessionView, WaitingView
from ..model.metrics import CPU_UTIL, CUDA_MEM, CUDA_UTIL, MEM_USED, Metric, Metrics
from ..model.sessions import ANSWERING, LIVE, SessionStatus
from ..model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, ResourceSlots
from .live import LiveStats
from .session_rows import IDLE_WHY, first_end

_LABELS: Final = {CPU: "cpu", MEM: "mem", CUDA_SHARES: "gpu", CUDA_DEVICE: "gpus"}
_CHECKS: Final = {"network_timeout": "idle", "session_lifetime": "life", "utilization": "util"}
_LIMITED: Final = frozenset({MEM_USED, CUDA_MEM})
"""What a session may not use more of than it asked for; of time it may, where nobody else wants it."""
_MEASURED: Final = {CPU: CPU_UTIL, MEM: MEM_USED}
_STRENGTH: Final = {"hard": 0, "cooperative": 1, "detected": 2, "counted": 3}
_LAYERS: Final = {
    "memory-cgroup": "cgroup",
    "cpu-cgroup": "cgroup",
    "tasks-cgroup": "cgroup",
    "tasks-rlimit": "rlimit",
    "framework-caps": "frameworks",
}
"""Layers whose names are longer than the column, or say again what they apply to."""
_SLOTS: Final = {"tasks": "task"}
"""What a layer applies to, where the column has no room for it."""


def session_facts(
    view: SessionView,
    live: LiveStats,
    now_s: float,
    ends_at_s: float | None,
    *,
    asks: bool = False,
    progress: str = "",
) -> list[Detail]:
    """Returns what is known of a session.

    Args:
        now_s: clock time.
        ends_at_s: clock time at which an idle check ends it if nothing happens.
        asks: its run waits for input.
        progress: how far its image is, which is being built or pulled; empty = it is not.
    """
    facts = []
    state = status_word(view.status, view.status_text, busy=view.busy, asks=asks)
    waits = view.status is SessionStatus.PENDING and view.waiting is not None
    # how far its image is says more than its last step
    info = "" if waits or progress else view.status_info
    facts.append(Detail("state", state + (f": {info}" if info else "")))
    if progress:
        facts.append(Detail("", progress))
    facts += _waiting(view, now_s)
    facts += _amounts(view, live)
    facts += _idle(view, now_s, ends_at_s)
    facts += _layers(view)
    facts += _about(view)
    return facts


def nothing_selected() -> list[Detail]:
    """Returns what stands there while no session is selected."""
    return [Detail("", "no session selected", quiet=True)]


def _waiting(view: SessionView, now_s: float) -> list[Detail]:
    """Why it waits, where it stands in the queue, when it may start, after whom."""
    if view.status is not SessionStatus.PENDING:
        return []
    facts = []
    if (waiting := view.waiting) is not None:
        facts.append(Detail("waits", _why(waiting)))
        if any(name != "resources" for name in waiting.failed):
            facts.append(Detail("", "held back by " + ", ".join(waiting.failed), quiet=True))
        if waiting.position is not None:
            facts.append(Detail("place", f"{_ordinal(waiting.position)} in the queue"))
        if (start := waiting.expected_start) is not None:
            wait_s = start.timestamp() - now_s
            about = "any moment" if wait_s <= 0 else f"in {left(wait_s)}"
            facts.append(Detail("starts", f"by {start.astimezone():%H:%M:%S}, {about}"))
    if view.priority is not None:
        facts.append(Detail("prio", f"{view.priority} of 100, [ ] changes it", quiet=True))
    if view.depends_on:
        facts.append(Detail("after", ", ".join(view.depends_on)))
    return facts


def _why(waiting: WaitingView) -> str:
    """Returns why it waits, without what has a line of its own, and which is counted down there."""
    told = [
        name
        for name, value in (("in the queue", waiting.position), ("next release", waiting.expected_start))
        if value is not None
    ]
    clauses = waiting.text.replace(CUDA_SHARES, "gpu").removeprefix("waits ").split("; ")
    return "; ".join(clause for clause in clauses if not any(part in clause for part in told)) or waiting.text


def _amounts(view: SessionView, live: LiveStats) -> list[Detail]:
    """What it was given, and what of that it uses and used lately."""
    asked, held = view.requested_slots, view.occupying_slots
    metrics: Metrics = live.metrics(view.id) or view.stat
    facts = []
    for slot, amount in (held or asked).items():
        if not amount:
            continue
        write = size if slot == MEM else share if slot == CUDA_SHARES else count
        name = _MEASURED.get(slot, "")
        metric = metrics.get(name) if held else None
        devices = list(view.allocation.get(slot, {}))
        if metric is None and len(devices) == 1 and slot in (CUDA_SHARES, CUDA_DEVICE):
            facts.append(Detail(_LABELS[slot], f"{write(amount)} of {devices[0]}"))
        elif metric is None and len(devices) > 1 and slot in (CUDA_SHARES, CUDA_DEVICE):
            parts = (f"{_share_text(text)} of {device}" for device, text in view.allocation[slot].items())
            facts.append(Detail(_LABELS[slot], ", ".join(parts)))
        elif metric is None:
            facts.append(Detail(_LABELS.get(slot, slot), write(amount) + ("" if held else " asked")))
        else:
            promised = float(amount) * (100.0 if slot == CPU else 1.0)
            used = f"{metric.current / 100:.1f}" if slot == CPU else size(metric.current)
            text = f"{used} of {write(amount)}"
            facts.append(_measured(_LABELS[slot], text, view, live, name, metric, promised))
    if held and (memory := metrics.get(CUDA_MEM)) is not None:
        text = size(memory.current) + (f" of {size(memory.capacity)}" if memory.capacity else "")
        facts.append(_measured("gpu mem", text, view, live, CUDA_MEM, memory, memory.capacity))
    if held and (util := metrics.get(CUDA_UTIL)) is not None:
        text = f"{util.current:.0f}" + (f" of {util.capacity:.0f} %" if util.capacity else " %")
        facts.append(_measured("gpu use", text, view, live, CUDA_UTIL, util, util.capacity or 100.0))
    return facts


def _measured(
    label: str, text: str, view: SessionView, live: LiveStats, name: str, metric: Metric, promised: float | None
) -> Detail:
    history = live.history(view.id, name)
    whole = promised or max((value for value in history if value is not None), default=0.0) or 1.0
    over = promised is not None and metric.current > promised * 1.005 and name in _LIMITED
    trend = tuple(None if value is None else value / whole for value in history)
    return Detail(label, text + (" !" if over else ""), level="soon" if over else "", trend=trend)


def _idle(view: SessionView, now_s: float, ends_at_s: float | None) -> list[Detail]:
    """When it is ended if nothing happens, check by check."""
    if view.status not in ANSWERING:
        return []
    facts = []
    first = first_end(view)
    if not view.idle_checks and first[0] is not None and ends_at_s is not None:
        facts.append(_ends("idle", first[1], ends_at_s - now_s))
    for name, check in view.idle_checks.items():
        label = _CHECKS.get(name, name[:7])
        why = IDLE_WHY.get(name, name.replace("_", " "))
        if check.remaining_s is None:
            facts.append(Detail(label, "never ends it", quiet=True))
        elif view.busy and name == "network_timeout":
            facts.append(Detail(label, "not while it runs code", quiet=True))
        elif check.in_grace:
            facts.append(Detail(label, f"{duration(check.remaining_s)} from the end of its use", quiet=True))
        elif (check.remaining_s, why) == first and ends_at_s is not None:
            facts.append(_ends(label, why, ends_at_s - now_s))
        else:
            facts.append(Detail(label, f"ends in {duration(check.remaining_s)} ({why})", quiet=True))
        resources = (check.extra or {}).get("resources")
        if isinstance(resources, dict):
            facts += [
                Detail("", text, quiet=True) for key, pair in resources.items() if (text := _threshold(key, pair))
            ]
    return facts


def _ends(label: str, why: str, remaining_s: float) -> Detail:
    """Returns the line of the check that ends a session first."""
    level = idle_level(remaining_s)
    text = f"in {left(remaining_s)} ({why}), + keeps it" if level else f"ends in {left(remaining_s)} ({why})"
    return Detail(label, text, level=level, quiet=not level)


def _threshold(name: str, pair: object) -> str:
    """Returns `cpu_util 3 % of 20 % wanted`; empty for what is no pair of numbers."""
    if not isinstance(pair, list | tuple) or len(pair) != 2:
        return ""
    average, least = pair
    if not isinstance(average, int | float) or not isinstance(least, int | float):
        return ""
    return f"{name} {average:.0f} % of {least:.0f} % wanted"


def _about(view: SessionView) -> list[Detail]:
    facts = [Detail("image", view.image)]
    if view.image_notice:
        facts.append(Detail("", view.image_notice, level="near"))
    if view.image_gone and view.status in LIVE:
        facts.append(Detail("", f"gone: {view.image_gone}; it goes on, no other session starts in it", level="soon"))
    if view.startup_command:
        facts.append(Detail("runs", view.startup_command))
    if view.status is not SessionStatus.PENDING and view.depends_on:
        facts.append(Detail("after", ", ".join(view.depends_on), quiet=True))
    if view.tag:
        facts.append(Detail("tag", view.tag))
    if view.created_at is not None:
        facts.append(Detail("created", _iso(view.created_at), quiet=True))
    facts.append(Detail("id", view.id, quiet=True))
    return facts


def _layers(view: SessionView) -> list[Detail]:
    """What enforces its slots, strongest first: a line each, and where there is room how it works and its hole.

    What is said of several slots in the same words is said once.
    """
    everything = {layer.applies_to for layer in view.layers}
    # as wide as what there is: beside the longest words there is no cell to spare in the column at the side
    slot_width = max((len(_SLOTS.get(slot, slot)) for slot in everything), default=0)
    layer_width = max((len(_LAYERS.get(layer.name, layer.name)) for layer in view.layers), default=0)
    same: dict[tuple[str, str, str], list[str]] = {}
    for layer in view.layers:
        same.setdefault((layer.guarantee, layer.name, layer.detail), []).append(layer.applies_to)
    strongest = sorted(same.items(), key=lambda item: _STRENGTH.get(item[0][0], len(_STRENGTH)))
    facts: list[Detail] = []
    for (guarantee, name, detail), slots in strongest:
        whose = ["all"] if len(everything) > 1 and set(slots) == everything else slots
        for slot in whose:
            line = f"{_SLOTS.get(slot, slot):<{slot_width}} {_LAYERS.get(name, name):<{layer_width}} {guarantee}"
            facts.append(Detail("" if facts else "limits", line))
        if detail:
            facts.append(Detail("", detail, quiet=True, spare=True))
    return facts


def _ordinal(number: int) -> str:
    suffix = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"


def _iso(moment: datetime) -> str:
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def _share_text(text: str) -> str:
    try:
        return share(ResourceSlots.parse({CUDA_SHARES: text})[CUDA_SHARES])
    except Exception:  # a server may write what it likes here; then it is shown as it is
        return text
