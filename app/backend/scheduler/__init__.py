"""The scheduler core: events in, instructions out. Sans I/O.

    scheduler = Scheduler([DeviceSpec("cpu0", "cpu", Decimal(1)), DeviceSpec("gpu0", "cuda.shares", Decimal(1))])
    for instruction in scheduler.enqueue(PendingRequest(session_id=..., slots=..., order=1), now):
        ...  # Start(session_id, allocation)

No clock, no socket, no task, no sleep enters here: time is an argument, so that the same code serves four sessions
on a laptop and a simulated cluster. What is granted equals what was asked, or the request is refused with the reason.
"""

from .core import Scheduler
from .types import (
    Allocation,
    DeviceSpec,
    Distribution,
    GiveUp,
    Hold,
    Instruction,
    Limits,
    PendingRequest,
    Policy,
    Rules,
    Start,
    Strategy,
    Waiting,
)

__all__ = [
    "Allocation",
    "DeviceSpec",
    "Distribution",
    "GiveUp",
    "Hold",
    "Instruction",
    "Limits",
    "PendingRequest",
    "Policy",
    "Rules",
    "Scheduler",
    "Start",
    "Strategy",
    "Waiting",
]
