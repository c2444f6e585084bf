"""What enforces the slots of a session: the books, the devices, the engine, and who watches the sampler."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from ...model.sessions import HOLDING, Session
from ...model.shares import gpu_shares, share_mem_bytes
from ...model.slots import CPU, MEM
from ...policies import GpuSettings, MemorySettings
from ..ports import Device, Devices, Engine, Guarantee, Kernel, Layer
from . import taskwatch, workquota

TASKS: Final = "tasks"
_COUNTED: Final = "no more is promised than the machine has; alone, this stops no process"
_STRENGTH: Final = {guarantee: place for place, guarantee in enumerate(Guarantee)}
"""Strongest first."""
_BLIND: Final = "; the backend runs in a container, where the driver may tell other process ids: use may be missed"


def layers_of(
    session: Session,
    kernel: Kernel | None,
    *,
    devices: Devices,
    engine: Engine,
    gpu: GpuSettings,
    memory: MemorySettings,
    max_tasks: int,
    work_quota_bytes: int = 0,
) -> Sequence[Layer]:
    """Returns the layers of enforcement in force, strongest first; empty unless the session holds resources."""
    if session.status not in HOLDING or not session.allocation:
        return ()
    shares = gpu_shares(session.allocation)
    held = ((CPU, CPU in session.allocation), (MEM, MEM in session.allocation), ("gpu", bool(shares)))
    found = [Layer("accounting", resource, Guarantee.COUNTED, _COUNTED) for resource, holds in held if holds]
    held_by_engine = engine.layers(kernel) if kernel is not None else ()
    hard = {layer.applies_to for layer in held_by_engine if layer.guarantee is Guarantee.HARD}
    if memory.watch and MEM in session.allocation:
        detail = f"warns at {memory.warn_pct:g} % of the promised memory" if MEM in hard else _watching(memory)
        found.append(Layer("watcher", MEM, Guarantee.DETECTED, detail))
    if max_tasks and TASKS not in hard:
        found.append(Layer("watcher", TASKS, Guarantee.DETECTED, taskwatch.watching(max_tasks)))
    if work_quota_bytes:
        found.append(Layer("watcher", "disk", Guarantee.DETECTED, workquota.watching(work_quota_bytes)))
    known = {device.id: device for device in devices.list()}
    if watched := [known[device] for device in shares if _is_watched(known.get(device), gpu)]:
        blind = "" if all(device.tells_processes for device in watched) else _BLIND
        found.append(Layer("watcher", "gpu", Guarantee.DETECTED, _watching(gpu) + blind))
    found += devices.layers(session)
    found += held_by_engine
    return sorted(found, key=lambda layer: _STRENGTH[layer.guarantee])


def is_held(engine: Engine, kernel: Kernel, resource: str) -> bool:
    """Whether something that its code cannot pass holds a session to what it was promised of a resource."""
    return any(layer.applies_to == resource and layer.guarantee is Guarantee.HARD for layer in engine.layers(kernel))


def _is_watched(device: Device | None, gpu: GpuSettings) -> bool:
    return device is not None and device.mem_bytes > 0 and gpu.watch and (device.kind != "mock" or gpu.watch_mock)


def _watching(rules: GpuSettings | MemorySettings) -> str:
    return (
        f"warns at {rules.warn_pct:g} % of the promised memory, ends the session at {rules.end_pct:g} % in "
        f"{rules.end_samples} samples in a row, one a second; what is used until then is used"
    )


def mem_limits(session: Session, devices: Mapping[str, Device]) -> Mapping[str, int]:
    """Returns device id -> bytes that a session may use there: its shares of GPUs, and `mem`."""
    limits = {
        device: share_mem_bytes(devices[device].mem_bytes, share)
        for device, share in gpu_shares(session.allocation).items()
        if device in devices
    }
    limits[MEM] = int(session.occupied_slots.amount(MEM))
    return limits
