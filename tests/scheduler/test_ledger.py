"""The allocation maps: exactly what was asked for, from which devices, or a refusal."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler.ledger import Ledger
from bai_tui.app.backend.scheduler.types import Allocation, DeviceSpec, Distribution, Strategy
from bai_tui.app.model.errors import BadRequest, ImpossibleRequest, InvalidAmount
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import given
from hypothesis import strategies as st

from .ledgers import GIB, REFUSED, gpus, machine, plan, take

QUANTA = ["0.001", "0.01", "0.05", "0.1", "0.125", "0.2", "0.25", "0.5", "1"]


# --- exactly what was asked ----------------------------------------------------------------------------------


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("distribution", Distribution)
def test_eighty_tenths_on_eight_devices_are_all_granted_exactly(distribution: Distribution, split: bool) -> None:
    """The fault of the upstream implementation: 45 of these 80 amounts are silently granted short there."""
    ledger = Ledger(gpus(8), quantum=Decimal("0.1"), distribution=distribution)
    for tenths in range(1, 81):
        asked = Decimal(tenths) / 10
        wire = take(ledger, "one", split=split, gpu=str(asked))
        assert sum(map(Decimal, wire["cuda.shares"].values())) == asked
        assert ledger.free()["cuda.shares"] == 8 - asked
        assert ledger.give("one").slots() == ResourceSlots({"cuda.shares": asked})
    assert ledger.free() == ledger.available() == ResourceSlots({"cuda.shares": 8})


@pytest.mark.parametrize("split", [False, True])
@pytest.mark.parametrize("distribution", Distribution)
@pytest.mark.parametrize("strategy", Strategy)
@pytest.mark.parametrize("used", [["0.1"] * 8, ["0.5"] * 8, ["0.9", "0.7", "0.5", "0.3", "0.1", "1", "1"], ["0.4"] * 3])
def test_eighty_tenths_on_used_devices_are_granted_exactly_or_not_at_all(
    used: list[str], strategy: Strategy, distribution: Distribution, split: bool
) -> None:
    ledger = Ledger(gpus(8), quantum=Decimal("0.1"), strategy=strategy, distribution=distribution)
    for number, amount in enumerate(used):
        ledger.adopt(f"s{number}", Allocation.parse({"cuda.shares": {f"gpu{number}": amount}}))
    left = [1 - Decimal(amount) for amount in used] + [Decimal(1)] * (8 - len(used))
    granted = 0
    for tenths in range(1, 81):
        asked = Decimal(tenths) / 10
        grant = plan(ledger, split=split, gpu=str(asked))
        wholes, fraction = divmod(asked, 1)
        empty = left.count(Decimal(1))
        unsplit = empty > wholes or (empty == wholes and (not fraction or any(fraction <= part < 1 for part in left)))
        assert (grant is not None) == (unsplit or (split and asked <= sum(left)))
        assert ledger.fits(ledger.shape(ResourceSlots({"cuda.shares": asked}), split=split)) == (grant is not None)
        if grant is None:
            continue
        granted += 1
        shares = ledger.take("one", grant).amounts["cuda.shares"]
        assert sum(shares.values()) == asked
        assert all(part <= left[int(device[3:])] for device, part in shares.items())
        assert split or sum(part < 1 for part in shares.values()) <= 1
        ledger.give("one")
    assert granted
    assert ledger.free()["cuda.shares"] == sum(left)


@pytest.mark.parametrize("quantum", QUANTA)
@pytest.mark.parametrize("count", range(1, 9))
def test_every_amount_up_to_the_machine_is_granted_exactly(count: int, quantum: str) -> None:
    step = Decimal(quantum)
    ledger = Ledger(gpus(count), quantum=step)
    for multiple in range(1, int(count / step) + 1, 1 if step > Decimal("0.005") else 7):
        asked = step * multiple
        shares = take(ledger, "one", gpu=str(asked))["cuda.shares"]
        assert sum(map(Decimal, shares.values())) == asked
        assert sum(1 for share in shares.values() if share != "1") <= 1, "at most one device is not taken whole"
        ledger.give("one")
    assert ledger.free()["cuda.shares"] == count


@given(st.integers(1, 8), st.sampled_from(QUANTA), st.decimals("0.001", "9", places=3, allow_nan=False), st.booleans())
def test_any_amount_is_granted_exactly_or_refused(count: int, quantum: str, amount: Decimal, split: bool) -> None:
    ledger = Ledger(gpus(count), quantum=Decimal(quantum))
    slots = ResourceSlots({"cuda.shares": amount})
    if amount % Decimal(quantum):
        with pytest.raises(InvalidAmount) as error:
            ledger.shape(slots, split=split)
        below, _, above = error.value.message.rpartition("ask for ")[2].partition(" or ")
        if above:
            assert Decimal(below) < amount < Decimal(above)
            assert Decimal(above) - Decimal(below) == Decimal(quantum)
    elif amount > count:
        with pytest.raises(ImpossibleRequest):
            ledger.shape(slots, split=split)
    else:
        grant = ledger.plan(ledger.shape(slots, split=split))
        assert grant is not None
        assert ledger.allocation_of(grant).slots() == slots


def test_two_and_a_half_are_two_whole_devices_and_a_half() -> None:
    assert take(machine(gpu_count=4), "a", gpu="2.5")["cuda.shares"] == {"gpu0": "1", "gpu1": "1", "gpu2": "0.5"}


def test_all_slots_or_none() -> None:
    ledger = machine(cpus=(1, 1), gpu_count=1)
    take(ledger, "a", cpu=1, gpu="0.5")
    assert plan(ledger, cpu=1, mem="1g", gpu="0.6") is None
    assert ledger.free() == ResourceSlots({"cpu": 1, "mem": 8 * GIB, "cuda.shares": Decimal("0.5")})


def test_planning_changes_nothing() -> None:
    ledger = machine()
    assert plan(ledger, cpu=4, gpu=2) == plan(ledger, cpu=4, gpu=2)
    assert ledger.free() == ledger.available()


def test_equal_needs_have_equal_shapes() -> None:
    ledger = machine()
    shapes = {
        ledger.shape(ResourceSlots({"cpu": 2, "cuda.shares": Decimal("0.5")})),
        ledger.shape(ResourceSlots({"cuda.shares": Decimal("0.50"), "mem": 0, "cpu": 2})),
        ledger.shape(ResourceSlots({"cuda.shares": Decimal("0.5"), "cpu": Decimal("2.0")}), split=False),
    }
    assert len(shapes) == 1
    split = ledger.shape(ResourceSlots({"cuda.shares": Decimal("0.5"), "cpu": 2}), split=True)
    assert split not in shapes
    for slots in (ResourceSlots({"cpu": 2}), ResourceSlots({"cuda.device": 1})):
        assert ledger.shape(slots, split=True) == ledger.shape(slots), "only shares can be split"


# --- which devices -------------------------------------------------------------------------------------------


def test_packing_fills_the_fullest_device_that_fits() -> None:
    ledger = machine(gpu_count=3)
    take(ledger, "a", gpu="0.5")
    take(ledger, "b", gpu="0.7")
    assert take(ledger, "c", gpu="0.3")["cuda.shares"] == {"gpu1": "0.3"}
    assert take(ledger, "d", gpu="0.2")["cuda.shares"] == {"gpu0": "0.2"}
    assert take(ledger, "e", gpu="1.3")["cuda.shares"] == {"gpu0": "0.3", "gpu2": "1"}


def test_spreading_takes_the_emptiest() -> None:
    ledger = machine(gpu_count=3, strategy=Strategy.SPREAD)
    placed = [take(ledger, f"s{number}", gpu="0.3")["cuda.shares"] for number in range(4)]
    assert [next(iter(one)) for one in placed] == ["gpu0", "gpu1", "gpu2", "gpu0"]
    assert take(ledger, "big", gpu="0.7")["cuda.shares"] == {"gpu1": "0.7"}
    assert plan(ledger, gpu="0.8") is None


def test_a_fraction_is_on_one_device_unless_asked_otherwise() -> None:
    ledger = machine(gpu_count=3)
    for number in range(3):
        take(ledger, f"s{number}", gpu="0.6")
    assert plan(ledger, gpu="0.5") is None, "1.2 are free, but nowhere 0.5 in one place"
    assert take(ledger, "split", split=True, gpu="0.5")["cuda.shares"] == {"gpu0": "0.25", "gpu1": "0.25"}


def test_a_split_request_stays_on_one_device_where_it_can() -> None:
    ledger = machine(gpu_count=2)
    assert take(ledger, "a", split=True, gpu="0.5")["cuda.shares"] == {"gpu0": "0.5"}


@pytest.mark.parametrize(
    ("distribution", "asked", "parts"),
    [
        (Distribution.EVENLY, "1", {"gpu0": "0.4", "gpu1": "0.4", "gpu2": "0.2"}),
        (Distribution.EVENLY, "0.7", {"gpu0": "0.35", "gpu1": "0.35"}),
        (Distribution.EVENLY, "0.55", {"gpu0": "0.28", "gpu1": "0.27"}),
        (Distribution.FILL, "1", {"gpu0": "0.4", "gpu1": "0.4", "gpu2": "0.2"}),
        (Distribution.FILL, "0.7", {"gpu0": "0.4", "gpu1": "0.3"}),
        (Distribution.FILL, "0.41", {"gpu0": "0.4", "gpu1": "0.01"}),
    ],
)
def test_parts_are_even_or_fill_the_fewest_devices(
    distribution: Distribution, asked: str, parts: dict[str, str]
) -> None:
    ledger = machine(gpu_count=3, distribution=distribution)
    for number, amount in enumerate(["0.6", "0.6", "0.8"]):
        ledger.adopt(f"s{number}", Allocation.parse({"cuda.shares": {f"gpu{number}": amount}}))
    shares = take(ledger, "one", split=True, gpu=asked)["cuda.shares"]
    assert sorted(shares.values()) == sorted(parts.values())
    assert set(shares) == set(parts)


def test_parts_are_multiples_of_the_quantum_beside_what_is_not() -> None:
    ledger = machine(gpu_count=2, quantum=Decimal("0.1"))
    ledger.adopt("x", Allocation.parse({"cuda.shares": {"gpu0": "0.625"}}))
    ledger.adopt("y", Allocation.parse({"cuda.shares": {"gpu1": "0.625"}}))
    assert take(ledger, "one", split=True, gpu="0.6")["cuda.shares"] == {"gpu0": "0.3", "gpu1": "0.3"}
    assert plan(ledger, split=True, gpu="0.1") is None
    assert ledger.free()["cuda.shares"] == Decimal("0.15")


def test_a_spread_fraction_does_not_land_on_its_own_whole_device() -> None:
    for strategy in Strategy:
        assert take(machine(strategy=strategy), "a", gpu="1.5")["cuda.shares"] == {"gpu0": "1", "gpu1": "0.5"}
        ledger = machine(strategy=strategy)
        take(ledger, "a", gpu="0.6")
        assert plan(ledger, gpu="1.5") is None


def test_whole_devices_and_shares_exclude_each_other() -> None:
    ledger = machine()
    assert take(ledger, "whole", device=1)["cuda.device"] == {"gpu0": "1"}
    assert take(ledger, "part", gpu="0.01")["cuda.shares"] == {"gpu1": "0.01"}
    assert plan(ledger, device=1) is None
    assert ledger.free()["cuda.shares"] == Decimal("0.99")
    assert ledger.occupied().wire()["cuda.device"] == "1"
    ledger.give("part")
    assert take(ledger, "second", device=1) == {"cuda.device": {"gpu1": "1"}}
    assert plan(ledger, gpu="0.01") is None


def test_gpus_that_are_only_given_whole() -> None:
    ledger = Ledger(gpus(2, shared=False))
    assert ledger.available() == ResourceSlots({"cuda.device": 2})
    with pytest.raises(ImpossibleRequest, match=r"only given away whole; ask for cuda\.device"):
        plan(ledger, gpu="0.5")
    assert take(ledger, "a", device=1)["cuda.device"] == {"gpu0": "1"}
    assert (ledger.free(), ledger.occupied()) == (ResourceSlots({"cuda.device": 1}), ResourceSlots({"cuda.device": 1}))
    assert take(ledger, "b", device=1)["cuda.device"] == {"gpu1": "1"}
    assert ledger.lacking(ledger.shape(ResourceSlots({"cuda.device": 2}))) == [
        ("cuda.device", "2 cuda.device", "0 of 2 GPUs wholly free")
    ]


def test_shares_of_sessions_that_run_are_kept_when_sharing_is_turned_off() -> None:
    ledger = Ledger(gpus(2, shared=False))
    for name in ("x", "y"):
        ledger.adopt(name, Allocation.parse({"cuda.shares": {"gpu0": "0.3"}}))
    assert plan(ledger, device=2) is None
    assert ledger.free() == ResourceSlots({"cuda.device": 1})
    assert ledger.occupied() == ResourceSlots({"cuda.shares": Decimal("0.6")})
    ledger.give("x")
    ledger.give("y")
    assert take(ledger, "both", device=2)["cuda.device"] == {"gpu0": "1", "gpu1": "1"}


@pytest.mark.parametrize(
    ("distribution", "first", "second"),
    [
        (Distribution.EVENLY, {"cpu0": "1", "cpu1": "1"}, {"cpu0": "1", "cpu1": "2"}),
        (Distribution.FILL, {"cpu0": "2"}, {"cpu1": "3"}),
    ],
)
def test_cores_are_taken_evenly_or_fill_devices(
    distribution: Distribution, first: dict[str, str], second: dict[str, str]
) -> None:
    ledger = machine(cpus=(2, 3), distribution=distribution)
    assert take(ledger, "a", cpu=2)["cpu"] == first
    assert take(ledger, "b", cpu=3)["cpu"] == second
    assert ledger.free()["cpu"] == 0


def test_filling_takes_the_fewest_devices_and_the_rest_from_the_fullest_that_has_it() -> None:
    ledger = machine(cpus=(4, 2, 4, 1), distribution=Distribution.FILL)
    assert take(ledger, "a", cpu=5)["cpu"] == {"cpu0": "4", "cpu3": "1"}
    assert take(ledger, "b", cpu=6)["cpu"] == {"cpu1": "2", "cpu2": "4"}


@given(st.lists(st.integers(1, 6), min_size=1, max_size=6), st.data(), st.sampled_from(Distribution))
def test_cores_are_granted_whenever_enough_are_free(
    cores: list[int], data: st.DataObject, distribution: Distribution
) -> None:
    ledger = machine(cpus=cores, distribution=distribution)
    free = {f"cpu{number}": Decimal(count) for number, count in enumerate(cores)}
    for number in range(6):
        asked = data.draw(st.integers(1, sum(cores)))
        grant = plan(ledger, cpu=asked)
        assert (grant is not None) == (asked <= sum(free.values()))
        if grant is None:
            continue
        given = ledger.take(f"s{number}", grant).amounts["cpu"]
        assert sum(given.values()) == asked
        assert all(0 < given[device] <= free[device] for device in given)
        left = {device: free[device] - given.get(device, 0) for device in free}
        if distribution is Distribution.EVENLY:  # nobody gave while another, emptier by more than one, did not
            assert all(left[device] + 1 >= max(left.values()) for device in given)
        else:
            fewest = next(count for count in range(1, 7) if sum(sorted(free.values(), reverse=True)[:count]) >= asked)
            assert len(given) == fewest
        free = left


def test_memory_comes_from_one_node_where_it_fits() -> None:
    ledger = machine(mem=(100, 60))
    assert take(ledger, "a", mem=50)["mem"] == {"mem1": "50"}
    assert take(ledger, "b", mem=105)["mem"] == {"mem0": "100", "mem1": "5"}
    assert ledger.free()["mem"] == 5


def test_zero_is_not_asked_for() -> None:
    ledger = machine(gpu_count=0)
    assert take(ledger, "a", cpu=1, gpu="0", device=0) == {"cpu": {"cpu0": "1"}}
    assert take(ledger, "nothing") == {}
    assert ledger.allocation("nothing") is not None


# --- refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("slots", "error", "words"), REFUSED)
def test_what_can_never_be_is_refused_with_the_reason(
    slots: dict[str, object], error: type[BadRequest], words: str
) -> None:
    with pytest.raises(error) as refusal:
        machine().shape(ResourceSlots.parse(slots))
    assert words in refusal.value.message


def test_negative_amounts_are_refused() -> None:
    with pytest.raises(InvalidAmount, match="negative"):
        machine().shape(ResourceSlots({"cpu": -1}))


def test_a_machine_without_gpus_says_how_to_try() -> None:
    with pytest.raises(ImpossibleRequest, match=r"has no cuda\.shares \(mock ones: bai-tui serve --mock-gpus N\)"):
        plan(machine(gpu_count=0), gpu="0.5")


@pytest.mark.parametrize(
    "specs",
    [
        [("gpu0", "cuda.shares", "1"), ("gpu0", "cuda.shares", "1")],
        [("gpu0", "cuda.shares", "1"), ("cpu0", "cpu", "1"), ("cpu0", "cpu", "1")],
        [("gpu0", "cuda.shares", "1"), ("gpu1", "cuda.shares", "2")],
        [("gpu0", "cuda.shares", "1"), ("gpu1", "cuda.device", "1")],
        [("gpu0", "cuda.device", "2")],
        [("gpu0", "cuda.shares", "0.999")],
        [("gpu0", "cuda.shares", "0")],
        [("cpu0", "cpu", "-1")],
        [("cpu0", "cpu", "1.5")],
    ],
)
def test_odd_machines_are_refused(specs: list[tuple[str, str, str]]) -> None:
    with pytest.raises(ValueError, match=r"\w+ \w+"):
        Ledger([DeviceSpec(name, slot, Decimal(capacity)) for name, slot, capacity in specs])


@pytest.mark.parametrize("quantum", ["0", "-0.1", "NaN", "Infinity", "0.3", "0.0005", "2", "0.003", "1.5", "0.015"])
def test_odd_quanta_are_refused(quantum: str) -> None:
    with pytest.raises(ValueError, match=r"a quantum of .* makes no sense: take "):
        Ledger([], quantum=Decimal(quantum))


@pytest.mark.parametrize("quantum", QUANTA)
def test_every_part_of_one_is_a_quantum(quantum: str) -> None:
    assert take(Ledger(gpus(1), quantum=Decimal(quantum)), "a", gpu=quantum) == {"cuda.shares": {"gpu0": quantum}}
