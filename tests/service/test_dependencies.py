from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.backend.ports import Exit
from bai_tui.app.model.errors import BadRequest, ServiceUnavailable
from bai_tui.app.model.sessions import SessionResult, SessionStatus
from bai_tui.tests.waiting import until

S = SessionStatus
BATCH: dict[str, Any] = {"type": "batch", "startup_command": "wait", "enqueue_only": True}


async def begun(world: Any, outcome: Any) -> Any:
    """Returns the kernel of a batch session whose command has begun."""
    entry = world.service._register.get(outcome.session.id)
    await entry.settled.wait()
    kernel = world.kernel(outcome)
    await until(lambda: kernel.busy_run is not None)
    return kernel


async def settled(world: Any, outcome: Any) -> Any:
    entry = world.service._register.get(outcome.session.id)
    if entry is not None:
        await entry.settled.wait()
    return await world.service.get(world.user, outcome.session.id)


async def test_a_session_starts_when_what_it_depends_on_has_succeeded(world: Any) -> None:
    first = await world.create("first", **BATCH)
    second = await world.create("second", dependencies=["first", first.session.id], enqueue_only=True)
    assert second.session.status is S.PENDING
    assert second.session.depends_on == [first.session.id]
    told = world.service.waiting(second.session)
    assert [item["name"] for item in told["failed_predicates"]] == ["dependencies"]
    assert told["position"] is None
    assert "first" in told["msg"] and first.session.id not in told["msg"]
    await (await begun(world, first)).finish(0)
    assert (await world.ended(first)).result is SessionResult.SUCCESS
    assert (await settled(world, second)).status is S.RUNNING
    assert world.service.waiting(second.session) is None


@pytest.mark.parametrize("how", ["fails", "is removed", "is removed while it waits"])
async def test_what_depends_on_a_session_without_success_is_cancelled_and_so_on(world: Any, how: str) -> None:
    blocker = await world.create("blocker", resources={"cpu": "4"}) if how.endswith("waits") else None
    first = await world.create("first", **BATCH)
    second = await world.create("second", dependencies=["first"], **BATCH)
    third = await world.create("third", dependencies=[second.session.id], **BATCH)
    events = world.service.events(world.user)
    if how == "fails":
        await (await begun(world, first)).finish(3)
        await world.ended(first)
    else:
        await world.service.terminate(world.user, "first")
    for outcome in (second, third):
        session = await world.ended(outcome)
        assert session.status is S.CANCELLED
        assert session.status_info.startswith("dependency-failed: ")
    cancelled: list[Any] = []
    async for event in events:
        if event.name == "session_cancelled":
            cancelled.append(event)
        if len(cancelled) == 2 + how.startswith("is removed while"):
            break
    if how.startswith("is removed while"):
        assert cancelled.pop(0).reason == "user-requested"
    assert [event.session_name for event in cancelled] == ["second", "third"]
    assert [event.reason for event in cancelled] == [
        f"dependency-failed: the session {name} did not succeed" for name in ("first", "second")
    ]
    assert blocker is None or blocker.session.status is S.RUNNING


async def test_only_batch_sessions_of_ones_own_that_may_succeed_can_be_depended_on(world: Any) -> None:
    await world.create("inter")
    failed = await world.create("failed", type="batch", startup_command="exit 3")
    done = await world.create("done", type="batch", startup_command="exit 0")
    foreign = await world.create("foreign", caller=world.other, **BATCH)
    await world.ended(failed)
    await world.ended(done)
    for ref, text in (
        ("inter", "never reports success"),
        (failed.session.id, "ended without success .TERMINATED, task-failed: exit status"),
        ("failed", "no session 'failed' of yours"),
        (foreign.session.id, "of yours"),
        ("4e0a1b2c-0000-4000-8000-000000000000", "of yours"),
    ):
        with pytest.raises(BadRequest, match=text):
            await world.create("next", dependencies=[ref])
    with pytest.raises(BadRequest, match="of yours"):
        await world.create("next", dependencies=[foreign.session.id], caller=world.admin)
    after = await world.create("next", dependencies=[done.session.id])
    assert after.session.status is S.RUNNING
    assert after.session.depends_on == [done.session.id]


async def test_a_dependency_blocks_nobody_else(world: Any) -> None:
    await world.create("first", **BATCH)
    await world.create("large", dependencies=["first"], resources={"cpu": "4"}, priority=100, enqueue_only=True)
    assert (await world.create("other", resources={"cpu": "3"})).session.status is S.RUNNING


async def test_dependents_of_a_batch_that_ended_while_the_daemon_was_down_are_decided(world: Any) -> None:
    good, bad = await world.create("good", **BATCH), await world.create("bad1", **BATCH)
    kernels = [await begun(world, good), await begun(world, bad)]
    first = await world.create("first", dependencies=["good"], enqueue_only=True)
    second = await world.create("second", dependencies=["bad1"], enqueue_only=True)
    await world.service._tasks.close()
    await kernels[0].finish(0)
    await kernels[1].finish(1)
    await world.start()
    assert (await settled(world, first)).status is S.RUNNING
    session = await settled(world, second)
    assert (session.status, session.status_info[:18]) == (S.CANCELLED, "dependency-failed:")


async def test_dependents_of_what_has_failed_before_the_restart_are_not_started_by_it(world: Any) -> None:
    """The daemon was killed between the end of one and the end of the other."""
    first = await world.create("first", type="batch", startup_command="wait", resources={"gpu": "1"}, enqueue_only=True)
    second = await world.create("second", dependencies=["first"], **BATCH)
    third = await world.create("third", dependencies=["second"], **BATCH)
    await world.service._recorder.settled()
    row = world.store.rows[second.session.id], world.store.rows[third.session.id]
    await (await begun(world, first)).finish(1)
    await world.ended(first)
    await world.ended(third)
    await world.service._tasks.close()
    world.store.rows[second.session.id], world.store.rows[third.session.id] = row
    await world.start()
    for outcome in (second, third):
        session = await world.service.get(world.user, outcome.session.id)
        assert (session.status, session.status_info[:18]) == (S.CANCELLED, "dependency-failed:")


async def test_a_request_that_no_longer_fits_waits_for_the_machine_that_it_came_to(world: Any) -> None:
    await world.create("first", resources={"gpu": "1"})
    second = await world.create("second", resources={"gpu": "1"}, **BATCH)
    third = await world.create("third", dependencies=["second"], **BATCH)
    devices = world.devices._devices
    world.devices._devices = devices[:2]
    await world.restart()
    for waiting in (second, third):
        assert (await world.service.get(world.user, waiting.session.id)).status is S.PENDING
    session = await world.service.get(world.user, "second")
    assert world.service.waiting(session)["msg"].startswith("waits for the machine to change: 1 cuda.shares")
    world.devices._devices = devices
    await world.restart()
    await world.service.terminate(world.user, "first")
    assert (await settled(world, second)).status is S.RUNNING


async def test_a_dependent_of_one_that_goes_on_without_its_promise_still_waits(world: Any) -> None:
    first = await world.create("first", resources={"gpu": "1"}, **BATCH)
    kernel = await begun(world, first)
    second = await world.create("second", dependencies=["first"], enqueue_only=True)
    world.devices._devices = world.devices._devices[:2]
    await world.restart()
    assert (await world.service.get(world.user, "second")).status is S.PENDING
    await kernel.finish(0)
    assert (await settled(world, second)).status is S.RUNNING


async def test_dependents_of_a_session_whose_processes_are_gone_are_cancelled(world: Any) -> None:
    first = await world.create("first", **BATCH)
    kernel = await begun(world, first)
    done = await world.create("done", type="batch", startup_command="exit 0")
    await world.ended(done)
    second = await world.create("second", dependencies=[done.session.id, "first"], **BATCH)
    await world.service._tasks.close()
    await kernel.end(Exit(None, "killed"))
    await world.start()
    session = await world.ended(second)
    assert (session.status, session.status_info[:18]) == (S.CANCELLED, "dependency-failed:")


async def test_an_end_that_could_not_be_written_is_not_taken_for_success(world: Any) -> None:
    first = await world.create("first", type="batch", startup_command="wait", enqueue_only=True)
    kernel = await begun(world, first)
    await world.service._recorder.settled()
    world.store.refuse = ServiceUnavailable("the disk is full")
    await kernel.finish(1)
    await world.ended(first)
    with pytest.raises(BadRequest, match="the session first has ended without success"):
        await world.create("second", dependencies=[first.session.id])


async def test_two_creates_of_one_name_with_dependencies_make_one_session(world: Any) -> None:
    done = await world.create("done", type="batch", startup_command="exit 0")
    await world.ended(done)
    ref = done.session.id
    outcomes = await asyncio.gather(*(world.create("next", dependencies=[ref]) for _ in range(3)))
    assert len({outcome.session.id for outcome in outcomes}) == 1
