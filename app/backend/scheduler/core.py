"""The scheduler: who gets what, and when."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from ...model.errors import IllegalState, ImpossibleRequest
from ...model.slots import ResourceSlots
from .backfill import Backfill
from .holds import Alarm, Alarms, Dependencies, Endings
from .ledger import Grant, Ledger
from .limits import Account, Capacity, Demand
from .lineup import LineUp
from .queue import Entry
from .reasons import Reasons
from .types import (
    Allocation,
    DeviceSpec,
    Distribution,
    GiveUp,
    Instruction,
    PendingRequest,
    Rules,
    Start,
    Strategy,
    Waiting,
)


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
            rules: how the queue is kept, as long as this lives: others come with a restart (`adopt`, `enqueue` again).

        Raises:
            ValueError: a machine that `Ledger` refuses, or rules that make no sense.
        """
        self._ledger = Ledger(devices, quantum=quantum, strategy=strategy, distribution=distribution)
        self._capacity = Capacity(devices)
        self._line = LineUp(self._capacity, rules)
        self._waiting: dict[str, Entry] = {}
        self._running: dict[str, tuple[Account, Demand]] = {}
        """Whose they are and what they hold."""
        self._dependencies = Dependencies()
        self._unseen = False
        """Whether somebody was lined up whom nobody has looked at yet."""
        self._alarms = Alarms()
        self._endings = Endings()
        self._backfill = Backfill(self._ledger, self._endings)
        self._reasons = Reasons(
            self._ledger,
            self._line,
            self._dependencies,
            self._backfill,
            self._endings,
            lambda id: self._running[id][1],
        )

    # --- in ---

    def check(self, slots: ResourceSlots, *, split: bool = False, access_key: str = "") -> None:
        """Refuses what can never be granted, even on an empty machine.

        Raises:
            InvalidAmount: no multiple of the slot's quantum; the message names the nearest two that are.
            ImpossibleRequest: more than the machine has, or `cuda.device` together with `cuda.shares`.
            QuotaExceeded: more than the owner may hold.
        """
        demand = self._capacity.demand(self._ledger.shape(slots, split=split), slots)
        self._line.account(access_key).check(demand)

    def enqueue(self, request: PendingRequest, now: float, *, again: bool = False) -> list[Instruction]:
        """Admits a request; it may start at once.

        Args:
            again: it was admitted before a restart, perhaps under other limits, on a larger machine, with another
                quantum: it is not refused now, but waits until that is changed again. Nobody starts before the next
                event or `tick`, which `next_tick` asks for at once: so all are in the line before the first of them
                is looked at, and the order is the old one.

        Raises:
            InvalidAmount, ImpossibleRequest, QuotaExceeded: as `check`; nothing has changed then.
            QuotaExceeded: it cannot start at once, and as many of its owner's sessions wait as may.
            IllegalState: the session is known already.
        """
        session_id = request.session_id
        self._must_be_new(session_id)
        try:
            shape, impossible = self._ledger.shape(request.slots, split=request.split, again=again), None
            demand = self._capacity.demand(shape, request.slots)
        except ImpossibleRequest as exc:
            if not again:
                raise
            demand, impossible = self._capacity.held(request.slots), exc.message
        account = self._line.account(request.access_key)
        entry = Entry(request, demand, account, now, self._line.key(request), impossible)
        unmet = [one for one in request.depends_on if one in self._waiting or one in self._running]
        if again:
            self._unseen = True
        else:
            account.check(demand)
            if account.waits_enough():
                return self._start_or_refuse(entry, unmet, now)
        changed = not again and self._come(now)
        if request.depends_on:
            self._dependencies.add(session_id, unmet)
        self._waiting[session_id] = entry
        account.waiting += 1
        if request.not_before_s is not None and request.not_before_s > now:
            self._alarms.add(session_id, Alarm.READY, request.not_before_s)
        if request.expires_at_s is not None:
            self._alarms.add(session_id, Alarm.EXPIRY, request.expires_at_s)
        self._line_up_if_free(entry, now)
        out: list[Instruction] = []
        if again:
            return out
        blocked = self._backfill.blocked
        if changed or blocked is None or self._line.queue.first() is not blocked:
            self._advance(now, out)
        elif (grant := self._at_once(entry, now)) is not None:
            self._start(entry, grant, now, out)
            self._advance(now, out)
        self._expire(now, out)
        return out

    def _start_or_refuse(self, entry: Entry, unmet: Sequence[str], now: float) -> list[Instruction]:
        """Starts a newcomer that need not wait; else raises QuotaExceeded and leaves everything, also what is due."""
        not_before_s, grant = entry.request.not_before_s, None
        if not unmet and (not_before_s is None or not_before_s <= now):
            self._line.add(entry, now)
            grant = self._at_once(entry, now)
            if grant is None:
                self._line.queue.remove(entry)
        if grant is None:
            raise entry.account.waits_too_much()
        out: list[Instruction] = []
        self._waiting[entry.request.session_id] = entry
        entry.account.waiting += 1
        self._start(entry, grant, now, out)
        self._come(now)
        self._advance(now, out)
        self._expire(now, out)
        return out

    def _at_once(self, newcomer: Entry, now: float) -> Grant | None:
        return self._backfill.at_once(self._line.queue, newcomer, now, may_pass=self._line.rules.backfill)

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
        account, demand = self._line.account(access_key), self._capacity.held(allocation.slots())
        self._running[session_id] = (account, demand)
        self._line.adopt(account, demand, since_s)
        self._endings.set(session_id, ends_at_s)

    def used(self, access_key: str, slots: ResourceSlots, since_s: float, until_s: float) -> None:
        """Counts what a session held that ended before a restart as its owner's recent use."""
        self._line.account(access_key).use.add(self._capacity.held(slots).dominant, since_s, until_s)

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
        account, demand = self._running.pop(session_id)
        self._endings.set(session_id, None)
        self._line.end(account, demand, now)
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
        at_s = now if self._unseen else self._alarms.next_s
        if self._running:
            at_s = min(at_s, max(now, self._line.next_review_s))
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
        changed = self._come(now)
        in_line = entry.group is not None
        if in_line:
            self._line.queue.remove(entry)
        entry.request = replace(entry.request, priority=priority)
        entry.key = self._line.key(entry.request)
        out: list[Instruction] = []
        if in_line:
            self._line.add(entry, now)
        if in_line or changed:
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
        self._line.look_at_devices()
        out: list[Instruction] = []
        self._come(now)
        self._advance(now, out, freed=there)
        self._expire(now, out)
        return out

    # --- what is ---

    @property
    def rules(self) -> Rules:
        """How the queue is kept now."""
        return self._line.rules

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

    def waiting(self, session_id: str, now: float) -> Waiting:
        """Returns why a session waits. Cheap enough to be asked for a page of a long queue.

        Raises:
            IllegalState: it does not wait.
        """
        return self._reasons.waiting(self._waiter(session_id), now)

    # --- the line ---

    def _advance(self, now: float, out: list[Instruction], *, freed: bool = False) -> None:
        """Starts from the front of the queue until one does not fit, then those who may pass it."""
        queue, backfill = self._line.queue, self._backfill
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
            if not self._line.rules.backfill:
                return
            found = backfill.next(queue, entry, now)
            if found is None:
                return
            self._start(*found, now, out)

    def _start(self, entry: Entry, grant: Grant, now: float, out: list[Instruction]) -> None:
        request = entry.request
        session_id = request.session_id
        self._line.start(entry, now)
        self._alarms.drop(session_id)
        del self._waiting[session_id]
        entry.account.waiting -= 1
        self._running[session_id] = (entry.account, entry.demand)
        allocation = self._ledger.take(session_id, grant)
        if request.duration_s is not None:
            self._endings.set(session_id, now + request.duration_s)
        out.append(Start(session_id, allocation, now - entry.since_s))

    def _line_up_if_free(self, entry: Entry, now: float) -> None:
        """Lines an entry up unless it is, or a session or a time holds it back."""
        not_before_s = entry.request.not_before_s
        if (
            entry.group is None
            and entry.impossible is None
            and not self._dependencies.unmet(entry.request.session_id)
            and (not_before_s is None or not_before_s <= now)
        ):
            self._line.add(entry, now)

    # --- what comes with time ---

    def _come(self, now: float) -> bool:
        """Lines up those whose time has come and reviews recent use; returns whether anything may be new."""
        changed, self._unseen = self._unseen, False
        if self._alarms.next_s <= now:
            for session_id in self._alarms.pop(now, Alarm.READY):
                self._line_up_if_free(self._waiting[session_id], now)
                changed = True
        if now >= self._line.next_review_s:
            self._line.review(now)
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
            self._line.queue.remove(entry)
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
