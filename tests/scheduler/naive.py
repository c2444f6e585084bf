"""A scheduler that looks at everything at each event: slow, plain, and right by its looks.

It shares with the real one the ledger alone. Policies: FIFO and LIFO.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from bai_tui.app.backend.scheduler import (
    DeviceSpec,
    GiveUp,
    Hold,
    Instruction,
    Limits,
    PendingRequest,
    Policy,
    Rules,
    Start,
    Strategy,
    backfill,
)
from bai_tui.app.backend.scheduler.ledger import Grant, Ledger, Reservation, Shape

ZERO = Decimal(0)


class Naive:
    def __init__(self, specs: Sequence[DeviceSpec], strategy: Strategy, rules: Rules) -> None:
        self.specs = specs
        self.rules = rules
        self.ledger = Ledger(specs, strategy=strategy)
        self.waiting: dict[str, PendingRequest] = {}
        self.unmet: dict[str, list[str]] = {}
        self.running: dict[str, PendingRequest] = {}
        self.since: dict[str, float] = {}
        self.ends: dict[str, float] = {}
        self.blocked: str | None = None
        self.stuck: dict[int, str] = {}
        self.reservation: Reservation | None = None
        self.forecast = False
        self.before = 0.0

    # --- what each request is ---

    def shape(self, request: PendingRequest) -> Shape:
        return self.ledger.shape(request.slots, split=request.split)

    def amounts(self, request: PendingRequest) -> dict[str, Decimal]:
        amounts = {slot: amount for slot, amount in request.slots.items() if amount}
        if "cuda.device" in amounts:
            amounts["cuda.shares"] = amounts["cuda.device"]  # devices of one share each
        return amounts

    def limits(self, request: PendingRequest) -> Limits:
        return self.rules.limits_of.get(request.access_key, self.rules.limits)

    def limited(self, request: PendingRequest) -> bool:
        limits = self.limits(request)
        return limits.sessions is not None or limits.slots is not None

    def over(self, request: PendingRequest, beside: PendingRequest | None = None) -> Hold | None:
        """Which limit of its owner is passed if it and `beside` start."""
        limits = self.limits(request)
        others = [one for one in self.running.values() if one.access_key == request.access_key]
        others += [beside] if beside is not None else []
        if limits.sessions is not None and len(others) + 1 > limits.sessions:
            return Hold.CONCURRENCY
        for slot, most in (limits.slots or {}).items():
            asked = self.amounts(request).get(slot)
            held = sum((self.amounts(one).get(slot, ZERO) for one in others), ZERO)
            if asked is not None and held + asked > most:
                return Hold.KEYPAIR_RESOURCE_LIMIT
        return None

    def possible(self, request: PendingRequest) -> bool:
        there = [spec for spec in self.specs if spec.id not in self.ledger.lost]
        served = {spec.slot for spec in self.specs}
        return all(
            amount <= sum((spec.capacity for spec in there if spec.slot == slot), ZERO)
            for slot, amount in self.amounts(request).items()
            if slot in served
        )

    def hold(self, request: PendingRequest, now: float) -> Hold | None:
        """What of its own holds it back; None when it takes part."""
        if self.unmet[request.session_id]:
            return Hold.DEPENDENCIES
        if request.not_before_s is not None and request.not_before_s > now:
            return Hold.RESERVED_TIME
        return self.over(request) or (None if self.possible(request) else Hold.RESOURCES)

    # --- order ---

    def key(self, request: PendingRequest) -> tuple[int, int, str]:
        order = -request.order if self.rules.policy is Policy.LIFO else request.order
        return -request.priority, order, request.session_id

    def line(self, now: float) -> list[PendingRequest]:
        def key(request: PendingRequest) -> tuple[int, bool, tuple[int, int, str]]:
            return -request.priority, self.stuck.get(request.priority) != request.session_id, self.key(request)

        return sorted((one for one in self.waiting.values() if self.hold(one, now) is None), key=key)

    def leaders(self, now: float) -> list[PendingRequest]:
        leaders: dict[object, PendingRequest] = {}
        for request in sorted(self.line(now), key=self.key):
            duration = request.duration_s
            about = None if duration is None else int(duration).bit_length()
            kind = (request.access_key if self.limited(request) else None, self.shape(request), about)
            leaders.setdefault(kind, request)
        return list(leaders.values())

    # --- decisions ---

    def beside(self, request: PendingRequest, first: PendingRequest, now: float) -> Grant | None:
        shape = self.shape(request)
        if self.ledger.plan(shape) is None:
            return None
        if self.reservation is not None and not self.reservation.valid:
            self.forget()
        if not self.forecast:
            self.reservation = self.ledger.forecast(self.shape(first), self.endings())[1]
            self.forecast = True
        if self.limited(request) and request.access_key == first.access_key and self.over(request, first):
            return None
        when_s = self.reservation.when_s if self.reservation is not None else float("-inf")
        if request.duration_s is not None and now + request.duration_s <= when_s:
            return self.ledger.plan(shape)
        return self.ledger.plan_beside(shape, self.reservation, self.shape(first))

    def endings(self) -> list[tuple[float, str]]:
        return sorted((at, name) for name, at in self.ends.items())

    def forget(self) -> None:
        self.reservation, self.forecast = None, False

    def advance(self, now: float, out: list[Instruction], *, freed: bool = False) -> None:
        if freed and (self.reservation is None or self.reservation.when_s < now):
            self.forecast = False
        while True:
            line = self.line(now)
            while line and (grant := self.ledger.plan(self.shape(line[0]))) is not None:
                self.start(line[0], grant, now, out)
                line = self.line(now)
            first = line[0] if line else None
            if (first.session_id if first else None) != self.blocked:
                self.blocked = first.session_id if first else None
                self.forget()
            if first is None:
                return
            if freed:
                self.stuck[first.priority] = first.session_id
            if not self.rules.backfill:
                return
            for request in self.leaders(now)[: backfill.LOOKS]:
                if request is not first and (grant := self.beside(request, first, now)) is not None:
                    self.start(request, grant, now, out)
                    break
            else:
                return

    def start(self, request: PendingRequest, grant: Grant, now: float, out: list[Instruction]) -> None:
        name = request.session_id
        self.leave(name)
        self.running[name] = request
        if request.duration_s is not None:
            self.ends[name] = now + request.duration_s
        out.append(Start(name, self.ledger.take(name, grant), now - self.since[name]))

    def leave(self, name: str) -> None:
        request = self.waiting.pop(name)
        if self.stuck.get(request.priority) == name:
            del self.stuck[request.priority]

    def fail(self, name: str, out: list[Instruction]) -> None:
        failed = [name]
        for culprit in failed:
            for doomed in [one for one in self.waiting if culprit in self.unmet[one]]:
                self.leave(doomed)
                out.append(GiveUp(doomed, f"dependency-failed: the session {culprit} did not succeed"))
                failed.append(doomed)

    def expire(self, now: float, out: list[Instruction]) -> None:
        def due(request: PendingRequest) -> bool:
            return request.expires_at_s is not None and request.expires_at_s <= now

        while any(map(due, self.waiting.values())):
            for at, name in sorted(
                (one.expires_at_s or 0, one.session_id) for one in self.waiting.values() if due(one)
            ):
                if name in self.waiting:
                    assert at <= now
                    self.leave(name)
                    out.append(GiveUp(name, "pending-timeout: ..."))
                    self.fail(name, out)
            self.advance(now, out)

    def event(self, now: float, *, freed: bool = False) -> list[Instruction]:
        out: list[Instruction] = []
        self.advance(now, out, freed=freed)
        self.expire(now, out)
        self.before = now
        return out

    # --- events ---

    def enqueue(self, request: PendingRequest, now: float) -> list[Instruction]:
        came = any(self.before < (one.not_before_s or 0) <= now for one in self.waiting.values())
        name = request.session_id
        self.unmet[name] = [one for one in request.depends_on if one in self.waiting or one in self.running]
        self.waiting[name] = request
        self.since[name] = now
        line = self.line(now)
        if came or self.blocked is None or not line or line[0].session_id != self.blocked:
            return self.event(now)
        out: list[Instruction] = []
        if self.rules.backfill and request in self.leaders(now):
            grant = self.beside(request, line[0], now)
            if grant is not None:
                self.start(request, grant, now, out)
                self.advance(now, out)
        self.expire(now, out)
        self.before = now
        return out

    def at_once(self, request: PendingRequest, now: float) -> Grant | None:
        """What a newcomer gets that may not wait, as far as is known from the last event."""
        name = request.session_id
        due = request.not_before_s is None or request.not_before_s <= now
        self.waiting[name] = replace(request, not_before_s=None if due else request.not_before_s)
        self.unmet[name] = [one for one in request.depends_on if one in self.waiting or one in self.running]
        try:
            line = self.line(self.before)
            if not line or self.hold(self.waiting[name], self.before) is not None:
                return None
            if line[0].session_id == name:
                return self.ledger.plan(self.shape(request))
            leads = name in [one.session_id for one in self.leaders(self.before)]
            if line[0].session_id == self.blocked and self.rules.backfill and leads:
                return self.beside(request, line[0], now)
            return None
        finally:
            del self.waiting[name], self.unmet[name]

    def enter(self, request: PendingRequest, grant: Grant, now: float) -> list[Instruction]:
        out: list[Instruction] = []
        self.waiting[request.session_id] = request
        self.unmet[request.session_id] = []
        self.since[request.session_id] = now
        self.start(request, grant, now, out)
        return out + self.event(now)

    def cancel(self, name: str, now: float) -> list[Instruction]:
        self.leave(name)
        out: list[Instruction] = []
        self.fail(name, out)
        return out + self.event(now)

    def release(self, name: str, now: float, *, succeeded: bool) -> list[Instruction]:
        self.ledger.give(name)
        del self.running[name]
        self.ends.pop(name, None)
        out: list[Instruction] = []
        if succeeded:
            for unmet in self.unmet.values():
                if name in unmet:
                    unmet.remove(name)
        else:
            self.fail(name, out)
        return out + self.event(now, freed=True)

    def tick(self, now: float) -> list[Instruction]:
        if any(self.before < (one.not_before_s or 0) <= now for one in self.waiting.values()):
            return self.event(now)
        out: list[Instruction] = []
        self.expire(now, out)
        self.before = now
        return out

    def set_end(self, name: str, ends_at_s: float | None) -> None:
        self.ends.pop(name, None)
        if ends_at_s is not None:
            self.ends[name] = ends_at_s
        kept = self.reservation
        if kept is None or (name in kept.expected and (ends_at_s is None or ends_at_s > kept.when_s)):
            self.forget()

    def set_priority(self, name: str, priority: int, now: float) -> list[Instruction]:
        request = self.waiting[name]
        if request.priority == priority:
            return []
        held = self.unmet[name] or (request.not_before_s or 0) > now
        if self.stuck.get(request.priority) == name:
            del self.stuck[request.priority]
        self.waiting[name] = replace(request, priority=priority)
        if held:
            return self.tick(now)
        return self.event(now)

    def lose(self, device: str, now: float) -> list[Instruction]:
        return self.event(now) if self.ledger.lose(device) else []

    def found(self, device: str, now: float) -> list[Instruction]:
        return self.event(now, freed=True) if self.ledger.found(device) else []
