"""Whose turn it is: cases whose answers are known by hand."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler import DeviceSpec, Instruction, PendingRequest, Policy, Rules, Scheduler, Start
from bai_tui.app.backend.scheduler.policies import REVIEW_S, HalfLife, Use
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import given
from hypothesis import strategies as st

Machine = Callable[..., Scheduler]
Ask = Callable[..., PendingRequest]


def started(instructions: list[Instruction]) -> list[str]:
    return [one.session_id for one in instructions if isinstance(one, Start)]


def fill(scheduler: Scheduler, ask: Ask, **slots: object) -> None:
    """Lets `root` hold all, so that a queue can form."""
    assert started(scheduler.enqueue(ask("all", slots, access_key="root"), 0)) == ["all"]


def test_lifo_serves_the_newest_first(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1, rules=Rules(policy=Policy.LIFO))
    fill(scheduler, ask, cpu=1)
    for name in "abc":
        scheduler.enqueue(ask(name, {"cpu": 1}), 0)
    order, running = [], "all"
    for _ in "abc":
        (running,) = started(scheduler.release(running, 0))
        order.append(running)
    assert order == ["c", "b", "a"]


@pytest.mark.parametrize("policy", Policy)
def test_priority_is_above_every_policy(machine: Machine, ask: Ask, policy: Policy) -> None:
    scheduler = machine(cpus=1, rules=Rules(policy=policy))
    fill(scheduler, ask, cpu=1)
    for name, priority in (("a", 10), ("b", 90), ("c", 0), ("d", 50)):
        scheduler.enqueue(ask(name, {"cpu": 1}, priority=priority, access_key=name), 0)
    order, running = [], "all"
    for _ in "abcd":
        (running,) = started(scheduler.release(running, 0))
        order.append(running)
    assert order == ["b", "d", "a", "c"]


# --- DRF ---


def drf_example(ask: Ask, rules: Rules) -> tuple[list[str], Scheduler]:
    """The example of the paper (section 4.1): 9 CPUs, 18 GB; A's tasks take (1, 4), B's (3, 1)."""
    scheduler = Scheduler([DeviceSpec("cpu", "cpu", Decimal(9)), DeviceSpec("mem", "mem", Decimal(18))], rules=rules)
    fill(scheduler, ask, cpu=9, mem=18)
    for number in range(6):
        scheduler.enqueue(ask(f"A{number}", {"cpu": 1, "mem": 4}, access_key="A"), 0)
    for number in range(6):
        scheduler.enqueue(ask(f"B{number}", {"cpu": 3, "mem": 1}, access_key="B"), 0)
    return started(scheduler.release("all", 1)), scheduler


def test_drf_gives_the_allocation_of_the_paper(ask: Ask) -> None:
    order, _ = drf_example(ask, Rules(policy=Policy.DRF, backfill=False))
    # shares after each: A 2/9; B 3/9; A 4/9; B 6/9; A 6/9 - and 9 CPUs are taken
    assert order == ["A0", "B0", "A1", "B1", "A2"]


def test_weights_are_divided_by(ask: Ask) -> None:
    order, scheduler = drf_example(ask, Rules(policy=Policy.DRF, backfill=False, weights={"B": Decimal(2)}))
    # A 2/9; B 1/6; B 2/6; A 4/9; now B is first (1/3 < 4/9) and lacks 3 CPUs: 1 is left
    assert order == ["A0", "B0", "B1", "A1"]
    assert scheduler.waiting("B2", 1).reserved


def test_drf_follows_what_is_held_now(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4, rules=Rules(policy=Policy.DRF))
    for name in ("a1", "a2", "a3"):
        scheduler.enqueue(ask(name, {"cpu": 1}, access_key="ann"), 0)
    scheduler.enqueue(ask("b1", {"cpu": 1}, access_key="bob"), 0)
    scheduler.enqueue(ask("a4", {"cpu": 1}, access_key="ann"), 0)
    scheduler.enqueue(ask("b2", {"cpu": 1}, access_key="bob"), 0)
    scheduler.enqueue(ask("b3", {"cpu": 1}, access_key="bob"), 0)
    assert started(scheduler.release("a1", 0)) == ["b2"], "bob holds 1, ann 2"
    assert started(scheduler.release("a2", 0)) == ["a4"], "now ann holds 1, bob 2"
    assert started(scheduler.release("b1", 0)) == ["b3"]


def test_a_whole_gpu_counts_as_its_shares(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4, gpus=2, rules=Rules(policy=Policy.DRF))
    scheduler.enqueue(ask("a1", {"cuda.device": 1}, access_key="ann"), 0)
    scheduler.enqueue(ask("b1", {"gpu": "0.5"}, access_key="bob"), 0)
    scheduler.enqueue(ask("c1", {"gpu": "0.5"}, access_key="cy"), 0)
    scheduler.enqueue(ask("a2", {"gpu": "0.5"}, access_key="ann"), 0)
    scheduler.enqueue(ask("b2", {"gpu": "0.5"}, access_key="bob"), 0)
    assert started(scheduler.release("c1", 0)) == ["b2"], "bob holds a quarter of the shares, ann half"


def test_equal_owners_take_turns_in_order(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=6, rules=Rules(policy=Policy.DRF))
    fill(scheduler, ask, cpu=6)
    for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
        scheduler.enqueue(ask(name, {"cpu": 1}, access_key=name[0]), 0)
    names = ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert [scheduler.waiting(name, 0).position for name in names] == [1, 2, 3, 4, 5, 6]
    assert started(scheduler.release("all", 0)) == names


# --- fair share ---


def test_use_halves_every_half_life() -> None:
    use = Use(HalfLife(100.0))
    assert use.at(0) == 0
    use.begin(0.5, 0)
    # integral of 0.5 * 2^(-(100 - t)/100) over 0..100
    assert use.at(100) == pytest.approx(0.5 * 100 / math.log(2) * (1 - 0.5))
    use.end(0.5, 100, last=True)
    before = use.at(100)
    assert use.at(200) == pytest.approx(before / 2)
    assert use.at(1100) == pytest.approx(before / 1024)
    assert use.at(500) == use.at(1100), "time does not go back"


def test_use_of_the_past_can_be_added() -> None:
    once, later = Use(HalfLife(50.0)), Use(HalfLife(50.0))
    once.begin(0.25, 10)
    once.begin(0.5, 30)
    later.begin(0.5, 30)
    later.begin(0.25, 10)
    assert later.at(80) == pytest.approx(once.at(80))


def test_the_rank_of_a_use_stays_while_it_is_forgotten() -> None:
    use = Use(HalfLife(100.0))
    assert use.rank(5) == -math.inf
    use.begin(1.0, 0)
    use.end(1.0, 60, last=True)
    assert use.rank(60) == pytest.approx(use.rank(1e4))


@pytest.mark.parametrize("seconds", [0, -1, math.inf, math.nan])
def test_odd_half_lives_are_refused(seconds: float) -> None:
    with pytest.raises(ValueError, match="half-life"):
        Scheduler([], rules=Rules(half_life_s=seconds))


@pytest.mark.parametrize("weight", ["0", "-1", "NaN", "Infinity"])
def test_odd_weights_are_refused(weight: str) -> None:
    with pytest.raises(ValueError, match="weight"):
        Scheduler([], rules=Rules(weights={"ann": Decimal(weight)}))


FAIR = Rules(policy=Policy.FAIR_SHARE, half_life_s=100.0)


def one_after_the_other(scheduler: Scheduler, ask: Ask, uses: list[tuple[str, float, float]]) -> None:
    """Lets owners hold the whole machine: (owner, from, to)."""
    for number, (owner, begin, end) in enumerate(uses):
        assert started(scheduler.enqueue(ask(f"use{number}", {"cpu": 1}, access_key=owner), begin))
        scheduler.release(f"use{number}", end)


@pytest.mark.parametrize(
    ("uses", "first"),
    [
        ([("ann", 0, 10), ("bob", 10, 30)], "ann"),
        ([("ann", 0, 20), ("bob", 20, 30)], "bob"),
        ([("ann", 0, 90), ("bob", 1000, 1001)], "ann"),  # 90 s nine half-lives ago are less than a second now
        ([("ann", 0, 10), ("bob", 100, 106)], "ann"),  # 10 s one half-life ago are 5
        ([("ann", 0, 10), ("bob", 100, 104)], "bob"),
        ([("bob", 0, 10)], "ann"),
    ],
)
def test_who_has_used_less_lately_goes_first(
    machine: Machine, ask: Ask, uses: list[tuple[str, float, float]], first: str
) -> None:
    scheduler = machine(cpus=1, rules=FAIR)
    one_after_the_other(scheduler, ask, uses)
    now = uses[-1][2]
    fill(scheduler, ask, cpu=1)
    for owner in ("bob", "ann"):
        scheduler.enqueue(ask(owner, {"cpu": 1}, access_key=owner), now)
    assert started(scheduler.release("all", now)) == [first]


def test_use_is_divided_by_the_weight(machine: Machine, ask: Ask) -> None:
    rules = Rules(policy=Policy.FAIR_SHARE, half_life_s=1e6, weights={"bob": Decimal(3)})
    scheduler = machine(cpus=1, rules=rules)
    one_after_the_other(scheduler, ask, [("ann", 0, 10), ("bob", 10, 30)])
    fill(scheduler, ask, cpu=1)
    for owner in ("ann", "bob"):
        scheduler.enqueue(ask(owner, {"cpu": 1}, access_key=owner), 30)
    assert started(scheduler.release("all", 30)) == ["bob"], "20/3 is less than 10"


def test_use_accrues_while_sessions_run(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, rules=Rules(policy=Policy.FAIR_SHARE, half_life_s=1e9))
    scheduler.enqueue(ask("b0", {"cpu": 2}, access_key="bob"), 0)
    scheduler.release("b0", 25)  # 25 s of the whole machine
    scheduler.enqueue(ask("a0", {"cpu": 1}, access_key="ann"), 25)  # half of it from now on
    scheduler.enqueue(ask("r0", {"cpu": 1}, access_key="root"), 25)
    scheduler.enqueue(ask("a1", {"cpu": 1}, access_key="ann"), 25)
    scheduler.enqueue(ask("b1", {"cpu": 1}, access_key="bob"), 25)
    assert scheduler.waiting("a1", 25).position == 1
    due = scheduler.next_tick(25)
    assert due is not None
    times = 0
    while due < 25 + 2 * 25:
        assert scheduler.tick(due) == []
        assert scheduler.waiting("a1", due).position == 1
        following = scheduler.next_tick(due)
        assert following is not None
        assert following - due <= REVIEW_S
        due = following
        times += 1
    scheduler.tick(due)
    assert times <= 3
    assert scheduler.waiting("b1", due).position == 1, "ann has used more than 25 s by now"
    assert started(scheduler.release("r0", due)) == ["b1"]


def test_adopted_sessions_count_from_their_start_on(machine: Machine, ask: Ask) -> None:
    before = machine(cpus=2)
    (start,) = before.enqueue(ask("old", {"cpu": 2}), 0)
    assert isinstance(start, Start)
    scheduler = machine(cpus=2, rules=FAIR)
    scheduler.adopt("old", start.allocation, access_key="ann", since_s=100.0)
    for owner in ("ann", "bob"):
        scheduler.enqueue(ask(owner, {"cpu": 2}, access_key=owner), 130.0)
    assert started(scheduler.release("old", 130.0)) == ["bob"]


def test_what_ended_before_a_restart_counts_as_if_there_had_been_none(machine: Machine, ask: Ask) -> None:
    """Without it, whoever used the machine all night would be first again after a restart."""
    scheduler = machine(cpus=2, rules=FAIR)
    fill(scheduler, ask, cpu=2)
    scheduler.used("ann", ResourceSlots({"cpu": 2}), 0.0, 50.0)
    scheduler.used("bob", ResourceSlots({"cpu": 1}), 0.0, 50.0)
    for owner in ("ann", "bob"):
        scheduler.enqueue(ask(owner, {"cpu": 2}, access_key=owner), 60.0)
    assert started(scheduler.release("all", 60.0)) == ["bob"]


@given(
    st.lists(st.tuples(st.floats(0.01, 1), st.floats(0, 1000), st.floats(0, 1000)), min_size=1, max_size=8),
    st.floats(1, 1000),
)
def test_use_that_is_added_later_is_the_same_as_use_that_was_watched(
    sessions: list[tuple[float, float, float]], half_life_s: float
) -> None:
    watched, added = Use(HalfLife(half_life_s)), Use(HalfLife(half_life_s))
    events = []
    for dominant, since_s, length_s in sessions:
        added.add(dominant, since_s, since_s + length_s)
        events += [(since_s, 0, dominant), (since_s + length_s, 1, dominant)]
    left = len(sessions)
    for at_s, ends, dominant in sorted(events):
        if ends:
            left -= 1
            watched.end(dominant, at_s, last=not left)
        else:
            watched.begin(dominant, at_s)
    assert math.isclose(watched.at(2000), added.at(2000), rel_tol=1e-6, abs_tol=1e-9)


def test_nothing_is_reviewed_for_nobody(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=1, rules=FAIR)
    assert scheduler.next_tick(0) is None
    scheduler.enqueue(ask("a", {"cpu": 1}), 0)
    assert scheduler.next_tick(0) is None, "nobody waits"
    scheduler.enqueue(ask("b", {"cpu": 1}), 0)
    assert scheduler.next_tick(0) == 0
    scheduler.tick(0)
    assert scheduler.next_tick(1) == REVIEW_S


# --- no starvation ---


@pytest.mark.parametrize("backfill", [False, True])
@pytest.mark.parametrize("lasts", [None, 10.0])
@pytest.mark.parametrize("policy", Policy)
def test_a_large_request_does_not_starve(
    machine: Machine, ask: Ask, policy: Policy, backfill: bool, lasts: float | None
) -> None:
    scheduler = machine(cpus=0, mem_gib=0, gpus=4, rules=Rules(policy=policy, backfill=backfill))
    running: list[str] = []
    now = 0.0

    def small() -> None:
        owner = f"owner{len(made) % 3}"
        made.append(f"small{len(made)}")
        running.extend(
            started(scheduler.enqueue(ask(made[-1], {"gpu": "0.5"}, access_key=owner, duration_s=lasts), now))
        )

    made: list[str] = []
    for _ in range(8):
        small()
    assert scheduler.enqueue(ask("large", {"gpu": 4}, access_key="large"), now) == []
    if policy is not Policy.LIFO:  # newer ones that wait already go first there
        small()
    releases = 0
    while scheduler.is_waiting("large"):
        now += 1.0
        running.extend(started(scheduler.release(running.pop(0), now)))
        releases += 1
        assert releases <= 20, "those who were there, and whoever was before it, but no newcomer"
        small()
    assert scheduler.allocation("large") is not None


def test_newer_ones_pass_an_older_one_under_lifo_until_it_was_first(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, rules=Rules(policy=Policy.LIFO, backfill=False))
    fill(scheduler, ask, cpu=1)
    scheduler.enqueue(ask("one", {"cpu": 1}), 0)
    scheduler.enqueue(ask("large", {"cpu": 2}), 0)
    scheduler.enqueue(ask("newer", {"cpu": 1}), 0)
    assert started(scheduler.release("one", 0)) == ["newer"], "and large, now first, finds no room"
    scheduler.enqueue(ask("newest", {"cpu": 1}), 0)
    assert scheduler.release("newer", 0) == []
    assert started(scheduler.release("all", 0)) == ["large"]
    assert started(scheduler.release("large", 0)) == ["newest"]


def test_the_order_of_owners_does_not_take_the_first_place_away(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=4, rules=Rules(policy=Policy.DRF, backfill=False))
    for number in range(4):
        scheduler.enqueue(ask(f"a{number}", {"cpu": 1}, access_key="ann"), 0)
    scheduler.enqueue(ask("large", {"cpu": 4}, access_key="ann"), 0)
    scheduler.release("a0", 0)
    order = Counter[str]()
    for number in range(1, 4):
        scheduler.enqueue(ask(f"new{number}", {"cpu": 1}, access_key=f"new{number}"), 0)  # holds nothing: before ann
        assert scheduler.waiting("large", 0).reserved
        assert scheduler.waiting("large", 0).position == 1
        assert scheduler.waiting(f"new{number}", 0).position == number + 1
        order.update(started(scheduler.release(f"a{number}", 0)))
    assert list(order) == ["large"]


def test_a_higher_priority_goes_before_the_first_place_and_gives_it_back(machine: Machine, ask: Ask) -> None:
    scheduler = machine(cpus=2, rules=Rules(policy=Policy.LIFO, backfill=False))
    fill(scheduler, ask, cpu=1)
    scheduler.enqueue(ask("one", {"cpu": 1}), 0)
    scheduler.enqueue(ask("large", {"cpu": 2}), 0)
    scheduler.release("one", 0)
    assert started(scheduler.enqueue(ask("urgent", {"cpu": 1}, priority=50), 0)) == ["urgent"]
    scheduler.enqueue(ask("newer", {"cpu": 1}), 0)
    scheduler.release("urgent", 0)
    assert scheduler.waiting("large", 0).position == 1
    assert started(scheduler.release("all", 0)) == ["large"]


# --- other rules while sessions run ---


@pytest.mark.parametrize(
    ("policy", "order"),
    [
        (Policy.LIFO, ["b1", "a2", "a1"]),
        (Policy.FAIR_SHARE, ["b1", "a1", "a2"]),  # bob has used 20 s, ann 50
        (Policy.DRF, ["a1", "b1", "a2"]),
        (Policy.FIFO, ["a1", "a2", "b1"]),
    ],
)
def test_another_policy_after_a_restart_sorts_those_who_wait_and_keeps_what_is_granted(
    machine: Machine, ask: Ask, policy: Policy, order: list[str]
) -> None:
    owners = {"a": "ann", "b": "bob"}
    before = machine(cpus=2)
    granted = before.enqueue(ask("a0", {"cpu": 1}), 0) + before.enqueue(ask("b0", {"cpu": 1}), 30)
    scheduler = machine(cpus=2, rules=Rules(policy=policy))
    for start, since_s in zip(granted, (0.0, 30.0), strict=True):
        assert isinstance(start, Start)
        owner = owners[start.session_id[0]]
        scheduler.adopt(start.session_id, start.allocation, access_key=owner, since_s=since_s)
    for name in ("a1", "a2", "b1"):
        scheduler.enqueue(ask(name, {"cpu": 1}, access_key=owners[name[0]]), 50, again=True)
    assert scheduler.tick(50) == []
    assert sorted(order, key=lambda name: scheduler.waiting(name, 50).position or 0) == order
    assert scheduler.promised() == before.promised()
    first = started(scheduler.release("a0" if policy is not Policy.DRF else "b0", 50))
    assert first == [order[0] if policy is not Policy.DRF else "b1"]


def test_rules_that_make_no_sense_are_refused(machine: Machine) -> None:
    with pytest.raises(ValueError, match="half-life"):
        machine(rules=Rules(policy=Policy.LIFO, half_life_s=0))
