from __future__ import annotations

import asyncio
import os
import stat
from typing import Any

import pytest
from bai_tui.app.model.errors import (
    BadRequest,
    BaiTuiError,
    ImageNotFound,
    ImpossibleRequest,
    InvalidAmount,
    LaunchFailed,
    NotImplementedHere,
    ServiceUnavailable,
    SessionExists,
    UnknownSlot,
)
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.waiting import turns, until

S = SessionStatus


async def test_a_session_runs_with_what_was_asked(world: Any) -> None:
    outcome = await world.create(resources={"cpu": "2", "mem": "2g", "gpu": "0.5"}, environ={"K": "V"}, tag="t")
    session = outcome.session
    assert (session.status, outcome.created, outcome.timed_out) == (S.RUNNING, True, False)
    assert session.requested_slots.wire() == {"cpu": "2", "mem": str(2 << 30), "cuda.shares": "0.5"}
    assert session.occupied_slots == session.requested_slots
    assert session.allocation["cuda.shares"] == {"gpu0": "0.5"}
    assert list(session.status_history) == ["PENDING", "SCHEDULED", "PREPARING", "CREATING", "RUNNING"]
    assert session.status_data == {"image_asked": "python", "allocation": session.allocation}
    assert session.runner == {"pid": 4711, "start_time": 12}
    (spec,) = world.engine.specs
    assert spec.environ["K"] == "V"
    assert spec.granted["GPU_COUNT"] == "1" and "GPU_COUNT" not in spec.environ
    assert spec.environ["BACKENDAI_SESSION_ID"] == session.id
    assert spec.environ["BACKENDAI_SESSION_NAME"] == "sess-1"
    assert spec.environ["BACKENDAI_KERNEL_ID"] == session.kernel_id
    assert spec.environ["BACKENDAI_KERNEL_IMAGE"] == "python:3.11-debian12"
    assert spec.environ["BACKENDAI_CLUSTER_SIZE"] == "1"
    for folder in (spec.session_dir, spec.work_dir):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert (await world.store.get(session.id)).status is S.RUNNING


async def test_missing_cpu_and_mem_come_from_the_image(world: Any) -> None:
    session = (await world.create(resources={"gpu": "1"})).session
    assert session.requested_slots.wire() == {"cuda.shares": "1", "cpu": "1", "mem": str(1 << 30)}


async def test_a_session_without_a_name_gets_one(world: Any) -> None:
    names = {(await world.create(name=None)).session.name for _ in range(3)}
    assert len(names) == 3


async def test_the_notice_of_the_image_is_in_the_status_data(world: Any) -> None:
    world.catalogue.notices["python"] = "runs here as 3.11"
    session = (await world.create()).session
    assert session.status_data is not None
    assert session.status_data["image_notice"] == "runs here as 3.11"
    assert session.image_asked == "python"


@pytest.mark.parametrize(
    ("fields", "error", "text"),
    [
        ({"name": "abc"}, BadRequest, "4 to 64"),
        ({"name": ""}, BadRequest, "4 to 64"),
        ({"name": "a" * 65}, BadRequest, "4 to 64"),
        ({"name": "from-template"}, BadRequest, "from-template"),
        ({"image": "pyhton"}, ImageNotFound, "nearest"),
        ({"resources": {"tpu": "1"}}, UnknownSlot, "Unknown slot type: 'tpu'"),
        ({"resources": {"cpu": "-1"}}, InvalidAmount, "negative"),
        ({"resources": {"cpu": "many"}}, InvalidAmount, "many"),
        ({"resources": {"gpu": "0.5", "cuda.shares": "0.5"}}, BadRequest, "not both"),
        ({"resources": {"gpu": "1.5"}}, ImpossibleRequest, "cuda.shares"),
        ({"resources": {"cpu": "5"}}, ImpossibleRequest, "cpu"),
        ({"resources": {"cpu": "0"}}, BadRequest, "at least 1"),
        ({"resources": {"mem": "1m"}}, BadRequest, "1m of the slot 'mem' is less than .* at least 64m"),
        ({"resource_opts": {"idle_timeout": "soon"}}, BadRequest, "idle_timeout"),
        ({"resource_opts": {"shmem": "x"}}, InvalidAmount, "x"),
        ({"type": "system"}, NotImplementedHere, "system"),
        ({"type": "odd"}, BadRequest, "odd"),
        ({"type": "batch"}, BadRequest, "startupCommand"),
        ({"cluster_size": 2}, BadRequest, "one machine"),
        ({"priority": 101}, BadRequest, "0 to 100"),
        ({"mounts": ["data"]}, NotImplementedHere, "data"),
        ({"environ": {"A=B": "1"}}, BadRequest, "A=B"),
        ({"environ": {"A\n": "1"}}, BadRequest, "cannot name an environment variable"),
        ({"environ": {"A": "\0"}}, BadRequest, "NUL"),
        ({"environ": {"A": "\ud800"}}, BadRequest, "half a character"),
        ({"environ": {"A": "a" * (128 << 10)}}, BadRequest, "more than 127 KiB"),
        ({"environ": {"A" * 300: "a"}}, BadRequest, "more than 256 characters"),
        ({"tag": "a" * 257}, BadRequest, "the tag has 257 characters"),
        ({"domain": "\0"}, BadRequest, "the domain holds a NUL"),
        ({"bootstrap_script": "echo \0"}, BadRequest, "the bootstrap_script holds a NUL"),
        ({"type": "batch", "startup_command": "echo \udc80"}, BadRequest, "the startupCommand holds half"),
    ],
)
async def test_bad_requests_are_one_clear_sentence_and_leave_nothing(
    world: Any, fields: dict[str, Any], error: type[BaiTuiError], text: str
) -> None:
    with pytest.raises(error, match=text):
        await world.create(**fields)
    assert await world.service.search(world.user, statuses=None, access_key=None, limit=9, offset=0) == ([], 0)
    assert not any(world.service.slots()[1].values())
    assert (await world.create()).session.status is S.RUNNING


async def test_a_machine_without_gpu_says_so(world: Any) -> None:
    world.devices._devices = world.devices._devices[:2]
    await world.service.stop()
    await world.start()
    with pytest.raises(UnknownSlot, match="no GPU"):
        await world.create(resources={"gpu": "0.5"})


async def test_a_live_name_is_reused(world: Any) -> None:
    first = await world.create()
    again = await world.create(resources={"cpu": "3"})
    assert (again.created, again.session.id) == (False, first.session.id)
    assert len(world.engine.specs) == 1
    other = await world.create(caller=world.other)
    assert other.created


@pytest.mark.parametrize("fields", [{"reuse": False}, {"image": "python:3.6-ubuntu18.04"}])
async def test_a_live_name_is_refused_with_the_id_of_its_session(world: Any, fields: dict[str, Any]) -> None:
    first = await world.create()
    with pytest.raises(SessionExists) as caught:
        await world.create(**fields)
    assert caught.value.data == {"existingSessionId": first.session.id}


async def test_two_creates_of_one_name_make_one_session(world: Any) -> None:
    outcomes = await asyncio.gather(*(world.create() for _ in range(5)))
    assert len({outcome.session.id for outcome in outcomes}) == 1
    assert sorted(outcome.created for outcome in outcomes) == [False] * 4 + [True]


async def test_a_name_is_free_again_when_its_session_has_ended(world: Any) -> None:
    first = await world.create()
    hold = world.kernel(first).hold_termination = asyncio.Event()
    ending = asyncio.ensure_future(world.service.terminate(world.user, "sess-1"))
    creating = asyncio.ensure_future(world.create(image="python:3.6-ubuntu18.04"))
    await turns()
    assert not creating.done()
    hold.set()
    await ending
    second = await creating
    assert second.created and second.session.id != first.session.id


async def test_what_does_not_fit_now_waits_and_says_for_what(world: Any) -> None:
    first = await world.create("first", resources={"gpu": "0.75"})
    second = await world.create("second", resources={"gpu": "0.5"}, enqueue_only=True)
    assert second.session.status is S.PENDING
    assert "0.25" in (await world.service.get(world.user, "second")).status_info
    waiting = asyncio.ensure_future(world.create("second", resources={"gpu": "0.5"}))
    await world.service.terminate(world.user, "first")
    assert (await waiting).session.status is S.RUNNING
    assert second.session.id == waiting.result().session.id
    assert second.session.status_info is None
    assert first.session.occupied_slots.wire() == {}


async def test_enqueue_only_answers_before_the_start(world: Any) -> None:
    world.engine.hold = asyncio.Event()
    outcome = await world.create(enqueue_only=True)
    assert outcome.session.status in (S.PENDING, S.SCHEDULED, S.PREPARING, S.CREATING)
    world.engine.hold.set()
    assert (await world.create()).session.status is S.RUNNING


async def test_waiting_ends_after_max_wait_and_the_session_stays(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    outcome = await world.create("second", max_wait_s=0.01)
    assert outcome.timed_out
    assert (await world.service.get(world.user, "second")).status is S.PENDING


async def test_who_leaves_while_waiting_leaves_the_session_be(world: Any) -> None:
    world.engine.hold = asyncio.Event()
    creating = asyncio.ensure_future(world.create())
    await until(lambda: world.engine.specs)
    creating.cancel()
    world.engine.hold.set()
    assert (await world.create()).session.status is S.RUNNING
    assert len(world.engine.specs) == 1


@pytest.mark.parametrize("error", [LaunchFailed("no such interpreter"), RuntimeError("a bug")])
async def test_a_failed_start_is_told_and_gives_back_its_slots(world: Any, error: Exception) -> None:
    world.engine.refuse = error
    session = (await world.create(resources={"cpu": "4"})).session
    assert session.status is S.ERROR
    assert str(error) in session.status_info
    assert not os.path.exists(world.engine.specs[0].work_dir)
    world.engine.refuse = None
    assert (await world.create(resources={"cpu": "4"})).session.status is S.RUNNING


async def test_a_full_disk_does_not_stop_sessions_and_heals(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    world.store.refuse = ServiceUnavailable("there is no space left")
    session = (await world.create()).session
    assert session.status is S.RUNNING
    assert "no space left" in caplog.text
    world.store.refuse = None
    await world.create("sess-2")
    assert (await world.store.get(session.id)).status is S.RUNNING


async def test_a_launch_costs_two_writes(world: Any) -> None:
    await world.create()
    assert world.store.writes == 2
