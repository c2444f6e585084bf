"""GET /machine, and what it has in common with the stream of measures: the GPUs with what is promised and used."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from aiohttp import web

from ...model.slots import CUDA_SHARES, format_amount
from ..ports import DeviceUse, GpuReading, Sampled
from .context import caller_of, service_of


def is_gpu(use: DeviceUse) -> bool:
    return use.device.slot == CUDA_SHARES or use.device.kind != "host"


def promises(use: DeviceUse) -> dict[str, Decimal]:
    """Returns session id -> part of the device, whichever slot it was asked by."""
    promised: dict[str, Decimal] = {}
    for amounts in use.promised.values():
        for session_id, amount in amounts.items():
            promised[session_id] = promised.get(session_id, Decimal(0)) + amount
    return promised


def gpu_views(devices: Sequence[DeviceUse], sampled: Sampled | None) -> list[dict[str, Any]]:
    """Returns the GPUs as clients read them; what nobody measures is null."""
    readings = {gpu.device_id: gpu for gpu in sampled.gpus} if sampled is not None else {}
    held: dict[str, dict[str, int]] = {}
    for session_id, by_device in (sampled.session_gpu_mem_bytes if sampled is not None else {}).items():
        for device_id, mem_bytes in by_device.items():
            held.setdefault(device_id, {})[session_id] = mem_bytes
    return [_gpu(use, readings.get(use.device.id), held.get(use.device.id, {})) for use in devices if is_gpu(use)]


def _gpu(use: DeviceUse, reading: GpuReading | None, held: dict[str, int]) -> dict[str, Any]:
    device = use.device
    known = reading if reading is not None and reading.present else None
    return {
        "id": device.id,
        "uuid": device.uuid,
        "model": device.model,
        "kind": device.kind,
        "capacity": format_amount(device.capacity),
        "mem_bytes": device.mem_bytes,
        "promised": {session_id: format_amount(amount) for session_id, amount in promises(use).items()},
        "lost": use.lost,
        "mem_used_bytes": known.mem_used_bytes if known else None,
        "util_pct": known.util_pct if known else None,
        "temperature_c": known.temperature_c if known else None,
        "power_w": known.power_w if known else None,
        "session_mem_bytes": held,
    }


async def machine(request: web.Request) -> web.Response:
    """GET /machine (capability `devices`): slots of the machine, and each GPU with what is promised and used of it."""
    service, caller = service_of(request), caller_of(request)
    available, occupied = service.slots()
    gpus = gpu_views(service.devices(caller), service.sampled(caller))
    return web.json_response({"available": available.wire(), "occupied": occupied.wire(), "gpus": gpus})
