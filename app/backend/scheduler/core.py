"""The scheduler: who gets what, and when."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import islice
from typing import Final

from ...model.errors import IllegalState
from ...model.slots import CUDA_DEVICE, CUDA_SHARES, ResourceSlots
from . import reasons
from .backfill import Backfill
from .holds import Alarm, Alarms, Dependencies, Endings
from .ledger import Grant, Ledger
from .limits import Account, Capacity, Demand
from .policies import BY_OWNER, REVIEW_S, HalfLife, Use
from .queue import Entry, Key, Queue, Standing
from .types import (
    Allocation,
    DeviceSpec,
    Distribution,
    GiveUp,
    Hold,
    Instruction,
    PendingRequest,
    Policy,
    Rules,
    Start,
    Strategy,
    Waiting,
)

_GPU_SLOTS: Final = frozenset({CUDA_DEVICE, CUDA_SHARES})
_RELEASES_LOOKED_AT: Final = 32
"""So many of the sessions that end next are looked at for one that holds what somebody lacks."""


@dataclass(frozen=True, slots=True)
class _Running:
    account: Account
    demand: Demand


class Scheduler:
    """A queue before a set of devices.

    Higher priority goes first, then the policy decides (`policies`). The first in the queue is started as soon as all
    of its slots can be had; while they cannot, it holds back those behind it, but for those who cannot delay it
    (`backfill`). Only the lack of room does that: who waits for a session, a time or a limit of its owner holds back
    nobody. Who is first and still lacks room when something comes free keeps the first place of its priority, so that
    no stream of small requests starves it, whatever the policy; a restart forgets that place.

    Times are seconds of any clock that the caller likes and never go back; `tick` is to be called at `next_tick`. Not
    thread-safe; every method returns at once. What is done for one event does not depend on how many wait, but on how
    many different needs are looked at: one without backfill, `backfill.LOOKS` with it; and on how many different needs
    an owner waits with whose slots are limited.
    """

    def __init__(
        self,
        devices: Sequence[DeviceSpec],
        *,
        quantum: Decimal = Decimal("0.01"),
        strategy: Strategy = Strategy.PACK,
        distribution: Distribution = Distribution.EVENLY,
        rules: Rules = Rules(),  # noqa: B008 - immutable
    ) -> None:
        """Begins with nothing promised.

        Args:
            quantum: the smallest part of a `cuda.shares`; other slots are counted in whole units.
            strategy: which GPU a fraction goes to.
            distribution: how an amount that comes from several devices is divided.
            rules: how the queue is kept; see `set_rules`.

        Raises:
            ValueError: a machine that `Ledger` refuses, or rules that make no sense.
        """
        self._ledger = Ledger(devices, quantum=quantum, strategy=strategy, distribution=distribution)
        self._capacity = Capacity(devices)
        self._half_life = _checked(rules)
        self._rules = rules
        self._by_owner = rules.policy in BY_OWNER
        self._accounts: dict[str, Account] = {}
        self._waiting: dict[str, Entry] = {}
        self._running: dict[str, _Running] = {}
        self._dependencies = Dependencies()
        self._alarms = Alarms()
        self._endings = Endings()
        self._queue = Queue()
        self._backfill = Backfill(self._ledger, self._endings)
        self._reviewed_s = -math.inf

    # --- in ---

    def check(self, slots: ResourceSlots, *, split: bool = False, access_key: str = "") -> None:
        """Refuses what can never be granted, even on an empty machine.

        Raises:
            InvalidAmount: no multiple of the slot's quantum; the message names the nearest two that are.
            ImpossibleRequest: more than the machine has, or `cuda.device` together with `cuda.shares`.
            QuotaExceeded: more than the owner may hold.
        """
        demand = self._capacity.demand(self._ledger.shape(slots, split=split), slots)
        self._account(access_key).check(demand)

    def enqueue(self, request: PendingRequest, now: float, *, again: bool = False) -> list[Instruction]:
        """Admits a request; it may start at once.

        Args:
            again: it was admitted before a restart, perhaps under other limits: it is not refused for a limit of its
                owner now, but waits for it.

        Raises:
            InvalidAmount, ImpossibleRequest, QuotaExceeded: as `check`; nothing has changed then.
            QuotaExceeded: as many of its owner's sessions wait as may.
            IllegalState: the session is known already.
        """
        session_id = request.session_id
        self._must_be_new(session_id)
        demand = self._capacity.demand(self._ledger.shape(request.slots, split=request.split), request.slots)
        account = self._account(request.access_key)
        if not again:
            account.check(demand)
            account.check_waiting()
        changed = self._come(now)
        entry = Entry(request, demand, account, now, self._key(request))
        if request.depends_on:
            unmet = [one for one in request.depends_on if one in self._waiting or one in self._running]
            self._dependencies.add(session_id, unmet)
        self._waiting[session_id] = entry
        account.waiting += 1
        if request.not_before_s is not None and request.not_before_s > now:
            self._alarms.add(session_id, Alarm.READY, request.not_before_s)
        if request.expires_at_s is not None:
            self._alarms.add(session_id, Alarm.EXPIRY, request.expires_at_s)
        self._line_up_if_free(entry, now)
        out: list[Instruction] = []
        blocked = self._backfill.blocked
        if changed or blocked is None or self._queue.first() is not blocked:
            self._advance(now, out)
        elif self._rules.backfill and self._queue.takes_part(entry) and self._queue.leads(entry):
            grant = self._backfill.beside(entry, blocked, now)
            if grant is not None:
                self._start(entry, grant, now, out)
                self._advance(now, out)
        self._expire(now, out)
        return out

    def adopt(
        self,
        session_id: str,
        allocation: Allocation,
        *,
        access_key: str = "",
        ends_at_s: float | None = None,
        since_s: float = 0.0,
    ) -> None:
        """Promises exactly `allocation` again, after a restart. Starts nobody; adopt all before the first `enqueue`.

        Args:
            ends_at_s: when it ends at the latest; None = nobody knows.
            since_s: when it began to hold that; its owner's recent use counts from there.

        Raises:
            ImpossibleRequest, InvalidAmount: it does not fit what this machine has left; nothing has changed then.
            IllegalState: the session is known already.
        """
        self._must_be_new(session_id)
        self._ledger.adopt(session_id, allocation)
        self._hold_resources(session_id, self._account(access_key), self._capacity.held(allocation.slots()), since_s)
        self._endings.set(session_id, ends_at_s)

    # --- out ---

    def cancel(self, session_id: str, now: float) -> list[Instruction]:
        """Takes a waiting session out of the queue; those behind it may start, those that need it are given up.

        Raises:
            IllegalState: it does not wait.
        """
        entry = self._waiter(session_id)
        self._come(now)
        out: list[Instruction] = []
        self._forget(entry)
        self._fail_dependents(session_id, out)
        self._advance(now, out)
        self._expire(now, out)
        return out

    def release(self, session_id: str, now: float, *, succeeded: bool = False) -> list[Instruction]:
        """Takes back what a session was promised; those who wait may start.

        Args:
            succeeded: those that depend on it need not wait for it any more; else they are given up.

        Raises:
            IllegalState: it holds nothing (any more).
        """
        self._ledger.give(session_id)
        running = self._running.pop(session_id)
        self._endings.set(session_id, None)
        account = running.account
        account.give(running.demand, now)
        if self._by_owner or account.limited:
            self._settle(account, now)
        out: list[Instruction] = []
        if succeeded:
            for dependent in self._dependencies.met(session_id):
                self._line_up_if_free(self._waiting[dependent], now)
        else:
            self._fail_dependents(session_id, out)
        self._come(now)
        self._advance(now, out, freed=True)
        self._expire(now, out)
        return out

    # --- time ---

    def tick(self, now: float) -> list[Instruction]:
        """Does what is due: sessions whose time has come, those that have waited too long, owners' recent use."""
        out: list[Instruction] = []
        if self._come(now):
            self._advance(now, out)
        self._expire(now, out)
        return out

    def next_tick(self, now: float) -> float | None:
        """Returns when `tick` has something to do if nothing else happens; None when it never has."""
        at_s = self._alarms.next_s
        if self._rules.policy is Policy.FAIR_SHARE and self._running and len(self._queue):
            at_s = min(at_s, max(now, self._reviewed_s + REVIEW_S))
        return None if at_s == math.inf else at_s

    # --- changes ---

    def set_end(self, session_id: str, ends_at_s: float | None) -> None:
        """Notes when a session that holds resources ends at the latest; None = nobody knows.

        Raises:
            IllegalState: it holds nothing.
        """
        if session_id not in self._running:
            raise IllegalState(f"the session {session_id} holds no resources: its end is of no interest")
        self._endings.set(session_id, ends_at_s)
        self._backfill.end_moved(session_id, ends_at_s)

    def set_priority(self, session_id: str, priority: int, now: float) -> list[Instruction]:
        """Moves a waiting session to where its new priority puts it; nothing happens to one that has started."""
        entry = self._waiting.get(session_id)
        if entry is None or entry.request.priority == priority:
            return []
        self._come(now)
        in_line = entry.group is not None
        if in_line:
            self._queue.remove(entry)
        entry.request = replace(entry.request, priority=priority)
        entry.key = self._key(entry.request)
        out: list[Instruction] = []
        if in_line:
            self._line_up(entry, now)
            self._advance(now, out)
        self._expire(now, out)
        return out

    def lose(self, device_id: str, now: float) -> list[Instruction]:
        """Puts nobody new on a device, and sets those aside whom the rest of the machine can never serve.

        Raises:
            ValueError: there is no such device.
        """
        return self._set_there(device_id, now, there=False) if self._ledger.lose(device_id) else []

    def found(self, device_id: str, now: float) -> list[Instruction]:
        """Serves from a lost device again.

        Raises:
            ValueError: there is no such device.
        """
        return self._set_there(device_id, now, there=True) if self._ledger.found(device_id) else []

    def _set_there(self, device_id: str, now: float, *, there: bool) -> list[Instruction]:
        self._capacity.set_there(device_id, there=there)
        for stream in self._queue.streams():
            for group in list(stream.groups.values()):
                self._queue.put_aside(group, limited=group.limited, lost=not self._capacity.possible(group.demand))
        out: list[Instruction] = []
        self._come(now)
        self._advance(now, out, freed=there)
        self._expire(now, out)
        return out

    def set_rules(self, rules: Rules, now: float) -> list[Instruction]:
        """Keeps the queue by other rules from now on. What is granted stays granted, who waits waits on.

        A request that is more than its owner may hold now is not refused any more: it waits until the limits change
        again. Costs as much as there are owners and requests.

        Raises:
            ValueError: rules that make no sense; nothing has changed then.
        """
        self._half_life = _checked(rules)
        self._rules = rules
        self._by_owner = rules.policy in BY_OWNER
        for account in self._accounts.values():
            account.limits = rules.limits_of.get(account.access_key, rules.limits)
            account.weight = float(rules.weights.get(account.access_key, 1))
            account.use.forget_by(self._half_life, now)
        before = self._queue
        self._queue = Queue()
        for entry in self._waiting.values():
            in_line, stuck = entry.group is not None, before.is_stuck(entry)
            entry.group = None
            entry.key = self._key(entry.request)
            if in_line:
                self._line_up(entry, now)
                if stuck:
                    self._queue.stick(entry)
        self._reviewed_s = now
        self._backfill.block(None)
        self._come(now)
        out: list[Instruction] = []
        self._advance(now, out)
        self._expire(now, out)
        return out

    # --- what is ---

    @property
    def rules(self) -> Rules:
        """How the queue is kept now."""
        return self._rules

    @property
    def lost(self) -> frozenset[str]:
        """The ids of the devices that are lost now."""
        return self._ledger.lost

    def holders(self, device_id: str) -> list[str]:
        """Returns the sessions that are promised a part of a device, in the order in which they got it.

        Raises:
            ValueError: there is no such device.
        """
        return self._ledger.holders(device_id)

    def is_waiting(self, session_id: str) -> bool:
        """Whether the session is in the queue."""
        return session_id in self._waiting

    def allocation(self, session_id: str) -> Allocation | None:
        """Returns what the session is promised, None when it holds nothing."""
        return self._ledger.allocation(session_id)

    def promised(self) -> dict[str, dict[str, dict[str, Decimal]]]:
        """Returns device id -> slot -> session id -> amount, for every device."""
        return self._ledger.promised()

    def available(self) -> ResourceSlots:
        """Returns what the whole machine has, used or not (Backend.AI's `available_slots`)."""
        return self._ledger.available()

    def free(self) -> ResourceSlots:
        """Returns what is promised to nobody; a GPU that is taken whole has no `cuda.shares` left."""
        return self._ledger.free()

    def occupied(self) -> ResourceSlots:
        """Returns what is promised, by the slot that was asked for; slots of `available` are there even when zero."""
        return self._ledger.occupied()

    def waiting_reason(self, session_id: str, now: float) -> str:
        """Returns the text of `waiting`. Raises as it."""
        return self.waiting(session_id, now).text

    def waiting(self, session_id: str, now: float) -> Waiting:
        """Returns why a session waits. Cheap enough to be asked for a page of a long queue.

        Raises:
            IllegalState: it does not wait.
        """
        entry = self._waiter(session_id)
        if unmet := self._dependencies.unmet(session_id):
            return Waiting(hold=Hold.DEPENDENCIES, text=reasons.unmet_dependencies(unmet))
        not_before_s = entry.request.not_before_s
        if entry.group is None and not_before_s is not None:
            return Waiting(hold=Hold.RESERVED_TIME, text=reasons.reserved_time(not_before_s, now))
        if limit := entry.account.hold(entry.demand):
            return Waiting(hold=limit[0], text=limit[1])
        lacking = self._ledger.lacking(entry.demand.shape)
        next_release_s = self._next_release(lacking, now)
        if not self._queue.takes_part(entry):
            text = reasons.resources(lacking, None, next_release_s, first=False)
            return Waiting(hold=Hold.RESOURCES, text=text)
        position = self._queue.place(entry)
        is_first = entry is self._backfill.blocked
        reservation = self._backfill.reservation(entry) if is_first else None
        return Waiting(
            hold=Hold.RESOURCES,
            text=reasons.resources(lacking, position, next_release_s, first=is_first),
            position=position,
            expected_start_s=max(now, reservation.when_s) if reservation is not None else None,
            reserved=is_first or self._queue.is_stuck(entry),
        )

    def _next_release(self, lacking: Sequence[tuple[str, str, str]], now: float) -> float | None:
        """Returns in how many seconds something is expected to be given back of which there is not enough."""
        slots = {slot for slot, _, _ in lacking}
        if slots & _GPU_SLOTS:
            slots |= _GPU_SLOTS
        if slots:
            for ends_at_s, session_id in islice(self._endings.after(now), _RELEASES_LOOKED_AT):
                if slots & self._running[session_id].demand.amounts.keys():
                    return ends_at_s - now
        return None

    # --- the line ---

    def _advance(self, now: float, out: list[Instruction], *, freed: bool = False) -> None:
        """Starts from the front of the queue until one does not fit, then those who may pass it."""
        queue, backfill = self._queue, self._backfill
        if freed:
            backfill.freed(now)
        while True:
            while (entry := queue.first()) is not None:
                grant = backfill.plan(entry)
                if grant is None:
                    break
                self._start(entry, grant, now, out)
            backfill.block(entry)
            if entry is None:
                return
            if freed:
                queue.stick(entry)
            if not self._rules.backfill:
                return
            found = backfill.next(queue, entry, now)
            if found is None:
                return
            self._start(*found, now, out)

    def _start(self, entry: Entry, grant: Grant, now: float, out: list[Instruction]) -> None:
        request = entry.request
        session_id = request.session_id
        self._queue.remove(entry)
        self._alarms.drop(session_id)
        del self._waiting[session_id]
        entry.account.waiting -= 1
        allocation = self._ledger.take(session_id, grant)
        self._hold_resources(session_id, entry.account, entry.demand, now)
        if request.duration_s is not None:
            self._endings.set(session_id, now + request.duration_s)
        out.append(Start(session_id, allocation, now - entry.since_s))

    def _hold_resources(self, session_id: str, account: Account, demand: Demand, now: float) -> None:
        self._running[session_id] = _Running(account, demand)
        account.take(demand, now)
        if self._by_owner or account.limited:
            self._settle(account, now)

    def _settle(self, account: Account, now: float) -> None:
        """Lets an owner's stream stand where what he holds now puts it, and take part as far as his limits allow."""
        queue = self._queue
        stream = queue.stream(account.access_key)
        if stream is None:
            return
        if self._by_owner:
            queue.restand(stream, self._standing(account, now))
        if account.limited:
            queue.set_open(stream, account.may_start())
            if account.limits.slots is not None:
                for group in list(stream.groups.values()):
                    queue.put_aside(group, limited=not account.has_room(group.demand), lost=group.lost)

    def _standing(self, account: Account, now: float) -> Standing:
        if self._rules.policy is Policy.DRF:
            return (self._capacity.dominant(account.held) / account.weight,)
        if self._rules.policy is Policy.FAIR_SHARE:
            used = account.use.rank(now) - math.log(account.weight)
            return (used, self._capacity.dominant(account.held) / account.weight)
        return ()

    def _key(self, request: PendingRequest) -> Key:
        order = -request.order if self._rules.policy is Policy.LIFO else request.order
        return (-request.priority, order, request.session_id)

    def _line_up(self, entry: Entry, now: float) -> None:
        """Puts an entry that nothing of its own holds back in its place."""
        account, demand, queue = entry.account, entry.demand, self._queue
        name = account.access_key if self._by_owner or account.limited else None
        stream = queue.stream(name)
        kind = (demand.shape, _duration_class(entry.request.duration_s) if self._rules.backfill else None)
        group = queue.add(entry, name, kind, self._standing(account, now) if stream is None else stream.standing)
        if stream is None and account.limited:
            queue.set_open(group.stream, account.may_start())
        if len(group.line) == 1:
            limited, lost = not account.has_room(demand), not self._capacity.possible(demand)
            if limited or lost:
                queue.put_aside(group, limited=limited, lost=lost)

    def _line_up_if_free(self, entry: Entry, now: float) -> None:
        """Lines an entry up unless a session or a time holds it back."""
        not_before_s = entry.request.not_before_s
        if not self._dependencies.unmet(entry.request.session_id) and (not_before_s is None or not_before_s <= now):
            self._line_up(entry, now)

    # --- what comes with time ---

    def _come(self, now: float) -> bool:
        """Lines up those whose time has come and reviews recent use; returns whether anything may be new."""
        changed = False
        if self._alarms.next_s <= now:
            for session_id in self._alarms.pop(now, Alarm.READY):
                self._line_up_if_free(self._waiting[session_id], now)
                changed = True
        if self._rules.policy is Policy.FAIR_SHARE and now >= self._reviewed_s + REVIEW_S:
            self._reviewed_s = now
            for stream in self._queue.streams():
                account = self._accounts[stream.name or ""]
                if account.use.grows:
                    self._queue.restand(stream, self._standing(account, now))
                    changed = True
        return changed

    def _expire(self, now: float, out: list[Instruction]) -> None:
        """Gives up those who have waited too long: whoever could start now has started."""
        while self._alarms.next_s <= now:
            for session_id in self._alarms.pop(now, Alarm.EXPIRY):
                entry = self._waiting.get(session_id)
                if entry is not None:  # it may have been given up with another that it depends on
                    reason = self.waiting(session_id, now).text
                    self._forget(entry)
                    out.append(GiveUp(session_id, f"pending-timeout: {reason}"))
                    self._fail_dependents(session_id, out)
            self._advance(now, out)

    # --- out of the queue ---

    def _forget(self, entry: Entry) -> None:
        """Takes out of all books an entry that does not start."""
        session_id = entry.request.session_id
        if entry.group is not None:
            self._queue.remove(entry)
        del self._waiting[session_id]
        entry.account.waiting -= 1
        self._dependencies.drop(session_id)
        self._alarms.drop(session_id)

    def _fail_dependents(self, session_id: str, out: list[Instruction]) -> None:
        """Gives up those who wait for the success of a session that will have none, and those who wait for them."""
        failed = deque([session_id])
        while failed:
            culprit = failed.popleft()
            for doomed in self._dependencies.failed(culprit):
                self._forget(self._waiting[doomed])
                out.append(GiveUp(doomed, f"dependency-failed: the session {culprit} did not succeed"))
                failed.append(doomed)

    def _waiter(self, session_id: str) -> Entry:
        try:
            return self._waiting[session_id]
        except KeyError:
            raise IllegalState(f"the session {session_id} does not wait in the queue") from None

    def _must_be_new(self, session_id: str) -> None:
        if session_id in self._waiting or session_id in self._running:
            raise IllegalState(f"the session {session_id} is scheduled already")

    def _account(self, access_key: str) -> Account:
        account = self._accounts.get(access_key)
        if account is None:
            account = self._accounts[access_key] = Account(
                access_key,
                self._rules.limits_of.get(access_key, self._rules.limits),
                float(self._rules.weights.get(access_key, 1)),
                Use(self._half_life),
            )
        return account


def _duration_class(duration_s: float | None) -> int | None:
    """Returns a number that durations share which differ by less than a factor of two.

    Only the first of equal needs is looked at for backfill: a short one must not be hidden behind a long one.
    """
    return None if duration_s is None else int(max(0.0, min(duration_s, 1e18))).bit_length()


def _checked(rules: Rules) -> HalfLife:
    """Returns the half-life of rules that make sense.

    Raises:
        ValueError: a half-life or a weight that is not positive and finite.
    """
    for access_key, weight in rules.weights.items():
        if not weight.is_finite() or weight <= 0:
            raise ValueError(
                f"the weight {weight} of the access key {access_key} makes no sense: take a positive number"
            )
    return HalfLife(rules.half_life_s)
