"""What the service asks of the machine: devices, readings of GPUs, layers of enforcement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Protocol

from ...model.sessions import Session


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """Something that amounts are taken from."""

    id: str
    """`cpu0`, `mem`, `gpu0`, ..."""
    slot: str
    """The slot it serves; a GPU serves `cuda.shares` (fractions) and `cuda.device` (whole)."""
    capacity: Decimal
    uuid: str = ""
    model: str = ""
    mem_bytes: int = 0
    """Memory of a GPU; 0 for other devices."""
    kind: str = "host"
    """`host`, `nvidia` or `mock`: a mock is shown as such wherever it is named."""
    shareable: bool = True
    """False: a GPU that is only given away whole."""
    tells_processes: bool = True
    """False: a GPU whose driver may speak of process ids that are not those of this machine's processes, as in a
    container: what sessions use of it may be missed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuReading:
    """What a GPU does at one moment."""

    device_id: str
    present: bool = True
    """False: it has vanished, or its driver does not answer; `problem` says what."""
    problem: str = ""
    mem_used_bytes: int = 0
    mem_total_bytes: int = 0
    util_pct: float | None = None
    """Of the last sample period of the driver, 0 to 100; None when it does not tell."""
    temperature_c: float | None = None
    power_w: float | None = None
    process_mem_bytes: Mapping[int, int] = field(default_factory=dict)
    """Process id -> memory on this GPU."""
    process_util_pct: Mapping[int, float] = field(default_factory=dict)
    session_mem_bytes: Mapping[str, int] = field(default_factory=dict)
    """Id or name of a session -> memory that it is pretended to use on this GPU. Mock GPUs only: no process is behind
    them, so both of the process maps are empty there."""
    session_util_pct: Mapping[str, float] = field(default_factory=dict)


class Guarantee(StrEnum):
    """How much a layer of enforcement is worth."""

    HARD = "hard"
    """Cannot be passed by the code of a session."""
    COOPERATIVE = "cooperative"
    """Holds for code that does not work around it."""
    DETECTED = "detected"
    """Is noticed and acted upon after the fact."""
    COUNTED = "counted"
    """Is kept in the books only."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of enforcement that is in force for a session. Said as it is: never more than it does."""

    name: str
    """`accounting`, `environment`, `framework-caps`, `mps`, `watcher`, `affinity`, `memory-cgroup`, ..."""
    applies_to: str
    """`cpu`, `mem`, `gpu`, `tasks` (processes and threads) or `time`."""
    guarantee: Guarantee
    detail: str
    """One line for the user, with its hole: `CUDA_VISIBLE_DEVICES=GPU-...; code that resets it sees all GPUs`."""


class Devices(Protocol):
    def list(self) -> Sequence[Device]:
        """Returns the devices that this machine had when the daemon started, lost ones too."""

    def environment(self, session: Session) -> Mapping[str, str]:
        """Returns the variables that tell a session's processes which devices are theirs."""

    def cores(self, session: Session) -> frozenset[int] | None:
        """Returns the cores that a session's processes are pinned to; None = not pinned."""

    def layers(self, session: Session) -> Sequence[Layer]:
        """Returns the layers of enforcement that the devices put in force for a session that holds resources."""

    async def read_gpus(self) -> Sequence[GpuReading]:
        """Returns one reading per GPU, in the order of `list`; never raises, never takes longer than two seconds.

        A driver that hangs costs one thread, once; its GPUs read as not present until it answers again.
        """

    async def prepare(self, session: Session) -> None:
        """Makes ready what the session's share needs outside of its processes (MPS); before `environment` is asked."""

    async def forget(self, session_id: str) -> None:
        """Undoes `prepare`; nothing happens when there was none."""

    async def close(self) -> None:
        """Lets go of drivers and of what was started for them."""
