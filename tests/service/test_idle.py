from __future__ import annotations

import time
from typing import Any

import pytest
from bai_tui.app.backend.service.idle import IdleBook
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.sessions import SessionStatus

S = SessionStatus


def query(code: str) -> ExecuteRequest:
    return ExecuteRequest(RunMode.QUERY, code)


def at(world: Any, seconds: float) -> None:
    """Lets the clock of the service stand so many seconds after now, and looks who is due."""
    world.now = time.time() + seconds
    world.service._lifecycle.idle.check()


async def ended(world: Any, outcome: Any) -> Any:
    entry = world.service._register.get(outcome.session.id)
    if entry is not None:
        await entry.ended.wait()
    return outcome.session


async def test_an_idle_session_ends(world: Any) -> None:
    outcome = await world.create()
    assert 1799 < world.service.idle_remaining_s(outcome.session) <= 1800
    at(world, 1795)
    assert outcome.session.status is S.RUNNING
    assert world.service.idle_remaining_s(outcome.session) < 6
    at(world, 1801)
    session = await ended(world, outcome)
    assert (session.status, session.status_info) == (S.TERMINATED, "idle-timeout")
    assert world.service.idle_remaining_s(session) is None


@pytest.mark.parametrize("asked", ["10m", 600, "600"])
async def test_a_session_can_have_its_own_timeout(world: Any, asked: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": asked})
    at(world, 590)
    assert outcome.session.status is S.RUNNING
    at(world, 601)
    assert (await ended(world, outcome)).status_info == "idle-timeout"


async def test_zero_means_never(world: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "0"})
    assert world.service.idle_remaining_s(outcome.session) is None
    at(world, 10**9)
    assert outcome.session.status is S.RUNNING


async def test_batch_sessions_never_idle(world: Any) -> None:
    outcome = await world.create(type="batch", startup_command="wait", resource_opts={"idle_timeout": "1"})
    at(world, 10**6)
    assert outcome.session.status is S.RUNNING


async def test_a_run_keeps_its_session_alive_and_the_clock_counts_from_its_end(world: Any) -> None:
    outcome = await world.create()
    async with world.service.run(world.user, "sess-1", query("wait")):
        pass
    at(world, 5000)
    assert outcome.session.status is S.RUNNING
    assert world.service.idle_remaining_s(outcome.session) == 1800
    kernel = world.kernel(outcome)
    await kernel.finish(0)
    kernel.last_activity = world.now
    at(world, 6790)
    assert outcome.session.status is S.RUNNING
    at(world, 6802)
    assert (await ended(world, outcome)).status_info == "idle-timeout"


async def test_an_open_stream_keeps_its_session_alive(world: Any) -> None:
    outcome = await world.create()
    async with world.service.run(world.user, "sess-1", query("print x")):
        at(world, 5000)
        assert outcome.session.status is S.RUNNING
    at(world, 6790)
    assert outcome.session.status is S.RUNNING
    at(world, 6810)
    assert (await ended(world, outcome)).status_info == "idle-timeout"


async def test_a_stream_that_runs_nothing_yet_keeps_its_session_alive_too(world: Any) -> None:
    outcome = await world.create()
    with world.service.attached(outcome.session.id):
        at(world, 5000)
        assert outcome.session.status is S.RUNNING
    at(world, 6790)
    assert outcome.session.status is S.RUNNING
    at(world, 6810)
    assert (await ended(world, outcome)).status_info == "idle-timeout"
    with world.service.attached(outcome.session.id):
        pass  # a stream may outlive its session


async def test_the_timer_itself_ends_sessions(world: Any) -> None:
    outcome = await world.create(resource_opts={"idle_timeout": "0.05"})
    assert (await ended(world, outcome)).status_info == "idle-timeout"


def test_the_book_gives_the_due_in_order_and_forgets_the_dropped() -> None:
    book = IdleBook()
    for name, deadline in (("a", 3.0), ("b", 1.0), ("c", 2.0), ("d", 2.5)):
        book.set(name, deadline)
    book.set("b", 5.0)
    book.drop("c")
    assert book.next_deadline() == 2.5
    assert book.pop_due(4.0) == ["d", "a"]
    assert book.pop_due(4.0) == []
    assert book.next_deadline() == 5.0
