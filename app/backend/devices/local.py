"""The devices of this machine behind the `Devices` joint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

from ...model.errors import ConfigError, InvalidAmount
from ...model.sessions import Session
from ...model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, parse_amount
from ..ports import Device
from .host import MIB, usable_cores, usable_mem_bytes
from .mock import mock_gpus as make_mock_gpus

_MOST_CPUS = 65536


class LocalDevices:
    """The devices that were found when it was made."""

    def __init__(self, devices: Sequence[Device]) -> None:
        self._devices = tuple(devices)
        self._gpus = {device.id: device for device in devices if device.slot == CUDA_SHARES}

    def list(self) -> Sequence[Device]:
        """Returns the devices in the order cpu, mem, GPUs."""
        return self._devices

    def environment(self, session: Session) -> Mapping[str, str]:
        """Returns the variables that tell a session's processes which devices are theirs.

        Real GPUs are hidden from a session that was not promised any. Mock ones are named in variables of their own,
        never in CUDA_VISIBLE_DEVICES, so that no library goes and looks for them.
        """
        cores = sum(map(Decimal, session.allocation.get(CPU, {}).values()), Decimal(0))
        threads = str(max(int(cores), 1))
        shares = self._gpu_shares(session)
        environ = {
            "OMP_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "NPROC": threads,
            "CUDA_VISIBLE_DEVICES": "",
            "GPU_COUNT": str(len(shares)),
            "N_GPUS": str(len(shares)),
        }
        if shares:
            uuids = ",".join(gpu.uuid for gpu, _ in shares)
            environ |= {
                "GPU_TYPE": "cuda",
                "GPU_MODEL_NAME": shares[0][0].model,
                "GPU_CONFIG": ",".join(
                    f"{number}:{_size(int(gpu.mem_bytes * share))}" for number, (gpu, share) in enumerate(shares)
                ),
                "BACKENDAI_MOCK_CUDA_DEVICES": uuids,
                "BACKENDAI_MOCK_CUDA_DEVICE_COUNT": str(len(shares)),
            }
        return environ

    def _gpu_shares(self, session: Session) -> Sequence[tuple[Device, Decimal]]:
        """Returns the session's GPUs in the machine's order, each with the part of it that is promised."""
        held = {
            device_id: Decimal(amount)
            for slot in (CUDA_SHARES, CUDA_DEVICE)
            for device_id, amount in session.allocation.get(slot, {}).items()
        }
        return [(gpu, held[gpu.id] / gpu.capacity) for gpu in self._gpus.values() if gpu.id in held]


def discover(cpu: int = 0, mem: str = "", mock_gpus: str = "") -> LocalDevices:
    """Looks at the machine. Reads a few files of /proc and /sys; takes about a millisecond.

    Each core is a device of its own, named by its number; when more cpu slots are offered than there are cores, the
    cores are offered several times over.

    Args:
        cpu: cpu slots to offer; 0 = as many as this process may use.
        mem: mem to offer, e.g. `8g`; empty = all but a reserve for the system.
        mock_gpus: `N` or `N:MEMORY`, e.g. `2:16g`; empty = none.

    Raises:
        ConfigError: a setting that is none.
    """
    return LocalDevices([*_cpus(cpu), _memory(mem), *make_mock_gpus(mock_gpus)])


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


def _size(size_bytes: int) -> str:
    """Returns GiB where it is whole, else MiB cut off: `20g`, `4915m`."""
    gib, rest = divmod(size_bytes, 1024 * MIB)
    return f"{size_bytes // MIB}m" if rest else f"{gib}g"
