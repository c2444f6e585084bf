"""The machine that a trace runs on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from ...model.errors import BadRequest
from ...model.slots import CPU, CUDA_SHARES, MEM, ResourceSlots, format_amount
from ..scheduler import DeviceSpec

GIB = 1 << 30
_MOST_GPUS = 100_000
_MOST_CPUS = 10_000_000


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is. Amounts of zero are not there at all."""

    gpus: int = 8
    cpus: int = 64
    mem_bytes: int = 256 * GIB

    def __post_init__(self) -> None:
        for what, amount, most in (("GPUs", self.gpus, _MOST_GPUS), ("cpu", self.cpus, _MOST_CPUS)):
            if not 0 <= amount <= most:
                raise BadRequest(f"a machine of {amount} {what} cannot be simulated: write a number from 0 to {most}")
        if not (self.gpus or self.cpus or self.mem_bytes):
            raise BadRequest("a machine without GPUs, cpu and mem cannot be simulated: give it something")

    @classmethod
    def of(cls, proposed: Mapping[str, str], *, gpus: int | None, cpus: int | None, mem: str | None) -> Machine:
        """Returns the machine that was asked for; what was not is as the trace proposes, or as usual without that.

        Raises:
            BadRequest: an amount that is none, or more than can be simulated.
        """
        slots = ResourceSlots.parse(proposed)
        usual = cls()

        def whole(slot: str, otherwise: int) -> int:
            if not proposed:
                return otherwise
            amount = slots.amount(slot)
            if amount % 1:
                raise BadRequest(f"the trace's machine has {format_amount(amount)} {slot}: write a whole number")
            return int(amount)

        return cls(
            gpus=whole(CUDA_SHARES, usual.gpus) if gpus is None else gpus,
            cpus=whole(CPU, usual.cpus) if cpus is None else cpus,
            mem_bytes=whole(MEM, usual.mem_bytes) if mem is None else int(ResourceSlots.parse({MEM: mem}).amount(MEM)),
        )

    def devices(self) -> list[DeviceSpec]:
        """Returns them for the scheduler; which core or which part of the memory is nobody's concern here."""
        return [
            *([DeviceSpec("cpu", CPU, Decimal(self.cpus))] if self.cpus else []),
            *([DeviceSpec("mem", MEM, Decimal(self.mem_bytes))] if self.mem_bytes else []),
            *(DeviceSpec(f"gpu{number}", CUDA_SHARES, Decimal(1)) for number in range(self.gpus)),
        ]

    def slots(self) -> ResourceSlots:
        """Returns what there is in all."""
        amounts = {CPU: self.cpus, MEM: self.mem_bytes, CUDA_SHARES: self.gpus}
        return ResourceSlots({slot: amount for slot, amount in amounts.items() if amount})
