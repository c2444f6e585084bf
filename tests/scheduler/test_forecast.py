"""When something fits, and what may pass it without delaying it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import Decimal

import pytest
from bai_tui.app.backend.scheduler.ledger import Ledger, Shape
from bai_tui.app.backend.scheduler.types import Allocation, DeviceSpec, Distribution, Strategy
from bai_tui.app.model.errors import ImpossibleRequest
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import assume, given, settings
from hypothesis import strategies as st


def machine(cpus: int = 4, gpus: int = 2, strategy: Strategy = Strategy.PACK) -> Ledger:
    return Ledger(
        [
            DeviceSpec("cpu0", "cpu", Decimal(cpus)),
            *(DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)),
        ],
        strategy=strategy,
    )


def shape(ledger: Ledger, *, split: bool = False, **slots: object) -> Shape:
    return ledger.shape(ResourceSlots.parse(slots), split=split)


def hold(ledger: Ledger, name: str, **wire: dict[str, str]) -> None:
    slots = {{"gpu": "cuda.shares"}.get(slot, slot): share for slot, share in wire.items()}
    ledger.adopt(name, Allocation.parse(slots))


def test_what_fits_now_is_forecast_for_now() -> None:
    ledger = machine()
    when_s, reservation = ledger.forecast(shape(ledger, gpu="1.5"), [])
    assert when_s == -math.inf
    assert reservation is not None
    assert ledger.allocation_of(reservation.grant).wire() == {"cuda.shares": {"gpu0": "1", "gpu1": "0.5"}}


def test_the_shadow_time_is_the_end_after_which_it_fits() -> None:
    ledger = machine()
    hold(ledger, "a", gpu={"gpu0": "0.5"})
    hold(ledger, "b", gpu={"gpu0": "0.5"})
    hold(ledger, "c", gpu={"gpu1": "0.7"}, cpu={"cpu0": "3"})
    before = ledger.promised(), ledger.free()
    endings = [(10.0, "a"), (20.0, "b"), (30.0, "c")]
    when_s, reservation = ledger.forecast(shape(ledger, gpu="1"), endings)
    assert when_s == 20
    assert reservation is not None
    assert ledger.allocation_of(reservation.grant).wire() == {"cuda.shares": {"gpu0": "1"}}
    assert ledger.forecast(shape(ledger, gpu="0.4"), endings)[0] == 10
    assert ledger.forecast(shape(ledger, gpu="0.7", split=True, cpu="1"), endings)[0] == 10
    assert ledger.forecast(shape(ledger, gpu="0.1", cpu="2"), endings)[0] == 30
    assert ledger.forecast(shape(ledger, gpu="2"), endings[:2]) == (None, None), "nobody knows when c ends"
    assert ledger.forecast(shape(ledger, gpu="0.4"), [(1.0, "gone"), *endings])[0] == 10
    assert (ledger.promised(), ledger.free()) == before


def test_what_ends_on_a_lost_device_helps_nobody() -> None:
    ledger = machine()
    hold(ledger, "a", gpu={"gpu0": "1"})
    hold(ledger, "b", gpu={"gpu1": "1"})
    ledger.lose("gpu0")
    assert ledger.forecast(shape(ledger, gpu="1"), [(1.0, "a"), (2.0, "b")])[0] == 2
    assert ledger.forecast(shape(ledger, gpu="2"), [(1.0, "a"), (2.0, "b")]) == (None, None)


def test_only_what_is_not_reserved_may_be_taken_for_long() -> None:
    """gpu0 is full but for 0.1 until 10, 0.6 of gpu1 are free and nobody knows how long: the first gets gpu0 then."""
    ledger = machine()
    hold(ledger, "a", gpu={"gpu0": "0.9"})
    hold(ledger, "b", gpu={"gpu1": "0.4"})
    head = shape(ledger, gpu="1")
    when_s, reservation = ledger.forecast(head, [(10.0, "a")])
    assert when_s == 10
    small = shape(ledger, gpu="0.1")
    plain = ledger.plan(small)
    assert plain is not None
    assert ledger.allocation_of(plain).wire() == {"cuda.shares": {"gpu0": "0.1"}}, "the fullest that fits"
    beside = ledger.plan_beside(small, reservation, head)
    assert beside is not None
    assert ledger.allocation_of(beside).wire() == {"cuda.shares": {"gpu1": "0.1"}}, "the 0.1 of gpu0 are needed"
    assert ledger.plan_beside(shape(ledger, gpu="0.7"), reservation, head) is None
    assert ledger.plan_beside(small, None, head) is None, "without a reservation no GPU is touched"
    assert ledger.plan_beside(shape(ledger, cpu="4"), None, head) == ledger.plan(shape(ledger, cpu="4"))


def test_a_reservation_stays_right_when_what_it_counts_on_ends_early() -> None:
    ledger = machine()
    hold(ledger, "a", gpu={"gpu0": "0.5"})
    hold(ledger, "b", gpu={"gpu0": "0.5"})
    hold(ledger, "c", gpu={"gpu1": "1"})
    head = shape(ledger, gpu="1")
    when_s, reservation = ledger.forecast(head, [(10.0, "a"), (20.0, "b")])
    assert when_s == 20
    ledger.give("a")
    small = shape(ledger, gpu="0.2")
    assert ledger.plan(small) is not None
    assert ledger.plan_beside(small, reservation, head) is None, "what a left is needed"
    ledger.give("c")
    beside = ledger.plan_beside(small, reservation, head)
    assert beside is not None
    assert ledger.allocation_of(beside).wire() == {"cuda.shares": {"gpu1": "0.2"}}


def test_a_reservation_outlives_no_loss() -> None:
    ledger = machine(gpus=1)
    hold(ledger, "a", gpu={"gpu0": "1"})
    _, reservation = ledger.forecast(shape(ledger, gpu="1"), [(10.0, "a")])
    assert reservation is not None
    assert reservation.valid
    ledger.lose("gpu0")
    assert not reservation.valid


def test_without_a_reservation_the_first_keeps_a_plan_where_it_has_one() -> None:
    ledger = machine(cpus=4, gpus=1)
    hold(ledger, "a", gpu={"gpu0": "1"})
    head = shape(ledger, gpu="1", cpu="3")
    assert ledger.plan_beside(shape(ledger, cpu="1"), None, head) is not None
    assert ledger.plan_beside(shape(ledger, cpu="2"), None, head) is None


def test_the_first_may_change_its_plan_for_another() -> None:
    """Spread would put the first on gpu1; the other needs that, and the first has room on gpu0 too."""
    ledger = machine(cpus=1, gpus=2, strategy=Strategy.SPREAD)
    hold(ledger, "a", gpu={"gpu0": "0.7"}, cpu={"cpu0": "1"})
    hold(ledger, "b", gpu={"gpu1": "0.5"})
    head = shape(ledger, gpu="0.3", cpu="1")
    assert ledger.plan_beside(shape(ledger, gpu="0.5"), None, head) is not None
    assert ledger.plan_beside(shape(ledger, gpu="0.6"), None, head) is None


# --- nobody who passes delays the first ----------------------------------------------------------------------


@dataclass(frozen=True)
class Asked:
    slots: ResourceSlots
    split: bool
    lasts_s: int | None


amounts = st.builds(
    lambda shares, cpu, whole: ResourceSlots(
        {"cuda.device": whole} if whole else {"cuda.shares": Decimal(shares) / 10, "cpu": cpu}
    ),
    st.integers(0, 22),
    st.integers(0, 3),
    st.sampled_from([0, 0, 0, 0, 1, 2]),
)
asked = st.builds(Asked, amounts, st.booleans(), st.one_of(st.none(), st.integers(1, 30)))


class Stage:
    """A machine with sessions on it, one that cannot start, and a clock that goes from end to end."""

    def __init__(self, gpus: int, strategy: Strategy, distribution: Distribution, running: list[Asked]) -> None:
        specs = [
            DeviceSpec("cpu0", "cpu", Decimal(3)),
            DeviceSpec("cpu1", "cpu", Decimal(3)),
            *(DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)),
        ]
        self.ledger = Ledger(specs, strategy=strategy, distribution=distribution)
        self.ends: dict[str, float] = {}
        self.count = 0
        for one in running:
            self.start(one, self.ledger.plan(self.shape(one)), 0)

    def shape(self, one: Asked) -> Shape:
        try:
            return self.ledger.shape(one.slots, split=one.split)
        except ImpossibleRequest:
            return self.ledger.shape(ResourceSlots({"cpu": 1}))

    def start(self, one: Asked, grant: object, now: float) -> bool:
        if grant is None:
            return False
        self.count += 1
        self.ledger.take(f"s{self.count}", grant)  # type: ignore[arg-type]
        self.ends[f"s{self.count}"] = now + one.lasts_s if one.lasts_s is not None else math.inf
        return True

    def endings(self) -> list[tuple[float, str]]:
        return sorted((end, name) for name, end in self.ends.items() if end < math.inf)

    def head_starts_at(self, head: Shape, others: list[Asked]) -> float | None:
        """Plays until the head starts; at each stop those others pass that may. None = never."""
        now, waiting = 0.0, list(others)
        first_when_s: float | None = None
        while not self.ledger.fits(head):
            when_s, reservation = self.ledger.forecast(head, self.endings())
            if first_when_s is None:
                first_when_s = when_s
            for one in list(waiting):
                shape = self.shape(one)
                if when_s is not None and one.lasts_s is not None and now + one.lasts_s <= when_s:
                    grant = self.ledger.plan(shape)
                else:
                    grant = self.ledger.plan_beside(shape, reservation, head)
                if self.start(one, grant, now):
                    waiting.remove(one)
            if not self.endings():
                return None
            now, name = self.endings()[0]
            del self.ends[name]
            self.ledger.give(name)
        return now


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from(Strategy),
    st.sampled_from(Distribution),
    st.lists(asked, max_size=8),
    asked,
    st.lists(asked, max_size=8),
)
def test_the_first_starts_no_later_than_if_nobody_passed_it(
    gpus: int,
    strategy: Strategy,
    distribution: Distribution,
    running: list[Asked],
    first: Asked,
    others: list[Asked],
) -> None:
    alone, passed = (Stage(gpus, strategy, distribution, running) for _ in range(2))
    head = alone.shape(first)
    assume(not alone.ledger.fits(head))
    forecast = alone.ledger.forecast(head, alone.endings())[0]
    alone_s, passed_s = alone.head_starts_at(head, []), passed.head_starts_at(head, others)
    assert alone_s == forecast, "what is forecast comes true"
    if alone_s is None:
        assert passed_s is None
    else:
        assert passed_s is not None
        assert passed_s <= alone_s


@settings(max_examples=120, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from(Strategy),
    st.sampled_from(Distribution),
    st.lists(asked, min_size=1, max_size=8),
    asked,
    st.lists(asked, min_size=1, max_size=8),
    st.data(),
)
def test_one_reservation_serves_until_its_time_whatever_ends_early(
    gpus: int,
    strategy: Strategy,
    distribution: Distribution,
    running: list[Asked],
    first: Asked,
    others: list[Asked],
    data: st.DataObject,
) -> None:
    """The same reservation is used all along; sessions that it counts on and others end early, in any order."""
    stage = Stage(gpus, strategy, distribution, running)
    ledger, head = stage.ledger, stage.shape(first)
    assume(not ledger.fits(head))
    when_s, reservation = ledger.forecast(head, stage.endings())
    assume(reservation is not None and when_s is not None)
    assert when_s is not None
    in_time = {name for name, end in stage.ends.items() if end <= when_s}
    for one in others:
        early = data.draw(st.sampled_from([None, *sorted(stage.ends)]))
        if early is not None:
            ledger.give(early)
            del stage.ends[early]
            in_time.discard(early)
        lasts_until = data.draw(st.sampled_from(["in time", "for ever"]))
        if lasts_until == "in time":
            if stage.start(one, ledger.plan(stage.shape(one)), 0):
                in_time.add(f"s{stage.count}")
        else:
            stage.start(one, ledger.plan_beside(stage.shape(one), reservation, head), 0)
    for name in in_time & set(stage.ends):
        ledger.give(name)
    assert ledger.fits(head)


@settings(max_examples=120, deadline=None)
@given(
    st.integers(1, 3),
    st.sampled_from(Strategy),
    st.lists(asked, min_size=1, max_size=8),
    asked,
    st.lists(asked, min_size=1, max_size=8),
    st.data(),
)
def test_without_a_reservation_the_first_starts_at_the_same_end_in_any_order(
    gpus: int, strategy: Strategy, running: list[Asked], first: Asked, others: list[Asked], data: st.DataObject
) -> None:
    alone, passed = (Stage(gpus, strategy, Distribution.EVENLY, running) for _ in range(2))
    head = alone.shape(first)
    assume(not alone.ledger.fits(head))
    for one in others:
        passed.start(one, passed.ledger.plan_beside(passed.shape(one), None, head), 0)
    for name in data.draw(st.permutations(sorted(alone.ends))):
        assert alone.ledger.fits(head) == passed.ledger.fits(head)
        alone.ledger.give(name)
        passed.ledger.give(name)
    assert passed.ledger.fits(head) == alone.ledger.fits(head)


def test_there_are_no_leftovers_of_a_look_ahead() -> None:
    """A look that fails in the middle puts everything back."""
    ledger = machine()
    hold(ledger, "a", gpu={"gpu0": "1"})

    def broken() -> object:
        yield 1.0, "a"
        raise RuntimeError("no more")

    before = ledger.promised(), ledger.free()
    with pytest.raises(RuntimeError):
        ledger.forecast(shape(ledger, gpu="2"), broken())  # type: ignore[arg-type]
    assert (ledger.promised(), ledger.free()) == before
