"""Who may pass the first one: only those who cannot delay it."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler import (
    DeviceSpec,
    Instruction,
    Limits,
    PendingRequest,
    Policy,
    Rules,
    Scheduler,
    Start,
    Strategy,
)
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import given, settings
from hypothesis import strategies as st

Machine = Callable[..., Scheduler]
Ask = Callable[..., PendingRequest]


def started(instructions: list[Instruction]) -> list[str]:
    return [one.session_id for one in instructions if isinstance(one, Start)]


def test_one_that_needs_nothing_of_what_the_first_lacks_passes(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4, gpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1, "gpu": "0.5"}), 0)
    assert scheduler.enqueue(ask("first", {"cpu": 2, "gpu": 1}), 0) == []
    assert started(scheduler.enqueue(ask("small", {"cpu": 1}), 0)) == ["small"], "2 cores are kept for the first"
    assert scheduler.enqueue(ask("more", {"cpu": 1}), 0) == []
    assert scheduler.enqueue(ask("part", {"gpu": "0.1"}), 0) == [], "nobody knows when the GPU is free"
    assert started(scheduler.release("a", 0)) == ["first", "more"]


def test_one_that_is_back_in_time_passes(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2)
    scheduler.enqueue(ask("a", {"cpu": 1}, duration_s=100.0), 0)
    assert scheduler.enqueue(ask("first", {"cpu": 2}), 0) == []
    assert scheduler.enqueue(ask("long", {"cpu": 1}, duration_s=150.0), 0) == []
    assert scheduler.enqueue(ask("unknown", {"cpu": 1}), 0) == []
    assert started(scheduler.enqueue(ask("short", {"cpu": 1}, duration_s=100.0), 0)) == ["short"]
    assert scheduler.waiting("first", 0).expected_start_s == 100.0
    scheduler.release("short", 60)
    assert scheduler.enqueue(ask("late", {"cpu": 1}, duration_s=50.0), 60) == []
    assert started(scheduler.release("a", 100)) == ["first"]


def test_what_the_reservation_leaves_over_can_be_had_for_any_time(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=0, mem_gib=0, gpus=3)
    scheduler.enqueue(ask("a", {"gpu": 2}, duration_s=10.0), 0)
    assert scheduler.enqueue(ask("first", {"gpu": "2.5"}), 0) == []
    assert started(scheduler.enqueue(ask("forever", {"gpu": "0.5"}), 0)) == ["forever"]
    assert scheduler.enqueue(ask("other", {"gpu": "0.5"}), 0) == []
    assert started(scheduler.release("a", 10)) == ["first"]


def test_without_backfill_nobody_passes(machine: Machine, ask: Ask) -> None:
    for backfill, passes in ((False, []), (True, ["b"])):
        scheduler = machine(cpus=4, gpus=1, rules=Rules(backfill=backfill))
        scheduler.enqueue(ask("a", {"gpu": 1}), 0)
        assert scheduler.enqueue(ask("first", {"gpu": 1}), 0) == []
        assert started(scheduler.enqueue(ask("b", {"cpu": 1}, duration_s=1.0), 0)) == passes


def test_a_session_that_is_kept_longer_moves_the_reservation(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2)
    scheduler.enqueue(ask("a", {"cpu": 1}, duration_s=10.0), 0)
    scheduler.enqueue(ask("first", {"cpu": 2}), 0)
    assert scheduler.enqueue(ask("b", {"cpu": 1}, duration_s=50.0), 0) == []
    scheduler.set_end("a", 80.0)
    assert scheduler.waiting("first", 0).expected_start_s == 80.0
    assert started(scheduler.enqueue(ask("c", {"cpu": 1}, duration_s=70.0), 0)) == ["c"]
    scheduler.set_end("a", None)
    assert scheduler.waiting("first", 0).expected_start_s is None


def test_the_end_of_adopted_sessions_counts(machine: Machine, ask: Ask) -> None:
    first = machine(cpus=1)
    (start,) = first.enqueue(ask("old", {"cpu": 1}), 0)
    assert isinstance(start, Start)
    scheduler = machine(cpus=1)
    scheduler.adopt("old", start.allocation, ends_at_s=25.0)
    scheduler.enqueue(ask("next", {"cpu": 1}), 1)
    assert scheduler.waiting("next", 1).expected_start_s == 25.0


def test_who_passes_leaves_the_first_its_owners_limit(machine: Machine, ask: Ask) -> None:
    rules = Rules(limits_of={"ann": Limits(sessions=2), "bob": Limits(slots=ResourceSlots({"cpu": 3}))})
    scheduler = machine(cpus=4, gpus=1, rules=rules)
    scheduler.enqueue(ask("gpu", {"gpu": 1}), 0)
    scheduler.enqueue(ask("a1", {"cpu": 1}, access_key="ann"), 0)
    assert scheduler.enqueue(ask("a2", {"gpu": 1}, access_key="ann"), 0) == []
    assert scheduler.enqueue(ask("a3", {"cpu": 1}, access_key="ann"), 0) == [], "then a2 could not start"
    assert started(scheduler.release("a1", 0)) == ["a3"]
    scheduler.cancel("a2", 0)
    assert scheduler.enqueue(ask("b1", {"gpu": 1, "cpu": 2}, access_key="bob"), 0) == []
    assert scheduler.enqueue(ask("b2", {"cpu": 2}, access_key="bob"), 0) == []
    assert started(scheduler.enqueue(ask("b3", {"cpu": 1}, access_key="bob"), 0)) == ["b3"]
    assert started(scheduler.release("gpu", 0)) == ["b1"]


def test_a_short_one_is_not_hidden_behind_a_long_one_of_the_same_needs(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2)
    scheduler.enqueue(ask("a", {"cpu": 1}, duration_s=100.0), 0)
    scheduler.enqueue(ask("first", {"cpu": 2}), 0)
    for number in range(50):
        assert scheduler.enqueue(ask(f"long{number}", {"cpu": 1}, duration_s=1000.0), 0) == []
    scheduler.enqueue(ask("b", {"cpu": 1}, duration_s=20.0), 0)
    scheduler.enqueue(ask("short", {"cpu": 1}, duration_s=30.0), 0)
    assert started(scheduler.release("b", 20)) == ["short"]


def test_what_comes_free_beside_a_reservation_can_be_had(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4)
    for name, lasts in (("a", 100.0), ("b", 50.0), ("c", 40.0), ("d", 10.0)):
        scheduler.enqueue(ask(name, {"cpu": 1}, duration_s=lasts), 0)
    scheduler.enqueue(ask("first", {"cpu": 3}), 0)
    scheduler.enqueue(ask("forever", {"cpu": 1}), 0)
    assert scheduler.release("d", 10) == [], "that core is the first one's"
    assert started(scheduler.release("a", 20)) == ["forever"], "it was not counted on"
    scheduler.release("c", 40)
    assert started(scheduler.release("b", 50)) == ["first"]


def test_one_whose_time_has_come_passes_with_the_next_event(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, gpus=1)
    scheduler.enqueue(ask("a", {"gpu": 1}), 0)
    scheduler.enqueue(ask("first", {"gpu": 1}), 0)
    scheduler.enqueue(ask("later", {"cpu": 1}, not_before_s=10.0), 0)
    assert started(scheduler.enqueue(ask("other", {"gpu": 1}), 11)) == ["later"]


def test_who_passes_may_make_another_owner_the_first(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4, gpus=1, rules=Rules(policy=Policy.DRF))
    scheduler.enqueue(ask("half", {"gpu": "0.5"}, access_key="root"), 0)
    scheduler.enqueue(ask("b1", {"cpu": 1}, access_key="bob"), 0)
    assert scheduler.enqueue(ask("a1", {"gpu": 1}, access_key="ann"), 0) == []
    assert scheduler.enqueue(ask("b2", {"gpu": "0.5"}, access_key="bob"), 0) == []
    assert started(scheduler.enqueue(ask("a2", {"cpu": 2}, access_key="ann"), 0)) == ["a2", "b2"]


def test_who_passes_stays_within_its_own_limit(machine: Machine, ask: Ask) -> None:
    limits = Limits(slots=ResourceSlots({"cpu": 1}))
    scheduler = machine(cpus=4, mem_gib=8, gpus=1, rules=Rules(limits_of={"bob": limits}))
    scheduler.enqueue(ask("all", {"gpu": 1, "mem": "8g"}), 0)
    scheduler.enqueue(ask("b1", {"cpu": 1}, access_key="bob"), 0)
    scheduler.enqueue(ask("one", {"cpu": 1}), 0)
    scheduler.enqueue(ask("first", {"gpu": 1}), 0)
    scheduler.enqueue(ask("b3", {"mem": "8g"}, access_key="bob"), 0)
    scheduler.enqueue(ask("b2", {"cpu": 1}, access_key="bob"), 0)
    assert scheduler.release("one", 0) == [], "cores are free, but bob has his"
    assert started(scheduler.release("b1", 0)) == ["b2"]


jobs = st.tuples(
    st.integers(0, 40),  # arrival
    st.integers(1, 30),  # longest duration
    st.sampled_from([1, 1, 2, 3]),  # ends after longest / this
    st.sampled_from(["0.25", "0.5", "0.75", "1", "1.5", "2", "3"]),
    st.integers(0, 3),  # cores
    st.booleans(),  # may be split
)


@settings(max_examples=300)
@given(st.lists(jobs, min_size=4, max_size=30), st.sampled_from(Strategy))
def test_the_first_one_never_starts_later_than_it_was_told(
    trace: list[tuple[int, int, int, str, int, bool]], strategy: Strategy
) -> None:
    specs = [
        *(DeviceSpec(f"cpu{number}", "cpu", Decimal(1)) for number in range(4)),
        *(DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(3)),
    ]
    scheduler = Scheduler(specs, strategy=strategy, rules=Rules(policy=Policy.FIFO))
    events: list[tuple[float, int, int]] = []  # ends before arrivals of the same moment
    lasts = {}
    requests = {}
    for number, (arrival, longest, part, share, cores, split) in enumerate(trace):
        events.append((arrival, 1, number))
        lasts[number] = longest / part
        requests[number] = (ResourceSlots({"cuda.shares": Decimal(share), "cpu": cores}), longest, split)
    heapq.heapify(events)
    order: list[int] = []
    told: dict[str, float] = {}
    waiting: set[str] = set()
    while events:
        now, kind, number = heapq.heappop(events)
        if kind == 0:
            instructions = scheduler.release(f"s{number}", now)
        else:
            order.append(number)
            slots, longest, split = requests[number]
            waiting.add(f"s{number}")
            request = PendingRequest(
                session_id=f"s{number}", slots=slots, order=len(order), duration_s=float(longest), split=split
            )
            instructions = scheduler.enqueue(request, now)
        for name in started(instructions):
            waiting.discard(name)
            assert now <= told.get(name, now), "it was told a time, and that has passed"
            heapq.heappush(events, (now + lasts[int(name[1:])], 0, int(name[1:])))
        for name in waiting:
            state = scheduler.waiting(name, now)
            if state.reserved:
                assert state.position == 1
                assert state.expected_start_s is not None
                assert state.expected_start_s <= told.get(name, state.expected_start_s), "told later than before"
                told[name] = state.expected_start_s
    assert not waiting, "everybody gets its turn"


@pytest.mark.parametrize("lasts", [None, 50.0])
def test_a_long_queue_of_equal_needs_costs_one_look(
    monkeypatch: pytest.MonkeyPatch, machine: Machine, ask: Ask, lasts: float | None
) -> None:
    from bai_tui.app.backend.scheduler.ledger import Grant, Ledger, Reservation, Shape

    looked = 0
    real = Ledger.plan_beside

    def counting(self: Ledger, shape: Shape, reservation: Reservation | None, blocked: Shape) -> Grant | None:
        nonlocal looked
        looked += 1
        return real(self, shape, reservation, blocked)

    monkeypatch.setattr(Ledger, "plan_beside", counting)
    scheduler = machine(cpus=4, gpus=2)
    scheduler.enqueue(ask("a", {"cpu": 1, "gpu": 1}, duration_s=lasts), 0)
    scheduler.enqueue(ask("b", {"cpu": 1, "gpu": "0.5"}, duration_s=lasts), 0)
    scheduler.enqueue(ask("first", {"cpu": 4}), 0)
    for number in range(2000):
        assert scheduler.enqueue(ask(f"s{number}", {"cpu": 1, "gpu": "0.25"}), 0) == []
    assert looked <= 3
    scheduler.release("b", 10)
    assert looked <= 6
