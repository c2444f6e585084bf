"""What goes into the scheduler core and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum

from ...model.errors import BadRequest
from ...model.slots import ResourceSlots, format_amount


class Strategy(StrEnum):
    """Which device a fraction of a GPU goes to when several have room."""

    PACK = "pack"
    """The fullest that fits: whole GPUs stay free for those who need them."""
    SPREAD = "spread"
    """The emptiest."""


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """A device to schedule on."""

    id: str
    """Unique among all devices: `cpu0`, `mem`, `gpu0`, ..."""
    slot: str
    """The slot it serves. A device that serves `cuda.shares` can also be taken whole as one `cuda.device`."""
    capacity: Decimal
    """Exact; a positive multiple of the slot's quantum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRequest:
    """A session that asks for resources."""

    session_id: str
    slots: ResourceSlots
    """Amounts of zero count as not asked for."""
    order: int
    """Position in the sequence of all admissions; decides among equals, also after a restart."""
    priority: int = 10
    """0 to 100; higher goes first."""
    access_key: str = ""
    """Owner."""


@dataclass(frozen=True, slots=True)
class Allocation:
    """What a session is promised: slot -> device id -> exact amount. Compared by value."""

    amounts: Mapping[str, Mapping[str, Decimal]]

    @classmethod
    def parse(cls, wire: Mapping[str, Mapping[str, str]]) -> Allocation:
        """Reads the form that `Session.allocation` has, e.g. `{"cuda.shares": {"gpu0": "0.5"}}`.

        Raises:
            BadRequest: an amount that is no positive finite decimal, or another shape.
        """
        try:
            amounts = {
                slot: {device: Decimal(amount) for device, amount in share.items()} for slot, share in wire.items()
            }
        except (InvalidOperation, AttributeError, TypeError, ValueError):
            raise BadRequest(f"{wire!r} is no allocation: write slot -> device -> amount") from None
        for slot, share in amounts.items():
            for device, amount in share.items():
                if not amount.is_finite() or amount <= 0:
                    raise BadRequest(f"an allocation of {amount} {slot} on {device} makes no sense")
        return cls(amounts)

    def wire(self) -> dict[str, dict[str, str]]:
        """Returns the form that `Session.allocation` has."""
        return {
            slot: {device: format_amount(amount) for device, amount in share.items()}
            for slot, share in self.amounts.items()
        }

    def slots(self) -> ResourceSlots:
        """Returns the totals, slot -> amount: exactly what was asked for."""
        return ResourceSlots({slot: sum(share.values(), Decimal(0)) for slot, share in self.amounts.items()})

    def __iter__(self) -> Iterator[tuple[str, str, Decimal]]:
        """Yields (slot, device id, amount)."""
        for slot, share in self.amounts.items():
            for device, amount in share.items():
                yield slot, device, amount


@dataclass(frozen=True, slots=True)
class Start:
    """The session has its resources now and is to be started."""

    session_id: str
    allocation: Allocation
    waited_s: float
    """Between `enqueue` and this instruction."""


Instruction = Start
"""What the caller has to do, in this order. More kinds may follow: match on the class."""
