"""The clock of the machine is set back, or jumps ahead as when a laptop wakes up."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any

import pytest
from bai_tui.app.backend.service.alarm import Alarm
from bai_tui.app.backend.service.steady import SteadyTime
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.waiting import turns, until

S = SessionStatus
HOUR = 3600.0


def test_steady_time_goes_on_where_the_clock_goes_back() -> None:
    now = [1000.0]
    steady = SteadyTime(lambda: now[0])
    now[0] = 1010.0
    assert steady.now() == 1010.0
    now[0] = 500.0
    assert steady.now() == 1010.0
    now[0] = 507.0
    assert (steady.now(), steady.of(507.0), steady.unix(1017.0)) == (1017.0, 1017.0, 507.0)


def test_what_is_set_is_looked_at_when_the_clock_was_set_back() -> None:
    now = [1000.0]
    alarm = Alarm(lambda: now[0])
    rung: list[str] = []
    alarm.set(("a", ""), 1060.0, lambda: rung.append("a"))
    now[0] = 999.5
    alarm.check()
    assert not rung, "a clock that is being adjusted"
    now[0] = 100.0
    alarm.check()
    assert rung == ["a"]
    alarm.check()
    assert rung == ["a"]


async def test_a_request_waits_as_long_as_it_may_though_the_clock_was_set_back(world: Any) -> None:
    now = time.time()
    world.at(0)
    await world.create("holder", resources={"cpu": "4"})
    before = await world.create("before", resources={"cpu": "4"}, enqueue_only=True,
                                resource_opts={"pending_timeout": "60"})  # fmt: skip
    world.set_clock(-HOUR)
    after = await world.create("after", resources={"cpu": "4"}, enqueue_only=True,
                               resource_opts={"pending_timeout": "60"})  # fmt: skip
    await turns()
    assert (before.session.status, after.session.status) == (S.PENDING, S.PENDING), "not given up an hour too early"
    assert before.session.enqueue_order < after.session.enqueue_order
    world.at(59 - (time.time() - now))
    assert after.session.status is S.PENDING
    world.at(62)
    assert (before.session.status, after.session.status) == (S.CANCELLED, S.CANCELLED), "nor an hour too late"


async def test_a_session_starts_at_its_time_of_the_clock_that_was_set_back(world: Any) -> None:
    world.at(0)
    world.set_clock(HOUR)
    world.set_clock(0)
    begin = datetime.fromtimestamp(world.clock() + 30, UTC)
    outcome = await world.create(type="batch", startup_command="exit 0", starts_at=begin, enqueue_only=True)
    world.at(25)
    assert outcome.session.status is S.PENDING
    world.at(31)
    assert (await world.ended(outcome)).status is S.TERMINATED


async def test_a_jump_ahead_ends_no_session_that_is_in_use(world: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "60"})
    idle = await world.create("idle-one", resource_opts={"idle_timeout": "60"})
    async with world.service.run(world.user, "sess-1", ExecuteRequest(RunMode.QUERY, "wait"), "r1"):
        world.at(24 * HOUR)
        assert outcome.session.status is S.RUNNING
        assert (await world.ended(idle)).status_info == "idle-timeout"
        await world.kernel(outcome).finish(0)


@pytest.mark.parametrize("by_s", [-HOUR, 24 * HOUR], ids=["set-back", "slept"])
async def test_a_session_idles_as_long_as_it_may_whatever_the_clock_shows(world: Any, by_s: float) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "600"})
    world.at(300)
    world.set_clock(by_s)
    assert 290 < world.service.idle_remaining_s(outcome.session) <= 301
    world.at(590)
    assert outcome.session.status is S.RUNNING
    world.at(602)
    assert (await world.ended(outcome)).status_info == "idle-timeout"


@pytest.mark.parametrize("by_s", [-HOUR, 24 * HOUR], ids=["set-back", "slept"])
async def test_a_use_after_the_clock_was_set_counts_from_then(world: Any, by_s: float) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "600"})
    world.set_clock(by_s)
    world.at(300)
    async with world.service.run(world.user, "sess-1", ExecuteRequest(RunMode.QUERY, "print x"), "r1"):
        pass
    world.at(890)
    assert outcome.session.status is S.RUNNING
    world.at(902)
    assert (await world.ended(outcome)).status_info == "idle-timeout"


@pytest.mark.parametrize("by_s", [-HOUR, 24 * HOUR], ids=["set-back", "slept"])
async def test_a_batch_command_has_its_time_whatever_the_clock_shows(world: Any, by_s: float) -> None:
    outcome = await world.create(type="batch", startup_command="wait", batch_timeout_s=600.0)
    await until(lambda: world.kernel(outcome).busy_run)
    world.at(300)
    world.set_clock(by_s)
    world.at(595)
    assert outcome.session.status is S.RUNNING, "not ended because the clock was set"
    world.at(602)
    assert (await world.ended(outcome)).status_info == "task-timeout"


@pytest.mark.parametrize("by_s", [-HOUR, 24 * HOUR], ids=["set-back", "slept"])
async def test_an_extension_lasts_whatever_the_clock_shows(world: Any, by_s: float) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "60"})
    await world.service.extend(world.user, "sess-1", 600.0)
    world.set_clock(by_s)
    world.at(590)
    assert outcome.session.status is S.RUNNING
    world.at(602)
    assert (await world.ended(outcome)).status_info == "idle-timeout"


async def test_a_daemon_that_comes_after_the_clock_was_set_back_gives_no_session_its_time_twice(world: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "600"})
    world.at(300)
    world.set_by_s = -HOUR
    await world.restart()
    assert 590 < world.service.idle_remaining_s(outcome.session) <= 600, "from now on, not from a use to come"
