"""The scheduler: who gets what, and when."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ...model.slots import ResourceSlots
from .types import Allocation, DeviceSpec, Instruction, PendingRequest, Strategy


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
            ValueError: two devices of one id, a capacity that is no positive multiple of the quantum, or GPUs whose
                `cuda.shares` differ.
        """
        raise NotImplementedError

    def check(self, slots: ResourceSlots) -> None:
        """Refuses what can never be granted, even on an empty machine.

        Raises:
            InvalidAmount: no multiple of the slot's quantum; the message names the nearest two that are.
            ImpossibleRequest: more than the machine has, or `cuda.device` together with `cuda.shares`.
        """
        raise NotImplementedError

    def enqueue(self, request: PendingRequest, now: float) -> list[Instruction]:
        """Admits a request; it may start at once.

        Raises:
            InvalidAmount, ImpossibleRequest: as `check`; nothing has changed then.
            IllegalState: the session is known already.
        """
        raise NotImplementedError

    def cancel(self, session_id: str, now: float) -> list[Instruction]:
        """Takes a waiting session out of the queue; those behind it may start.

        Raises:
            IllegalState: it does not wait.
        """
        raise NotImplementedError

    def release(self, session_id: str, now: float) -> list[Instruction]:
        """Takes back what a session was promised; those who wait may start.

        Raises:
            IllegalState: it holds nothing (any more).
        """
        raise NotImplementedError

    def adopt(self, session_id: str, allocation: Allocation) -> None:
        """Promises exactly `allocation` again, after a restart. Starts nobody; adopt all before the first `enqueue`.

        Raises:
            ImpossibleRequest: it does not fit what this machine has left; nothing has changed then.
            IllegalState: the session is known already.
        """
        raise NotImplementedError

    def is_waiting(self, session_id: str) -> bool:
        """Whether the session is in the queue."""
        raise NotImplementedError

    def allocation(self, session_id: str) -> Allocation | None:
        """Returns what the session is promised, None when it holds nothing."""
        raise NotImplementedError

    def waiting_reason(self, session_id: str) -> str:
        """Returns one line: `waits for 0.5 cuda.shares; 0.25 free on gpu0; 2nd in the queue`.

        Raises:
            IllegalState: it does not wait.
        """
        raise NotImplementedError

    def promised(self) -> dict[str, dict[str, dict[str, Decimal]]]:
        """Returns device id -> slot -> session id -> amount, for every device."""
        raise NotImplementedError

    def available(self) -> ResourceSlots:
        """Returns what the whole machine has, used or not (Backend.AI's `available_slots`)."""
        raise NotImplementedError

    def occupied(self) -> ResourceSlots:
        """Returns what is promised, by the slot that was asked for; slots of `available` are there even when zero."""
        raise NotImplementedError
