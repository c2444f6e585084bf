"""Who starts when, who waits, and what those who wait are told."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler import DeviceSpec, Instruction, PendingRequest, Policy, Rules, Scheduler, Start
from bai_tui.app.backend.scheduler.ledger import Grant, Ledger, Shape
from bai_tui.app.backend.scheduler.line import Line
from bai_tui.app.backend.scheduler.queue import Key
from bai_tui.app.model.errors import IllegalState
from hypothesis import given
from hypothesis import strategies as st

Machine = Callable[..., Scheduler]
Ask = Callable[..., PendingRequest]
STRICT = Rules(backfill=False)


def names(instructions: list[Instruction]) -> list[str]:
    return [one.session_id for one in instructions]


def test_first_come_first_served(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    assert names(scheduler.enqueue(ask("a", {"cpu": 1}), 0)) == ["a"]
    for name in "bcd":
        assert scheduler.enqueue(ask(name, {"cpu": 1}), 0) == []
    for last, following in ("ab", "bc", "cd"):
        assert names(scheduler.release(last, 0)) == [following]
    assert scheduler.release("d", 0) == []


def test_priority_goes_first(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("low", {"cpu": 1}, priority=5), 0)
    scheduler.enqueue(ask("usual", {"cpu": 1}), 0)
    scheduler.enqueue(ask("high", {"cpu": 1}, priority=90), 0)
    scheduler.enqueue(ask("usual2", {"cpu": 1}), 0)
    order = []
    running = "a"
    while started := scheduler.release(running, 0):
        (running,) = names(started)
        order.append(running)
    assert order == ["high", "usual", "usual2", "low"]


def test_order_and_not_arrival_decides(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1}, order=1), 0)
    scheduler.enqueue(ask("third", {"cpu": 1}, order=3), 0)
    scheduler.enqueue(ask("second", {"cpu": 1}, order=2), 0)
    assert names(scheduler.release("a", 0)) == ["second"]


def test_a_smaller_one_does_not_overtake(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=1, rules=STRICT)
    scheduler.enqueue(ask("a", {"gpu": "0.5"}), 0)
    assert scheduler.enqueue(ask("big", {"gpu": "0.8"}), 0) == []
    assert scheduler.enqueue(ask("small", {"gpu": "0.1"}), 0) == []
    assert names(scheduler.release("a", 0)) == ["big", "small"]


def test_a_large_request_does_not_starve(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=2)
    for number in range(4):
        scheduler.enqueue(ask(f"s{number}", {"gpu": "0.5"}), 0)
    scheduler.enqueue(ask("large", {"gpu": "2"}), 0)
    for number in range(4):
        assert scheduler.enqueue(ask(f"t{number}", {"gpu": "0.5"}), 0) == []
        assert names(scheduler.release(f"s{number}", 0)) == (["large"] if number == 3 else [])


def test_cancelling_the_first_lets_the_others_go(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=1, rules=STRICT)
    scheduler.enqueue(ask("a", {"gpu": "0.5"}), 0)
    scheduler.enqueue(ask("big", {"gpu": "1"}), 0)
    scheduler.enqueue(ask("b", {"gpu": "0.25"}), 0)
    scheduler.enqueue(ask("c", {"gpu": "0.25"}), 0)
    scheduler.enqueue(ask("d", {"gpu": "0.25"}), 0)
    assert scheduler.cancel("c", 0) == [], "the first still waits"
    assert names(scheduler.cancel("big", 0)) == ["b", "d"]
    assert not scheduler.is_waiting("big")


def test_only_who_waits_can_be_cancelled(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    for name in ("a", "nobody"):
        with pytest.raises(IllegalState, match="does not wait"):
            scheduler.cancel(name, 0)
        with pytest.raises(IllegalState, match="does not wait"):
            scheduler.waiting(name, 0)
    scheduler.enqueue(ask("b", {"cpu": 1}), 0)
    with pytest.raises(IllegalState, match="holds no resources"):
        scheduler.release("b", 0)


def test_the_wait_is_counted_with_the_time_that_is_given(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    (first,) = scheduler.enqueue(ask("a", {"cpu": 1}), 100.0)
    scheduler.enqueue(ask("b", {"cpu": 1}), 101.5)
    (second,) = scheduler.release("a", 104.0)
    assert isinstance(first, Start) and isinstance(second, Start)
    assert (first.waited_s, second.waited_s) == (0, 2.5)


def test_reasons(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=3, mem_gib=8, gpus=2, rules=STRICT)
    scheduler.enqueue(ask("a", {"cpu": 2, "gpu": "1.75", "mem": "2.5g"}), 0)
    scheduler.enqueue(ask("b", {"gpu": "0.5"}), 0)
    scheduler.enqueue(ask("c", {"cpu": 1}), 0)
    scheduler.enqueue(ask("d", {"cpu": 2, "mem": "6g"}), 0)
    scheduler.enqueue(ask("e", {"cuda.device": 1}), 0)
    scheduler.enqueue(ask("f", {"gpu": "1.5"}), 0)
    reasons = {name: scheduler.waiting(name, 0).text for name in "bcdef"}
    assert reasons == {
        "b": "waits for 0.5 cuda.shares; 0.25 free on gpu1; 1st in the queue",
        "c": "waits for the one before it; 2nd in the queue",
        "d": "waits for 2 cpu, 6g mem; 1 cpu free, 5.5g mem free; 3rd in the queue",
        "e": "waits for 1 cuda.device; 0 of 2 GPUs wholly free; 4th in the queue",
        "f": "waits for 1.5 cuda.shares; 0 of 2 GPUs wholly free, 0.25 free on gpu1; 5th in the queue",
    }


@pytest.mark.parametrize(("rank", "text"), [(11, "11th"), (12, "12th"), (21, "21st"), (23, "23rd"), (101, "101st")])
def test_places_are_ordinals(machine: Machine, ask: Ask, rank: int, text: str) -> None:
    scheduler = machine(cpus=1)
    for number in range(rank + 1):
        scheduler.enqueue(ask(f"s{number}", {"cpu": 1}), 0)
    assert scheduler.waiting(f"s{rank}", 0).text.endswith(f"; {text} in the queue")


@pytest.mark.parametrize("backfill", [False, True])
@pytest.mark.parametrize("policy", Policy)
def test_a_decision_does_not_look_at_the_whole_queue(
    monkeypatch: pytest.MonkeyPatch, ask: Ask, policy: Policy, backfill: bool
) -> None:
    looked = 0
    real = Ledger.plan

    def counting(self: Ledger, shape: Shape) -> Grant | None:
        nonlocal looked
        looked += 1
        return real(self, shape)

    monkeypatch.setattr(Ledger, "plan", counting)
    specs = [DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(50)]
    scheduler = Scheduler(specs, rules=Rules(policy=policy, backfill=backfill))
    running = [f"s{number}" for number in range(50)]
    for number in range(5_000):
        scheduler.enqueue(ask(f"s{number}", {"gpu": 1}), 0)
    assert looked <= 51, "who is not the first is not looked at"
    looked = started = 0
    for name in running:
        started += len(scheduler.release(name, 0))
    assert started == 50
    assert looked <= 2 * 50
    looked = 0
    scheduler.cancel("s3000", 0)
    scheduler.waiting("s3999", 0)
    assert looked <= 1


keys = st.tuples(st.integers(-3, 3), st.integers(0, 500), st.sampled_from("abc"))


@given(st.lists(st.tuples(st.sampled_from(["add", "add", "add", "remove", "rank"]), keys), max_size=300))
def test_the_line_is_a_sorted_list(steps: list[tuple[str, Key]]) -> None:
    line, model = Line[Key](), set[Key]()
    for step, key in steps:
        if step == "add" and key not in model:
            line.add(key)
            model.add(key)
        elif key in model:
            assert line.rank(key) == sorted(model).index(key)
            if step == "remove":
                line.remove(key)
                model.remove(key)
        elif step != "add":
            with pytest.raises(ValueError, match="not in the line"):
                line.remove(key)
        assert len(line) == len(model)
        assert line.first() == min(model, default=None)


@pytest.mark.parametrize("backwards", [False, True])
def test_a_long_line_stays_sorted(backwards: bool) -> None:
    line = Line[Key]()
    ordered = [(0, number, "x") for number in range(5_000)]
    for key in reversed(ordered) if backwards else ordered:
        line.add(key)
    assert [line.rank(key) for key in ordered[::97]] == list(range(0, 5_000, 97))
    for key in ordered[1::2]:
        line.remove(key)
    served = []
    while (first := line.first()) is not None:
        served.append(first)
        line.remove(first)
    assert served == ordered[::2]
