"""What keeps a single request waiting, and holds back nobody else: sessions, times, limits, lost devices."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler import (
    Allocation,
    DeviceSpec,
    Distribution,
    GiveUp,
    Hold,
    Instruction,
    Limits,
    PendingRequest,
    Policy,
    Rules,
    Scheduler,
    Start,
)
from bai_tui.app.backend.scheduler.holds import Alarm, Alarms
from bai_tui.app.model.errors import BadRequest, IllegalState, InvalidAmount, QuotaExceeded
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import given
from hypothesis import strategies as st

Machine = Callable[..., Scheduler]
Ask = Callable[..., PendingRequest]
STRICT = Rules(backfill=False)


def started(instructions: list[Instruction]) -> list[str]:
    return [one.session_id for one in instructions if isinstance(one, Start)]


def given_up(instructions: list[Instruction]) -> dict[str, str]:
    return {one.session_id: one.reason for one in instructions if isinstance(one, GiveUp)}


# --- dependencies ---


def test_success_frees_those_who_wait_for_it(machine: Machine, ask: Ask) -> None:
    scheduler = machine(rules=STRICT)
    scheduler.enqueue(ask("train", {"cpu": 1}), 0)
    scheduler.enqueue(ask("clean", {"cpu": 1}), 0)
    assert scheduler.enqueue(ask("both", {"cpu": 1}, depends_on=["train", "clean", "long-gone"]), 0) == []
    assert started(scheduler.enqueue(ask("other", {"cpu": 1}), 0)) == ["other"], "it holds back nobody"
    waiting = scheduler.waiting("both", 0)
    assert waiting.hold is Hold.DEPENDENCIES
    assert waiting.text == "waits for the sessions train and clean to succeed"
    assert waiting.position is None
    assert scheduler.release("train", 0, succeeded=True) == []
    assert scheduler.waiting("both", 0).text == "waits for the session clean to succeed"
    assert started(scheduler.release("clean", 0, succeeded=True)) == ["both"]


def test_failure_gives_up_those_who_wait_for_it_and_those_who_wait_for_them(machine: Machine, ask: Ask) -> None:
    scheduler = machine()
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("b", {"cpu": 1}, depends_on=["a"]), 0)
    scheduler.enqueue(ask("c", {"cpu": 1}, depends_on=["b"]), 0)
    scheduler.enqueue(ask("d", {"cpu": 1}, depends_on=["c", "a"]), 0)
    reasons = given_up(scheduler.release("a", 0))
    assert reasons == {
        "b": "dependency-failed: the session a did not succeed",
        "d": "dependency-failed: the session a did not succeed",
        "c": "dependency-failed: the session b did not succeed",
    }
    assert not any(scheduler.is_waiting(name) for name in "bcd")
    with pytest.raises(IllegalState):
        scheduler.cancel("b", 0)


def test_a_cancelled_session_does_not_succeed(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1, rules=STRICT)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("b", {"cpu": 1}), 0)
    scheduler.enqueue(ask("c", {"cpu": 1}, depends_on=["b"]), 0)
    assert list(given_up(scheduler.cancel("b", 0))) == ["c"]


def test_those_who_come_late_go_by_their_order(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("b", {"cpu": 1}, depends_on=["a"]), 0)
    scheduler.enqueue(ask("c", {"cpu": 1}), 0)
    assert started(scheduler.release("a", 0, succeeded=True)) == ["b"]


# --- times ---


def test_nobody_starts_before_its_time(machine: Machine, ask: Ask) -> None:
    scheduler = machine(rules=STRICT)
    assert scheduler.enqueue(ask("later", {"cpu": 1}, not_before_s=7260.0), 60.0) == []
    assert started(scheduler.enqueue(ask("now", {"cpu": 1}), 60.0)) == ["now"]
    waiting = scheduler.waiting("later", 60.0)
    assert waiting.hold is Hold.RESERVED_TIME
    assert waiting.text == "starts at 02:01 UTC (in 2 h)"
    assert scheduler.next_tick(60.0) == 7260.0
    assert scheduler.tick(7259.0) == []
    (start,) = scheduler.tick(7260.0)
    assert start == Start("later", start.allocation, 7200.0)  # type: ignore[union-attr]
    assert scheduler.next_tick(7260.0) is None


def test_a_time_on_another_day_has_its_date(machine: Machine, ask: Ask) -> None:
    scheduler = machine()
    scheduler.enqueue(ask("later", {"cpu": 1}, not_before_s=3 * 86400.0 + 60), 0)
    assert scheduler.waiting("later", 0).text == "starts at 1970-01-04 00:01 UTC (in 3 d)"
    scheduler.enqueue(ask("never", {"cpu": 1}, not_before_s=1e18), 0)
    assert scheduler.waiting("never", 0).text == "starts in 11574074074074 d"


def test_its_time_and_its_dependency_must_both_have_come(machine: Machine, ask: Ask) -> None:
    scheduler = machine()
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("b", {"cpu": 1}, not_before_s=10.0, depends_on=["a"]), 0)
    scheduler.enqueue(ask("c", {"cpu": 1}, not_before_s=30.0, depends_on=["a"]), 0)
    assert scheduler.tick(10.0) == []
    assert started(scheduler.release("a", 20.0, succeeded=True)) == ["b"]
    assert scheduler.waiting("c", 20.0).hold is Hold.RESERVED_TIME
    assert started(scheduler.tick(30.0)) == ["c"]


def test_who_has_waited_too_long_is_given_up_and_why_is_said(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, rules=STRICT)
    scheduler.enqueue(ask("a", {"cpu": 2}), 0)
    scheduler.enqueue(ask("b", {"cpu": 2}, expires_at_s=10.0), 0)
    scheduler.enqueue(ask("c", {"cpu": 1}, depends_on=["b"]), 0)
    scheduler.enqueue(ask("d", {"cpu": 1}, expires_at_s=12.0, depends_on=["a"]), 0)
    assert scheduler.next_tick(0) == 10.0
    assert given_up(scheduler.tick(10.0)) == {
        "b": "pending-timeout: waits for 2 cpu; 0 cpu free; 1st in the queue",
        "c": "dependency-failed: the session b did not succeed",
    }
    assert scheduler.next_tick(10.0) == 12.0
    assert given_up(scheduler.release("a", 12.0)) == {"d": "dependency-failed: the session a did not succeed"}
    assert scheduler.next_tick(12.0) is None


def test_room_that_comes_at_the_last_moment_is_in_time(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("b", {"cpu": 1}, expires_at_s=10.0), 0)
    assert started(scheduler.release("a", 10.0)) == ["b"]
    assert scheduler.tick(11.0) == []


def test_one_that_is_given_up_makes_way(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, rules=STRICT)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("large", {"cpu": 2}, expires_at_s=10.0), 0)
    scheduler.enqueue(ask("small", {"cpu": 1}), 0)
    instructions = scheduler.tick(10.0)
    assert [one.session_id for one in instructions] == ["large", "small"]
    assert started(instructions) == ["small"]


def test_one_that_comes_too_late_is_given_up_at_once(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    assert list(given_up(scheduler.enqueue(ask("b", {"cpu": 1}, expires_at_s=5.0), 6.0))) == ["b"]


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abcdefgh"), st.sampled_from(Alarm), st.integers(0, 20), st.sampled_from(["add", "drop"])
        )
        | st.integers(0, 20),
        max_size=200,
    )
)
def test_alarms_go_off_once_and_in_order(steps: list[tuple[str, Alarm, int, str] | int]) -> None:
    alarms, model = Alarms(), dict[tuple[str, Alarm], float]()
    for step in steps:
        if isinstance(step, int):
            for alarm in Alarm:
                due = sorted((at, name) for (name, kind), at in model.items() if kind is alarm and at <= step)
                assert alarms.pop(step, alarm) == [name for _, name in due]
                for _, name in due:
                    del model[name, alarm]
        else:
            name, alarm, at_s, what = step
            if what == "drop":
                alarms.drop(name)
                model = {key: at for key, at in model.items() if key[0] != name}
            elif (name, alarm) not in model:
                alarms.add(name, alarm, at_s)
                model[name, alarm] = at_s
        assert alarms.next_s == min(model.values(), default=float("inf"))


# --- limits ---


def test_who_runs_as_many_sessions_as_he_may_holds_back_nobody(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4, rules=Rules(backfill=False, limits_of={"ann": Limits(sessions=1)}))
    scheduler.enqueue(ask("a1", {"cpu": 1}, access_key="ann"), 0)
    assert scheduler.enqueue(ask("a2", {"cpu": 1}, access_key="ann"), 0) == []
    assert started(scheduler.enqueue(ask("b1", {"cpu": 1}, access_key="bob"), 0)) == ["b1"]
    waiting = scheduler.waiting("a2", 0)
    assert (waiting.hold, waiting.text) == (Hold.CONCURRENCY, "its owner runs 1 of 1 sessions")
    assert waiting.position is None
    assert started(scheduler.release("a1", 0)) == ["a2"]


@pytest.mark.parametrize("policy", Policy)
def test_smaller_ones_of_the_same_owner_pass_where_his_limit_allows_them(
    machine: Machine, ask: Ask, policy: Policy
) -> None:
    limits = Limits(slots=ResourceSlots({"cuda.shares": 2, "mem": 4 << 30}))
    scheduler = machine(gpus=3, rules=Rules(policy=policy, backfill=False, limits=limits))
    scheduler.enqueue(ask("a1", {"gpu": "1.5"}, access_key="ann"), 0)
    assert scheduler.enqueue(ask("a2", {"gpu": 1}, access_key="ann"), 0) == []
    assert started(scheduler.enqueue(ask("a3", {"gpu": "0.25", "mem": "3g"}, access_key="ann"), 0)) == ["a3"]
    assert scheduler.enqueue(ask("a4", {"mem": "1.5g"}, access_key="ann"), 0) == []
    assert started(scheduler.enqueue(ask("a5", {"cpu": 1}, access_key="ann"), 0)) == ["a5"]
    reasons = {name: scheduler.waiting(name, 0) for name in ("a2", "a4")}
    assert {one.hold for one in reasons.values()} == {Hold.KEYPAIR_RESOURCE_LIMIT}
    assert reasons["a2"].text == "its owner holds 1.75 cuda.shares and may hold 2; this one asks for 1"
    assert reasons["a4"].text == "its owner holds 3g mem and may hold 4g; this one asks for 1.5g"
    assert started(scheduler.release("a3", 0)) == ["a4"]
    assert started(scheduler.release("a1", 0)) == ["a2"]


def test_whole_gpus_count_as_shares(machine: Machine, ask: Ask) -> None:
    limits = Limits(slots=ResourceSlots({"cuda.shares": Decimal("1.5")}))
    scheduler = machine(gpus=3, rules=Rules(limits=limits))
    with pytest.raises(QuotaExceeded):
        scheduler.check(ResourceSlots({"cuda.device": 2}))
    scheduler.enqueue(ask("a1", {"cuda.device": 1}, access_key="ann"), 0)
    assert scheduler.enqueue(ask("a2", {"gpu": "0.75"}, access_key="ann"), 0) == []
    assert started(scheduler.enqueue(ask("a3", {"gpu": "0.5"}, access_key="ann"), 0)) == ["a3"]


def test_more_than_an_owner_may_ever_hold_is_refused(machine: Machine, ask: Ask) -> None:
    limits = Limits(slots=ResourceSlots({"cpu": 2}))
    scheduler = machine(rules=Rules(limits=limits, limits_of={"bob": Limits()}))
    words = "3 cpu is more than the 2 cpu that all sessions of the access key ann together may hold"
    with pytest.raises(QuotaExceeded, match=words):
        scheduler.check(ResourceSlots({"cpu": 3}), access_key="ann")
    with pytest.raises(BadRequest, match=words):
        scheduler.enqueue(ask("a", {"cpu": 3}, access_key="ann"), 0)
    assert not scheduler.is_waiting("a")
    scheduler.check(ResourceSlots({"cpu": 3}), access_key="bob")


def test_no_more_wait_than_may(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1, rules=Rules(limits=Limits(pending=2)))
    for name in ("a", "b", "c"):
        scheduler.enqueue(ask(name, {"cpu": 1}, access_key="ann"), 0)
    with pytest.raises(QuotaExceeded, match="2 sessions of the access key ann wait already, and no more than 2 may"):
        scheduler.enqueue(ask("d", {"cpu": 1}, access_key="ann"), 0)
    scheduler.enqueue(ask("other", {"cpu": 1}, access_key="bob"), 0)
    scheduler.cancel("b", 0)
    scheduler.enqueue(ask("d", {"cpu": 1}, access_key="ann"), 0)
    assert scheduler.is_waiting("d")


def test_who_need_not_wait_is_let_in_however_many_wait(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4, rules=Rules(limits=Limits(pending=1)))
    scheduler.enqueue(ask("a", {"cpu": 2}, access_key="ann"), 0)
    scheduler.enqueue(ask("b", {"cpu": 4}, access_key="ann"), 0)
    before = scheduler.free(), scheduler.waiting("b", 0)
    for late in (ask("d", {"cpu": 2}, access_key="ann", depends_on=("b",)), ask("d", {"cpu": 1}, not_before_s=9.0)):
        with pytest.raises(QuotaExceeded, match="have to wait, but 1 session of the access key ann waits already"):
            scheduler.enqueue(replace(late, access_key="ann"), 0)
    assert (scheduler.free(), scheduler.waiting("b", 0)) == before
    assert scheduler.next_tick(0) is None
    scheduler.set_end("a", 10.0)
    assert started(scheduler.enqueue(ask("c", {"cpu": 2}, access_key="ann", duration_s=5.0), 0)) == ["c"]
    with pytest.raises(QuotaExceeded, match=r"waits? already"):
        scheduler.enqueue(ask("d", {"cpu": 1}, access_key="ann", priority=99), 0)
    assert started(scheduler.release("c", 1)) == []
    assert started(scheduler.enqueue(ask("first", {"cpu": 2}, access_key="ann", priority=99), 1)) == ["first"]


def test_none_may_wait_but_all_may_start(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1, rules=Rules(limits=Limits(pending=0)))
    assert started(scheduler.enqueue(ask("a", {"cpu": 1}, access_key="ann"), 0)) == ["a"]
    with pytest.raises(QuotaExceeded, match="no more than 0 may"):
        scheduler.enqueue(ask("b", {"cpu": 1}, access_key="ann"), 0)
    assert scheduler.release("a", 1) == []


def test_what_was_admitted_before_a_restart_is_not_refused_for_new_limits(machine: Machine, ask: Ask) -> None:
    scheduler = machine(rules=Rules(limits=Limits(slots=ResourceSlots({"cpu": 1}), pending=0)))
    assert scheduler.enqueue(ask("a", {"cpu": 2}, access_key="ann"), 0, again=True) == []
    assert scheduler.waiting("a", 0).hold is Hold.KEYPAIR_RESOURCE_LIMIT
    assert scheduler.next_tick(0) == 0, "it is to be looked at"
    assert scheduler.tick(0) == []
    assert scheduler.next_tick(0) is None
    unlimited = machine()
    unlimited.enqueue(ask("a", {"cpu": 2}, access_key="ann"), 0, again=True)
    assert started(unlimited.tick(0)) == ["a"]


def test_what_was_admitted_with_another_quantum_gets_exactly_that(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=9, gpus=2, quantum="0.25")
    scheduler.enqueue(ask("a", {"gpu": "0.3"}), 0, again=True)
    scheduler.enqueue(ask("b", {"gpu": "1.13"}), 0, again=True)
    assert started(scheduler.tick(0)) == ["a", "b"]
    assert scheduler.free().amount("cuda.shares") == Decimal("0.57")
    with pytest.raises(InvalidAmount):
        scheduler.enqueue(ask("c", {"gpu": "0.3"}), 0)


@pytest.mark.parametrize("distribution", Distribution)
@pytest.mark.parametrize("asked", ["0.81", "1.01", "1.49", "1.5"])
def test_what_may_be_split_and_was_admitted_with_another_quantum_gets_exactly_that(
    distribution: Distribution, asked: str, ask: Ask
) -> None:
    gpus = [DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(3)]
    scheduler = Scheduler(gpus, quantum=Decimal("0.25"), distribution=distribution)
    for gpu in gpus:
        scheduler.adopt(f"on {gpu.id}", Allocation({"cuda.shares": {gpu.id: Decimal("0.37")}}))
    scheduler.enqueue(ask("a", {"gpu": asked}, split=True), 0, again=True)
    (start,) = scheduler.tick(0)
    assert isinstance(start, Start)
    assert start.allocation.slots().amount("cuda.shares") == Decimal(asked)


def test_what_this_machine_can_never_serve_waits_for_another_one(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, gpus=0)
    for name, slots in (("gpu", {"gpu": 1}), ("cpu", {"cpu": 3}), ("fits", {"cpu": 1})):
        scheduler.enqueue(ask(name, slots), 0, again=True)
    scheduler.enqueue(ask("after", {"cpu": 1}, depends_on=("cpu",)), 0, again=True)
    scheduler.enqueue(ask("late", {"gpu": 1}, expires_at_s=5.0, not_before_s=1.0), 0, again=True)
    assert started(scheduler.tick(0)) == ["fits"]
    waiting = scheduler.waiting("cpu", 0)
    assert (waiting.hold, waiting.position) == (Hold.RESOURCES, None)
    assert waiting.text == "waits for the machine to change: 3 cpu can never be granted: this machine has 2 cpu in all"
    assert "this machine has no cuda.shares" in scheduler.waiting("gpu", 0).text
    assert scheduler.set_priority("gpu", 50, 1) == []
    assert scheduler.tick(1) == []
    assert given_up(scheduler.tick(5)).keys() == {"late"}
    assert given_up(scheduler.cancel("cpu", 5)).keys() == {"after"}


@pytest.mark.parametrize("policy", Policy)
def test_a_restart_starts_nobody_before_all_are_there(machine: Machine, ask: Ask, policy: Policy) -> None:
    scheduler = machine(cpus=2, rules=Rules(policy=policy, backfill=False))
    scheduler.enqueue(ask("small", {"cpu": 1}, access_key="ann"), 0, again=True)
    scheduler.enqueue(ask("large", {"cpu": 2}, access_key="bob", priority=20), 0, again=True)
    assert started(scheduler.tick(0)) == ["large"]
    scheduler.enqueue(ask("last", {"cpu": 1}, access_key="cy"), 0, again=True)
    order = started(scheduler.release("large", 1))
    assert sorted(order) == ["last", "small"], "any event looks at all"


def test_adopted_sessions_count_for_the_limits_of_their_owner(machine: Machine, ask: Ask) -> None:
    first = machine()
    (start,) = first.enqueue(ask("old", {"cpu": 1}), 0)
    assert isinstance(start, Start)
    scheduler = machine(rules=Rules(limits=Limits(sessions=1)))
    scheduler.adopt("old", start.allocation, access_key="ann")
    assert scheduler.enqueue(ask("new", {"cpu": 1}, access_key="ann"), 0) == []
    assert started(scheduler.release("old", 0)) == ["new"]


def test_limits_that_changed_over_a_restart_count_for_those_who_wait(machine: Machine, ask: Ask) -> None:
    before = machine()
    granted = [one for name in "ab" for one in before.enqueue(ask(name, {"cpu": 1}), 0)]
    tight, wide = (machine(rules=Rules(limits=Limits(sessions=most))) for most in (1, 4))
    for scheduler in (tight, wide):
        for start in granted:
            assert isinstance(start, Start)
            scheduler.adopt(start.session_id, start.allocation, access_key="ann")
        for name in "cd":
            scheduler.enqueue(ask(name, {"cpu": 1}, access_key="ann"), 0, again=True)
    assert tight.tick(0) == [], "what runs goes on"
    assert tight.release("a", 0) == []
    assert tight.waiting("c", 0).text == "its owner runs 1 of 1 sessions"
    assert started(tight.release("b", 0)) == ["c"]
    assert started(wide.tick(0)) == ["c", "d"]


# --- devices that are lost ---


def test_who_needs_a_lost_device_holds_back_nobody(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=2, rules=STRICT)
    scheduler.enqueue(ask("a", {"gpu": "0.5"}), 0)
    scheduler.enqueue(ask("both", {"gpu": 2}), 0)
    assert scheduler.enqueue(ask("small", {"gpu": "0.25"}), 0) == []
    assert started(scheduler.lose("gpu1", 0)) == ["small"]
    assert scheduler.lost == {"gpu1"}
    assert scheduler.lose("gpu1", 0) == []
    assert scheduler.enqueue(ask("also", {"cuda.device": 2}), 0) == []
    waiting = scheduler.waiting("both", 0)
    assert waiting.hold is Hold.RESOURCES
    assert waiting.position is None
    assert "gpu1 is lost" in waiting.text
    scheduler.release("a", 0)
    scheduler.release("small", 0)
    assert started(scheduler.found("gpu1", 0)) == ["both"]
    assert scheduler.found("gpu1", 0) == []
    assert scheduler.waiting("also", 0).position == 1


def test_what_is_promised_on_a_lost_device_stays_promised(machine: Machine, ask: Ask) -> None:
    scheduler = machine(gpus=1)
    scheduler.enqueue(ask("a", {"gpu": "0.5"}), 0)
    scheduler.lose("gpu0", 0)
    assert scheduler.holders("gpu0") == ["a"]
    assert scheduler.enqueue(ask("b", {"gpu": "0.5"}), 0) == []
    assert scheduler.release("a", 0) == []
    assert started(scheduler.found("gpu0", 0)) == ["b"]
    with pytest.raises(ValueError, match="gpu7"):
        scheduler.lose("gpu7", 0)


# --- reasons ---


def test_the_next_release_is_told_where_it_is_known(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, gpus=1)
    scheduler.enqueue(ask("c", {"cpu": 1}, duration_s=60.0), 0)
    scheduler.enqueue(ask("a", {"gpu": "0.75"}, duration_s=725.0), 0)
    scheduler.enqueue(ask("b", {"gpu": "0.5"}), 0)
    scheduler.enqueue(ask("d", {"cuda.device": 1}), 0)
    assert scheduler.waiting("b", 0).text == (
        "waits for 0.5 cuda.shares; 0.25 free on gpu0; 1st in the queue; next release expected in 12 min"
    )
    assert scheduler.waiting("d", 700).text.endswith("; 2nd in the queue; next release expected in 25 s")
    assert scheduler.waiting("d", 800).text.endswith("; 2nd in the queue"), "it is late: nobody knows any more"
    assert scheduler.waiting("b", 800).expected_start_s == 800
    with pytest.raises(IllegalState, match="does not wait"):
        scheduler.waiting("a", 0)


def test_a_new_priority_moves_a_session_at_once(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, rules=STRICT)
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    scheduler.enqueue(ask("large", {"cpu": 2}), 0)
    scheduler.enqueue(ask("small", {"cpu": 1}), 0)
    assert scheduler.set_priority("small", 10, 0) == []
    assert started(scheduler.set_priority("small", 11, 0)) == ["small"]
    assert scheduler.set_priority("small", 90, 0) == [], "it has started"
    scheduler.enqueue(ask("later", {"cpu": 1}, not_before_s=10.0), 0)
    assert scheduler.set_priority("later", 99, 0) == []
    scheduler.release("a", 5)
    assert started(scheduler.tick(10.0)) == ["later"]


def test_only_who_holds_something_has_an_end(machine: Machine, ask: Ask) -> None:
    with pytest.raises(IllegalState, match="holds no resources"):
        machine().set_end("nobody", 1.0)
