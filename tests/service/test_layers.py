"""What a session's details say of the watcher of GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bai_tui.app.backend.ports import Device, Guarantee, Layer
from bai_tui.app.backend.service.layers import is_held, layers_of
from bai_tui.app.model.sessions import Session, SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.policies import GpuSettings, MemorySettings

GPU = Device(id="gpu0", slot="cuda.shares", capacity=Decimal(1), mem_bytes=1 << 34, kind="nvidia")


class OneGpu:
    def __init__(self, gpu: Device) -> None:
        self.gpu = gpu

    def list(self) -> Sequence[Device]:
        return [self.gpu]

    def layers(self, session: Any) -> Sequence[Layer]:
        return []


def running(**allocation: dict[str, str]) -> Session:
    return Session(
        id="i",
        kernel_id="k",
        name="name",
        access_key="a",
        image="python",
        image_asked="python",
        status=SessionStatus.RUNNING,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
        requested_slots=ResourceSlots(),
        allocation={name.replace("_", "."): shares for name, shares in allocation.items()},
    )


class Engine:
    def layers(self, kernel: Any) -> Sequence[Layer]:
        return [Layer("affinity", "cpu", Guarantee.COOPERATIVE, ""), Layer("memory-cgroup", "mem", Guarantee.HARD, "")]


def test_the_strongest_layers_come_first() -> None:
    session = running(cpu={"cpu0": "1"}, mem={"mem": "1"}, cuda_shares={"gpu0": "0.5"})
    devices: Any = OneGpu(GPU)
    engine: Any = Engine()
    kernel: Any = object()
    layers = layers_of(
        session,
        kernel,
        devices=devices,
        engine=engine,
        gpu=GpuSettings(),
        memory=MemorySettings(),
        max_tasks=9,
    )
    assert [layer.guarantee for layer in layers] == ["hard", "cooperative", *["detected"] * 3, *["counted"] * 3]
    assert len({(layer.name, layer.applies_to) for layer in layers}) == len(layers), "none is told twice"


@pytest.mark.parametrize(("tells", "blind"), [(True, False), (False, True)])
def test_a_watcher_that_may_miss_processes_says_so(tells: bool, blind: bool) -> None:
    session = running(cuda_shares={"gpu0": "0.5"})
    devices: Any = OneGpu(replace(GPU, tells_processes=tells))
    engine: Any = None
    layers = layers_of(
        session, None, devices=devices, engine=engine, gpu=GpuSettings(), memory=MemorySettings(), max_tasks=0
    )
    (watcher,) = [layer for layer in layers if layer.name == "watcher"]
    assert watcher.applies_to == "gpu"
    assert ("use may be missed" in watcher.detail) is blind


class Bare:
    """An engine that holds nobody to anything."""

    def layers(self, kernel: Any) -> Sequence[Layer]:
        return []


class Firm:
    """An engine that holds everybody to everything."""

    def layers(self, kernel: Any) -> Sequence[Layer]:
        return [Layer(f"{what}-cgroup", what, Guarantee.HARD, "") for what in ("mem", "tasks")]


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        (
            Bare(),
            {
                "mem": "warns at 100 % of the promised memory, ends the session at 110 % in 5 samples in a row, one a "
                "second; what is used until then is used",
                "tasks": "ends the session when it runs more than 300 processes and threads, counted once a second; "
                "what is started until then is started",
            },
        ),
        (Firm(), {"mem": "warns at 100 % of the promised memory"}),
    ],
)
def test_who_watches_says_no_more_than_what_comes_of_it(engine: Any, told: dict[str, str]) -> None:
    kernel: Any = object()
    devices: Any = OneGpu(GPU)
    layers = layers_of(
        running(mem={"mem": "1"}),
        kernel,
        devices=devices,
        engine=engine,
        gpu=GpuSettings(),
        memory=MemorySettings(),
        max_tasks=300,
    )
    assert {layer.applies_to: layer.detail for layer in layers if layer.name == "watcher"} == told
    assert is_held(engine, kernel, "mem") is isinstance(engine, Firm)
