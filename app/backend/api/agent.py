"""This machine in the form in which Backend.AI tells of an agent: what it has, and how busy that is."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from ...model.metrics import CPU_UTIL, CUDA_MEM, CUDA_UTIL, MEM_USED, Metric
from ...model.slots import format_amount
from ..ports import DeviceUse, Keypair, Sampled, Service
from .sessionview import AGENT_ID, REGION, SCALING_GROUP

_MEMORY_BYTES = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _percent(current: float, units: int = 1) -> dict[str, str]:
    return Metric(current, 100.0 * units, "percent").wire()


def agent_stat(sampled: Sampled, devices: Sequence[DeviceUse]) -> dict[str, Any]:
    """Returns `{"node": {metric: M}, "devices": {metric: {device: M}}}`; GPUs that are lost or silent are left out."""
    cores = {str(number): _percent(pct) for number, pct in enumerate(sampled.core_pct)}
    mem = Metric(sampled.mem_used_bytes, _MEMORY_BYTES, "bytes").wire()
    node = {CPU_UTIL: _percent(sum(sampled.core_pct), len(cores)), MEM_USED: mem}
    by_device: dict[str, dict[str, dict[str, str]]] = {CPU_UTIL: cores, MEM_USED: {"root": mem}}
    lost = {use.device.id for use in devices if use.lost}
    gpus = [gpu for gpu in sampled.gpus if gpu.present and gpu.device_id not in lost]
    if gpus:
        used, there = sum(gpu.mem_used_bytes for gpu in gpus), sum(gpu.mem_total_bytes for gpu in gpus)
        node[CUDA_MEM] = Metric(used, there, "bytes").wire()
        by_device[CUDA_MEM] = {
            gpu.device_id: Metric(gpu.mem_used_bytes, gpu.mem_total_bytes, "bytes").wire() for gpu in gpus
        }
    if loads := {gpu.device_id: gpu.util_pct for gpu in gpus if gpu.util_pct is not None}:
        node[CUDA_UTIL] = _percent(sum(loads.values()), len(loads))
        by_device[CUDA_UTIL] = {device_id: _percent(pct) for device_id, pct in loads.items()}
    return {"node": node, "devices": by_device}


def agent_row(
    service: Service, caller: Keypair, *, version: str, architecture: str, since: Any, with_stat: bool = True
) -> dict[str, Any]:
    """Returns this machine as an agent. The load is that of the whole machine, not of the sessions alone."""
    sampled = service.sampled(caller)
    available, occupied = service.slots()
    taken = {name: format_amount(occupied.amount(name)) for name in available}
    hardware = {
        use.device.id: {
            "status": "unavailable" if use.lost else "healthy",
            "status_info": None,
            "metadata": {
                "model": use.device.model,
                "kind": use.device.kind,
                "uuid": use.device.uuid,
                "mem_bytes": str(use.device.mem_bytes),
            },
        }
        for use in service.devices(caller)
    }
    return {
        "id": AGENT_ID,
        "status": "ALIVE",
        "status_changed": since,
        "region": REGION,
        "architecture": architecture,
        "scaling_group": SCALING_GROUP,
        "schedulable": True,
        "available_slots": available.wire(),
        "occupied_slots": taken,
        "addr": "local",
        "first_contact": since,
        "lost_at": None,
        "live_stat": agent_stat(sampled, service.devices(caller)) if sampled is not None and with_stat else None,
        "version": version,
        "compute_plugins": {},
        "hardware_metadata": hardware,
        "local_config": {},
        "auto_terminate_abusing_kernel": False,
        "cpu_cur_pct": sampled.cpu_pct if sampled is not None else 0.0,
        "mem_cur_bytes": float(sampled.mem_used_bytes) if sampled is not None else 0.0,
    }
