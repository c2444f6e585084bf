"""The database refuses to be written: lists tell the truth, and what is acknowledged outlives the daemon."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.backend.ports import CreateRequest
from bai_tui.app.model.errors import ServiceUnavailable, SessionNotFound
from bai_tui.app.model.sessions import SessionStatus

S = SessionStatus
FULL = ServiceUnavailable("there is no space left for the database")


async def listed(world: Any, statuses: Any = None, *, limit: int = 20, offset: int = 0) -> tuple[list[Any], int]:
    page, total = await world.service.search(world.user, statuses=statuses, access_key=None, limit=limit, offset=offset)
    return [(session.name, session.status) for session in page], total


async def killed(world: Any) -> None:
    """The daemon dies and the next one finds room again."""
    await world.service._tasks.close()
    world.store.refuse = None
    await world.start()


async def test_lists_tell_what_the_database_could_not_be_told(world: Any) -> None:
    for name in ("aaaa", "bbbb", "cccc"):
        await world.create(name)
    await world.service._recorder.settled()
    world.store.refuse = FULL
    await world.service.terminate(world.user, "bbbb")
    await world.create("dddd")
    assert await listed(world) == (
        [("dddd", S.RUNNING), ("cccc", S.RUNNING), ("bbbb", S.TERMINATED), ("aaaa", S.RUNNING)],
        4,
    )
    assert await listed(world, [S.TERMINATED]) == ([("bbbb", S.TERMINATED)], 1)
    assert await listed(world, [S.RUNNING, S.ERROR], limit=1, offset=1) == ([("cccc", S.RUNNING)], 3)
    page, total = await world.service.search(world.other, statuses=None, access_key=None, limit=20, offset=0)
    assert (list(page), total) == ([], 0)


async def test_one_that_has_ended_is_shown_as_ended(world: Any) -> None:
    outcome = await world.create()
    await world.service._recorder.settled()
    world.store.refuse = FULL
    await world.service.terminate(world.user, "sess-1")
    assert (await world.store.get(outcome.session.id)).status is S.RUNNING
    assert (await world.service.get(world.user, outcome.session.id)).status is S.TERMINATED
    with pytest.raises(SessionNotFound):
        await world.service.get(world.other, outcome.session.id)


async def test_the_backend_says_what_is_wrong_until_it_is_over(world: Any) -> None:
    world.store.refuse = FULL
    await world.create()
    assert FULL.message in world.service.notices()
    world.store.refuse = None
    await world.create("second")
    assert FULL.message not in world.service.notices()


async def test_a_waiting_session_is_not_taken_that_would_be_forgotten(world: Any) -> None:
    await world.create("holder", resources={"cpu": "4"})
    world.store.refuse = FULL
    with pytest.raises(ServiceUnavailable, match=r"was not queued.*no space left"):
        await world.create("second", resources={"cpu": "4"}, enqueue_only=True)
    assert world.service._register.named(world.user.access_key, "second") is None
    assert (await listed(world))[1] == 1, "nor is it one that was cancelled: nothing was promised"
    world.store.refuse = None
    taken = await world.create("second", resources={"cpu": "4"}, enqueue_only=True)
    await killed(world)
    assert (await world.service.get(world.user, taken.session.id)).status is S.PENDING


async def test_a_session_that_starts_is_found_in_its_folder(world: Any) -> None:
    world.store.refuse = FULL
    request = CreateRequest(name="sess-1", image="python", enqueue_only=True)
    outcome = await world.service.create(world.user, request)
    assert outcome.session.status is S.RUNNING, "acknowledged when its folder knows of it"
    assert not world.store.rows
    await killed(world)
    assert (await world.service.get(world.user, outcome.session.id)).status is S.RUNNING


async def test_a_change_is_not_acknowledged_that_would_be_forgotten(world: Any) -> None:
    await world.create("holder", resources={"cpu": "4"})
    waiting = await world.create("second", resources={"cpu": "4"}, enqueue_only=True)
    world.store.refuse = FULL
    with pytest.raises(ServiceUnavailable, match=r"forgotten if the backend ends.*no space left"):
        await world.service.rename(world.user, "second", "third")
    with pytest.raises(ServiceUnavailable, match="has priority 70, but"):
        await world.service.modify(world.user, "third", priority=70)
    with pytest.raises(ServiceUnavailable, match="is extended, but"):
        await world.service.extend(world.user, "holder", 60.0)
    with pytest.raises(ServiceUnavailable, match="is cancelled, but"):
        await world.service.terminate(world.user, "third")
    assert (await world.service.get(world.user, waiting.session.id)).status is S.CANCELLED, "it is, though"
    assert (await world.service.terminate(world.user, "holder")).status is S.TERMINATED, "nothing of it can come back"


async def test_whoever_asks_has_looked_whether_a_failed_write_of_others_than_sessions_is_over(world: Any) -> None:
    assert not world.store.pairs
    world.store.problem = "there is no space left"
    assert world.service.notices()[0] == "there is no space left"
    await asyncio.gather(*(task for task in world.service._tasks._tasks if "database" in task.get_name()))
    assert len(world.store.pairs) == 1, "a write that changes nothing: the store sees whether it succeeds"
