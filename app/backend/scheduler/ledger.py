"""All that is promised of a machine, and what of it could be promised now or later.

Pure: no clock, no queue. A plan exists exactly when there is a way to grant a request by the rules, it is always
exactly what was asked for, and nothing that is given back ever makes one impossible. Not thread-safe.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from weakref import WeakSet

from ...model.errors import BadRequest, IllegalState, ImpossibleRequest, InvalidAmount
from ...model.slots import CUDA_DEVICE, CUDA_SHARES, ResourceSlots, format_amount, is_bytes
from .gpus import GpuMap
from .maps import BytesMap, DiscreteMap, Map, Plan
from .types import Allocation, DeviceSpec, Distribution, Strategy
from .units import quantum_of_shares

Shape = tuple[tuple[int, str, int, bool], ...]
"""(number of the map, slot, units, may be split) of a request, at most one of each map: equal needs, equal shapes."""
Grant = tuple[tuple[int, str, Plan], ...]
"""(number of the map, slot, devices and units)."""


@dataclass(frozen=True, slots=True)
class _Holding:
    grant: Grant
    allocation: Allocation


@dataclass(slots=True, eq=False, weakref_slot=True)
class Reservation:
    """What a blocked request will get, and when at the latest.

    The ledger that made it keeps it right while somebody holds it, whatever is given back in the meantime.
    """

    when_s: float
    """The end of a holding after which the request fits; minus infinity when it fits now."""
    grant: Grant
    """What it would get then."""
    valid: bool = True
    """False after a device was lost or something was adopted: make a new one."""
    expected: dict[str, Grant] = field(default_factory=dict)
    """Session -> what it holds, of those who are counted on to end by `when_s` and have not yet."""
    missing: dict[tuple[int, int], int] = field(default_factory=dict)
    """(map, device) -> units of `grant` there, less those that are expected; above 0 it needs so many of today's."""

    def ended(self, session_id: str) -> None:
        """Puts what one of the expected gave back among the units that are needed of those free."""
        for number, _, plan in self.expected.pop(session_id, ()):
            for device, units in plan:
                if (number, device) in self.missing:
                    self.missing[number, device] += units


class Ledger:
    """The allocation maps of a machine and who holds what of them."""

    def __init__(
        self,
        devices: Sequence[DeviceSpec],
        *,
        quantum: Decimal = Decimal("0.01"),
        strategy: Strategy = Strategy.PACK,
        distribution: Distribution = Distribution.EVENLY,
    ) -> None:
        """Begins with nothing promised.

        Args:
            quantum: the smallest part of a `cuda.shares` that can be asked for; divides 1 and is a multiple of 0.001.
                What is held was granted in thousandths, so that another quantum changes nothing of it.
            strategy: which GPU a fraction goes to.
            distribution: how cores, and fractions that may be split, are taken from several devices.

        Raises:
            ValueError: another quantum, two devices of one id, a capacity that is no positive multiple of the
                quantum, GPUs whose `cuda.shares` differ, or devices of both `cuda.shares` and `cuda.device`.
        """
        self._maps = _make_maps(devices, quantum, strategy, distribution)
        self._serving = {slot: number for number, one in enumerate(self._maps) for slot in one.slots}
        self._device = {id: (number, at) for number, one in enumerate(self._maps) for id, at in one.numbers.items()}
        self._holding: dict[str, _Holding] = {}
        self._reservations: WeakSet[Reservation] = WeakSet()

    # --- asking ---

    def shape(self, slots: ResourceSlots, *, split: bool = False, again: bool = False) -> Shape:
        """Returns what a request takes of which map. Amounts of zero count as not asked for.

        Args:
            split: fractions of GPUs may be put together from several devices.
            again: it was admitted before, perhaps with another quantum: this one does not matter.

        Raises:
            InvalidAmount: no multiple of the slot's quantum; the message names the nearest two that are.
            ImpossibleRequest: more than the machine has with all of its devices, lost ones too, or `cuda.device`
                together with `cuda.shares`.
        """
        shape: list[tuple[int, str, int, bool]] = []
        for slot, amount in slots.items():
            if not amount:
                continue
            number = self._serving.get(slot)
            if number is None:
                raise ImpossibleRequest(self._unserved(slot, amount))
            one = self._maps[number]
            units = one.units(slot, amount, again=again)
            if units > one.most(slot):
                much, most = f"{one.text(slot, units)} {slot}", f"{one.text(slot, one.most(slot))} {slot}"
                if much == most:  # sizes are cut to a tenth
                    much, most = f"{units} bytes of {slot}", f"{one.most(slot)} bytes"
                raise ImpossibleRequest(f"{much} can never be granted: this machine has {most} in all")
            shape.append((number, slot, units, split and slot == CUDA_SHARES))
        if len({number for number, *_ in shape}) < len(shape):
            raise ImpossibleRequest(
                "ask for cuda.device or cuda.shares, not for both: a GPU is taken whole or shared, never both"
            )
        return tuple(sorted(shape))

    def _unserved(self, slot: str, amount: Decimal) -> str:
        text = f"{format_amount(amount)} {slot} can never be granted"
        if slot == CUDA_SHARES and CUDA_DEVICE in self._serving:
            return f"{text}: the GPUs of this machine are only given away whole; ask for cuda.device"
        hint = " (mock ones: bai-tui serve --mock-gpus N)" if slot in (CUDA_DEVICE, CUDA_SHARES) else ""
        return f"{text}: this machine has no {slot}{hint}"

    def plan(self, shape: Shape) -> Grant | None:
        """Returns what `shape` would get now, exactly what it asks for; None when any of it cannot be had."""
        grant = []
        for number, slot, units, split in shape:
            plan = self._maps[number].plan(slot, units, split)
            if plan is None:
                return None
            grant.append((number, slot, plan))
        return tuple(grant)

    def fits(self, shape: Shape) -> bool:
        """Whether there is a plan for `shape` now; cheaper than the plan."""
        return all(self._maps[number].fits(slot, units, split) for number, slot, units, split in shape)

    def lacking(self, shape: Shape) -> list[tuple[str, str, str]]:
        """Returns (slot, what is wanted, what there is) of every slot that cannot be had now, for people to read:
        `("cuda.shares", "0.5 cuda.shares", "0.25 free on gpu0, gpu1 is lost")`."""
        return [
            (slot, f"{self._maps[number].text(slot, units)} {slot}", self._maps[number].shortage(slot, units, split))
            for number, slot, units, split in shape
            if not self._maps[number].fits(slot, units, split)
        ]

    # --- promising ---

    def take(self, session_id: str, grant: Grant) -> Allocation:
        """Promises what was planned.

        Raises:
            IllegalState: the session holds something already, or the plan is from before others took of the same.
        """
        self._must_be_new(session_id)
        for number, _, plan in grant:
            if not self._maps[number].has(plan):
                raise IllegalState(f"what was planned for the session {session_id} is no longer free: plan again")
        for number, _, plan in grant:
            self._maps[number].take(plan)
        return self._hold(session_id, grant)

    def give(self, session_id: str) -> Allocation:
        """Takes back what a session was promised, and returns it.

        Raises:
            IllegalState: it holds nothing (any more).
        """
        holding = self._holding.pop(session_id, None)
        if holding is None:
            raise IllegalState(f"the session {session_id} holds no resources that could be given back")
        for number, _, plan in holding.grant:
            self._maps[number].give(plan)
        if self._reservations:
            for reservation in self._reservations:
                if session_id in reservation.expected:
                    reservation.ended(session_id)
        return holding.allocation

    def adopt(self, session_id: str, allocation: Allocation) -> None:
        """Promises exactly `allocation` again, after a restart: of any quantum, strategy and distribution.

        Raises:
            ImpossibleRequest: it does not fit what this machine has left; nothing has changed then.
            InvalidAmount: it is finer than anything that can have been granted.
            IllegalState: the session holds something already.
        """
        self._must_be_new(session_id)
        grant: list[tuple[int, str, Plan]] = []
        try:
            for slot, share in allocation.amounts.items():
                number = self._serving.get(CUDA_DEVICE if slot == CUDA_SHARES else slot)
                plan = self._maps[number].adopted(slot, share.items()) if number is not None else None
                if number is None or plan is None:
                    wanted = ", ".join(f"{format_amount(amount)} on {device}" for device, amount in share.items())
                    raise ImpossibleRequest(
                        f"the session {session_id} held {slot} ({wanted}), which this machine does not have free"
                    )
                self._maps[number].take(plan)
                grant.append((number, slot, plan))
        except BadRequest:
            self._move(grant, taken=False)
            raise
        self._hold(session_id, tuple(grant))
        self._outdate()

    def _hold(self, session_id: str, grant: Grant) -> Allocation:
        allocation = self.allocation_of(grant)
        self._holding[session_id] = _Holding(grant, allocation)
        return allocation

    def _move(self, grant: Iterable[tuple[int, str, Plan]], *, taken: bool) -> None:
        """Takes or gives for a moment, to see what would be; in no one's name."""
        for number, _, plan in grant:
            if taken:
                self._maps[number].take(plan)
            else:
                self._maps[number].give(plan)

    def _must_be_new(self, session_id: str) -> None:
        if session_id in self._holding:
            raise IllegalState(f"the session {session_id} holds resources already")

    # --- the books ---

    def allocation_of(self, grant: Grant) -> Allocation:
        """Returns a grant in the form that is shown and stored."""
        return Allocation({slot: self._maps[number].granted(slot, plan) for number, slot, plan in grant})

    def allocation(self, session_id: str) -> Allocation | None:
        """Returns what the session is promised, None when it holds nothing."""
        holding = self._holding.get(session_id)
        return holding.allocation if holding is not None else None

    def holders(self, device_id: str) -> list[str]:
        """Returns the sessions that are promised a part of a device, in the order in which they got it.

        Raises:
            ValueError: there is no such device.
        """
        number, at = self._find(device_id)
        return [
            session_id
            for session_id, holding in self._holding.items()
            if any(one == number and device == at for one, _, plan in holding.grant for device, _ in plan)
        ]

    def promised(self) -> dict[str, dict[str, dict[str, Decimal]]]:
        """Returns device id -> slot -> session id -> amount, for every device."""
        devices: dict[str, dict[str, dict[str, Decimal]]] = {device: {} for device in self._device}
        for session_id, holding in self._holding.items():
            for slot, device, amount in holding.allocation:
                devices[device].setdefault(slot, {})[session_id] = amount
        return devices

    def available(self) -> ResourceSlots:
        """Returns what the whole machine has, used or not (Backend.AI's `available_slots`): always what is free and
        what is promised together. So a lost device counts with what is still promised on it only."""
        return ResourceSlots({one.slots[0]: one.total_amount() for one in self._maps})

    def free(self) -> ResourceSlots:
        """Returns what is promised to nobody; a GPU that is taken whole has no `cuda.shares` left, a lost one neither.

        Where GPUs are only given away whole, `cuda.device` counts those that are wholly free.
        """
        return ResourceSlots({one.slots[0]: one.free_amount() for one in self._maps})

    def occupied(self) -> ResourceSlots:
        """Returns what is promised, by the slot that was asked for; slots of `available` are there even when zero."""
        totals = {one.slots[0]: Decimal(0) for one in self._maps}
        for holding in self._holding.values():
            for slot, share in holding.allocation.amounts.items():
                totals[slot] = sum(share.values(), totals.get(slot, Decimal(0)))
        return ResourceSlots(totals)

    # --- devices that come and go ---

    @property
    def lost(self) -> frozenset[str]:
        """The ids of the devices that are lost now."""
        return frozenset(one.ids[device] for one in self._maps for device in one.put_by)

    def lose(self, device_id: str) -> bool:
        """Keeps everything new from a device; what is promised there stays so until it is given back.

        Returns:
            Whether it was there before.

        Raises:
            ValueError: there is no such device.
        """
        number, at = self._find(device_id)
        if at in self._maps[number].put_by:
            return False
        self._maps[number].lose(at)
        self._outdate()
        return True

    def found(self, device_id: str) -> bool:
        """Serves from a lost device again.

        Returns:
            Whether it was lost before.

        Raises:
            ValueError: there is no such device.
        """
        number, at = self._find(device_id)
        if at not in self._maps[number].put_by:
            return False
        self._maps[number].find(at)
        return True

    def _find(self, device_id: str) -> tuple[int, int]:
        try:
            return self._device[device_id]
        except KeyError:
            raise ValueError(f"there is no device {device_id!r}") from None

    # --- what comes ---

    def forecast(self, shape: Shape, endings: Iterable[tuple[float, str]]) -> tuple[float | None, Reservation | None]:
        """Returns when `shape` fits if holdings end one after the other, and what exactly it gets then.

        That is the shadow time and the reservation of EASY backfill (Mu'alem and Feitelson, "Utilization,
        Predictability, Workloads, and User Runtime Estimates in Scheduling the IBM SP2 with Backfilling", 2001).
        Costs as much as there are endings until then.

        Args:
            endings: (time, session id) in the order of time; sessions that hold nothing are passed over.

        Returns:
            Minus infinity and a reservation when it fits now; (None, None) when it does not fit even after all.
        """
        missing = [need for need in shape if not self._maps[need[0]].fits(*need[1:])]
        in_question = {need[0] for need in missing}
        when_s = -math.inf
        ended: dict[str, Grant] = {}
        try:
            for ends_at_s, session_id in endings:
                if not missing:
                    break
                holding = self._holding.get(session_id)
                if holding is None or session_id in ended:
                    continue
                ended[session_id] = holding.grant
                self._move(holding.grant, taken=False)
                if any(number in in_question for number, _, _ in holding.grant):
                    when_s = ends_at_s
                    missing = [need for need in missing if not self._maps[need[0]].fits(*need[1:])]
            grant = None if missing else self.plan(shape)
        finally:
            for taken_back in ended.values():
                self._move(taken_back, taken=True)
        if grant is None:
            return None, None
        reservation = Reservation(when_s, grant, expected=ended)
        reservation.missing = {(number, device): units for number, _, plan in grant for device, units in plan}
        for number, _, plan in (part for one in ended.values() for part in one):
            for device, units in plan:
                if (number, device) in reservation.missing:
                    reservation.missing[number, device] -= units
        self._reservations.add(reservation)
        return when_s, reservation

    def plan_beside(self, shape: Shape, reservation: Reservation | None, blocked: Shape) -> Grant | None:
        """Returns a grant for a request that is to pass `blocked`, however long it lasts, and cannot delay it.

        With a reservation: the units that it needs of those free now are out of reach. As long as only such grants,
        and plain ones that are back before `reservation.when_s`, are made, `blocked` fits at that time at the latest
        if those that are counted on have ended by then.

        Without one, nobody knows when anything ends: then nothing comes from a map in which `blocked` lacks
        something, and from the others only what leaves `blocked` a plan there. So it starts at the very moment at
        which it would have started alone, whenever that is.
        """
        grant = self.plan(shape)
        if grant is None:
            return None
        if reservation is not None:
            return grant if self._spares(grant, reservation) else self._plan_without(shape, _put_aside(reservation))
        asked = {number for number, *_ in shape}
        shared = tuple(need for need in blocked if need[0] in asked)
        if not self.fits(shared):
            return None
        self._move(grant, taken=True)
        spared = self.fits(shared)
        self._move(grant, taken=False)
        if spared:
            return grant
        kept = self.plan(shared) or ()
        return self._plan_without(shape, {(at, device): units for at, _, plan in kept for device, units in plan})

    def _spares(self, grant: Grant, reservation: Reservation) -> bool:
        """Whether a grant that fits leaves all units that the reservation needs."""
        for number, _, plan in grant:
            for device, units in plan:
                needed = reservation.missing.get((number, device), 0)
                if needed > 0 and units > self._maps[number].index.free[device] - needed:
                    return False
        return True

    def _plan_without(self, shape: Shape, aside: Mapping[tuple[int, int], int]) -> Grant | None:
        """Returns a plan that leaves (map, device) -> units, or all that is free there where it is less."""
        kept = tuple(
            (number, "", ((device, min(units, self._maps[number].index.free[device])),))
            for (number, device), units in aside.items()
        )
        self._move(kept, taken=True)
        try:
            return self.plan(shape)
        finally:
            self._move(kept, taken=False)

    def _outdate(self) -> None:
        for reservation in self._reservations:
            reservation.valid = False


def _put_aside(reservation: Reservation) -> dict[tuple[int, int], int]:
    return {place: units for place, units in reservation.missing.items() if units > 0}


def _make_maps(
    devices: Sequence[DeviceSpec], quantum: Decimal, strategy: Strategy, distribution: Distribution
) -> list[Map]:
    shares = quantum_of_shares(quantum)
    by_slot: dict[str, list[DeviceSpec]] = {}
    for device in devices:
        by_slot.setdefault(device.slot, []).append(device)
    if len({device.id for device in devices}) < len(devices):
        raise ValueError("two devices have the same id")
    if CUDA_SHARES in by_slot and CUDA_DEVICE in by_slot:
        raise ValueError("GPUs serve cuda.shares or only cuda.device, all of them the same")
    maps: list[Map] = []
    try:
        for slot, specs in by_slot.items():
            if slot in (CUDA_SHARES, CUDA_DEVICE):
                maps.append(GpuMap(specs, shares, strategy, distribution))
            else:
                maps.append(BytesMap(specs) if is_bytes(slot) else DiscreteMap(specs, distribution))
    except InvalidAmount as exc:
        raise ValueError(f"a device has an odd capacity: {exc}") from None
    return maps
