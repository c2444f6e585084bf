"""Small machines to schedule on."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.backend.scheduler import DeviceSpec, PendingRequest, Rules, Scheduler, Strategy
from bai_tui.app.model.slots import ResourceSlots

GIB = 1 << 30
MachineFactory = Callable[..., Scheduler]


def devices(cpus: int = 4, mem_gib: int = 8, gpus: int = 2) -> list[DeviceSpec]:
    return [
        *(DeviceSpec(f"cpu{number}", "cpu", Decimal(1)) for number in range(cpus)),
        *([DeviceSpec("mem", "mem", Decimal(mem_gib * GIB))] if mem_gib else []),
        *(DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)),
    ]


@pytest.fixture
def machine() -> MachineFactory:
    """Makes a scheduler: `machine(cpus=4, gpus=2, strategy=Strategy.SPREAD, rules=Rules(backfill=False))`."""

    def make(
        cpus: int = 4,
        mem_gib: int = 8,
        gpus: int = 2,
        quantum: str = "0.01",
        strategy: Strategy = Strategy.PACK,
        rules: Rules = Rules(),  # noqa: B008 - immutable
    ) -> Scheduler:
        return Scheduler(devices(cpus, mem_gib, gpus), quantum=Decimal(quantum), strategy=strategy, rules=rules)

    return make


@pytest.fixture
def ask() -> Callable[..., PendingRequest]:
    """Makes a request; orders count up: `ask("name", {"gpu": "0.5"}, priority=10, access_key="ann")`."""
    count = 0

    def make(
        session_id: str, slots: dict[str, object], *, priority: int = 10, order: int = 0, **others: Any
    ) -> PendingRequest:
        nonlocal count
        count += 1
        return PendingRequest(
            session_id=session_id,
            slots=ResourceSlots.parse(slots),
            order=order or count,
            priority=priority,
            **others,
        )

    return make
