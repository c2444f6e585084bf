"""The devices of this machine behind the `Devices` joint."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Final

from ...model.errors import ConfigError, InvalidAmount
from ...model.sessions import Session
from ...model.shares import gpu_shares
from ...model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, parse_amount
from ...policies import GpuSettings
from ..ports import Device, GpuReading, Layer
from .environment import Shares, real_shares, session_environment
from .host import MIB, usable_cores, usable_mem_bytes
from .layers import sees_all_processes, session_layers
from .mock import MockReadings
from .mock import mock_gpus as make_mock_gpus
from .mps import Mps
from .nvidia import NvidiaGpus
from .nvml import FoundGpu, Nvml

log = logging.getLogger(__name__)
_MOST_CPUS: Final = 65536
MOCK_FILE: Final = "mock-gpus.json"
"""In the state folder: what mock GPUs seem to use."""
_VOLTA: Final = 7
"""Major compute capability from which on MPS can limit its clients."""


class LocalDevices:
    """The devices that were found when it was made."""

    def __init__(
        self,
        devices: Sequence[Device],
        *,
        settings: GpuSettings | None = None,
        nvidia: NvidiaGpus | None = None,
        mocks: MockReadings | None = None,
        mps: Mps | None = None,
    ) -> None:
        self._devices = tuple(devices)
        self._gpus = {device.id: device for device in devices if device.slot in (CUDA_SHARES, CUDA_DEVICE)}
        self._real = any(gpu.kind == "nvidia" for gpu in self._gpus.values())
        self._settings = settings or GpuSettings()
        self._nvidia = nvidia
        self._mocks = mocks
        self._mps = mps

    def list(self) -> Sequence[Device]:
        """Returns the devices in the order cpu, mem, real GPUs, mock GPUs."""
        return self._devices

    def environment(self, session: Session) -> Mapping[str, str]:
        """Returns the variables that tell a session's processes which devices are theirs."""
        shares = self._shares(session)
        environ = session_environment(session, shares, caps=self._settings.framework_caps)
        if self._mps is not None:
            environ |= self._mps.environment(session, real_shares(shares))
        return environ

    def cores(self, session: Session) -> frozenset[int] | None:
        """Returns the cores that were promised to a session: its processes are pinned to them.

        None when cpu slots are offered several times over and the session has more of them on one core than a core
        can give: pinned there, it would get less than on no core of its own.
        """
        held = session.allocation.get(CPU, {})
        if not held or any(Decimal(amount) > 1 for amount in held.values()):
            return None
        return frozenset(int(device.removeprefix("cpu")) for device in held)

    def layers(self, session: Session) -> Sequence[Layer]:
        """Returns the layers that the devices put in force for a session; empty unless it holds resources."""
        if not session.allocation:
            return []
        return session_layers(
            self._shares(session),
            self.environment(session),
            real_gpus=self._real,
            mps=self._mps is not None and self._mps.serves(session.id),
        )

    async def read_gpus(self) -> Sequence[GpuReading]:
        """Returns one reading per GPU, in the order of `list`; never raises, takes two seconds at the most."""
        readings: list[GpuReading] = []
        if self._nvidia is not None:
            readings += await self._nvidia.read()
        if self._mocks is not None:
            readings += await asyncio.to_thread(self._mocks.read)
        return readings

    async def prepare(self, session: Session) -> None:
        """Makes the session a client of MPS, where that is on and has something to limit. Never raises."""
        if self._mps is not None and self._settings.mps:
            await self._mps.take(session)

    async def forget(self, session_id: str) -> None:
        """Ends MPS with its last client; nothing happens for a session that was none."""
        if self._mps is not None:
            await self._mps.drop(session_id)

    async def close(self) -> None:
        """Lets go of the driver, and of MPS where no session uses it any more."""
        if self._nvidia is not None:
            await self._nvidia.close()
        if self._mps is not None:
            await self._mps.close()

    def _shares(self, session: Session) -> Shares:
        """Returns the session's GPUs in the machine's order, each with the part of it that is promised."""
        held = gpu_shares(session.allocation)
        return [(gpu, held[gpu.id] / gpu.capacity) for gpu in self._gpus.values() if gpu.id in held]


def discover(
    cpu: int = 0,
    mem: str = "",
    mock_gpus: str = "",
    *,
    gpu: GpuSettings | None = None,
    state: Path | None = None,
    nvml: Nvml | None = None,
    environ: Mapping[str, str] = os.environ,
) -> LocalDevices:
    """Looks at the machine. Takes about a millisecond without an NVIDIA driver, and `START_TIMEOUT_S` with one that
    does not answer.

    Each core is a device of its own, named by its number; when more cpu slots are offered than there are cores, the
    cores are offered several times over. NVIDIA GPUs have the numbers that nvidia-smi gives them, mock ones come after.

    Args:
        cpu: cpu slots to offer; 0 = as many as this process may use.
        mem: mem to offer, e.g. `8g`; empty = all but a reserve for the system.
        mock_gpus: `N` or `N:MEMORY`, e.g. `2:16g`; empty = none.
        gpu: how GPUs are shared.
        state: folder with `mock-gpus.json` and for MPS; None = mock GPUs seem idle, and there is no MPS.
        nvml: the driver's library.
        environ: of this process; its CUDA_VISIBLE_DEVICES is respected.

    Raises:
        ConfigError: a setting that is none.
    """
    settings = gpu or GpuSettings()
    host = [*_cpus(cpu), _memory(mem)]
    nvidia = NvidiaGpus(nvml or Nvml())
    found = nvidia.find(environ)
    real = [_shared(_device(item), settings) for item in found]
    first = max((item.index + 1 for item in found), default=0)
    mocks = [_shared(device, settings) for device in make_mock_gpus(mock_gpus, first)]
    if real and mocks:
        log.warning("mock GPUs are offered next to real ones: a session may be put on either")
    return LocalDevices(
        [*host, *real, *mocks],
        settings=settings,
        nvidia=nvidia if real else None,
        mocks=MockReadings(mocks, state / MOCK_FILE if state is not None else None) if mocks else None,
        mps=_mps(state, real, found),
    )


def _device(gpu: FoundGpu) -> Device:
    return Device(
        id=gpu.id,
        slot=CUDA_SHARES,
        capacity=Decimal(1),
        uuid=gpu.uuid,
        model=gpu.model,
        mem_bytes=gpu.mem_bytes,
        kind="nvidia",
        tells_processes=sees_all_processes(),
    )


def _shared(gpu: Device, settings: GpuSettings) -> Device:
    """Returns the GPU as it is offered: in parts, or, where sharing is off, whole only."""
    return gpu if settings.sharing else replace(gpu, slot=CUDA_DEVICE, shareable=False)


def _mps(state: Path | None, real: Sequence[Device], found: Sequence[FoundGpu]) -> Mps | None:
    """Returns the MPS of this user; also where it is switched off, for sessions that are its clients already."""
    able = [gpu for gpu, item in zip(real, found, strict=True) if item.compute is None or item.compute[0] >= _VOLTA]
    return Mps(state / "mps", able) if state is not None and able else None


def _cpus(offered: int) -> list[Device]:
    if not 0 <= offered <= _MOST_CPUS:
        raise ConfigError(f"cpu = {offered} cannot be offered: write a number from 0 (all) to {_MOST_CPUS}")
    cores = usable_cores()
    each, more = divmod(offered or len(cores), len(cores))
    return [
        Device(id=f"cpu{core}", slot=CPU, capacity=Decimal(each + (place < more)))
        for place, core in enumerate(cores)
        if each + (place < more)
    ]


def _memory(offered: str) -> Device:
    if not offered.strip():
        return Device(id="mem", slot=MEM, capacity=Decimal(usable_mem_bytes()))
    try:
        amount = parse_amount(MEM, offered)
    except InvalidAmount as exc:
        raise ConfigError(f"mem = {offered!r} cannot be offered: {exc}") from None
    if amount < 64 * MIB:
        raise ConfigError(f"mem = {offered!r} cannot be offered: a session needs 64m at least")
    return Device(id="mem", slot=MEM, capacity=amount)
