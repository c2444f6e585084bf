"""What is granted: exactly what was asked, from which devices."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler import Allocation, DeviceSpec, PendingRequest, Scheduler, Start, Strategy
from bai_tui.app.model.errors import BadRequest, IllegalState, ImpossibleRequest, InvalidAmount
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import given
from hypothesis import strategies as st

from .ledgers import REFUSED

Machine = Callable[..., Scheduler]
Ask = Callable[..., PendingRequest]


def grant(scheduler: Scheduler, request: PendingRequest) -> dict[str, dict[str, str]]:
    (start,) = scheduler.enqueue(request, 0)
    assert isinstance(start, Start)
    assert start.session_id == request.session_id
    return start.allocation.wire()


@pytest.mark.parametrize("quantum", ["0.01", "0.05", "0.1", "0.25", "0.5", "1"])
@pytest.mark.parametrize("gpus", range(1, 9))
def test_every_amount_up_to_the_machine_is_granted_exactly(gpus: int, quantum: str) -> None:
    step = Decimal(quantum)
    capacity = Decimal(1)
    specs = [DeviceSpec(f"gpu{number}", "cuda.shares", capacity) for number in range(gpus)]
    scheduler = Scheduler(specs, quantum=step)
    for multiple in range(1, int(capacity / step) * gpus + 1):
        asked = step * multiple
        request = PendingRequest(session_id="one", slots=ResourceSlots({"cuda.shares": asked}), order=multiple)
        (start,) = scheduler.enqueue(request, 0)
        assert isinstance(start, Start)
        shares = start.allocation.amounts["cuda.shares"]
        assert sum(shares.values()) == asked
        assert start.allocation.slots() == request.slots
        assert sum(1 for share in shares.values() if share < capacity) <= 1, "at most one device is not taken whole"
        assert max(shares.values()) <= capacity
        scheduler.release("one", 0)
    assert scheduler.free()["cuda.shares"] == capacity * gpus


@given(
    st.integers(1, 8),
    st.sampled_from(["0.001", "0.01", "0.1", "0.125"]),
    st.decimals("0.001", "9", places=3, allow_nan=False),
)
def test_any_amount_is_granted_exactly_or_refused(gpus: int, quantum: str, amount: Decimal) -> None:
    specs = [DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)]
    scheduler = Scheduler(specs, quantum=Decimal(quantum))
    request = PendingRequest(session_id="one", slots=ResourceSlots({"cuda.shares": amount}), order=1)
    if amount % Decimal(quantum):
        with pytest.raises(InvalidAmount) as error:
            scheduler.enqueue(request, 0)
        below, _, above = error.value.message.rpartition("ask for ")[2].partition(" or ")
        if above:
            assert Decimal(below) < amount < Decimal(above)
            assert Decimal(above) - Decimal(below) == Decimal(quantum)
    elif amount > gpus:
        with pytest.raises(ImpossibleRequest):
            scheduler.enqueue(request, 0)
    else:
        (start,) = scheduler.enqueue(request, 0)
        assert isinstance(start, Start)
        assert start.allocation.slots() == request.slots
        return
    assert scheduler.free()["cuda.shares"] == gpus
    assert not scheduler.is_waiting("one")


def test_a_fraction_is_on_one_device(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=3)
    for number in range(3):
        grant(scheduler, ask(f"s{number}", {"gpu": "0.6"}))
    assert scheduler.enqueue(ask("late", {"gpu": "0.5"}), 0) == [], "1.2 are free, but nowhere 0.5 in one place"


def test_two_and_a_half(machine: Machine, ask: Ask) -> None:
    shares = grant(machine(gpus=4), ask("a", {"gpu": "2.5"}))["cuda.shares"]
    assert shares == {"gpu0": "1", "gpu1": "1", "gpu2": "0.5"}


def test_packing_fills_the_fullest_device_that_fits(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=3)
    grant(scheduler, ask("a", {"gpu": "0.5"}))
    grant(scheduler, ask("b", {"gpu": "0.7"}))
    assert grant(scheduler, ask("c", {"gpu": "0.3"}))["cuda.shares"] == {"gpu1": "0.3"}
    assert grant(scheduler, ask("d", {"gpu": "0.2"}))["cuda.shares"] == {"gpu0": "0.2"}
    assert grant(scheduler, ask("e", {"gpu": "1.3"}))["cuda.shares"] == {"gpu0": "0.3", "gpu2": "1"}


def test_spreading_takes_the_emptiest(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=3, strategy=Strategy.SPREAD)
    placed = [grant(scheduler, ask(f"s{number}", {"gpu": "0.3"}))["cuda.shares"] for number in range(4)]
    assert [next(iter(one)) for one in placed] == ["gpu0", "gpu1", "gpu2", "gpu0"]
    assert grant(scheduler, ask("big", {"gpu": "0.7"}))["cuda.shares"] == {"gpu1": "0.7"}
    assert scheduler.enqueue(ask("late", {"gpu": "0.8"}), 0) == []


def test_a_spread_fraction_does_not_land_on_its_own_whole_device(machine: Machine, ask: Ask) -> None:
    for strategy in Strategy:
        scheduler = machine(gpus=2, strategy=strategy)
        assert grant(scheduler, ask("a", {"gpu": "1.5"}, order=1))["cuda.shares"] == {"gpu0": "1", "gpu1": "0.5"}
        scheduler = machine(gpus=2, strategy=strategy)
        grant(scheduler, ask("a", {"gpu": "0.6"}, order=2))
        assert scheduler.enqueue(ask("b", {"gpu": "1.5"}, order=3), 0) == []


def test_whole_devices_and_shares_exclude_each_other(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=2)
    assert grant(scheduler, ask("whole", {"cuda.device": 1}))["cuda.device"] == {"gpu0": "1"}
    assert grant(scheduler, ask("part", {"gpu": "0.01"}))["cuda.shares"] == {"gpu1": "0.01"}
    assert scheduler.enqueue(ask("second", {"cuda.device": 1}), 0) == []
    assert scheduler.free()["cuda.shares"] == Decimal("0.99")
    assert scheduler.occupied().wire()["cuda.device"] == "1"
    (start,) = scheduler.release("part", 0)
    assert isinstance(start, Start)
    assert start.allocation.wire() == {"cuda.device": {"gpu1": "1"}}


def test_both_kinds_in_one_request_are_refused(machine: Machine) -> None:
    with pytest.raises(ImpossibleRequest, match=r"cuda\.device or cuda\.shares, not for both"):
        machine().check(ResourceSlots({"cuda.device": 1, "cuda.shares": 1}))


def test_zero_is_not_asked_for(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=0)
    assert grant(scheduler, ask("a", {"cpu": 1, "gpu": "0", "cuda.device": 0})) == {"cpu": {"cpu0": "1"}}


def test_cores_are_spread_evenly(machine: Machine, ask: Ask) -> None:
    specs = [DeviceSpec("cpu0", "cpu", Decimal(2)), DeviceSpec("cpu1", "cpu", Decimal(3))]
    scheduler = Scheduler(specs)
    assert grant(scheduler, ask("a", {"cpu": 2}))["cpu"] == {"cpu0": "1", "cpu1": "1"}
    assert grant(scheduler, ask("b", {"cpu": 3}))["cpu"] == {"cpu0": "1", "cpu1": "2"}
    assert scheduler.free()["cpu"] == 0


def test_memory_comes_from_one_node_where_it_fits(ask: Ask) -> None:
    scheduler = Scheduler([DeviceSpec("mem0", "mem", Decimal(100)), DeviceSpec("mem1", "mem", Decimal(60))])
    assert grant(scheduler, ask("a", {"mem": 50}))["mem"] == {"mem1": "50"}
    assert grant(scheduler, ask("b", {"mem": 105}))["mem"] == {"mem0": "100", "mem1": "5"}
    assert scheduler.free()["mem"] == 5


def test_all_slots_or_none(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, gpus=1)
    grant(scheduler, ask("a", {"cpu": 1, "gpu": "0.5"}))
    assert scheduler.enqueue(ask("b", {"cpu": 1, "mem": "1g", "gpu": "0.6"}), 0) == []
    assert scheduler.free() == ResourceSlots({"cpu": 1, "mem": 8 << 30, "cuda.shares": Decimal("0.5")})
    assert scheduler.allocation("b") is None


@pytest.mark.parametrize(("slots", "error", "words"), REFUSED)
def test_what_can_never_be_is_refused_with_the_reason(
    machine: Machine, ask: Ask, slots: dict[str, object], error: type[BadRequest], words: str
) -> None:
    scheduler = machine()
    with pytest.raises(error) as refusal:
        scheduler.enqueue(ask("a", slots), 0)
    assert words in refusal.value.message
    with pytest.raises(error):
        scheduler.check(ResourceSlots.parse(slots))
    assert not scheduler.is_waiting("a")


def test_a_machine_without_gpus_says_how_to_try(machine: Machine) -> None:
    with pytest.raises(ImpossibleRequest, match=r"has no cuda\.shares \(mock ones: bai-tui serve --mock-gpus N\)"):
        machine(gpus=0).check(ResourceSlots({"cuda.shares": Decimal("0.5")}))


def test_a_negative_amount_is_refused(machine: Machine) -> None:
    with pytest.raises(InvalidAmount, match="negative"):
        machine().check(ResourceSlots({"cpu": -1}))


def test_freeing_twice_is_an_error(machine: Machine, ask: Ask) -> None:
    scheduler = machine()
    grant(scheduler, ask("a", {"cpu": 1}))
    scheduler.release("a", 0)
    with pytest.raises(IllegalState, match="a holds no resources"):
        scheduler.release("a", 0)
    assert scheduler.free() == scheduler.available()


def test_a_session_is_scheduled_once(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("b", {"cpu": 1}), 0)
    for name in "ab":
        with pytest.raises(IllegalState, match="already"):
            scheduler.enqueue(ask(name, {"cpu": 1}), 0)


@pytest.mark.parametrize(
    "specs",
    [
        [("gpu0", "cuda.shares", "1"), ("gpu0", "cuda.shares", "1")],
        [("gpu0", "cuda.shares", "1"), ("gpu1", "cuda.shares", "2")],
        [("gpu0", "cuda.shares", "1"), ("gpu1", "cuda.device", "1")],
        [("gpu0", "cuda.shares", "0.999")],
        [("gpu0", "cuda.shares", "0")],
        [("cpu0", "cpu", "-1")],
    ],
)
def test_odd_machines_are_refused(specs: list[tuple[str, str, str]]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Scheduler([DeviceSpec(name, slot, Decimal(capacity)) for name, slot, capacity in specs])


@pytest.mark.parametrize("quantum", ["0", "-0.1", "NaN", "Infinity"])
def test_odd_quanta_are_refused(quantum: str) -> None:
    with pytest.raises(ValueError, match="quantum"):
        Scheduler([], quantum=Decimal(quantum))


def test_gpus_that_are_only_given_whole(ask: Ask) -> None:
    scheduler = Scheduler(
        [DeviceSpec("gpu0", "cuda.device", Decimal(1)), DeviceSpec("gpu1", "cuda.device", Decimal(1))]
    )
    assert grant(scheduler, ask("a", {"cuda.device": 2}))["cuda.device"] == {"gpu0": "1", "gpu1": "1"}


def test_allocations_survive_the_wire(machine: Machine, ask: Ask) -> None:
    (start,) = machine().enqueue(ask("a", {"cpu": 2, "mem": "1.5g", "gpu": "1.25"}), 0)
    assert isinstance(start, Start)
    assert Allocation.parse(start.allocation.wire()) == start.allocation
    assert ("cuda.shares", "gpu1", Decimal("0.25")) in list(start.allocation)


@pytest.mark.parametrize(
    "wire", [{"cpu": {"cpu0": "x"}}, {"cpu": "1"}, {"cpu": {"cpu0": "-1"}}, {"cpu": {"cpu0": "NaN"}}, {"cpu": None}]
)
def test_bad_allocations_are_refused(wire: dict[str, dict[str, str]]) -> None:
    with pytest.raises(BadRequest):
        Allocation.parse(wire)


@pytest.mark.parametrize(
    "wire",
    [
        {"cuda.shares": {"gpu0": "0.6"}},  # only 0.5 is left there
        {"cuda.shares": {"gpu9": "0.1"}},
        {"cuda.device": {"gpu0": "1"}},  # shared
        {"cuda.device": {"gpu1": "2"}},
        {"tpu": {"tpu0": "1"}},
        {"cpu": {"cpu1": "1"}, "cuda.shares": {"gpu0": "0.6"}},
        {"cuda.shares": {"gpu1": "0.0125"}},  # finer than any quantum
        {"cuda.shares": {"gpu1": "0.5"}, "cuda.device": {"gpu1": "1"}},
    ],
)
def test_what_does_not_fit_is_not_adopted(machine: Machine, ask: Ask, wire: dict[str, dict[str, str]]) -> None:
    scheduler = machine()
    grant(scheduler, ask("a", {"cpu": 1, "gpu": "0.5"}))
    before = scheduler.promised(), scheduler.free()
    with pytest.raises((ImpossibleRequest, InvalidAmount)):
        scheduler.adopt("b", Allocation.parse(wire))
    assert (scheduler.promised(), scheduler.free()) == before
    with pytest.raises(IllegalState):
        scheduler.release("b", 0)


def test_adopting_takes_the_very_devices(machine: Machine, ask: Ask) -> None:
    scheduler = machine()
    wire = {"cpu": {"cpu3": "1"}, "mem": {"mem": "1024"}, "cuda.shares": {"gpu1": "0.5"}}
    scheduler.adopt("old", Allocation.parse(wire))
    allocation = scheduler.allocation("old")
    assert allocation is not None
    assert allocation.wire() == wire
    assert grant(scheduler, ask("new", {"gpu": "0.5"}))["cuda.shares"] == {"gpu1": "0.5"}
    with pytest.raises(IllegalState, match="already"):
        scheduler.adopt("old", allocation)
    scheduler.release("old", 0)
    assert scheduler.promised()["cpu3"] == {}
