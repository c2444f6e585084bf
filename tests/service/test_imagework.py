"""Sessions in images that must be built first, that are gone, that were asked for exactly."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.backend.service.imagework import one_line
from bai_tui.app.model.errors import BadRequest, ImageNotFound
from bai_tui.app.model.images import ImageState
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.service.test_events import collect
from bai_tui.tests.waiting import turns, until

S = SessionStatus
DATA = "python-data:3.11"


@pytest.fixture
def shelf(world: Any) -> Any:
    world.catalogue.add(DATA, environ={"FROM_IMAGE": "1", "K": "of the image"})
    return world.catalogue


async def begin(world: Any, **fields: Any) -> tuple[Any, Any]:
    """Returns a session that is PULLING, and the building that it waits for."""
    outcome = await world.create(image=DATA, enqueue_only=True, **fields)
    await world.catalogue.begun.wait()
    return outcome, world.catalogue.builds[DATA]


async def test_a_session_is_pulling_until_its_image_is_built(world: Any, shelf: Any) -> None:
    events = world.service.events(world.user, progress=True)
    outcome, build = await begin(world, environ={"K": "of the user"})
    session = outcome.session
    assert session.status is S.PULLING
    build.step(1, 4, "installing numpy\x1b[31m\nand more")
    assert session.status_info == "installing numpy[31m and more (25 %)"
    build.step(4, 4, "")
    assert session.status_info == "100 %"
    build.finish()
    await until(lambda: session.status is S.RUNNING)
    assert list(session.status_history) == [
        "PENDING", "SCHEDULED", "PREPARING", "PULLING", "PREPARED", "CREATING", "RUNNING",
    ]  # fmt: skip
    assert session.status_info is None
    (spec,) = world.engine.specs
    assert spec.image.state is ImageState.READY
    assert (spec.environ["FROM_IMAGE"], spec.environ["K"]) == ("1", "of the user")
    found = await collect(events, "session_started")
    told = [event.name for event in found if event.session_id]
    assert told[3:6] == ["kernel_preparing", "session_pulling", "kernel_pulling"]
    progress = [event.extra for event in found if event.name == "bai_image_progress"]
    assert progress[0] == {
        "image": DATA, "state": "updated", "current": 1, "total": 4, "message": "installing numpy[31m and more"
    }  # fmt: skip
    assert progress[-1]["state"] == "done"


async def test_who_does_not_ask_for_progress_is_told_none(world: Any, shelf: Any) -> None:
    events, other = world.service.events(world.user), world.service.events(world.other, progress=True)
    _, build = await begin(world)
    build.step(1, 2, "half")
    build.finish()
    found = await collect(events, "session_started")
    assert "bai_image_progress" not in [event.name for event in found]
    world.service.close_events()
    seen = await collect(other, "")
    assert {event.name for event in seen} == {"bai_image_progress"}, "an image is no secret, whose session it is, is"
    assert all(event.session_id == event.access_key == "" for event in seen)


async def test_two_sessions_wait_for_one_building_and_progress_is_told_once(world: Any, shelf: Any) -> None:
    events = world.service.events(world.user, progress=True)
    first, build = await begin(world)
    second = await world.create("second", image=DATA, enqueue_only=True)
    await until(lambda: len(build.hearers) == 2)
    build.step(1, 2, "half")
    assert first.session.status_info == second.session.status_info == "half (50 %)"
    build.finish()
    await until(lambda: second.session.status is S.RUNNING)
    world.service.close_events()
    progress = [event.extra for event in await collect(events, "") if event.name == "bai_image_progress"]
    assert [(one["state"], one["message"]) for one in progress] == [("updated", "half"), ("done", "")]


async def test_a_building_that_fails_is_why_the_session_failed(world: Any, shelf: Any) -> None:
    outcome, build = await begin(world)
    build.fail("no such package 'nmpy'; the log is /x/log")
    session = await world.ended(outcome)
    assert (session.status, session.status_info) == (
        S.ERROR, "failed-to-start: no such package 'nmpy'; the log is /x/log",
    )  # fmt: skip
    assert world.engine.specs == []
    assert world.scheduler.occupied().wire().get("cpu", "0") == "0"


@pytest.mark.parametrize("forced", [False, True])
async def test_a_session_that_is_ended_stops_the_building(world: Any, shelf: Any, forced: bool) -> None:
    outcome, build = await begin(world)
    session = await world.service.terminate(world.user, "sess-1", forced=forced)
    assert session.status is S.TERMINATED
    assert build.hearers == [] and DATA not in shelf.builds
    assert world.engine.specs == [] and (await world.ended(outcome)).status is S.TERMINATED


async def test_a_daemon_that_is_killed_while_it_builds_leaves_the_launch_to_the_next(world: Any, shelf: Any) -> None:
    outcome, _ = await begin(world)
    for _ in range(4):  # more often than a start is begun anew that takes the daemon down
        await world.service._recorder.settled()
        shelf.begun.clear()
        await world.restart()
        await shelf.begun.wait()
    session = await world.service.get(world.user, outcome.session.id)
    assert session.status is S.PULLING
    shelf.builds[DATA].finish()
    await until(lambda: session.status is S.RUNNING)


async def test_a_stop_waits_for_no_building(world: Any, shelf: Any) -> None:
    outcome, build = await begin(world)
    async with asyncio.timeout(4):  # it waits 5 s for launches
        await world.service.stop()
    assert build.hearers == []
    assert (await world.store.get(outcome.session.id)).status is S.PULLING


async def test_one_that_was_built_meanwhile_starts_at_once(world: Any, shelf: Any) -> None:
    blocker = await world.create("blocker", resources={"cpu": "4"})
    outcome = await world.create(image=DATA, enqueue_only=True)
    shelf.add(DATA, ImageState.READY)
    await world.service.terminate(world.user, blocker.session.id)
    await until(lambda: outcome.session.status is S.RUNNING)
    assert "PULLING" not in outcome.session.status_history


# --- images that are gone ---------------------------------------------------------------------------------------------


async def test_an_image_that_is_gone_fails_the_launch_and_is_told_to_those_on_it(world: Any, shelf: Any) -> None:
    shelf.add(DATA, ImageState.READY)
    first = (await world.create(image=DATA)).session
    plain = (await world.create("plain")).session
    events = world.service.events(world.user)
    shelf.damage[DATA] = "its folder is gone"
    failed = (await world.create("second", image=DATA)).session
    assert failed.status_info == (
        f"failed-to-start: the image {DATA} cannot run any more: its folder is gone; `bai-tui image build {DATA}` "
        "builds it anew"
    )
    assert world.service.image_gone(first) == "its folder is gone" and not world.service.image_gone(plain)
    del shelf.damage[DATA]
    await world.service._image_watch.look()
    assert not world.service.image_gone(first)
    await world.service._recorder.settled()
    world.service.close_events()
    told = [event for event in await collect(events, "") if event.name.startswith("bai_image")]
    assert [(event.name, event.session_id, event.reason) for event in told] == [
        ("bai_image_gone", first.id, "its folder is gone"),
        ("bai_image_back", first.id, ""),
    ]
    assert told[0].extra == {"image": DATA}


async def test_sessions_are_told_without_any_launch(world: Any, shelf: Any) -> None:
    session = (await world.create()).session
    del shelf.known["python:3.11-debian12"]
    await world.service._image_watch.look()
    assert world.service.image_gone(session) == "it is not found on this machine any more"
    await world.service.terminate(world.user, "sess-1")
    await world.service._image_watch.look()
    assert not world.service._image_watch._gone


async def test_an_interpreter_cannot_be_built_again(world: Any, shelf: Any) -> None:
    shelf.damage["python:3.11-debian12"] = "/usr/bin/python3.11 is gone"
    session = (await world.create()).session
    assert "install it again" in str(session.status_info) and "image list" in str(session.status_info)


# --- exactly ----------------------------------------------------------------------------------------------------------


async def test_exactly_is_asked_of_the_catalogue(world: Any, shelf: Any) -> None:
    await world.create()
    assert shelf.exact == []
    await world.create("exact", resource_opts={"exact_image": "true"})
    assert shelf.exact == ["python"]
    with pytest.raises(BadRequest, match="exact_image"):
        await world.create("neither", resource_opts={"exact_image": "perhaps"})


async def test_one_that_cannot_be_had_is_refused_with_the_reason(world: Any, shelf: Any) -> None:
    shelf.add("r:4", ImageState.UNAVAILABLE, reason="R is not installed")
    with pytest.raises(ImageNotFound, match="r:4 cannot be had here: R is not installed"):
        await world.create(image="r:4")


async def test_a_session_that_waited_tells_what_it_really_runs(world: Any, shelf: Any) -> None:
    await world.create("blocker", resources={"cpu": "4"})
    outcome = await world.create(image="python:3.6-ubuntu18.04", enqueue_only=True)
    await world.service._recorder.settled()
    real = shelf.known.pop("python:3.6-ubuntu18.04")
    assert real.canonical == outcome.session.image
    shelf.stands_for["python:3.6-ubuntu18.04"] = "python:3.11-debian12"
    await world.restart()
    await world.service.terminate(world.user, "blocker")
    session = await world.service.get(world.user, outcome.session.id)
    await until(lambda: session.status is S.RUNNING)
    assert session.image == "python:3.11-debian12" and session.image_notice
    await turns(2)
    assert session.status_data["image_notice"] == session.image_notice


def test_a_step_is_one_short_line() -> None:
    assert one_line("a\r\n\tb\x00\x1b[2J c") == "a b[2J c"
    assert len(one_line("x" * 1000)) == 200
