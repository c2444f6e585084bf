"""GET /metrics: what `top` shows, for Prometheus (text format 0.0.4, names and base units by its naming rules)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from ...model.metrics import CPU_USED, CUDA_UTIL, IO_READ, IO_WRITE, MEM_USED, NUM_PROCS, Metric
from ...model.sessions import LIVE, Session, SessionStatus
from ...model.slots import CPU, MEM
from ..ports import DeviceUse, GpuReading, Sampled, Service
from .context import CALLER, context_of
from .machine import is_gpu, promises
from .resources import EVERYTHING

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
_SPECIAL: Final = re.compile(r'[\\"\n]')
_ESCAPES: Final = {"\\": r"\\", '"': r"\"", "\n": r"\n"}


class Exposition:
    """A text in the making: each family once, with its help, its type and its samples."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(
        self, name: str, kind: str, text: str, samples: Sequence[tuple[Mapping[str, str], float | None]]
    ) -> None:
        """Adds a family; samples of None are left out, and so is a family without any.

        Args:
            kind: `gauge` or `counter`.
            samples: labels and value.
        """
        known = [(labels, value) for labels, value in samples if value is not None]
        if not known:
            return
        escaped = text.replace("\\", r"\\").replace("\n", r"\n")
        self._lines += [f"# HELP {name} {escaped}", f"# TYPE {name} {kind}"]
        self._lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in known]

    def text(self) -> str:
        return "\n".join([*self._lines, ""])


def _labels(labels: Mapping[str, str]) -> str:
    if not labels:
        return ""
    inner = ",".join(f'{name}="{_SPECIAL.sub(lambda m: _ESCAPES[m[0]], text)}"' for name, text in labels.items())
    return "{" + inner + "}"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


def _sessions(out: Exposition, service: Service, sessions: Sequence[Session], now: datetime) -> None:
    counts = dict.fromkeys(sorted(LIVE), 0)
    for session in sessions:
        counts[session.status] += 1
    out.family(
        "bai_sessions",
        "gauge",
        "Live sessions by status.",
        [({"status": status.value}, count) for status, count in counts.items()],
    )
    waiting = [session.created_at for session in sessions if session.status is SessionStatus.PENDING]
    out.family("bai_queue_pending", "gauge", "Sessions that wait for resources.", [({}, len(waiting))])
    oldest_s = (now - min(waiting)).total_seconds() if waiting else 0.0
    out.family("bai_queue_oldest_wait_seconds", "gauge", "Age of the session that waits longest.", [({}, oldest_s)])

    measured = [(session, service.stat(session)) for session in sessions]
    rows = [(_session_labels(session), session, stat) for session, stat in measured if stat]

    def each(name: str, kind: str, text: str, metric: str, value: Callable[[Metric], float]) -> None:
        out.family(name, kind, text, [(labels, value(stat[metric])) for labels, _, stat in rows if metric in stat])

    each("bai_session_cpu_seconds_total", "counter", "CPU time used.", CPU_USED, lambda m: m.current / 1000)
    each("bai_session_memory_bytes", "gauge", "Memory in use (PSS).", MEM_USED, lambda m: m.current)
    each("bai_session_processes", "gauge", "Processes that live.", NUM_PROCS, lambda m: m.current)
    each("bai_session_storage_read_bytes_total", "counter", "Read from storage.", IO_READ, lambda m: m.current)
    each("bai_session_storage_written_bytes_total", "counter", "Written to storage.", IO_WRITE, lambda m: m.current)
    each(
        "bai_session_gpu_utilization_ratio",
        "gauge",
        "Use of the compute units of GPUs, 1 = one whole GPU.",
        CUDA_UTIL,
        lambda m: m.current / 100,
    )
    for name, text, slot in (
        ("bai_session_cpu_promised_cores", "Cores promised.", CPU),
        ("bai_session_memory_promised_bytes", "Memory promised.", MEM),
    ):
        held = [(labels, session.occupied_slots) for labels, session, _ in rows]
        out.family(name, "gauge", text, [(labels, float(s[slot]) if slot in s else None) for labels, s in held])


def _session_labels(session: Session) -> dict[str, str]:
    return {"session_id": session.id, "session_name": session.name, "access_key": session.access_key}


def _gpus(out: Exposition, uses: Sequence[DeviceUse], sampled: Sampled | None, sessions: Sequence[Session]) -> None:
    readings = {gpu.device_id: gpu for gpu in sampled.gpus} if sampled is not None else {}
    rows = []
    for use in uses:
        device = use.device
        labels = {"device": device.id, "uuid": device.uuid, "model": device.model, "kind": device.kind}
        reading = readings.get(device.id)
        rows.append((labels, use, reading if reading is not None and reading.present else None))

    def each(name: str, text: str, value: Callable[[GpuReading], float | None]) -> None:
        out.family(name, "gauge", text, [(labels, value(r) if r is not None else None) for labels, _, r in rows])

    out.family(
        "bai_gpu_up",
        "gauge",
        "1 while the GPU answers.",
        [(labels, float(reading is not None and not use.lost)) for labels, use, reading in rows],
    )
    out.family(
        "bai_gpu_promised_ratio",
        "gauge",
        "Part of the GPU that is promised to sessions.",
        [(labels, float(sum(promises(use).values()) / use.device.capacity)) for labels, use, _ in rows],
    )
    out.family("bai_gpu_memory_bytes", "gauge", "Memory of the GPU.", [(n, u.device.mem_bytes) for n, u, _ in rows])
    each("bai_gpu_memory_used_bytes", "Memory in use, by anybody.", lambda r: r.mem_used_bytes)
    each("bai_gpu_utilization_ratio", "Use of its compute units.", lambda r: _hundredth(r.util_pct))
    each("bai_gpu_temperature_celsius", "Temperature.", lambda r: r.temperature_c)
    each("bai_gpu_power_watts", "Power drawn.", lambda r: r.power_w)
    named = {session.id: _session_labels(session) for session in sessions}
    out.family(
        "bai_session_gpu_promised_ratio",
        "gauge",
        "Part of a GPU that is promised to a session.",
        [
            ({**named[session_id], "device": use.device.id}, float(amount / use.device.capacity))
            for _, use, _ in rows
            for session_id, amount in promises(use).items()
            if session_id in named
        ],
    )
    held = sampled.session_gpu_mem_bytes if sampled is not None else {}
    out.family(
        "bai_session_gpu_memory_bytes",
        "gauge",
        "Memory of a GPU that the processes of a session hold.",
        [
            ({**named[session_id], "device": device_id}, mem_bytes)
            for session_id, by_device in held.items()
            if session_id in named
            for device_id, mem_bytes in by_device.items()
        ],
    )


def _hundredth(pct: float | None) -> float | None:
    return None if pct is None else pct / 100


def _machine(out: Exposition, service: Service, sampled: Sampled | None) -> None:
    available, occupied = service.slots()
    unit = {slot: ("bytes" if slot == MEM else "count") for slot in available}
    for name, text, slots in (
        ("bai_slots_available", "Slots of the machine.", available),
        ("bai_slots_occupied", "Slots that sessions hold.", occupied),
    ):
        samples = [({"slot": slot, "unit": unit[slot]}, float(slots.amount(slot))) for slot in available]
        out.family(name, "gauge", text, samples)
    if sampled is None:
        return
    out.family("bai_machine_cpu_ratio", "gauge", "Use of all cores.", [({}, sampled.cpu_pct / 100)])
    out.family("bai_machine_memory_used_bytes", "gauge", "Memory in use.", [({}, sampled.mem_used_bytes)])
    out.family("bai_sampled_timestamp_seconds", "gauge", "When it was measured last.", [({}, sampled.time_s)])


async def metrics(request: web.Request) -> web.Response:
    """GET /metrics: signed, it tells of the sessions that the caller may see; with the token, of all."""
    context = context_of(request)
    service, caller = context.service, request[CALLER]
    sessions, _ = await service.search(caller, statuses=sorted(LIVE), access_key=None, limit=EVERYTHING, offset=0)
    sampled = service.sampled(caller)
    out = Exposition()
    out.family("bai_build_info", "gauge", "The backend that answers.", [({"version": context.version}, 1)])
    _sessions(out, service, sessions, datetime.fromtimestamp(context.clock(), UTC))
    _gpus(out, [use for use in service.devices(caller) if is_gpu(use)], sampled, sessions)
    _machine(out, service, sampled)
    return web.Response(body=out.text().encode(), headers={"Content-Type": CONTENT_TYPE})
