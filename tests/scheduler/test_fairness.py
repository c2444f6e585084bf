"""DRF and fair share beside their definitions, on cases whose answer is known by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler import DeviceSpec, Instruction, PendingRequest, Policy, Rules, Scheduler, Start
from bai_tui.app.model.slots import ResourceSlots

GB = 10**9


class Queue:
    """A machine that one session of nobody else fills, so that all can line up before anybody starts."""

    def __init__(self, rules: Rules, cpus: int, mem_gb: int) -> None:
        self.scheduler = Scheduler(
            [DeviceSpec("cpu", "cpu", Decimal(cpus)), DeviceSpec("mem", "mem", Decimal(mem_gb * GB))], rules=rules
        )
        self.order = 0
        self.now = 0.0
        self.owner: dict[str, str] = {}
        self.filler = ResourceSlots({"cpu": cpus, "mem": mem_gb * GB})
        self.ask("nobody", self.filler)

    def ask(self, owner: str, slots: ResourceSlots, times: int = 1) -> None:
        for _ in range(times):
            self.order += 1
            name = f"s{self.order}"
            self.owner[name] = owner
            request = PendingRequest(session_id=name, slots=slots, order=self.order, access_key=owner)
            self.scheduler.enqueue(request, self.now)

    def go(self) -> list[str]:
        """Ends what fills the machine; returns the owners of those that start, in order."""
        return self.owners(self.scheduler.release("s1", self.now, succeeded=True))

    def owners(self, instructions: Sequence[Instruction]) -> list[str]:
        return [self.owner[one.session_id] for one in instructions if isinstance(one, Start)]


def slots(cpu: int, mem_gb: int) -> ResourceSlots:
    return ResourceSlots({"cpu": cpu, "mem": mem_gb * GB})


def test_the_example_of_the_drf_paper() -> None:
    """Ghodsi et al., NSDI 2011, 4.1 and table 1: 9 CPUs and 18 GB; A wants <1 CPU, 4 GB>, B <3 CPU, 1 GB> each time.

    A gets three tasks and B two: both hold two thirds of the slot that they want most of. In table 1 B goes first.
    """
    queue = Queue(Rules(policy=Policy.DRF), 9, 18)
    queue.ask("B", slots(3, 1), 10)
    queue.ask("A", slots(1, 4), 10)
    assert queue.go() == ["B", "A", "A", "B", "A"]
    assert queue.scheduler.occupied() == slots(9, 14)


def test_fifo_gives_the_first_all_that_it_wants() -> None:
    queue = Queue(Rules(policy=Policy.FIFO, backfill=False), 9, 18)
    queue.ask("B", slots(3, 1), 10)
    queue.ask("A", slots(1, 4), 10)
    assert queue.go() == ["B", "B", "B"]


@pytest.mark.parametrize(
    ("weight", "tasks"), [("1", {"A": 6, "B": 6}), ("2", {"A": 4, "B": 8}), ("3", {"A": 3, "B": 9})]
)
def test_a_weight_is_a_multiple_of_the_share(weight: str, tasks: dict[str, int]) -> None:
    """4.3 of the paper: with weights, dominant shares are equal when divided by them. Twelve equal tasks fit."""
    queue = Queue(Rules(policy=Policy.DRF, weights={"B": Decimal(weight)}), 12, 12)
    queue.ask("A", slots(1, 1), 12)
    queue.ask("B", slots(1, 1), 12)
    assert Counter(queue.go()) == tasks


def test_the_dominant_slot_is_the_one_of_which_the_part_is_largest() -> None:
    """100 CPUs, 10 GB. A wants 10 CPUs and 2 GB (a fifth of the memory counts), B 25 CPUs and 1 GB (a quarter)."""
    queue = Queue(Rules(policy=Policy.DRF), 100, 10)
    queue.ask("A", slots(10, 2), 5)
    queue.ask("B", slots(25, 1), 5)
    # A 0.2, B 0.25, A 0.4 (less than B before), B 0.5, A 0.6; then 30 + 50 CPUs and 8 GB are gone: B lacks CPUs
    assert queue.go() == ["A", "B", "A", "B", "A"]


def test_who_holds_less_goes_first_whenever_something_ends() -> None:
    queue = Queue(Rules(policy=Policy.DRF), 4, 4)
    queue.ask("A", slots(1, 1), 8)
    assert queue.go() == ["A"] * 4
    queue.ask("B", slots(1, 1), 8)
    got = []
    for ended in ("s2", "s3", "s4"):
        got += queue.owners(queue.scheduler.release(ended, 1.0, succeeded=True))
    # The fifth of A was first and lacked room before B came: it keeps its place. Then B, with 0 and with 1/4, against
    # A's 3/4 and 2/4.
    assert got == ["A", "B", "B"]


HOUR = 3600.0


@pytest.mark.parametrize(
    ("weight_of_b", "first"),
    [
        ("1", "A"),  # A used an hour of the machine, half of which is forgotten by now; B the whole hour after it
        ("1.9", "A"),
        ("2.1", "B"),  # the half of A's is more than B's divided by 2.1
    ],
)
def test_fair_share_halves_what_was_used_with_each_half_life(weight_of_b: str, first: str) -> None:
    rules = Rules(policy=Policy.FAIR_SHARE, half_life_s=HOUR, weights={"B": Decimal(weight_of_b)})
    queue = Queue(rules, 2, 2)
    whole = slots(2, 2)
    queue.ask("A", whole)
    assert queue.go() == ["A"]
    queue.now = HOUR
    queue.ask("B", whole)
    assert queue.owners(queue.scheduler.release("s2", HOUR, succeeded=True)) == ["B"]
    queue.now = 2 * HOUR - 1
    for owner in ("B", "A") if first == "A" else ("A", "B"):  # who is to go last has asked first
        queue.ask(owner, whole)
    assert queue.owners(queue.scheduler.release("s3", 2 * HOUR, succeeded=True)) == [first]


def test_fair_share_counts_the_largest_part_times_seconds() -> None:
    """A held half of the CPUs for 60 s, B a quarter of the memory for 100 s: 30 against 25 machine seconds."""
    queue = Queue(Rules(policy=Policy.FAIR_SHARE, half_life_s=1e9), 4, 8)
    queue.ask("A", slots(2, 1))
    queue.ask("B", slots(1, 2))
    queue.ask("C", slots(1, 5))
    assert queue.go() == ["A", "B", "C"]
    scheduler = queue.scheduler
    scheduler.release("s2", 60.0, succeeded=True)
    scheduler.release("s3", 100.0, succeeded=True)
    queue.now = 101.0
    queue.ask("D", slots(3, 3))
    queue.now = 102.0
    queue.ask("A", slots(3, 3))
    queue.ask("B", slots(3, 3))
    assert queue.owners(scheduler.release("s5", 200.0, succeeded=True)) == ["B"]
