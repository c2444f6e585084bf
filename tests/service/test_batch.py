from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bai_tui.app.model.errors import BadRequest
from bai_tui.app.model.sessions import SessionResult, SessionStatus
from bai_tui.tests.waiting import until

S = SessionStatus


async def busy(world: Any, outcome: Any) -> Any:
    kernel = world.kernel(outcome)
    await until(lambda: kernel.busy_run is not None)
    return kernel


async def test_a_batch_session_starts_no_earlier_than_it_is_told(world: Any) -> None:
    begin = datetime.now(UTC) + timedelta(hours=1)
    outcome = await world.create(type="batch", startup_command="exit 0", starts_at=begin, enqueue_only=True)
    assert (outcome.session.status, outcome.session.not_before) == (S.PENDING, begin)
    told = world.service.waiting(outcome.session)
    assert told["failed_predicates"][0]["name"] == "reserved_time"
    assert told["passed_predicates"] == [{"name": "dependencies"}]
    assert (await world.create("other", resources={"cpu": "4"})).session.status is S.RUNNING
    await world.service.terminate(world.user, "other")
    world.at(3590)
    assert outcome.session.status is S.PENDING
    world.at(3601)
    assert (await world.ended(outcome)).result is SessionResult.SUCCESS


async def test_the_timer_itself_starts_it(world: Any) -> None:
    begin = datetime.now(UTC) + timedelta(seconds=0.05)
    outcome = await world.create(type="batch", startup_command="exit 0", starts_at=begin, enqueue_only=True)
    assert (await world.ended(outcome)).result is SessionResult.SUCCESS


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"starts_at": datetime.now(UTC)}, "starts_at is for batch sessions"),
        ({"batch_timeout_s": 5.0}, "batch_timeout is for batch sessions"),
        ({"type": "batch", "startup_command": "x", "starts_at": datetime(2026, 1, 1)}, "offset"),
        ({"type": "batch", "startup_command": "x", "batch_timeout_s": -1.0}, "batch_timeout"),
        ({"type": "batch", "startup_command": "x", "batch_timeout_s": float("nan")}, "batch_timeout"),
        ({"resource_opts": {"pending_timeout": "soon"}}, "pending_timeout"),
        ({"resource_opts": {"allow_fractional_resource_fragmentation": "maybe"}}, "true or false"),
    ],
)
async def test_what_makes_no_sense_is_refused(world: Any, fields: dict[str, Any], text: str) -> None:
    with pytest.raises(BadRequest, match=text):
        await world.create(**fields)


async def test_a_runner_that_dies_as_its_command_comes_is_what_ended_the_session(world: Any) -> None:
    """The connection to it is lost a moment before its end is known."""
    outcome = await world.create(type="batch", startup_command="lost", enqueue_only=True)
    session = await world.ended(outcome)
    assert (session.status, session.result) == (S.ERROR, SessionResult.FAILURE)
    assert session.status_info.startswith("runner-died: killed by SIGKILL")


async def test_a_batch_session_ends_when_its_time_is_up(world: Any) -> None:
    events = world.service.events(world.user)
    outcome = await world.create(type="batch", startup_command="wait", batch_timeout_s=60.0)
    await busy(world, outcome)
    world.at(55)
    assert outcome.session.status is S.RUNNING
    world.at(61)
    session = await world.ended(outcome)
    assert (session.status, session.result) == (S.TERMINATED, SessionResult.FAILURE)
    assert (session.status_info, session.exit_code) == ("task-timeout", None)
    names = []
    async for seen in events:
        names.append(seen.name)
        if seen.name == "session_terminated":
            break
    assert names.index("session_failure") < names.index("session_terminated")


async def test_the_time_goes_on_while_the_daemon_is_down(world: Any) -> None:
    outcome = await world.create(type="batch", startup_command="wait", batch_timeout_s=60.0)
    await busy(world, outcome)
    world.now = time.time() + 100
    await world.restart()
    session = await world.ended(outcome)
    assert (session.result, session.status_info) == (SessionResult.FAILURE, "task-timeout")


async def test_a_command_that_ended_in_time_is_no_timeout_though_nobody_looked(world: Any) -> None:
    outcome = await world.create(type="batch", startup_command="wait", batch_timeout_s=60.0)
    kernel = await busy(world, outcome)
    await world.service._tasks.close()
    await kernel.finish(0)
    world.now = time.time() + 62
    await world.start()
    session = await world.ended(outcome)
    assert (session.result, session.status_info) == (SessionResult.SUCCESS, "task-finished")


async def test_a_session_that_waits_too_long_is_cancelled(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    outcome = await world.create("second", resource_opts={"pending_timeout": "10m"}, enqueue_only=True)
    patient = await world.create("third", enqueue_only=True)
    assert outcome.session.pending_timeout_s == 600
    world.at(590)
    assert outcome.session.status is S.PENDING
    world.at(601)
    session = await world.ended(outcome)
    assert (session.status, session.status_info[:15]) == (S.CANCELLED, "pending-timeout")
    assert patient.session.status is S.PENDING


async def test_the_pending_timeout_counts_from_the_time_that_a_session_is_for(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    outcome = await world.create(
        "second",
        type="batch",
        startup_command="wait",
        starts_at=datetime.now(UTC) + timedelta(hours=2),
        resource_opts={"pending_timeout": "10m"},
        enqueue_only=True,
    )
    world.at(7300)
    assert outcome.session.status is S.PENDING
    world.at(7900)
    assert (await world.ended(outcome)).status is S.CANCELLED


async def test_who_waits_for_a_session_that_is_given_up_learns_it(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    waiting = asyncio.ensure_future(world.create("second", resource_opts={"pending_timeout": "0.05"}))
    assert (await waiting).session.status is S.CANCELLED


async def test_a_restart_keeps_the_times_of_those_who_wait(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    timed = await world.create("second", resource_opts={"pending_timeout": "10m"}, enqueue_only=True)
    begin = datetime.now(UTC) + timedelta(hours=1)
    later = await world.create("third", type="batch", startup_command="wait", starts_at=begin, enqueue_only=True)
    await world.restart()
    world.at(601)
    assert (await world.ended(timed)).status is S.CANCELLED
    session = await world.service.get(world.user, later.session.id)
    assert session.not_before == begin
    await world.service.terminate(world.user, "first")
    assert session.status is S.PENDING
    world.at(3601)
    assert session.status is not S.PENDING
