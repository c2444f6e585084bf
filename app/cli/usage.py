"""What a session uses next to what it asked for, in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..model.metrics import CPU_UTIL, CUDA_MEM, CUDA_UTIL, MEM_USED, Metric, Metrics, wire_metrics
from ..model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM
from .tables import size

if TYPE_CHECKING:
    from ..client.views import SessionView


@dataclass(frozen=True, slots=True)
class Usage:
    """One session at one moment; None = not told."""

    cpu_pct: float | None
    """Of one core."""
    cpu_asked_pct: float | None
    mem_bytes: float | None
    mem_asked_bytes: float | None
    gpu_mem_bytes: float | None
    gpu_mem_asked_bytes: float | None
    gpu_pct: float | None
    """Of one GPU."""
    gpu_asked_pct: float | None

    @property
    def cpu(self) -> str:
        return _pair(self.cpu_pct, self.cpu_asked_pct, percent)

    @property
    def mem(self) -> str:
        return _pair(self.mem_bytes, self.mem_asked_bytes, bytes_text)

    @property
    def gpu_mem(self) -> str:
        return _pair(self.gpu_mem_bytes, self.gpu_mem_asked_bytes, bytes_text)

    @property
    def gpu(self) -> str:
        return _pair(self.gpu_pct, self.gpu_asked_pct, percent)


def usage_of(view: SessionView, stat: Metrics | None = None) -> Usage:
    """Returns what a session uses and asked for; `stat` stands in place of what the view has."""
    stat = view.stat if stat is None else stat
    asked = view.occupying_slots or view.requested_slots
    cores, mem = asked.amount(CPU), asked.amount(MEM)
    gpus = asked.amount(CUDA_SHARES) + asked.amount(CUDA_DEVICE)
    cuda_mem = stat.get(CUDA_MEM)
    return Usage(
        cpu_pct=_current(stat.get(CPU_UTIL)),
        cpu_asked_pct=float(cores * 100) if cores else None,
        mem_bytes=_current(stat.get(MEM_USED)),
        mem_asked_bytes=float(mem) if mem else None,
        gpu_mem_bytes=_current(cuda_mem),
        gpu_mem_asked_bytes=cuda_mem.capacity if cuda_mem else None,
        gpu_pct=_current(stat.get(CUDA_UTIL)),
        gpu_asked_pct=float(gpus * 100) if gpus else None,
    )


def percent(number: float) -> str:
    """Returns `37%`; what is below ten has a decimal."""
    return f"{number:.0f}%" if number >= 9.95 or number < 0.05 else f"{number:.1f}%"


def bytes_text(number: float) -> str:
    return size(Decimal(int(number)))


def _current(metric: Metric | None) -> float | None:
    return None if metric is None else metric.current


def _pair(used: float | None, asked: float | None, text: Any) -> str:
    if used is None:
        return ""
    return f"{text(used)}/{text(asked)}" if asked else str(text(used))


def session_json(view: SessionView, stat: Metrics | None = None) -> Mapping[str, Any]:
    """Returns all that is known of a session as data, under the names of GraphQL where it has them."""
    return {
        "session_id": view.id,
        "name": view.name,
        "status": view.status_text,
        "status_info": view.status_info,
        "status_changed": _iso(view.status_changed),
        "image": view.image,
        "image_notice": view.image_notice,
        "type": view.type,
        "priority": view.priority,
        "access_key": view.access_key,
        "group_name": view.group_name,
        "tag": view.tag,
        "result": view.result or None,
        "startup_command": view.startup_command,
        "created_at": _iso(view.created_at),
        "terminated_at": _iso(view.terminated_at),
        "busy": view.busy,
        "requested_slots": view.requested_slots.wire(),
        "occupying_slots": view.occupying_slots.wire(),
        "allocation": {slot: dict(shares) for slot, shares in view.allocation.items()},
        "live_stat": wire_metrics(view.stat if stat is None else stat),
        "idle_remaining": view.idle_remaining_s,
        "idle_checks": {
            name: {
                "remaining": check.remaining_s,
                "remaining_time_type": "grace_period" if check.in_grace else "expire_after",
                "extra": check.extra,
            }
            for name, check in view.idle_checks.items()
        },
        "kept_until": _iso(view.kept_until),
        "waiting": None
        if view.waiting is None
        else {
            "msg": view.waiting.text,
            "position": view.waiting.position,
            "expected_start": _iso(view.waiting.expected_start),
            "failed_predicates": list(view.waiting.failed),
        },
        "enforcement": [
            {"name": one.name, "applies_to": one.applies_to, "guarantee": one.guarantee, "detail": one.detail}
            for one in view.layers
        ],
        "dependencies": list(view.depends_on),
    }


def _iso(when: Any) -> str | None:
    return when.isoformat() if when is not None else None
