"""A GPU that can be shared can be asked for whole; where none is shared, a `gpu` is a whole one."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bai_tui.app.backend.ports import CreateRequest
from bai_tui.app.backend.scheduler import DeviceSpec, Scheduler
from bai_tui.app.backend.service.admission import asked_slots
from bai_tui.app.model.errors import BadRequest, UnknownSlot
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


def asked(**resources: str) -> ResourceSlots:
    whole = Scheduler([DeviceSpec("cpu0", "cpu", Decimal(4)), DeviceSpec("gpu0", "cuda.device", Decimal(1))])
    names = {name.replace("_", "."): amount for name, amount in resources.items()}
    return asked_slots(CreateRequest(name=None, image="python", resources=names), IMAGE, whole.available())


@pytest.mark.parametrize("name", ["gpu", "cuda_shares", "cuda_device"])
def test_where_gpus_are_not_shared_every_name_means_a_whole_one(name: str) -> None:
    assert asked(**{name: "1"}) == ResourceSlots({"cpu": 1, "cuda.device": 1})


def test_where_gpus_are_not_shared_a_part_is_refused_with_what_can_be_had() -> None:
    with pytest.raises(BadRequest, match=r"0\.5 of a GPU cannot be had.* ask for gpu=1$"):
        asked(gpu="0.5")
    with pytest.raises(BadRequest, match="not both"):
        asked(gpu="1", cuda_device="1")
