"""The books of a ledger: taking, giving, adopting, devices that come and go, and what people are told."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler.ledger import Ledger
from bai_tui.app.backend.scheduler.types import Allocation, Strategy
from bai_tui.app.model.errors import IllegalState, ImpossibleRequest, InvalidAmount
from bai_tui.app.model.slots import ResourceSlots

from .ledgers import gpus, machine, plan, take

QUANTA = ["0.001", "0.01", "0.05", "0.1", "0.125", "0.2", "0.25", "0.5", "1"]


# --- taking, giving, adopting --------------------------------------------------------------------------------


def test_giving_twice_is_an_error_and_never_negative() -> None:
    ledger = machine()
    take(ledger, "a", cpu=1)
    assert ledger.give("a") == Allocation.parse({"cpu": {"cpu0": "1"}})
    with pytest.raises(IllegalState, match="a holds no resources that could be given back"):
        ledger.give("a")
    assert ledger.free() == ledger.available()
    assert ledger.occupied() == ResourceSlots({"cpu": 0, "mem": 0, "cuda.shares": 0})


def test_a_session_holds_once_and_an_old_plan_is_no_promise() -> None:
    ledger = machine(gpu_count=1)
    early = plan(ledger, cpu=1, gpu="0.6")
    assert early is not None
    take(ledger, "a", cpu=1, gpu="0.5")
    before = ledger.promised(), ledger.free()
    with pytest.raises(IllegalState, match="holds resources already"):
        ledger.take("a", early)
    with pytest.raises(IllegalState, match="no longer free: plan again"):
        ledger.take("b", early)
    assert (ledger.promised(), ledger.free()) == before
    assert ledger.allocation("b") is None


def test_adopting_takes_the_very_devices() -> None:
    ledger = machine()
    held = Allocation.parse({"cpu": {"cpu3": "1"}, "mem": {"mem0": "1024"}, "cuda.shares": {"gpu1": "0.5"}})
    ledger.adopt("old", held)
    assert ledger.allocation("old") == held
    assert take(ledger, "new", gpu="0.5")["cuda.shares"] == {"gpu1": "0.5"}
    with pytest.raises(IllegalState, match="already"):
        ledger.adopt("old", held)
    ledger.give("old")
    assert ledger.promised()["cpu3"] == {}


@pytest.mark.parametrize("quantum", QUANTA)
@pytest.mark.parametrize("strategy", Strategy)
def test_what_another_setting_granted_is_adopted_exactly(quantum: str, strategy: Strategy) -> None:
    """Thousandths, fractions on two devices, a device that the strategy would not have chosen."""
    ledger = machine(gpu_count=3, quantum=Decimal(quantum), strategy=strategy)
    held = Allocation.parse({"cuda.shares": {"gpu2": "0.333", "gpu1": "0.125"}})
    ledger.adopt("old", held)
    assert ledger.allocation("old") == held
    assert ledger.free()["cuda.shares"] == Decimal("2.542")
    assert ledger.give("old") == held
    assert take(ledger, "all", gpu=3)["cuda.shares"] == {"gpu0": "1", "gpu1": "1", "gpu2": "1"}


@pytest.mark.parametrize(
    "wire",
    [
        {"cuda.shares": {"gpu0": "0.6"}},  # only 0.5 is left there
        {"cuda.shares": {"gpu9": "0.1"}},
        {"cuda.device": {"gpu0": "1"}},  # shared
        {"cuda.device": {"gpu1": "2"}},
        {"tpu": {"tpu0": "1"}},
        {"cpu": {"cpu1": "1"}, "cuda.shares": {"gpu0": "0.6"}},
        {"cpu": {"cpu1": "0.5"}},
        {"cuda.shares": {"gpu1": "0.0005"}},  # finer than anything is ever granted
        {"cuda.shares": {"gpu1": "0.5"}, "cuda.device": {"gpu1": "1"}},
    ],
)
def test_what_does_not_fit_is_not_adopted(wire: dict[str, dict[str, str]]) -> None:
    ledger = machine()
    take(ledger, "a", cpu=1, gpu="0.5")
    before = ledger.promised(), ledger.free()
    with pytest.raises((ImpossibleRequest, InvalidAmount)):
        ledger.adopt("b", Allocation.parse(wire))
    assert (ledger.promised(), ledger.free()) == before
    with pytest.raises(IllegalState):
        ledger.give("b")


# --- what there is, for people -------------------------------------------------------------------------------


def test_what_is_lacking_is_said() -> None:
    ledger = machine(cpus=(1, 1, 1), gpu_count=2)
    take(ledger, "a", cpu=2, gpu="1.75", mem="2.5g")

    def lacking(split: bool = False, **slots: str) -> list[tuple[str, str, str]]:
        named = {{"device": "cuda.device"}.get(slot, slot): amount for slot, amount in slots.items()}
        return ledger.lacking(ledger.shape(ResourceSlots.parse(named), split=split))

    assert lacking(cpu="1", gpu="0.25") == []
    assert lacking(gpu="0.5") == [("cuda.shares", "0.5 cuda.shares", "0.25 free on gpu1")]
    assert lacking(gpu="0.5", split=True) == [("cuda.shares", "0.5 cuda.shares", "0.25 cuda.shares free")]
    assert lacking(cpu="2", mem="6g") == [("cpu", "2 cpu", "1 cpu free"), ("mem", "6g mem", "5.5g mem free")]
    assert lacking(device="1") == [("cuda.device", "1 cuda.device", "0 of 2 GPUs wholly free")]
    assert lacking(gpu="1.5")[0][2] == "0 of 2 GPUs wholly free, 0.25 free on gpu1"
    take(ledger, "b", gpu="0.25")
    assert lacking(gpu="0.5")[0][2] == "nothing free on any GPU"
    assert lacking(gpu="1.5")[0][2] == "0 of 2 GPUs wholly free"
    ledger.lose("gpu1")
    assert lacking(gpu="0.5")[0][2] == "nothing free on any GPU, gpu1 is lost"
    ledger.lose("gpu0")
    assert lacking(device="1")[0][2] == "0 of 2 GPUs wholly free, gpu0 and gpu1 are lost"


def test_many_lost_devices_are_counted() -> None:
    ledger = Ledger(gpus(6))
    for number in range(5):
        ledger.lose(f"gpu{number}")
    ((_, _, text),) = ledger.lacking(ledger.shape(ResourceSlots({"cuda.device": 2})))
    assert text == "1 of 6 GPUs wholly free, gpu0, gpu1 and 3 more are lost"


# --- devices that come and go --------------------------------------------------------------------------------


def test_a_device_is_lost_and_found_while_sessions_run() -> None:
    ledger = machine(gpu_count=2)
    take(ledger, "a", gpu="0.5")
    take(ledger, "b", gpu="0.3")
    assert ledger.lose("gpu0")
    assert not ledger.lose("gpu0")
    assert ledger.lost == {"gpu0"}
    assert ledger.holders("gpu0") == ["a", "b"]
    assert ledger.holders("gpu1") == []
    assert ledger.promised()["gpu0"] == {"cuda.shares": {"a": Decimal("0.5"), "b": Decimal("0.3")}}
    assert ledger.free()["cuda.shares"] == 1
    assert ledger.available()["cuda.shares"] == Decimal("1.8")
    assert take(ledger, "c", gpu="0.2")["cuda.shares"] == {"gpu1": "0.2"}, "nothing new goes there"
    ledger.give("a")
    assert ledger.free()["cuda.shares"] == Decimal("0.8")
    assert ledger.available()["cuda.shares"] == Decimal("1.3")
    assert ledger.shape(ResourceSlots({"cuda.device": 2})), "it may come back: such a request waits"
    assert ledger.found("gpu0")
    assert not ledger.found("gpu0")
    assert ledger.lost == frozenset()
    assert ledger.free()["cuda.shares"] == Decimal("1.5")
    assert take(ledger, "d", gpu="0.7")["cuda.shares"] == {"gpu0": "0.7"}
    for name in "bcd":
        ledger.give(name)
    assert ledger.free() == ledger.available()


def test_a_plan_for_a_device_that_is_lost_meanwhile_is_refused() -> None:
    ledger = machine(gpu_count=1)
    grant = plan(ledger, gpu="0.5")
    assert grant is not None
    ledger.lose("gpu0")
    with pytest.raises(IllegalState, match="no longer free"):
        ledger.take("a", grant)
    ledger.found("gpu0")
    ledger.take("a", grant)


def test_what_is_held_of_a_lost_device_is_adopted() -> None:
    ledger = machine()
    ledger.lose("gpu1")
    ledger.adopt("a", Allocation.parse({"cuda.shares": {"gpu1": "0.5"}}))
    assert ledger.available()["cuda.shares"] == Decimal("1.5")
    with pytest.raises(ImpossibleRequest):
        ledger.adopt("b", Allocation.parse({"cuda.shares": {"gpu1": "0.6"}}))
    ledger.found("gpu1")
    assert ledger.free()["cuda.shares"] == Decimal("1.5")


def test_cores_and_memory_can_be_lost_too() -> None:
    ledger = machine(cpus=(2, 2), mem=(100, 100))
    take(ledger, "a", cpu=3, mem=150)
    ledger.lose("cpu1")
    ledger.lose("mem0")
    assert plan(ledger, cpu=1) is None or ledger.free()["cpu"] == 1
    ledger.give("a")
    assert ledger.free() == ResourceSlots({"cpu": 2, "mem": 100, "cuda.shares": 2})
    assert take(ledger, "b", cpu=2, mem=100) == {"cpu": {"cpu0": "2"}, "mem": {"mem1": "100"}}
    ledger.found("cpu1")
    ledger.found("mem0")
    assert ledger.free() == ResourceSlots({"cpu": 2, "mem": 100, "cuda.shares": 2})


def test_what_is_free_and_what_is_held_are_all_where_gpus_are_given_whole() -> None:
    ledger = Ledger(gpus(3, shared=False))
    take(ledger, "a", device=1)
    ledger.lose("gpu0")
    ledger.lose("gpu2")
    assert (ledger.free(), ledger.available()) == (ResourceSlots({"cuda.device": 1}), ResourceSlots({"cuda.device": 2}))
    ledger.give("a")
    assert ledger.free() == ledger.available() == ResourceSlots({"cuda.device": 1})
    ledger.found("gpu0")
    ledger.found("gpu2")
    assert ledger.free() == ledger.available() == ResourceSlots({"cuda.device": 3})


def test_unknown_devices_are_errors() -> None:
    ledger = machine()
    for call in (ledger.lose, ledger.found, ledger.holders):
        with pytest.raises(ValueError, match="no device 'gpu7'"):
            call("gpu7")
