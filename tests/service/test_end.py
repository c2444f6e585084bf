from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.backend.ports import Exit
from bai_tui.app.model.errors import IllegalState, SessionNotFound
from bai_tui.app.model.sessions import SessionResult, SessionStatus
from bai_tui.tests.waiting import until

S = SessionStatus


async def ended(world: Any, session_id: str) -> Any:
    """Waits, by event, until the session has ended."""
    entry = world.service._register.get(session_id)
    if entry is not None:
        await entry.ended.wait()
    return await world.service.get(world.user, session_id)


async def test_terminate_ends_processes_and_frees_slots_and_name(world: Any) -> None:
    outcome = await world.create()
    work = world.engine.specs[0].work_dir
    (work / "deep").mkdir()
    (work / "deep" / "file").write_text("x")
    (work / "deep").chmod(0o500)
    session = await world.service.terminate(world.user, "sess-1")
    assert (session.status, session.status_info) == (S.TERMINATED, "user-requested")
    assert session.terminated_at is not None
    assert world.kernel(outcome).terminations == [2.0]
    assert not any(world.service.slots()[1].values())
    assert not work.exists()
    assert (work.parent / "journal").is_dir()
    with pytest.raises(SessionNotFound):
        await world.service.terminate(world.user, "sess-1")
    assert (await world.service.get(world.user, session.id)).status is S.TERMINATED


async def test_forced_gives_no_grace(world: Any) -> None:
    outcome = await world.create()
    session = await world.service.terminate(world.user, "sess-1", forced=True)
    assert (session.status, session.status_info) == (S.TERMINATED, "force-terminated")
    assert world.kernel(outcome).terminations == [0]


async def test_a_second_delete_is_refused_unless_forced(world: Any) -> None:
    outcome = await world.create()
    world.kernel(outcome).hold_termination = asyncio.Event()
    first = asyncio.ensure_future(world.service.terminate(world.user, "sess-1"))
    await until(lambda: world.kernel(outcome).terminations)
    with pytest.raises(IllegalState, match="being ended already"):
        await world.service.terminate(world.user, "sess-1")
    assert (await world.service.terminate(world.user, "sess-1", forced=True)).status is S.TERMINATED
    assert (await first).status is S.TERMINATED
    assert not any(world.service.slots()[1].values())


async def test_who_leaves_does_not_stop_the_ending(world: Any) -> None:
    outcome = await world.create()
    hold = world.kernel(outcome).hold_termination = asyncio.Event()
    deleting = asyncio.ensure_future(world.service.terminate(world.user, "sess-1"))
    await until(lambda: world.kernel(outcome).terminations)
    deleting.cancel()
    hold.set()
    assert (await ended(world, outcome.session.id)).status is S.TERMINATED


async def test_a_waiting_session_is_cancelled_and_those_behind_move_up(world: Any) -> None:
    await world.create("first", resources={"cpu": "3"})
    await world.create("large", resources={"cpu": "4"}, enqueue_only=True)
    small = await world.create("small", resources={"cpu": "1"}, enqueue_only=True)
    assert small.session.status is S.PENDING
    session = await world.service.terminate(world.user, "large")
    assert (session.status, session.status_info) == (S.CANCELLED, "user-requested")
    assert (await world.create("small")).session.status is S.RUNNING


@pytest.mark.parametrize("forced", [False, True])
async def test_a_session_can_be_ended_while_it_starts(world: Any, forced: bool) -> None:
    hold = world.engine.hold = asyncio.Event()
    outcome = await world.create(enqueue_only=True)
    await until(lambda: world.engine.specs)
    deleting = asyncio.ensure_future(world.service.terminate(world.user, "sess-1", forced=forced))
    if not forced:
        await until(lambda: outcome.session.status is S.TERMINATING)
        hold.set()
    assert (await deleting).status is S.TERMINATED
    if not forced:
        assert world.kernel(outcome).terminations
    assert not any(world.service.slots()[1].values())


async def test_who_waits_for_a_session_that_is_ended_meanwhile_learns_it(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    waiting = asyncio.ensure_future(world.create("second"))
    await until(lambda: world.service._register.named(world.user.access_key, "second") is not None)
    await world.service.terminate(world.user, "second")
    assert (await waiting).session.status is S.CANCELLED


async def test_a_runner_that_dies_is_an_error_with_the_reason(world: Any) -> None:
    outcome = await world.create()
    await world.kernel(outcome).end(Exit(None, "killed by SIGKILL"))
    session = await ended(world, outcome.session.id)
    assert session.status is S.ERROR
    assert "killed by SIGKILL" in session.status_info
    assert session.exit_code is None
    assert not any(world.service.slots()[1].values())


@pytest.mark.parametrize(
    ("end", "result", "info", "event"),
    [
        ("0", SessionResult.SUCCESS, "task-finished", "session_success"),
        ("3", SessionResult.FAILURE, "task-failed: exit status 3", "session_failure"),
        ("137 no memory", SessionResult.FAILURE, "task-failed: no memory", "session_failure"),
    ],
)
async def test_a_batch_session_ends_with_its_command(
    world: Any, end: str, result: SessionResult, info: str, event: str
) -> None:
    events = world.service.events(world.user)
    outcome = await world.create(type="batch", startup_command=f"exit {end}", enqueue_only=True)
    code = int(end.split()[0])
    session = await ended(world, outcome.session.id)
    assert (session.status, session.result, session.exit_code) == (S.TERMINATED, result, code)
    assert session.status_info == info
    names = []
    async for seen in events:
        names.append(seen.name)
        if seen.name == event:
            assert seen.exit_code == code
        if seen.name == "session_terminated":
            break
    assert names.index(event) < names.index("session_terminated")


async def test_end_all_ends_waiting_and_running_ones(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    await world.create("second", enqueue_only=True)
    await world.service.end_all()
    page, _ = await world.service.search(world.user, statuses=None, access_key=None, limit=9, offset=0)
    assert [session.status for session in page] == [S.CANCELLED, S.TERMINATED]


async def test_stop_leaves_sessions_running(world: Any) -> None:
    outcome = await world.create()
    await world.service.stop()
    assert world.kernel(outcome).terminations == []
    assert (await world.store.get(outcome.session.id)).status is S.RUNNING


async def test_a_session_whose_time_was_over_before_it_was_removed_says_so(world: Any) -> None:
    """`run --rm` sees the end in the output and asks for the removal before the service has heard of it."""
    outcome = await world.create()
    hold = world.kernel(outcome).hold_termination = asyncio.Event()
    removal = asyncio.create_task(world.service.terminate(world.user, outcome.session.id))
    await until(lambda: world.kernel(outcome).terminations)
    await world.kernel(outcome).end(Exit(0, "wall-time: the session has run for 5s, as long as it may"))
    hold.set()
    await removal
    session = await world.ended(outcome)
    assert (session.status, session.status_info) == (
        S.TERMINATED,
        "wall-time: the session has run for 5s, as long as it may",
    )
