"""Allocation maps: what of the devices of one kind is free, and which of them a request would get.

Planning changes nothing. A plan exists exactly when there is any way to grant the request by the map's rules, and
what is freed never makes one impossible: `Ledger.forecast` and the backfill rest on both.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from decimal import Decimal

from ...model.slots import format_amount, is_bytes
from .levels import Amounts, Levels, lowest
from .types import DeviceSpec, Distribution
from .units import WHOLE, Quantum, human_bytes

Plan = tuple[tuple[int, int], ...]
"""(device number, units of the map) of a grant."""


class Map(ABC):
    """Devices of one kind. Units are integers of the smallest amount that the map can count.

    A lost device has nothing free as long as it is lost; what is promised on it stays promised, and what is given
    back there is put by until it is found again.
    """

    index: Amounts
    """What of each device can be given now."""

    def __init__(self, devices: Sequence[DeviceSpec], grain: Quantum) -> None:
        self.slots: tuple[str, ...] = (devices[0].slot,)
        """The slots that requests can name; the first is the one that totals are counted in."""
        self.ids = tuple(device.id for device in devices)
        self.numbers = {device.id: number for number, device in enumerate(devices)}
        self.capacities = tuple(grain.units(device.capacity, device.slot) for device in devices)
        if not all(self.capacities):
            raise ValueError(f"a device of {self.slots[0]} has no capacity")
        self.capacity = sum(self.capacities)
        self.free = self.capacity
        """Units that are promised to nobody, on devices that are there."""
        self.put_by: dict[int, int] = {}
        """Lost device -> its units that are promised to nobody."""
        self._grain = grain

    # --- amounts ---

    def units(self, slot: str, amount: Decimal, *, again: bool = False) -> int:
        """Returns what a request of `amount` takes.

        Args:
            again: it was admitted before, perhaps with another quantum.

        Raises:
            InvalidAmount: no multiple of the slot's quantum; the message names the nearest two that are.
        """
        return self._grain.units(amount, slot)

    def amount(self, slot: str, units: int) -> Decimal:
        """Returns units as an amount of `slot`."""
        return self._grain.amount(units)

    def most(self, slot: str) -> int:
        """Returns the most units that a request of `slot` gets of the empty map with all of its devices."""
        return self.capacity

    def text(self, slot: str, units: int) -> str:
        """Returns an amount for reading: `0.5`, `1.5g`."""
        amount = self.amount(slot, units)
        return human_bytes(amount) if is_bytes(slot) else format_amount(amount)

    def free_amount(self) -> Decimal:
        """Returns what is promised to nobody, in the first slot."""
        return self.amount(self.slots[0], self.free)

    def total_amount(self) -> Decimal:
        """Returns what is free and what is promised together, in the first slot."""
        return self.amount(self.slots[0], self.capacity - sum(self.put_by.values()))

    # --- grants ---

    @abstractmethod
    def plan(self, slot: str, units: int, split: bool) -> Plan | None:
        """Returns the devices that `units` would come from, None when they cannot be had now."""

    def fits(self, slot: str, units: int, split: bool) -> bool:
        """Whether there is a plan."""
        return units <= self.free

    def granted(self, slot: str, plan: Plan) -> dict[str, Decimal]:
        """Returns device id -> amount in `slot` of a plan."""
        return {self.ids[device]: self.amount(slot, units) for device, units in plan}

    def adopted(self, slot: str, share: Iterable[tuple[str, Decimal]]) -> Plan | None:
        """Returns the plan that takes exactly these amounts of these devices, lost ones too; None when one has less.

        Raises:
            InvalidAmount: finer than anything that can have been granted.
        """
        plan = []
        for device_id, amount in share:
            number = self.numbers.get(device_id)
            units = self._grain.units(amount, slot)
            if number is None or units == 0 or units > self.left_on(number):
                return None
            plan.append((number, units))
        return tuple(plan)

    def has(self, plan: Plan) -> bool:
        """Whether a plan that was made earlier can still be taken."""
        free = self.index.free
        for device, units in plan:  # noqa: SIM110 - a generator costs more than the rest of it
            if units > free[device]:
                return False
        return True

    def take(self, plan: Plan) -> None:
        """Promises what was planned."""
        for device, units in plan:
            if device in self.put_by:
                self.put_by[device] -= units
            else:
                self.index.move(device, -units)
                self.free -= units

    def give(self, plan: Plan) -> None:
        """Takes a promise back."""
        for device, units in plan:
            if device in self.put_by:
                self.put_by[device] += units
            else:
                self.index.move(device, units)
                self.free += units

    # --- devices ---

    def lose(self, device: int) -> None:
        """Keeps everything new from a device; it must not be lost yet."""
        units = self.put_by[device] = self.index.free[device]
        self.index.move(device, -units)
        self.free -= units

    def find(self, device: int) -> None:
        """Takes a lost device back with what is promised to nobody."""
        units = self.put_by.pop(device)
        self.index.move(device, units)
        self.free += units

    def left_on(self, device: int) -> int:
        """Returns the units of a device, lost or not, that are promised to nobody."""
        return self.put_by[device] if device in self.put_by else self.index.free[device]

    def shortage(self, slot: str, units: int, split: bool) -> str:
        """Returns what there is now of `slot`, for somebody who waits: `0.25 free on gpu0`."""
        return self._with_lost(f"{self.text(slot, self.free)} {slot} free")

    def _with_lost(self, text: str) -> str:
        lost = [self.ids[device] for device in sorted(self.put_by)]
        if not lost:
            return text
        named = lost if len(lost) <= 3 else [*lost[:2], f"{len(lost) - 2} more"]
        names = " and ".join([*([", ".join(named[:-1])] if named[1:] else []), named[-1]])
        return f"{text}, {names} {'are' if named[1:] else 'is'} lost"


class DiscreteMap(Map):
    """Things that are counted, such as cores.

    Evenly: the emptiest devices first, one unit each, round after round. Fill: the fewest devices, each to its end;
    the rest goes to the fullest that has room for it.
    """

    def __init__(self, devices: Sequence[DeviceSpec], distribution: Distribution) -> None:
        super().__init__(devices, WHOLE)
        self._levels = Levels(self.capacities if len(devices) > 1 else ())  # of one alone it would be a ballast
        self.index = self._levels if len(devices) > 1 else Amounts(self.capacities)
        self._distribution = distribution

    def plan(self, slot: str, units: int, split: bool) -> Plan | None:
        if units > self.free:
            return None
        if len(self.ids) == 1:
            return ((0, units),)
        return self._filling(units) if self._distribution is Distribution.FILL else self._evenly(units)

    def _evenly(self, units: int) -> Plan:
        counts: dict[int, int] = {}
        level, in_round = self._levels.top(), 0
        while units:
            in_round |= self._levels.at[level]
            level -= 1
            rest = in_round
            while rest and units:
                device = lowest(rest)
                rest &= rest - 1
                counts[device] = counts.get(device, 0) + 1
                units -= 1
        return tuple(sorted(counts.items()))

    def _filling(self, units: int) -> Plan:
        plan: list[tuple[int, int]] = []
        for device in self._levels.from_emptiest():
            free = self._levels.free[device]
            if free >= units:
                last = self._levels.fullest_with(units, free)  # has less than any that was taken: it is none of them
                plan.append((device if last is None else last, units))
                break
            plan.append((device, free))
            units -= free
        return tuple(sorted(plan))


class BytesMap(Map):
    """Memory: from one device where it fits (the fullest such), else from the emptiest on.

    A machine has one to a few of these (NUMA nodes), so they are scanned.
    """

    def __init__(self, devices: Sequence[DeviceSpec]) -> None:
        super().__init__(devices, WHOLE)
        self.index = Amounts(self.capacities)

    def plan(self, slot: str, units: int, split: bool) -> Plan | None:
        if units > self.free:
            return None
        free = self.index.free
        fitting = [(free[device], device) for device in range(len(free)) if free[device] >= units]
        if fitting:
            return ((min(fitting)[1], units),)
        plan = []
        for device in sorted(range(len(free)), key=lambda device: (-free[device], device)):
            if part := min(units, free[device]):
                plan.append((device, part))
                units -= part
        return tuple(sorted(plan))
