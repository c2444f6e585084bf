"""What goes into the scheduler core and what comes out of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
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


class Distribution(StrEnum):
    """How an amount that comes from several devices is divided (cores, split shares)."""

    EVENLY = "evenly"
    """As level as the quantum allows. Cores: one after the other from whichever device has the most left. A share that
    is split: equal parts of the fewest devices that have enough together."""
    FILL = "fill"
    """One device after the other to its end: the fewest devices."""


class Policy(StrEnum):
    """Whose turn it is among requests of the same priority."""

    FIFO = "fifo"
    LIFO = "lifo"
    DRF = "drf"
    """Dominant resource fairness: the owner whose largest fraction of any slot is the smallest."""
    FAIR_SHARE = "fair-share"
    """The owner who has used the least lately, for his weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one owner may have at a time. None = as much as the machine has."""

    slots: ResourceSlots | None = None
    """Held by all of his sessions together; slots that are not named are not limited."""
    sessions: int | None = None
    """Sessions that hold resources."""
    pending: int | None = None
    """Sessions that wait."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How the queue is kept. Changing them while sessions run changes nothing that is granted."""

    policy: Policy = Policy.FIFO
    backfill: bool = True
    """A later request may pass one that waits for resources if it cannot delay it."""
    half_life_s: float = 7 * 86400.0
    """Of what an owner has used, for `FAIR_SHARE`."""
    weights: Mapping[str, Decimal] = field(default_factory=dict)
    """Access key -> weight for `DRF` and `FAIR_SHARE`; 1 when not named."""
    limits: Limits = field(default_factory=Limits)
    """Of every owner."""
    limits_of: Mapping[str, Limits] = field(default_factory=dict)
    """Access key -> limits that stand in place of `limits`."""


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
    split: bool = False
    """A fraction of a GPU may be put together from several devices."""
    depends_on: Sequence[str] = ()
    """Sessions that must have ended with success; unknown ones are taken as ended with success."""
    not_before_s: float | None = None
    """It does not start earlier."""
    expires_at_s: float | None = None
    """It is given up when it has not started by then."""
    duration_s: float | None = None
    """It holds its resources no longer than that; None = nobody knows. Backfill and forecasts count on it."""


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


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The session left the queue without having started and never will."""

    session_id: str
    reason: str
    """In Backend.AI's words where it has them, one line: `pending-timeout: ...`, `dependency-failed: ...`."""


Instruction = Start | GiveUp
"""What the caller has to do, in this order."""


class Hold(StrEnum):
    """Why a waiting session waits."""

    RESOURCES = "resources"
    """The machine is exhausted, or others are before it."""
    DEPENDENCIES = "dependencies"
    RESERVED_TIME = "reserved_time"
    """`not_before_s` has not come."""
    CONCURRENCY = "concurrency"
    """Its owner runs as many sessions as he may."""
    KEYPAIR_RESOURCE_LIMIT = "keypair_resource_limit"
    """Its owner holds as many slots as he may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a session waits; the text says all of it in one line."""

    hold: Hold
    text: str
    """`waits for 0.5 cuda.shares; 0.25 free on gpu0; 2nd in the queue; next release expected in 12 min`."""
    position: int | None = None
    """1 = next; None when it is not in the line (held back by something of its own)."""
    expected_start_s: float | None = None
    """When it starts at the latest if everything that runs ends in time; None when that cannot be known."""
    reserved: bool = False
    """It is the one that is kept from being overtaken."""
