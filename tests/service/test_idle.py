from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.backend.service.alarm import Alarm
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.waiting import turns

S = SessionStatus


def query(code: str) -> ExecuteRequest:
    return ExecuteRequest(RunMode.QUERY, code)


async def test_an_idle_session_ends(world: Any) -> None:
    outcome = await world.create()
    assert 1799 < world.service.idle_remaining_s(outcome.session) <= 1800
    world.at(1795)
    assert outcome.session.status is S.RUNNING
    assert world.service.idle_remaining_s(outcome.session) < 6
    world.at(1801)
    session = await world.ended(outcome)
    assert (session.status, session.status_info) == (S.TERMINATED, "idle-timeout")
    assert world.service.idle_remaining_s(session) is None


@pytest.mark.parametrize("asked", ["10m", 600, "600"])
async def test_a_session_can_have_its_own_timeout(world: Any, asked: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": asked})
    world.at(590)
    assert outcome.session.status is S.RUNNING
    world.at(601)
    assert (await world.ended(outcome)).status_info == "idle-timeout"


async def test_zero_means_never(world: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "0"})
    assert world.service.idle_remaining_s(outcome.session) is None
    world.at(10**9)
    assert outcome.session.status is S.RUNNING


async def test_batch_sessions_never_idle(world: Any) -> None:
    outcome = await world.create(type="batch", startup_command="wait", resource_opts={"idle_timeout": "1"})
    world.at(10**6)
    assert outcome.session.status is S.RUNNING


async def test_a_run_keeps_its_session_alive_and_the_clock_counts_from_its_end(world: Any) -> None:
    outcome = await world.create()
    async with world.service.run(world.user, "sess-1", query("wait")):
        pass
    world.at(5000)
    assert outcome.session.status is S.RUNNING
    assert world.service.idle_remaining_s(outcome.session) == 1800
    kernel = world.kernel(outcome)
    await kernel.finish(0)
    kernel.last_activity = world.now
    world.at(6790)
    assert outcome.session.status is S.RUNNING
    world.at(6802)
    assert (await world.ended(outcome)).status_info == "idle-timeout"


async def test_an_open_stream_keeps_its_session_alive(world: Any) -> None:
    outcome = await world.create()
    async with world.service.run(world.user, "sess-1", query("print x")):
        world.at(5000)
        assert outcome.session.status is S.RUNNING
    world.at(6790)
    assert outcome.session.status is S.RUNNING
    world.at(6810)
    assert (await world.ended(outcome)).status_info == "idle-timeout"


async def test_a_stream_that_runs_nothing_yet_keeps_its_session_alive_too(world: Any) -> None:
    outcome = await world.create()
    with world.service.attached(outcome.session.id):
        world.at(5000)
        assert outcome.session.status is S.RUNNING
    world.at(6790)
    assert outcome.session.status is S.RUNNING
    world.at(6810)
    assert (await world.ended(outcome)).status_info == "idle-timeout"
    with world.service.attached(outcome.session.id):
        pass  # a stream may outlive its session


async def test_the_timer_itself_ends_sessions(world: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "0.05"})
    assert (await world.ended(outcome)).status_info == "idle-timeout"


def test_the_alarm_calls_the_due_in_order_and_forgets_the_dropped() -> None:
    now, called = 0.0, list[str]()
    alarm = Alarm(lambda: now)

    def enter(name: str, deadline: float) -> None:
        alarm.set(("x", name), deadline, lambda: called.append(name))

    for name, deadline in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 2.5)):
        enter(name, deadline)
    enter("b", 5.0)
    alarm.drop(("x", "c"))
    assert alarm.next_deadline() == 2.5
    now = 4.0
    alarm.check()
    alarm.check()
    assert called == ["d", "a"]
    assert alarm.next_deadline() == 5.0


def test_the_alarm_minds_what_an_earlier_call_has_changed() -> None:
    called = list[str]()
    alarm = Alarm(lambda: 10.0)
    alarm.set(("x", "a"), 1.0, lambda: alarm.drop(("x", "b")))
    alarm.set(("x", "b"), 2.0, lambda: called.append("b"))
    alarm.set(("x", "c"), 3.0, lambda: alarm.set(("x", "c"), 3.0, lambda: called.append("again")))
    alarm.check()
    assert called == []
    alarm.check()
    assert called == ["again"]


def test_an_alarm_that_is_moved_often_does_not_grow() -> None:
    alarm = Alarm(lambda: 0.0)
    for number in range(10_000):
        alarm.set(("x", "a"), 1.0 + number, lambda: None)
    assert len(alarm._heap) < 100
    assert alarm.next_deadline() == 10_000.0


async def test_the_alarm_looks_at_a_clock_that_may_jump(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bai_tui.app.backend.service.alarm._LONGEST_WAIT_S", 0.01)
    now, called = 0.0, asyncio.Event()
    alarm = Alarm(lambda: now)
    alarm.set(("x", "a"), 1e6, called.set)
    running = asyncio.ensure_future(alarm.run())
    await turns(1)  # it waits already
    now = 2e6
    async with asyncio.timeout(5):
        await called.wait()
    running.cancel()
    await asyncio.wait([running])


async def test_time_never_goes_back_for_the_scheduler(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    enqueue = world.scheduler.enqueue

    def recorded(request: Any, now: float, **more: Any) -> Any:
        seen.append(now)
        return enqueue(request, now, **more)

    monkeypatch.setattr(world.scheduler, "enqueue", recorded)
    for number, seconds in enumerate((0, 1000, -5000, 10)):
        world.at(seconds)
        await world.create(f"sess-{number}", enqueue_only=True)
    assert seen == sorted(seen)
    assert seen[2] == seen[1]
    assert seen[3] - seen[2] == pytest.approx(5010, abs=30), "it goes on from where it was"
