"""Devices that serve one kind of slot: what of them is free, and which of them a request would get."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from decimal import Decimal

from ...model.slots import CUDA_DEVICE, CUDA_SHARES, format_amount, is_bytes
from .levels import Levels, lowest
from .types import DeviceSpec, Strategy
from .units import WHOLE, Quantum
from .units import human_bytes as human_bytes

Plan = Sequence[tuple[int, int]]
"""(device number, units of the pool) of a grant."""


class Pool(ABC):
    """Devices of one kind. Planning changes nothing; `take` and `give` change what is free."""

    def __init__(self, devices: Sequence[DeviceSpec], slots: Sequence[str], quantum: Quantum = WHOLE) -> None:
        self.slots = tuple(slots)
        """The slots that are served; the first is the one that capacity is counted in."""
        self.quantum = quantum
        """What amounts of the first slot are counted in."""
        self.ids = tuple(device.id for device in devices)
        self.numbers = {device.id: number for number, device in enumerate(devices)}
        self.capacities = tuple(quantum.units(device.capacity, device.slot) for device in devices)
        if not all(self.capacities):
            raise ValueError(f"a device of {slots[0]} has no capacity")
        self.capacity = sum(self.capacities)
        self.free = self.capacity
        """Units that nobody was promised."""

    def quantum_of(self, slot: str) -> Quantum:
        """Returns what requests of `slot` are counted in."""
        return self.quantum

    def most(self, slot: str) -> int:
        """Returns the most that an empty pool can grant of `slot`, in quanta of the slot."""
        return self.capacity

    @abstractmethod
    def plan(self, slot: str, asked: int) -> Plan | None:
        """Returns the devices that `asked` quanta of `slot` would come from, None when they cannot be had now."""

    def take(self, plan: Plan) -> None:
        """Promises what was planned."""
        for device, units in plan:
            self._move(device, -units)
            self.free -= units

    def give(self, plan: Plan) -> None:
        """Takes a promise back."""
        for device, units in plan:
            self._move(device, units)
            self.free += units

    def to_plan(self, slot: str, share: Iterable[tuple[str, Decimal]]) -> Plan | None:
        """Returns the plan that takes exactly these amounts of these devices; None when one has not so much free.

        Raises:
            InvalidAmount: no multiple of the quantum.
        """
        plan = []
        for device_id, amount in share:
            number = self.numbers.get(device_id)
            units = self.quantum_of(slot).units(amount, slot)
            if number is None or units == 0 or units > self.free_on(number):
                return None
            plan.append((number, units))
        return plan

    def granted(self, slot: str, plan: Plan) -> dict[str, Decimal]:
        """Returns device id -> amount in `slot` of a plan."""
        amount = self.quantum_of(slot).amount
        return {self.ids[device]: amount(units) for device, units in plan}

    @abstractmethod
    def free_on(self, device: int) -> int:
        """Returns the free units of one device."""

    @abstractmethod
    def _move(self, device: int, change: int) -> None: ...

    def shortage(self, slot: str, asked: int) -> str:
        """Returns what there is now of `slot`, for somebody who waits: `0.25 free on gpu0`."""
        return f"{self._text(slot, self.free)} {slot} free"

    def _text(self, slot: str, units: int) -> str:
        amount = self.quantum_of(slot).amount(units)
        return human_bytes(amount) if is_bytes(slot) else format_amount(amount)


class DiscretePool(Pool):
    """Things that are counted, such as cores: the emptiest devices first, one unit each, round after round."""

    def __init__(self, devices: Sequence[DeviceSpec], slot: str) -> None:
        super().__init__(devices, [slot])
        self._levels = Levels(self.capacities)

    def plan(self, slot: str, asked: int) -> Plan | None:
        if asked > self.free:
            return None
        counts: dict[int, int] = {}
        level, in_round = len(self._levels.at) - 1, 0
        while asked:
            in_round |= self._levels.at[level]
            level -= 1
            rest = in_round
            while rest and asked:
                device = lowest(rest)
                rest &= rest - 1
                counts[device] = counts.get(device, 0) + 1
                asked -= 1
        return sorted(counts.items())

    def free_on(self, device: int) -> int:
        return self._levels.free[device]

    def _move(self, device: int, change: int) -> None:
        self._levels.move(device, change)


class BytesPool(Pool):
    """Memory: from one device where it fits (the fullest such), else from the emptiest on.

    A machine has one to a few of these (NUMA nodes), so they are scanned.
    """

    def __init__(self, devices: Sequence[DeviceSpec], slot: str) -> None:
        super().__init__(devices, [slot])
        self._free = list(self.capacities)

    def plan(self, slot: str, asked: int) -> Plan | None:
        if asked > self.free:
            return None
        fitting = [device for device, free in enumerate(self._free) if free >= asked]
        if fitting:
            return [(min(fitting, key=lambda device: (self._free[device], device)), asked)]
        plan = []
        for device in sorted(range(len(self._free)), key=lambda device: (-self._free[device], device)):
            if units := min(asked, self._free[device]):
                plan.append((device, units))
                asked -= units
        return sorted(plan)

    def free_on(self, device: int) -> int:
        return self._free[device]

    def _move(self, device: int, change: int) -> None:
        self._free[device] += change


class GpuPool(Pool):
    """GPUs: `cuda.shares` in exact fractions, `cuda.device` whole.

    A plan's units are parts of a share, also for `cuda.device`, which takes all of a device: the two can never meet
    on one. Less than a device is on one device; more is whole devices and one fraction.
    """

    def __init__(self, devices: Sequence[DeviceSpec], quantum: Quantum, strategy: Strategy) -> None:
        super().__init__(devices, [CUDA_SHARES, CUDA_DEVICE], quantum)
        if len(set(self.capacities)) > 1:
            raise ValueError("all GPUs must have the same capacity of cuda.shares")
        self._whole = self.capacities[0]
        self._levels = Levels(self.capacities)
        self._strategy = strategy

    def quantum_of(self, slot: str) -> Quantum:
        return WHOLE if slot == CUDA_DEVICE else self.quantum

    def most(self, slot: str) -> int:
        return len(self.ids) if slot == CUDA_DEVICE else self.capacity

    def plan(self, slot: str, asked: int) -> Plan | None:
        wholes, fraction = (asked, 0) if slot == CUDA_DEVICE else divmod(asked, self._whole)
        if wholes * self._whole + fraction > self.free:
            return None
        plan: list[tuple[int, int]] = []
        empty = self._levels.at[self._whole]
        for _ in range(wholes):
            if not empty:
                return None
            device = lowest(empty)
            empty &= empty - 1
            plan.append((device, self._whole))
        if fraction:
            part = self._for_fraction(fraction, empty)
            if part is None:
                return None
            plan.append((part, fraction))
        return plan

    def _for_fraction(self, fraction: int, empty: int) -> int | None:
        """Returns the device for a fraction; `empty` are the free ones that the whole part has left over."""
        if self._strategy is Strategy.SPREAD:
            if empty:
                return lowest(empty)
            device = self._levels.emptiest(self._whole)
            return device if device is not None and self._levels.free[device] >= fraction else None
        device = self._levels.fullest_with(fraction, self._whole)
        if device is None and empty:
            return lowest(empty)
        return device

    def to_plan(self, slot: str, share: Iterable[tuple[str, Decimal]]) -> Plan | None:
        if slot != CUDA_DEVICE:
            return super().to_plan(slot, share)
        plan = []
        for device_id, amount in share:
            number = self.numbers.get(device_id)
            if number is None or amount != 1 or self.free_on(number) != self._whole:
                return None
            plan.append((number, self._whole))
        return plan

    def granted(self, slot: str, plan: Plan) -> dict[str, Decimal]:
        if slot == CUDA_DEVICE:
            return {self.ids[device]: Decimal(1) for device, _ in plan}
        return super().granted(slot, plan)

    def free_on(self, device: int) -> int:
        return self._levels.free[device]

    def _move(self, device: int, change: int) -> None:
        self._levels.move(device, change)

    def shortage(self, slot: str, asked: int) -> str:
        whole = self._levels.at[self._whole].bit_count()
        part = self._levels.emptiest(self._whole)
        on_part = (
            f"{self._text(CUDA_SHARES, self._levels.free[part])} free on {self.ids[part]}" if part is not None else ""
        )
        if slot == CUDA_SHARES and asked < self._whole and on_part:
            return on_part
        wholes = f"{whole} of {len(self.ids)} GPUs wholly free"
        if slot == CUDA_SHARES and asked % self._whole and on_part:
            return f"{wholes}, {on_part}"
        return wholes
