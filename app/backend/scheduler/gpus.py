"""The allocation map of GPUs: exact fractions of a device, and devices taken whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

from ...model.slots import CUDA_DEVICE, CUDA_SHARES
from .levels import Levels, lowest
from .maps import Map, Plan
from .types import DeviceSpec, Distribution, Strategy
from .units import GRAIN, WHOLE, Quantum


class GpuMap(Map):
    """GPUs of one capacity: `cuda.shares` in exact fractions, `cuda.device` whole.

    Units are thousandths of a share, also for `cuda.device`, which takes all of a device: the two can never meet on
    one. Less than a device is on one device and more is whole devices and one fraction, unless the request may be
    split; then the fewest devices that have enough together serve it, evenly (parts that differ by one quantum at
    most, but for devices that have less) or filled (the emptiest to their ends).

    When GPUs are not shared (devices that serve `cuda.device`), only whole ones can be asked for; shares that were
    granted before sharing was turned off are still kept in the books.
    """

    def __init__(
        self, devices: Sequence[DeviceSpec], quantum: Quantum, strategy: Strategy, distribution: Distribution
    ) -> None:
        super().__init__(devices, GRAIN)
        self.shared = devices[0].slot == CUDA_SHARES
        self.slots = (CUDA_SHARES, CUDA_DEVICE) if self.shared else (CUDA_DEVICE,)
        if len(set(self.capacities)) > 1:
            raise ValueError(f"all GPUs must have the same capacity of {self.slots[0]}")
        self._whole = self.capacities[0]
        (quantum if self.shared else WHOLE).units(devices[0].capacity, self.slots[0])
        if not self.shared and self._whole != WHOLE.value / GRAIN.value:
            raise ValueError("a GPU that is only given away whole is one cuda.device")
        self._quantum = quantum
        self._step = GRAIN.units(quantum.value, CUDA_SHARES)
        self.index = self._levels = Levels(self.capacities)
        self._amounts = [GRAIN.amount(units) for units in range(self._whole + 1)]
        self._strategy = strategy
        self._distribution = distribution

    def units(self, slot: str, amount: Decimal, *, again: bool = False) -> int:
        if slot == CUDA_DEVICE:
            return WHOLE.units(amount, slot) * self._whole
        if again:
            return GRAIN.units(amount, slot)
        return self._quantum.units(amount, slot) * self._step

    def amount(self, slot: str, units: int) -> Decimal:
        if slot == CUDA_DEVICE:
            return Decimal(units // self._whole)
        return self._amounts[units] if units <= self._whole else GRAIN.amount(units)

    def free_amount(self) -> Decimal:
        if self.shared:
            return super().free_amount()
        return Decimal(self._levels.at[self._whole].bit_count())

    def total_amount(self) -> Decimal:
        if self.shared:
            return super().total_amount()
        return Decimal(len(self.ids) - sum(units == self._whole for units in self.put_by.values()))

    def plan(self, slot: str, units: int, split: bool) -> Plan | None:
        if units > self.free:
            return None
        empty = self._levels.at[self._whole]
        if units < self._whole:
            part = self._for_fraction(units, empty)
            if part is not None:
                return ((part, units),)
            return self._put_together(units) if split else None
        wholes, fraction = divmod(units, self._whole)
        plan: list[tuple[int, int]] = []
        for _ in range(wholes):
            if not empty:
                return self._put_together(units) if split else None
            device = lowest(empty)
            empty &= empty - 1
            plan.append((device, self._whole))
        if fraction:
            part = self._for_fraction(fraction, empty)
            if part is None:
                return self._put_together(units) if split else None
            plan.append((part, fraction))
        return tuple(plan)

    def fits(self, slot: str, units: int, split: bool) -> bool:
        if units > self.free:
            return False
        wholes, fraction = divmod(units, self._whole)
        empty = self._levels.at[self._whole].bit_count()
        if empty > wholes or (
            empty == wholes and (not fraction or self._levels.fullest_with(fraction, self._whole) is not None)
        ):
            return True
        return split and units <= sum(self._usable(device) for device in self._levels.from_emptiest())

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

    def _usable(self, device: int) -> int:
        """Returns what a part can be of; less than all when something of another quantum is promised there."""
        free = self._levels.free[device]
        return free - free % self._step

    def _put_together(self, units: int) -> Plan | None:
        """Returns parts from the fewest devices; all are multiples of the quantum, but for one if `units` is none."""
        chosen: list[tuple[int, int]] = []
        missing = units
        for device in sorted(self._levels.from_emptiest(), key=lambda device: (-self._usable(device), device)):
            usable = self._usable(device)
            if not usable:
                return None
            chosen.append((device, usable))
            missing -= usable
            if missing <= 0:
                break
        if missing > 0:
            return None
        if self._distribution is Distribution.FILL:
            device, usable = chosen[-1]
            return tuple(sorted([*chosen[:-1], (device, usable + missing)]))
        parts: list[tuple[int, int]] = []
        steps = -(-units // self._step)
        excess = steps * self._step - units
        for left, (device, usable) in zip(range(len(chosen), 0, -1), reversed(chosen), strict=True):
            part = min(usable // self._step, steps // left)
            parts.append((device, part * self._step))
            steps -= part
        device, most = parts.pop()
        return tuple(sorted([*parts, (device, most - excess)]))

    def adopted(self, slot: str, share: Iterable[tuple[str, Decimal]]) -> Plan | None:
        if slot != CUDA_DEVICE:
            return super().adopted(slot, share)
        plan = []
        for device_id, amount in share:
            number = self.numbers.get(device_id)
            if number is None or amount != 1 or self.left_on(number) != self._whole:
                return None
            plan.append((number, self._whole))
        return tuple(plan)

    def shortage(self, slot: str, units: int, split: bool) -> str:
        if split:
            return super().shortage(slot, units, split)
        whole = self._levels.at[self._whole].bit_count()
        wholes = f"{whole} of {len(self.ids)} GPUs wholly free"
        if slot == CUDA_DEVICE or not units % self._whole:
            return self._with_lost(wholes)
        part = self._levels.emptiest(self._whole)
        most = self._levels.free[part] if part is not None else 0
        if part is None or not most:
            on_part = "" if whole else "nothing free on any GPU"
        else:
            on_part = f"{self.text(CUDA_SHARES, most)} free on {self.ids[part]}"
        if units < self._whole:
            return self._with_lost(on_part or wholes)
        return self._with_lost(f"{wholes}, {on_part}" if on_part and most else wholes)
