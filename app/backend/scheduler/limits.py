"""What an owner holds, may hold, and has used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from ...model.errors import QuotaExceeded
from ...model.slots import CUDA_DEVICE, CUDA_SHARES, ResourceSlots, format_amount, is_bytes
from .ledger import Shape
from .policies import Use
from .types import DeviceSpec, Hold, Limits
from .units import human_bytes

_KNOWN_DEMANDS: Final = 4096
NeedKind = tuple[int, str, bool]
"""(number of the map, slot, may be split): of the same kind, whoever has no room for some has none for more."""


@dataclass(frozen=True, slots=True, eq=False)
class Demand:
    """What a request asks for, counted in the ways that limits and policies count."""

    shape: Shape
    amounts: Mapping[str, Decimal]
    """Slot -> amount, zeros left out. Whole GPUs that could be shared count as shares, too: whoever may hold two
    `cuda.shares` cannot hold three `cuda.device`."""
    dominant: float
    """The largest fraction of the machine's capacity of any slot."""
    needs: tuple[tuple[NeedKind, int], ...]
    """The same as `shape`: of what kind, how many units."""


class Capacity:
    """What the machine had at first of each slot, lost or not, and what of it is there."""

    def __init__(self, devices: Sequence[DeviceSpec]) -> None:
        self._devices = {device.id: device for device in devices}
        self.there: dict[str, Decimal] = {}
        """Slot -> capacity of the devices that are not lost."""
        for device in devices:
            self.there[device.slot] = self.there.get(device.slot, Decimal(0)) + device.capacity
        self._all = {slot: float(amount) for slot, amount in self.there.items()}
        shared = [device.capacity for device in devices if device.slot == CUDA_SHARES]
        self._device_shares = shared[0] if shared else None
        self._known: dict[Shape, Demand] = {}
        self._lost = 0

    @property
    def incomplete(self) -> bool:
        """Whether a device is lost."""
        return self._lost > 0

    def demand(self, shape: Shape, slots: ResourceSlots) -> Demand:
        """Returns the demand of a request whose needs are `shape`."""
        known = self._known.get(shape)
        if known is None:
            if len(self._known) >= _KNOWN_DEMANDS:
                self._known.clear()
            known = self._known[shape] = self.held(slots, shape)
        return known

    def held(self, slots: ResourceSlots, shape: Shape = ()) -> Demand:
        """Returns the demand of a session that holds `slots` already, whatever it could ask for now."""
        amounts = {slot: amount for slot, amount in slots.items() if amount}
        if CUDA_DEVICE in amounts and self._device_shares is not None:
            amounts[CUDA_SHARES] = amounts.get(CUDA_SHARES, 0) + amounts[CUDA_DEVICE] * self._device_shares
        needs = tuple(((number, slot, split), units) for number, slot, units, split in shape)
        return Demand(shape, amounts, self.dominant(amounts), needs)

    def dominant(self, amounts: Mapping[str, Decimal]) -> float:
        """Returns the largest fraction that `amounts` are of any slot of the machine."""
        capacities = self._all
        return max((float(amounts[slot]) / capacities[slot] for slot in amounts if slot in capacities), default=0.0)

    def set_there(self, device_id: str, *, there: bool) -> None:
        """Notes that a device is lost or found; the caller knows that it was not so before."""
        device = self._devices[device_id]
        self._lost += -1 if there else 1
        self.there[device.slot] += device.capacity if there else -device.capacity

    def possible(self, demand: Demand) -> bool:
        """Whether what is left of the machine would do if nothing of it was promised."""
        there = self.there
        return all(amount <= there[slot] for slot, amount in demand.amounts.items() if slot in there)


class Account:
    """One owner."""

    __slots__ = ("_limits", "access_key", "held", "room", "sessions", "use", "waiting", "weight")

    def __init__(self, access_key: str, limits: Limits, weight: float, use: Use) -> None:
        self.access_key = access_key
        self.weight = weight
        self.use = use
        self.sessions = 0
        """That hold resources."""
        self.waiting = 0
        """That wait, for whatever."""
        self.held: dict[str, Decimal] = {}
        """Slot -> amount, as demands count."""
        self.room = dict(limits.slots) if limits.slots is not None else None
        """Limited slot -> amount that may still be taken, below zero when limits were lowered; None without limits."""
        self._limits = limits

    @property
    def limited(self) -> bool:
        """Whether anything but the number of waiting sessions is limited."""
        return self._limits.sessions is not None or self._limits.slots is not None

    def take(self, demand: Demand, now: float) -> None:
        """Notes that one more session holds resources."""
        held, room = self.held, self.room
        for slot, amount in demand.amounts.items():
            held[slot] = held[slot] + amount if slot in held else amount
            if room is not None and slot in room:
                room[slot] -= amount
        self.sessions += 1
        self.use.begin(demand.dominant, now)

    def give(self, demand: Demand, now: float) -> None:
        """Notes that a session gave back what it held."""
        held, room = self.held, self.room
        for slot, amount in demand.amounts.items():
            held[slot] -= amount
            if room is not None and slot in room:
                room[slot] += amount
        self.sessions -= 1
        self.use.end(demand.dominant, now, last=not self.sessions)

    # --- limits ---

    def may_start(self) -> bool:
        """Whether one more session may hold resources."""
        return self._limits.sessions is None or self.sessions < self._limits.sessions

    def has_room(self, demand: Demand) -> bool:
        """Whether the limit of slots allows `demand`."""
        return self.room is None or self._over(demand, self.room) is None

    def has_room_for_both(self, demand: Demand, other: Demand) -> bool:
        """Whether `other` could start as well once `demand` has."""
        most = self._limits.sessions
        if most is not None and self.sessions + 2 > most:
            return False
        if self.room is None:
            return True
        left = {slot: room - other.amounts.get(slot, 0) for slot, room in self.room.items()}
        return self._over(demand, left) is None

    @staticmethod
    def _over(demand: Demand, room: Mapping[str, Decimal]) -> str | None:
        """Returns the slot of which `demand` asks for more than there is room for."""
        amounts = demand.amounts
        for slot, left in room.items():
            if slot in amounts and amounts[slot] > left:
                return slot
        return None

    def hold(self, demand: Demand) -> tuple[Hold, str] | None:
        """Returns which limit keeps `demand` from starting, and the reason in one line."""
        if not self.may_start():
            return Hold.CONCURRENCY, f"its owner runs {self.sessions} of {self._limits.sessions} sessions"
        slot = self._over(demand, self.room) if self.room is not None else None
        if slot is None or self._limits.slots is None:
            return None
        held, most = (_text(slot, amount) for amount in (self.held.get(slot, Decimal(0)), self._limits.slots[slot]))
        asked = _text(slot, demand.amounts[slot])
        return (
            Hold.KEYPAIR_RESOURCE_LIMIT,
            f"its owner holds {held} {slot} and may hold {most}; this one asks for {asked}",
        )

    def check(self, demand: Demand) -> None:
        """Refuses what the owner may never hold.

        Raises:
            QuotaExceeded: with the slot, what is asked for and the limit.
        """
        for slot, most in (self._limits.slots or {}).items():
            asked = demand.amounts.get(slot)
            if asked is not None and asked > most:
                raise QuotaExceeded(
                    f"{_text(slot, asked)} {slot} is more than the {_text(slot, most)} {slot} that all sessions of "
                    f"the access key {self.access_key} together may hold: ask for less"
                )

    def waits_enough(self) -> bool:
        """Whether as many wait as may."""
        most = self._limits.pending
        return most is not None and self.waiting >= most

    def waits_too_much(self) -> QuotaExceeded:
        """Returns the refusal of one more that would wait."""
        of, one = f"of the access key {self.access_key}", self.waiting == 1
        waiting = f"1 session {of} waits" if one else f"{self.waiting} sessions {of} wait"
        return QuotaExceeded(
            f"it would have to wait, but {waiting} already, and no more than {self._limits.pending} may: try again "
            "when one of them has started"
        )


def _text(slot: str, amount: Decimal) -> str:
    return human_bytes(amount) if is_bytes(slot) else format_amount(amount)
