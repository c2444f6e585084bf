"""Any history of events: the scheduler with its indexes decides what one decides that looks at everything."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.backend.scheduler import (
    DeviceSpec,
    GiveUp,
    Hold,
    Instruction,
    Limits,
    PendingRequest,
    Policy,
    Rules,
    Scheduler,
    Strategy,
    backfill,
)
from bai_tui.app.model.errors import IllegalState, ImpossibleRequest, QuotaExceeded
from bai_tui.app.model.slots import ResourceSlots
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from .naive import Naive

shares = [Decimal(text) for text in ("0.25", "0.3", "0.5", "0.75", "1", "1.5", "2")]
wants = st.one_of(
    st.builds(lambda amount: {"cuda.shares": amount}, st.sampled_from(shares)),
    st.builds(lambda amount, cpu: {"cuda.shares": amount, "cpu": cpu}, st.sampled_from(shares), st.integers(1, 3)),
    st.builds(lambda count: {"cuda.device": Decimal(count)}, st.integers(1, 2)),
    st.builds(lambda cpu: {"cpu": Decimal(cpu)}, st.integers(0, 4)),
)
owners = st.sampled_from(["ann", "bob", "cy"])
limits = st.builds(
    Limits,
    slots=st.sampled_from(
        [None, ResourceSlots({"cuda.shares": 2}), ResourceSlots({"cuda.shares": Decimal("0.75"), "cpu": 2})]
    ),
    sessions=st.sampled_from([None, None, 2, 1]),
    pending=st.sampled_from([None, None, 4, 1, 0]),
)
asked = st.fixed_dictionaries(
    {
        "want": wants,
        "owner": owners,
        "priority": st.sampled_from([10, 10, 10, 10, 10, 0, 90]),
        "lasts": st.sampled_from([None, None, 1.0, 3.0, 10.0, 30.0]),
        "later": st.sampled_from([None, None, None, None, None, 0.0, 2.0]),
        "expires": st.sampled_from([None, None, None, None, None, 1.0, 5.0]),
        "newest": st.sampled_from([0, 0, 0, 0, 0, 1, 2]),
        "order": st.integers(-3, 0),
    }
)
every_rule = st.builds(
    Rules,
    policy=st.sampled_from([Policy.FIFO, Policy.LIFO]),
    backfill=st.booleans(),
    limits_of=st.dictionaries(st.sampled_from(["ann", "bob"]), limits, max_size=2),
)


def said(instructions: list[Instruction]) -> list[object]:
    """What is compared: reasons of timeouts are for people."""
    return [(one.session_id, one.reason.partition(":")[0]) if isinstance(one, GiveUp) else one for one in instructions]


class Both(RuleBasedStateMachine):
    """Drives both schedulers alike."""

    @initialize(
        looks=st.sampled_from([2, 64]),
        rules=every_rule,
        gpus=st.integers(1, 3),
        cpus=st.integers(1, 4),
        strategy=st.sampled_from(Strategy),
    )
    def build(self, looks: int, rules: Rules, gpus: int, cpus: int, strategy: Strategy) -> None:
        backfill.LOOKS = looks  # type: ignore[misc]
        self.now = 1.0
        self.count = 0
        self.specs = [
            *(DeviceSpec(f"cpu{number}", "cpu", Decimal(1)) for number in range(cpus)),
            *(DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)),
        ]
        self.real = Scheduler(self.specs, strategy=strategy, rules=rules)
        self.naive = Naive(self.specs, strategy, rules)

    def teardown(self) -> None:
        backfill.LOOKS = 64  # type: ignore[misc]

    def same(self, real: list[Instruction], naive: list[Instruction]) -> None:
        assert said(real) == said(naive)

    @rule(batch=st.lists(asked, min_size=1, max_size=6))
    def enqueue(self, batch: list[dict[str, Any]]) -> None:
        for one in batch:
            self.count += 1
            known = [*self.naive.running, *self.naive.waiting]
            request = PendingRequest(
                session_id=f"s{self.count}",
                slots=ResourceSlots(one["want"]),
                order=2 * self.count + one["order"],
                priority=one["priority"],
                access_key=one["owner"],
                duration_s=one["lasts"],
                not_before_s=None if one["later"] is None else self.now + one["later"],
                expires_at_s=None if one["expires"] is None else self.now + one["expires"],
                depends_on=known[-one["newest"] :] if one["newest"] else [],
            )
            self.ask(request)

    def ask(self, request: PendingRequest) -> None:
        try:
            self.real.check(request.slots, access_key=request.access_key)
        except (ImpossibleRequest, QuotaExceeded) as refusal:
            with pytest.raises(type(refusal)):
                self.real.enqueue(request, self.now)
            return
        pending = self.naive.limits(request).pending
        waiting = sum(one.access_key == request.access_key for one in self.naive.waiting.values())
        if pending is not None and waiting >= pending:
            grant = self.naive.at_once(request, self.now)
            if grant is None:
                with pytest.raises(QuotaExceeded, match=r"waits? already"):
                    self.real.enqueue(request, self.now)
            else:
                self.same(self.real.enqueue(request, self.now), self.naive.enter(request, grant, self.now))
            return
        self.same(self.real.enqueue(request, self.now), self.naive.enqueue(request, self.now))

    @precondition(lambda self: self.naive.running)
    @rule(data=st.data(), succeeded=st.booleans())
    def release(self, data: st.DataObject, succeeded: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.naive.running)))
        self.same(
            self.real.release(name, self.now, succeeded=succeeded),
            self.naive.release(name, self.now, succeeded=succeeded),
        )
        with pytest.raises(IllegalState):
            self.real.release(name, self.now)

    @precondition(lambda self: self.naive.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.naive.waiting)))
        self.same(self.real.cancel(name, self.now), self.naive.cancel(name, self.now))

    @precondition(lambda self: self.naive.waiting)
    @rule(data=st.data(), priority=st.sampled_from([0, 10, 90]))
    def set_priority(self, data: st.DataObject, priority: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.naive.waiting)))
        self.same(self.real.set_priority(name, priority, self.now), self.naive.set_priority(name, priority, self.now))

    @rule(passes=st.sampled_from([0.5, 1.0, 4.0]), ticks=st.booleans())
    def time_passes(self, passes: float, ticks: bool) -> None:
        self.now += passes
        if ticks:
            self.same(self.real.tick(self.now), self.naive.tick(self.now))
            due = self.real.next_tick(self.now)
            assert due is None or due > self.now

    @precondition(lambda self: self.naive.running)
    @rule(data=st.data(), lasts=st.sampled_from([None, 1.0, 6.0]))
    def set_end(self, data: st.DataObject, lasts: float | None) -> None:
        name = data.draw(st.sampled_from(sorted(self.naive.running)))
        ends_at_s = None if lasts is None else self.now + lasts
        self.real.set_end(name, ends_at_s)
        self.naive.set_end(name, ends_at_s)

    @rule(data=st.data())
    def lose_or_find(self, data: st.DataObject) -> None:
        device = data.draw(st.sampled_from(self.specs)).id
        if device in self.real.lost:
            self.same(self.real.found(device, self.now), self.naive.found(device, self.now))
        else:
            self.same(self.real.lose(device, self.now), self.naive.lose(device, self.now))

    @invariant()
    def the_books_are_the_same(self) -> None:
        if hasattr(self, "real"):
            assert self.real.promised() == self.naive.ledger.promised()

    @invariant()
    def who_waits_is_told_why_and_where(self) -> None:
        if not hasattr(self, "real"):
            return
        seen = self.naive.before  # what time alone brings shows with the next event
        place = {one.session_id: number for number, one in enumerate(self.naive.line(seen), 1)}
        for name, request in self.naive.waiting.items():
            waiting = self.real.waiting(name, self.now)
            hold = self.naive.hold(request, seen)
            assert waiting.position == place.get(name)
            assert waiting.hold is (hold or Hold.RESOURCES)
            assert waiting.text
            assert "\n" not in waiting.text
            assert waiting.reserved == (
                hold is None and (name == self.naive.blocked or self.naive.stuck.get(request.priority) == name)
            )
        assert not any(self.real.is_waiting(name) for name in self.naive.running)


Both.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestBoth = Both.TestCase
