"""A GPU that can be shared can be asked for whole."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bai_tui.app.backend.ports import CreateRequest
from bai_tui.app.backend.scheduler import DeviceSpec, Scheduler
from bai_tui.app.backend.service.admission import asked_slots
from bai_tui.app.model.errors import UnknownSlot
from bai_tui.app.model.images import Image, ImageReference
from bai_tui.app.model.slots import ResourceSlots

IMAGE = Image(id="i", reference=ImageReference("python", "3.12"))
REQUEST = CreateRequest(name=None, image="python", resources={"cuda.device": "1", "cpu": 1})


def offered(gpus: int) -> ResourceSlots:
    devices = [DeviceSpec(f"gpu{number}", "cuda.shares", Decimal(1)) for number in range(gpus)]
    return Scheduler([DeviceSpec("cpu0", "cpu", Decimal(4)), *devices]).available()


def test_with_gpus() -> None:
    assert asked_slots(REQUEST, IMAGE, offered(2)) == ResourceSlots({"cpu": 1, "cuda.device": 1})


def test_without() -> None:
    with pytest.raises(UnknownSlot, match="has no GPU"):
        asked_slots(REQUEST, IMAGE, offered(0))
