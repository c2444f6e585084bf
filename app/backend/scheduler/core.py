"""The scheduler: who gets what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ...model.errors import BadRequest, IllegalState, ImpossibleRequest, InvalidAmount
from ...model.slots import CUDA_DEVICE, CUDA_SHARES, ResourceSlots, format_amount, is_bytes
from .line import Key, Line
from .pools import BytesPool, DiscretePool, GpuPool, Plan, Pool, human_bytes
from .types import Allocation, DeviceSpec, Instruction, PendingRequest, Start, Strategy
from .units import Quantum

_Need = tuple[Pool, str, int]
"""(pool, slot, quanta of the slot)."""
_Grant = list[tuple[Pool, str, Plan]]


@dataclass(slots=True)
class _Waiting:
    request: PendingRequest
    needs: list[_Need]
    key: Key
    since_s: float


class Scheduler:
    """A queue before a set of devices.

    Higher priority goes first, then the lower `order`. The first in the queue is started as soon as all of its slots
    can be had; while they cannot, it holds back those behind it, so that no stream of small requests starves it.
    Times are seconds of any clock that the caller likes. Not thread-safe; every method returns at once.
    """

    def __init__(
        self,
        devices: Sequence[DeviceSpec],
        *,
        quantum: Decimal = Decimal("0.01"),
        strategy: Strategy = Strategy.PACK,
    ) -> None:
        """Begins with nothing promised.

        Args:
            quantum: the smallest part of a `cuda.shares`; other slots are counted in whole units.

        Raises:
            ValueError: two devices of one id, a capacity that is no positive multiple of the quantum, GPUs whose
                `cuda.shares` differ, or devices of both `cuda.shares` and `cuda.device`.
        """
        self._pools = _make_pools(devices, Quantum(quantum), strategy)
        self._serving = {slot: pool for pool in self._pools for slot in pool.slots}
        self._line = Line()
        self._waiting: dict[str, _Waiting] = {}
        self._holding: dict[str, _Grant] = {}

    def check(self, slots: ResourceSlots) -> None:
        """Refuses what can never be granted, even on an empty machine.

        Raises:
            InvalidAmount: no multiple of the slot's quantum; the message names the nearest two that are.
            ImpossibleRequest: more than the machine has, or `cuda.device` together with `cuda.shares`.
        """
        self._needs(slots)

    def enqueue(self, request: PendingRequest, now: float) -> list[Instruction]:
        """Admits a request; it may start at once.

        Raises:
            InvalidAmount, ImpossibleRequest: as `check`; nothing has changed then.
            IllegalState: the session is known already.
        """
        self._must_be_new(request.session_id)
        needs = self._needs(request.slots)
        key = (-request.priority, request.order, request.session_id)
        self._waiting[request.session_id] = _Waiting(request, needs, key, now)
        self._line.add(key)
        return self._advance(now) if self._line.first() == key else []

    def cancel(self, session_id: str, now: float) -> list[Instruction]:
        """Takes a waiting session out of the queue; those behind it may start.

        Raises:
            IllegalState: it does not wait.
        """
        key = self._waiter(session_id).key
        was_first = self._line.first() == key
        del self._waiting[session_id]
        self._line.remove(key)
        return self._advance(now) if was_first else []

    def release(self, session_id: str, now: float) -> list[Instruction]:
        """Takes back what a session was promised; those who wait may start.

        Raises:
            IllegalState: it holds nothing (any more).
        """
        grant = self._holding.pop(session_id, None)
        if grant is None:
            raise IllegalState(f"the session {session_id} holds no resources that could be given back")
        for pool, _, plan in grant:
            pool.give(plan)
        return self._advance(now)

    def adopt(self, session_id: str, allocation: Allocation) -> None:
        """Promises exactly `allocation` again, after a restart. Starts nobody; adopt all before the first `enqueue`.

        Raises:
            ImpossibleRequest: it does not fit what this machine has left; nothing has changed then.
            IllegalState: the session is known already.
        """
        self._must_be_new(session_id)
        grant: _Grant = []
        try:
            for slot, share in allocation.amounts.items():
                pool = self._serving.get(slot)
                plan = pool.to_plan(slot, share.items()) if pool is not None else None
                if pool is None or plan is None:
                    wanted = ", ".join(f"{format_amount(amount)} on {device}" for device, amount in share.items())
                    raise ImpossibleRequest(
                        f"the session {session_id} held {slot} ({wanted}), which this machine does not have free"
                    )
                pool.take(plan)
                grant.append((pool, slot, plan))
        except BadRequest:
            for pool, _, plan in grant:
                pool.give(plan)
            raise
        self._holding[session_id] = grant

    def is_waiting(self, session_id: str) -> bool:
        """Whether the session is in the queue."""
        return session_id in self._waiting

    def allocation(self, session_id: str) -> Allocation | None:
        """Returns what the session is promised, None when it holds nothing."""
        grant = self._holding.get(session_id)
        return _allocation(grant) if grant is not None else None

    def waiting_reason(self, session_id: str) -> str:
        """Returns one line: `waits for 0.5 cuda.shares; 0.25 free on gpu0; 2nd in the queue`.

        Raises:
            IllegalState: it does not wait.
        """
        waiting = self._waiter(session_id)
        rank = self._line.rank(waiting.key)
        lacking = [need for need in waiting.needs if need[0].plan(need[1], need[2]) is None]
        place = f"{_ordinal(rank + 1)} in the queue"
        if not lacking:
            return f"waits for the {'one' if rank == 1 else rank} before it; {place}"
        wanted = ", ".join(_text(pool, slot, asked) for pool, slot, asked in lacking)
        there = ", ".join(pool.shortage(slot, asked) for pool, slot, asked in lacking)
        return f"waits for {wanted}; {there}; {place}"

    def promised(self) -> dict[str, dict[str, dict[str, Decimal]]]:
        """Returns device id -> slot -> session id -> amount, for every device."""
        devices: dict[str, dict[str, dict[str, Decimal]]] = {device: {} for pool in self._pools for device in pool.ids}
        for session_id, grant in self._holding.items():
            for pool, slot, plan in grant:
                for device, amount in pool.granted(slot, plan).items():
                    devices[device].setdefault(slot, {})[session_id] = amount
        return devices

    def available(self) -> ResourceSlots:
        """Returns what the whole machine has, used or not (Backend.AI's `available_slots`)."""
        return ResourceSlots({pool.slots[0]: pool.quantum.amount(pool.capacity) for pool in self._pools})

    def free(self) -> ResourceSlots:
        """Returns what is promised to nobody; a GPU that is taken whole has no `cuda.shares` left."""
        return ResourceSlots({pool.slots[0]: pool.quantum.amount(pool.free) for pool in self._pools})

    def occupied(self) -> ResourceSlots:
        """Returns what is promised, by the slot that was asked for; slots of `available` are there even when zero."""
        totals = {pool.slots[0]: Decimal(0) for pool in self._pools}
        for grant in self._holding.values():
            for pool, slot, plan in grant:
                totals[slot] = sum(pool.granted(slot, plan).values(), totals.get(slot, Decimal(0)))
        return ResourceSlots(totals)

    def _advance(self, now: float) -> list[Instruction]:
        """Starts from the front of the queue until one does not fit."""
        started: list[Instruction] = []
        while (key := self._line.first()) is not None:
            waiting = self._waiting[key[2]]
            grant: _Grant = []
            for pool, slot, asked in waiting.needs:
                plan = pool.plan(slot, asked)
                if plan is None:
                    return started
                grant.append((pool, slot, plan))
            for pool, _, plan in grant:
                pool.take(plan)
            self._line.remove(key)
            del self._waiting[key[2]]
            self._holding[key[2]] = grant
            started.append(Start(key[2], _allocation(grant), now - waiting.since_s))
        return started

    def _needs(self, slots: ResourceSlots) -> list[_Need]:
        """Returns what a request takes of which pool, at most one need a pool; raises as `check`."""
        needs: list[_Need] = []
        for slot, amount in slots.items():
            if not amount:
                continue
            pool = self._serving.get(slot)
            if pool is None:
                hint = " (mock ones: bai-tui serve --mock-gpus N)" if slot in (CUDA_DEVICE, CUDA_SHARES) else ""
                raise ImpossibleRequest(
                    f"{format_amount(amount)} {slot} can never be granted: this machine has no {slot}{hint}"
                )
            asked = pool.quantum_of(slot).units(amount, slot)
            if asked > pool.most(slot):
                much, most = _text(pool, slot, asked), _text(pool, slot, pool.most(slot))
                if much == most:  # sizes are cut to a tenth
                    much, most = f"{asked} bytes of {slot}", f"{pool.most(slot)} bytes"
                raise ImpossibleRequest(f"{much} can never be granted: this machine has {most} in all")
            needs.append((pool, slot, asked))
        if len({id(pool) for pool, _, _ in needs}) < len(needs):
            raise ImpossibleRequest(
                "ask for cuda.device or cuda.shares, not for both: a GPU is taken whole or shared, never both"
            )
        return needs

    def _must_be_new(self, session_id: str) -> None:
        if session_id in self._waiting or session_id in self._holding:
            raise IllegalState(f"the session {session_id} is scheduled already")

    def _waiter(self, session_id: str) -> _Waiting:
        try:
            return self._waiting[session_id]
        except KeyError:
            raise IllegalState(f"the session {session_id} does not wait in the queue") from None


def _make_pools(devices: Sequence[DeviceSpec], quantum: Quantum, strategy: Strategy) -> list[Pool]:
    by_slot: dict[str, list[DeviceSpec]] = {}
    for device in devices:
        by_slot.setdefault(device.slot, []).append(device)
    if len({device.id for device in devices}) < len(devices):
        raise ValueError("two devices have the same id")
    if CUDA_SHARES in by_slot and CUDA_DEVICE in by_slot:
        raise ValueError("GPUs serve cuda.shares or only cuda.device, all of them the same")
    pools: list[Pool] = []
    try:
        for slot, specs in by_slot.items():
            if slot == CUDA_SHARES:
                pools.append(GpuPool(specs, quantum, strategy))
            else:
                pools.append(BytesPool(specs, slot) if is_bytes(slot) else DiscretePool(specs, slot))
    except InvalidAmount as exc:
        raise ValueError(f"a device has an odd capacity: {exc}") from None
    return pools


def _allocation(grant: _Grant) -> Allocation:
    return Allocation({slot: pool.granted(slot, plan) for pool, slot, plan in grant})


def _text(pool: Pool, slot: str, asked: int) -> str:
    amount = pool.quantum_of(slot).amount(asked)
    return f"{human_bytes(amount) if is_bytes(slot) else format_amount(amount)} {slot}"


def _ordinal(number: int) -> str:
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
