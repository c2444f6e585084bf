"""Any history of promises, losses and restarts, beside plain books that scan everything."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler.ledger import Grant, Ledger
from bai_tui.app.backend.scheduler.types import Allocation, DeviceSpec, Distribution, Strategy
from bai_tui.app.model.errors import IllegalState, ImpossibleRequest, InvalidAmount
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

ZERO = Decimal(0)
QUANTA = [Decimal(text) for text in ("0.001", "0.01", "0.05", "0.1", "0.125", "0.25", "0.5", "1")]
shares = st.one_of(
    st.sampled_from([Decimal(text) for text in ("0.25", "0.5", "0.75", "1", "1.5", "2", "2.5")]),
    st.decimals("0.001", "3", places=3),
)
gpu_slots = st.one_of(
    st.just({}),
    st.builds(lambda amount: {"cuda.shares": amount}, shares),
    st.builds(lambda count: {"cuda.device": Decimal(count)}, st.integers(1, 3)),
)
other_slots = st.fixed_dictionaries({}, optional={"cpu": st.integers(1, 5), "mem": st.integers(1, 1000)})


class Books(RuleBasedStateMachine):
    """Drives a ledger and checks after each step what must always hold."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.held: dict[str, Allocation] = {}
        self.planned: Grant | None = None
        self.lost: set[str] = set()

    @initialize(
        gpus=st.integers(1, 4),
        cpus=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        quantum=st.sampled_from(QUANTA),
        strategy=st.sampled_from(Strategy),
        distribution=st.sampled_from(Distribution),
    )
    def build(
        self, gpus: int, cpus: list[int], quantum: Decimal, strategy: Strategy, distribution: Distribution
    ) -> None:
        self.specs = [
            *(DeviceSpec(f"cpu{number}", "cpu", Decimal(count)) for number, count in enumerate(cpus)),
            DeviceSpec("mem0", "mem", Decimal(700)),
            DeviceSpec("mem1", "mem", Decimal(300)),
            *(DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)),
        ]
        self.capacity = {spec.id: spec.capacity for spec in self.specs}
        self.slot = {spec.id: spec.slot for spec in self.specs}
        self.quantum, self.strategy, self.distribution = quantum, strategy, distribution
        self.ledger = self.make()

    def make(self) -> Ledger:
        return Ledger(self.specs, quantum=self.quantum, strategy=self.strategy, distribution=self.distribution)

    @rule(gpu=gpu_slots, other=other_slots, split=st.booleans())
    def take(self, gpu: dict[str, Decimal], other: dict[str, int], split: bool) -> None:
        slots = ResourceSlots({**gpu, **other})
        try:
            shape = self.ledger.shape(slots, split=split)
        except InvalidAmount:
            assert slots.amount("cuda.shares") % self.quantum
            return
        except ImpossibleRequest:
            nothing = dict.fromkeys(self.capacity, ZERO)
            assert not self.has_room(slots, split, nothing, lost=set()), "it would fit the empty machine"
            return
        grant = self.ledger.plan(shape)
        assert (grant is not None) == self.has_room(slots, split, self.used(), self.lost)
        assert self.ledger.fits(shape) == (grant is not None)
        assert (self.ledger.lacking(shape) == []) == (grant is not None)
        if grant is None:
            return
        self.planned = grant
        name = f"s{self.count}"
        self.count += 1
        allocation = self.ledger.take(name, grant)
        assert allocation == self.ledger.allocation_of(grant) == self.ledger.allocation(name)
        assert allocation.slots() == slots, "granted is what was asked"
        assert not self.lost & {device for _, device, _ in allocation}
        if not split:
            parts = allocation.amounts.get("cuda.shares", {}).values()
            assert sum(1 for part in parts if part < 1) <= 1, "a fraction is on one device"
        self.held[name] = allocation

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def give(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.held)))
        assert self.ledger.give(name) == self.held.pop(name)
        with pytest.raises(IllegalState):
            self.ledger.give(name)

    @precondition(lambda self: self.planned is not None)
    @rule()
    def take_an_old_plan(self) -> None:
        """Either all of it is still there, or nothing is taken."""
        assert self.planned is not None
        used = self.used()
        allocation = self.ledger.allocation_of(self.planned)
        there = all(
            device not in self.lost
            and used[device] + amount * (self.capacity[device] if slot == "cuda.device" else 1) <= self.capacity[device]
            for slot, device, amount in allocation
        )
        name = f"s{self.count}"
        self.count += 1
        if there:
            self.held[name] = self.ledger.take(name, self.planned)
        else:
            with pytest.raises(IllegalState):
                self.ledger.take(name, self.planned)

    @rule(data=st.data())
    def lose(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(sorted(self.capacity)))
        assert self.ledger.lose(device) is (device not in self.lost)
        self.lost.add(device)

    @precondition(lambda self: self.lost)
    @rule(data=st.data())
    def find(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(sorted(self.lost)))
        assert self.ledger.found(device)
        self.lost.remove(device)

    @rule(
        data=st.data(),
        quantum=st.sampled_from(QUANTA),
        strategy=st.sampled_from(Strategy),
        distribution=st.sampled_from(Distribution),
        lost_first=st.booleans(),
    )
    def restart(
        self, data: st.DataObject, quantum: Decimal, strategy: Strategy, distribution: Distribution, lost_first: bool
    ) -> None:
        """Also with other settings: what is held stays as it is."""
        before = self.ledger.promised(), self.ledger.free(), self.ledger.occupied(), self.ledger.available()
        self.quantum, self.strategy, self.distribution = quantum, strategy, distribution
        self.ledger, self.planned = self.make(), None
        if lost_first:
            for device in self.lost:
                self.ledger.lose(device)
        for name in data.draw(st.permutations(sorted(self.held))):
            self.ledger.adopt(name, Allocation.parse(self.held[name].wire()))
        if not lost_first:
            for device in self.lost:
                self.ledger.lose(device)
        after = self.ledger.promised(), self.ledger.free(), self.ledger.occupied(), self.ledger.available()
        assert after == before

    def used(self) -> dict[str, Decimal]:
        used = dict.fromkeys(self.capacity, ZERO)
        for allocation in self.held.values():
            for _, device, amount in allocation:
                used[device] += amount
        return used

    def has_room(self, slots: ResourceSlots, split: bool, used: Mapping[str, Decimal], lost: set[str]) -> bool:
        """Whether an exhaustive look finds room."""
        free = {device: self.capacity[device] - used[device] for device in self.capacity if device not in lost}
        for slot in ("cpu", "mem"):
            if slots.amount(slot) > sum(left for device, left in free.items() if self.slot[device] == slot):
                return False
        gpus = [left for device, left in free.items() if self.slot[device] == "cuda.shares"]
        whole = sum(1 for left in gpus if left == 1)
        wholes, fraction = divmod(slots.amount("cuda.shares"), 1)
        wholes += slots.amount("cuda.device")
        if whole > wholes or (whole == wholes and (not fraction or any(fraction <= left < 1 for left in gpus))):
            return True
        parts = sum((left - left % self.quantum for left in gpus), ZERO)
        return split and not slots.amount("cuda.device") and slots.amount("cuda.shares") <= parts

    @invariant()
    def no_device_is_promised_twice(self) -> None:
        if not hasattr(self, "ledger"):
            return
        used = self.used()
        assert all(used[device] <= self.capacity[device] for device in self.capacity)
        promised = self.ledger.promised()
        assert set(promised) == set(self.capacity)
        for device, by_slot in promised.items():
            total = sum((amount for sessions in by_slot.values() for amount in sessions.values()), ZERO)
            assert total == used[device]
            assert len(by_slot) <= 1, "a device is shared or taken whole, never both"
            assert set(self.ledger.holders(device)) == {name for names in by_slot.values() for name in names}
            if "cuda.device" in by_slot:
                assert len(by_slot["cuda.device"]) == 1

    @invariant()
    def free_and_used_are_all(self) -> None:
        if not hasattr(self, "ledger"):
            return
        used = self.used()
        free, available, occupied = self.ledger.free(), self.ledger.available(), self.ledger.occupied()
        assert self.ledger.lost == self.lost
        for slot in ("cpu", "mem", "cuda.shares"):
            devices = [device for device in self.capacity if self.slot[device] == slot]
            taken = sum((used[device] for device in devices), ZERO)
            there = sum((self.capacity[device] for device in devices if device not in self.lost), ZERO)
            on_lost = sum((used[device] for device in devices if device in self.lost), ZERO)
            assert free[slot] + taken == available[slot] == there + on_lost
        for slot in ("cpu", "mem", "cuda.shares", "cuda.device"):
            assert occupied.amount(slot) == sum((one.slots().amount(slot) for one in self.held.values()), ZERO)


Books.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestBooks = Books.TestCase
