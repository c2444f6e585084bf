"""The scheduler core in time: every contact with it passes here, with the clock in hand.

What it says is carried out by `lifecycle`; when it has something to do by itself, the alarm tells it the time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from itertools import combinations
from typing import Any, Final

from ...model.errors import BadRequest
from ...model.sessions import Session
from ...model.slots import CUDA_DEVICE, CUDA_SHARES, ResourceSlots, format_amount, is_bytes
from ..ports import PastUse
from ..scheduler import Allocation, Hold, Instruction, PendingRequest, Policy, Scheduler, Waiting
from ..scheduler.units import human_bytes
from .alarm import Alarm
from .steady import SteadyTime

_TICK: Final = ("tick", "")
_SOONEST_S: Final = 0.01
"""Between two ticks, so that a clock that has moved backwards makes no storm of them."""
_HALF_LIVES: Final = 6
"""After so many, less than 2 % of a use is left."""
_TOLD_FOR_S: Final = 1.0
"""How long what a session waits for is taken as known when nothing has happened: estimates move with time."""
_LOOKS: Final = (
    Hold.DEPENDENCIES,
    Hold.RESERVED_TIME,
    Hold.CONCURRENCY,
    Hold.KEYPAIR_RESOURCE_LIMIT,
    Hold.RESOURCES,
)
"""What is looked at before a start, in this order."""


class Queue:
    """Hands events to the scheduler and keeps the alarm set for its next tick."""

    def __init__(
        self,
        scheduler: Scheduler,
        alarm: Alarm,
        clock: Callable[[], float],
        name_of: Callable[[str], str | None],
        lifetime_s: Callable[[str], float],
        carry_out: Callable[[Sequence[Instruction]], None],
    ) -> None:
        """Begins with what the scheduler has.

        Args:
            name_of: id -> name of a session.
            lifetime_s: access key -> longest life of its sessions; 0 = no limit.
            carry_out: gets what a tick has brought about; all other instructions are returned to the caller.
        """
        self._scheduler = scheduler
        self._alarm = alarm
        self._time = SteadyTime(clock)
        self._name_of = name_of
        self._lifetime_s = lifetime_s
        self._carry_out = carry_out
        self._looks = 0
        self._looked_s = self._time.now()
        self._available: ResourceSlots | None = None
        self._told: dict[str, Waiting] = {}
        """What `waiting` has found out since something has changed: a list asks more than once, and lists are many."""
        self._told_at, self._told_s = 0, 0.0
        self._since: dict[str, int] = {}
        """Waiting session -> looks when it came."""

    # --- events -----------------------------------------------------------------------------------------------

    def enqueue(self, session: Session, *, again: bool = False) -> Sequence[Instruction]:
        """Queues a session, `again` after a restart.

        Raises:
            InvalidAmount, ImpossibleRequest, QuotaExceeded: as `Scheduler.enqueue`; nothing has changed then.
        """
        now = self._time.now()
        expires_at_s = None
        if session.pending_timeout_s > 0:
            begin = max(session.created_at, session.not_before or session.created_at)
            expires_at_s = self._time.of(begin.timestamp()) + session.pending_timeout_s
        instructions = self._scheduler.enqueue(
            PendingRequest(
                session_id=session.id,
                slots=session.requested_slots,
                order=session.enqueue_order,
                priority=session.priority,
                access_key=session.access_key,
                split=session.split_shares,
                depends_on=tuple(session.depends_on),
                not_before_s=self._time.of(session.not_before.timestamp()) if session.not_before is not None else None,
                expires_at_s=expires_at_s,
                duration_s=self._duration_s(session),
            ),
            now,
            again=again,
        )
        self._since[session.id] = self._looks
        return self._after(instructions)

    def remembers_since(self) -> datetime | None:
        """Returns how far back recent use counts; None when the policy does not look at it."""
        rules = self._scheduler.rules
        if rules.policy is not Policy.FAIR_SHARE:
            return None
        return datetime.fromtimestamp(max(self._time.now() - _HALF_LIVES * rules.half_life_s, 0.0), UTC)

    def recall(self, past: Iterable[PastUse]) -> None:
        """Counts what sessions held that ended under an earlier daemon. Before anything is adopted."""
        for use in past:
            self._scheduler.used(use.access_key, use.slots, use.since_s, use.until_s)

    def cancel(self, session_id: str) -> Sequence[Instruction]:
        """Takes a waiting session out; nothing happens when it does not wait (any more)."""
        if not self._scheduler.is_waiting(session_id):
            return ()
        instructions = self._scheduler.cancel(session_id, self._time.now())
        self._since.pop(session_id, None)
        return self._after(instructions)

    def release(self, session_id: str, *, succeeded: bool) -> Sequence[Instruction]:
        """Takes back what a session holds and decides those that depend on it; nothing happens when it holds none."""
        if self._scheduler.allocation(session_id) is None:
            return ()
        return self._after(self._scheduler.release(session_id, self._time.now(), succeeded=succeeded))

    def set_priority(self, session_id: str, priority: int) -> Sequence[Instruction]:
        """Moves a waiting session to another place; nothing happens when it does not wait."""
        if not self._scheduler.is_waiting(session_id):
            return ()
        return self._after(self._scheduler.set_priority(session_id, priority, self._time.now()))

    def lose(self, device_id: str) -> Sequence[Instruction]:
        """Nobody new is put on a device from now on."""
        self._available = None
        return self._after(self._scheduler.lose(device_id, self._time.now()))

    def found(self, device_id: str) -> Sequence[Instruction]:
        """A lost device can be given away again."""
        self._available = None
        return self._after(self._scheduler.found(device_id, self._time.now()))

    def set_end(self, session: Session) -> None:
        """Tells when a session that has started will have ended at the latest, where that is known."""
        if self._scheduler.allocation(session.id) is not None:
            self._scheduler.set_end(session.id, self._known_end(session))
            self._after(())

    def tick(self) -> None:
        """Lets the scheduler do what time brings about."""
        self._carry_out(self._after(self._scheduler.tick(self._time.now())))

    def _after(self, instructions: Sequence[Instruction]) -> Sequence[Instruction]:
        now = self._time.now()
        self._looks += 1
        self._looked_s = now
        for instruction in instructions:
            self._since.pop(instruction.session_id, None)
        due = self._scheduler.next_tick(now)
        if due is None:
            self._alarm.drop(_TICK)
        else:
            self._alarm.set(_TICK, self._time.unix(max(due, now + _SOONEST_S)), self.tick)
        return instructions

    # --- after a restart --------------------------------------------------------------------------------------

    def adopt(self, session: Session, devices: Collection[str]) -> str | None:
        """Promises again what a session of an earlier daemon holds.

        Args:
            devices: ids of the devices that there are now.

        Returns:
            None when all of it is promised again, else what this machine does not have any more: `1 cuda.shares on
            gpu0`. As much as can be is promised then: the user's work is worth more than the sum of the slots.
        """
        for amounts in _less_and_less(session.allocation, devices):
            try:
                self._scheduler.adopt(
                    session.id,
                    Allocation.parse(amounts),
                    access_key=session.access_key,
                    ends_at_s=self._known_end(session),
                    since_s=self._time.of(_began(session).timestamp()),
                )
            except BadRequest:
                continue
            self._after(())
            return _shortfall(session.allocation, amounts)
        raise AssertionError(f"the session {session.id} cannot even be promised nothing")

    # --- reading ----------------------------------------------------------------------------------------------

    def _duration_s(self, session: Session) -> float | None:
        """Returns how long a session can run at most; None when nobody knows."""
        lifetime_s = self._lifetime_s(session.access_key)
        return min((limit_s for limit_s in (session.batch_timeout_s, lifetime_s) if limit_s > 0), default=None)

    def known_end_s(self, session: Session) -> float | None:
        """Returns the Unix time at which a session that runs is ended at the latest; None when nobody knows."""
        if session.starts_at is None:
            return None
        begin_s, lifetime_s = session.starts_at.timestamp(), self._lifetime_s(session.access_key)
        ends = [begin_s + session.batch_timeout_s] if session.batch_timeout_s > 0 else []
        if lifetime_s > 0:
            kept_s = session.kept_until.timestamp() if session.kept_until is not None else 0.0
            ends.append(max(begin_s + lifetime_s, kept_s))
        return min(ends, default=None)

    def _known_end(self, session: Session) -> float | None:
        end_s = self.known_end_s(session)
        return self._time.of(end_s) if end_s is not None else None

    def waiting(self, session: Session) -> Waiting | None:
        """Returns why a session waits; None when it does not. Cheap however long the queue is."""
        if not self._scheduler.is_waiting(session.id):
            return None
        now = self._time.now()
        if self._told_at != self._looks or not 0 <= now - self._told_s < _TOLD_FOR_S:
            self._told, self._told_at, self._told_s = {}, self._looks, now
        waiting = self._told.get(session.id)
        if waiting is None:
            waiting = self._told[session.id] = self._scheduler.waiting(session.id, now)
        return replace(waiting, text=self.with_names(session, waiting.text)) if session.depends_on else waiting

    def with_names(self, session: Session, text: str) -> str:
        """Returns what is said of a session with the names of those that it depends on in place of their ids."""
        for session_id in session.depends_on:
            text = text.replace(session_id, self._name_of(session_id) or session_id)
        return text

    def wire(self, session: Session) -> Mapping[str, Any] | None:
        """Returns why a session waits in the form of Backend.AI's `status_data.scheduler`; None when it does not."""
        waiting = self.waiting(session)
        if waiting is None:
            return None
        passed = _LOOKS[: _LOOKS.index(waiting.hold)]
        expected_s = waiting.expected_start_s
        return {
            "msg": waiting.text,
            "failed_predicates": [{"name": waiting.hold.value, "msg": waiting.text}],
            "passed_predicates": [{"name": hold.value} for hold in passed],
            "retries": self._looks - self._since[session.id],
            "last_try": _iso(self._time.unix(self._looked_s)),
            "position": waiting.position,
            "expected_start": _iso(self._time.unix(expected_s)) if expected_s is not None else None,
        }

    def is_waiting(self, session_id: str) -> bool:
        """Whether a session is in the queue."""
        return self._scheduler.is_waiting(session_id)

    def lost(self) -> Collection[str]:
        """Returns the ids of the devices that are lost."""
        return self._scheduler.lost

    def promised(self) -> Mapping[str, Mapping[str, Mapping[str, Decimal]]]:
        """Returns device id -> slot -> session id -> amount, for every device."""
        return self._scheduler.promised()

    def available(self) -> ResourceSlots:
        """Returns what the whole machine has, used or not."""
        if self._available is not None:
            return self._available
        available = self._scheduler.available()
        if not self._scheduler.lost:  # what is still promised of a lost device counts: that changes
            self._available = available  # every admission asks
        return available

    def occupied(self) -> ResourceSlots:
        """Returns what is promised."""
        return self._scheduler.occupied()


def _iso(time_s: float) -> str:
    return datetime.fromtimestamp(time_s, UTC).isoformat()


def _began(session: Session) -> datetime:
    return session.status_history.get("SCHEDULED", session.starts_at or session.created_at)


def _less_and_less(
    allocation: Mapping[str, Mapping[str, str]], devices: Collection[str]
) -> list[Mapping[str, Mapping[str, str]]]:
    """Returns what could be promised of an allocation, the whole of it first, nothing last."""
    there = {
        slot: {device: amount for device, amount in share.items() if device in devices}
        for slot, share in allocation.items()
    }
    there = {slot: share for slot, share in there.items() if share}
    parts: list[Mapping[str, Mapping[str, str]]] = [allocation]
    for count in range(len(there), -1, -1):
        parts += [{slot: there[slot] for slot in slots} for slots in combinations(there, count)]
    return parts


def _shortfall(held: Mapping[str, Mapping[str, str]], promised: Mapping[str, Mapping[str, str]]) -> str | None:
    missing = []
    for slot, share in held.items():
        lacks = {device: amount for device, amount in share.items() if device not in promised.get(slot, {})}
        if lacks:
            total = sum(map(Decimal, lacks.values()), Decimal(0))
            where = f" on {', '.join(lacks)}" if slot in (CUDA_SHARES, CUDA_DEVICE) else ""
            missing.append(f"{human_bytes(total) if is_bytes(slot) else format_amount(total)} {slot}{where}")
    return ", ".join(missing) or None
