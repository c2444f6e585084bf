"""Any history of requests, ends and restarts, beside a plain model that scans everything."""

from __future__ import annotations

from decimal import Decimal

from bai_tui.app.backend.scheduler import (
    Allocation,
    DeviceSpec,
    Instruction,
    PendingRequest,
    Rules,
    Scheduler,
    Start,
    Strategy,
)
from bai_tui.app.model.errors import ImpossibleRequest
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

ZERO = Decimal(0)
hundredths = st.integers(1, 260).map(lambda units: Decimal(units) / 100)
gpu_slots = st.one_of(
    st.just({}),
    st.builds(lambda amount: {"cuda.shares": amount}, hundredths),
    st.builds(lambda amount: {"cuda.shares": amount}, st.sampled_from([Decimal("0.5"), Decimal("0.25"), Decimal(1)])),
    st.builds(lambda count: {"cuda.device": count}, st.integers(1, 3)),
)
other_slots = st.fixed_dictionaries({}, optional={"cpu": st.integers(1, 5), "mem": st.integers(1, 1000)})


class History(RuleBasedStateMachine):
    """Drives a scheduler and checks after each step what must always hold."""

    def __init__(self) -> None:
        super().__init__()
        self.order = 0
        self.waiting: dict[str, PendingRequest] = {}
        self.running: dict[str, tuple[PendingRequest, Allocation]] = {}

    @initialize(
        gpus=st.integers(1, 4),
        cpus=st.lists(st.integers(1, 3), min_size=1, max_size=3),
        strategy=st.sampled_from(Strategy),
    )
    def build(self, gpus: int, cpus: list[int], strategy: Strategy) -> None:
        self.strategy = strategy
        self.specs = [
            *(DeviceSpec(f"cpu{number}", "cpu", Decimal(count)) for number, count in enumerate(cpus)),
            DeviceSpec("mem0", "mem", Decimal(700)),
            DeviceSpec("mem1", "mem", Decimal(300)),
            *(DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)),
        ]
        self.capacity = {spec.id: spec.capacity for spec in self.specs}
        self.scheduler = Scheduler(self.specs, strategy=strategy, rules=Rules(backfill=False))

    @rule(gpu=gpu_slots, other=other_slots, priority=st.sampled_from([0, 10, 10, 10, 100]))
    def enqueue(self, gpu: dict[str, Decimal], other: dict[str, int], priority: int) -> None:
        self.order += 1
        slots = ResourceSlots({**gpu, **other})
        request = PendingRequest(session_id=f"s{self.order}", slots=slots, order=self.order, priority=priority)
        try:
            instructions = self.scheduler.enqueue(request, self.order)
        except ImpossibleRequest:
            assert not self.fits(slots, used=dict.fromkeys(self.capacity, ZERO)), "it would fit an empty machine"
            return
        self.waiting[request.session_id] = request
        self.follow(instructions)

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.waiting)))
        del self.waiting[name]
        self.follow(self.scheduler.cancel(name, self.order))

    @precondition(lambda self: self.running)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.running)))
        del self.running[name]
        self.follow(self.scheduler.release(name, self.order))

    @rule(data=st.data())
    def restart(self, data: st.DataObject) -> None:
        before = self.scheduler.promised(), self.scheduler.free(), self.scheduler.occupied()
        reasons = {name: self.scheduler.waiting(name, self.order).text for name in self.waiting}
        self.scheduler = Scheduler(self.specs, strategy=self.strategy, rules=Rules(backfill=False))
        for name in data.draw(st.permutations(sorted(self.running))):
            self.scheduler.adopt(name, Allocation.parse(self.running[name][1].wire()))
        for request in sorted(self.waiting.values(), key=lambda request: request.order):
            assert self.scheduler.enqueue(request, self.order, again=True) == [], "nobody starts before all are there"
        assert self.scheduler.next_tick(self.order) == (self.order if self.waiting else None)
        assert self.scheduler.tick(self.order) == [], "who waited before waits on"
        assert (self.scheduler.promised(), self.scheduler.free(), self.scheduler.occupied()) == before
        assert {name: self.scheduler.waiting(name, self.order).text for name in self.waiting} == reasons

    def follow(self, instructions: list[Instruction]) -> None:
        for start in instructions:
            first = min(self.waiting.values(), key=lambda request: (-request.priority, request.order))
            assert isinstance(start, Start)
            assert start.session_id == first.session_id, "the first goes first"
            assert start.allocation.slots() == first.slots, "granted is what was asked"
            assert start.waited_s >= 0
            self.running[first.session_id] = (self.waiting.pop(first.session_id), start.allocation)

    def used(self) -> dict[str, Decimal]:
        used = dict.fromkeys(self.capacity, ZERO)
        for _, allocation in self.running.values():
            for _, device, amount in allocation:
                used[device] += amount
        return used

    def fits(self, slots: ResourceSlots, used: dict[str, Decimal]) -> bool:
        """Whether an exhaustive look finds room."""
        free = {device: self.capacity[device] - used[device] for device in self.capacity}
        for slot in ("cpu", "mem"):
            if slots.amount(slot) > sum(free[spec.id] for spec in self.specs if spec.slot == slot):
                return False
        gpus = [free[spec.id] for spec in self.specs if spec.slot == "cuda.shares"]
        whole = sum(1 for left in gpus if left == 1)
        wholes, fraction = divmod(slots.amount("cuda.shares"), 1)
        wholes += slots.amount("cuda.device")
        if whole < wholes:
            return False
        partly = [left for left in gpus if left < 1]
        return not fraction or whole > wholes or any(left >= fraction for left in partly)

    @invariant()
    def no_device_is_promised_twice(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        used = self.used()
        assert all(used[device] <= self.capacity[device] for device in self.capacity)
        promised = self.scheduler.promised()
        assert set(promised) == set(self.capacity)
        for device, by_slot in promised.items():
            total = sum((amount for sessions in by_slot.values() for amount in sessions.values()), ZERO)
            assert total == used[device]
            assert len(by_slot) <= 1, "a device is shared or taken whole, never both"
            if "cuda.device" in by_slot:
                assert len(by_slot["cuda.device"]) == 1

    @invariant()
    def free_and_used_are_all(self) -> None:
        if not hasattr(self, "scheduler"):
            return
        used = self.used()
        for slot in ("cpu", "mem", "cuda.shares"):
            capacity = sum(spec.capacity for spec in self.specs if spec.slot == slot)
            taken = sum((used[spec.id] for spec in self.specs if spec.slot == slot), ZERO)
            assert self.scheduler.free()[slot] + taken == capacity == self.scheduler.available()[slot]
        for slot in ("cpu", "mem", "cuda.shares", "cuda.device"):
            asked = sum((request.slots.amount(slot) for request, _ in self.running.values()), ZERO)
            assert self.scheduler.occupied().amount(slot) == asked

    @invariant()
    def a_fraction_is_on_one_device(self) -> None:
        for _, allocation in self.running.values():
            shares = allocation.amounts.get("cuda.shares", {}).values()
            assert sum(1 for share in shares if share < 1) <= 1

    @invariant()
    def only_exhaustion_makes_the_first_wait(self) -> None:
        if not self.waiting:
            return
        queue = sorted(self.waiting.values(), key=lambda request: (-request.priority, request.order))
        assert not self.fits(queue[0].slots, self.used())
        for rank, request in enumerate(queue, 1):
            reason = self.scheduler.waiting(request.session_id, self.order).text
            assert reason.startswith("waits for ")
            assert f"; {rank}" in reason
            assert "\n" not in reason


History.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestHistory = History.TestCase
