"""A machine to take from, and what it refuses whoever is asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

from bai_tui.app.backend.scheduler.ledger import Grant, Ledger
from bai_tui.app.backend.scheduler.types import DeviceSpec
from bai_tui.app.model.errors import BadRequest, ImpossibleRequest, InvalidAmount
from bai_tui.app.model.slots import ResourceSlots

GIB: Final = 1 << 30
REFUSED: Final[list[tuple[dict[str, object], type[BadRequest], str]]] = [
    ({"cuda.shares": "0.333"}, InvalidAmount, "0.333 cuda.shares is no multiple of 0.01: ask for 0.33 or 0.34"),
    ({"cuda.shares": "0.001"}, InvalidAmount, "the least that can be asked for is 0.01"),
    ({"cpu": "1.5"}, InvalidAmount, "1.5 cpu is no multiple of 1: ask for 1 or 2"),
    ({"cuda.device": "0.5"}, InvalidAmount, "the least that can be asked for is 1"),
    ({"cpu": 5}, ImpossibleRequest, "5 cpu can never be granted: this machine has 4 cpu in all"),
    ({"cuda.shares": "2.01"}, ImpossibleRequest, "this machine has 2 cuda.shares in all"),
    ({"cuda.device": 3}, ImpossibleRequest, "3 cuda.device can never be granted: this machine has 2 cuda.device"),
    ({"mem": "9g"}, ImpossibleRequest, "9g mem can never be granted: this machine has 8g mem in all"),
    ({"mem": (8 << 30) + 1}, ImpossibleRequest, "8589934593 bytes of mem can never be granted"),
    ({"mem": "999999999999y"}, ImpossibleRequest, "can never be granted"),
    ({"cuda.device": 1, "cuda.shares": 1}, ImpossibleRequest, "cuda.device or cuda.shares, not for both"),
]
"""(slots, error, words of its message) of requests to a machine of 4 cpu, 8 GiB and 2 GPUs."""


def gpus(count: int, *, shared: bool = True) -> list[DeviceSpec]:
    return [DeviceSpec(f"gpu{n}", "cuda.shares" if shared else "cuda.device", Decimal(1)) for n in range(count)]


def machine(
    cpus: Sequence[int] = (1, 1, 1, 1), mem: Sequence[int] = (8 * GIB,), gpu_count: int = 2, **options: Any
) -> Ledger:
    specs = [
        *(DeviceSpec(f"cpu{n}", "cpu", Decimal(cores)) for n, cores in enumerate(cpus)),
        *(DeviceSpec(f"mem{n}", "mem", Decimal(size)) for n, size in enumerate(mem)),
        *gpus(gpu_count),
    ]
    return Ledger(specs, **options)


def plan(ledger: Ledger, *, split: bool = False, **slots: object) -> Grant | None:
    named = {{"device": "cuda.device", "gpu": "cuda.shares"}.get(slot, slot): amount for slot, amount in slots.items()}
    return ledger.plan(ledger.shape(ResourceSlots.parse(named), split=split))


def take(ledger: Ledger, name: str, *, split: bool = False, **slots: object) -> dict[str, dict[str, str]]:
    """Takes what is planned; AssertionError when it does not fit."""
    grant = plan(ledger, split=split, **slots)
    assert grant is not None, f"{slots} do not fit"
    return ledger.take(name, grant).wire()
