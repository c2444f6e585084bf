from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bai_tui.app.backend.ports import SessionEvent
from bai_tui.app.backend.service.events import EventBus
from bai_tui.app.model.errors import AmbiguousReference, BadRequest, SessionExists, SessionNotFound
from bai_tui.app.model.sessions import LIVE

Names = Callable[[list[Any]], list[str]]


async def collect(events: Any, last: str) -> list[SessionEvent]:
    found = []
    async for event in events:
        found.append(event)
        if event.name == last:
            return found
    return found


async def test_a_life_is_told_in_order_and_after_it_was_stored(world: Any, names: Names) -> None:
    events = world.service.events(world.user)
    outcome = await world.create()
    await world.service.terminate(world.user, "sess-1")
    found = await collect(events, "session_terminated")
    assert names(found) == [
        "session_enqueued",
        "session_scheduled",
        "session_preparing",
        "kernel_preparing",
        "kernel_creating",
        "session_creating",
        "kernel_started",
        "session_started",
        "session_terminating",
        "kernel_terminating",
        "kernel_terminated",
        "session_terminated",
    ]
    assert {(event.session_id, event.session_name) for event in found} == {(outcome.session.id, "sess-1")}
    assert found[-1].reason == "user-requested"
    assert found[6].extra == {"kernelId": outcome.session.kernel_id, "clusterRole": "main", "clusterIdx": 1}


async def test_a_failed_start_ends_the_watch(world: Any, names: Names) -> None:
    events = world.service.events(world.user)
    world.engine.refuse = RuntimeError("no")
    await world.create()
    found = await collect(events, "session_terminated")
    assert found[-2].name == "session_failure"
    assert found[-2].exit_code == 1


async def test_everybody_gets_what_is_theirs(world: Any, names: Names) -> None:
    mine, theirs, all_ = (world.service.events(who) for who in (world.user, world.other, world.admin))
    await world.create("user-sess")
    await world.create("other-sess", caller=world.other)
    assert {event.session_name for event in await collect(mine, "session_started")} == {"user-sess"}
    assert {event.session_name for event in await collect(theirs, "session_started")} == {"other-sess"}
    world.service.close_events()
    assert {event.session_name for event in await collect(all_, "")} == {"user-sess", "other-sess"}


async def test_one_session_only(world: Any) -> None:
    await world.create("first")
    events = world.service.events(world.user, session_ref="first")
    await world.create("second")
    await world.service.terminate(world.user, "first")
    assert {event.session_name for event in await collect(events, "session_terminated")} == {"first"}
    with pytest.raises(SessionNotFound):
        world.service.events(world.user, session_ref="nobody")


async def test_events_end_when_the_backend_stops(world: Any) -> None:
    events = world.service.events(world.user)
    reading = asyncio.ensure_future(collect(events, ""))
    await world.service.stop()
    assert await reading == []


async def test_a_reader_that_lags_loses_the_oldest_and_is_told(world: Any) -> None:
    bus = EventBus()
    reader = bus.subscribe(lambda event: True, limit=3)
    for number in range(5):
        bus.publish(SessionEvent(str(number), "", "", ""))
    bus.close()
    found = [event async for event in reader]
    assert [event.name for event in found] == ["bai_lagged", "2", "3", "4"]
    assert found[0].extra == {"lost": 2}


async def test_a_dropped_reader_collects_nothing(world: Any) -> None:
    import gc

    bus = EventBus()
    reader = bus.subscribe(lambda event: True)
    assert len(bus._subscriptions) == 1
    del reader
    gc.collect()
    assert len(bus._subscriptions) == 0


async def test_references(world: Any) -> None:
    first = (await world.create("alpha-one")).session
    await world.create("alpha-two")
    get = world.service.get
    assert (await get(world.user, first.id)).name == "alpha-one"
    assert (await get(world.user, first.id.upper())).name == "alpha-one"
    assert (await get(world.user, first.id[:8])).name == "alpha-one"
    assert (await get(world.user, "alpha-o")).name == "alpha-one"
    with pytest.raises(AmbiguousReference) as caught:
        await get(world.user, "alpha")
    assert caught.value.data is not None
    assert {match["name"] for match in caught.value.data["matches"]} == {"alpha-one", "alpha-two"}
    for wrong in ("", "beta", "00000000-0000-0000-0000-000000000000"):
        with pytest.raises((SessionNotFound, AmbiguousReference)):
            await get(world.user, wrong)


async def test_rename(world: Any) -> None:
    first = await world.create("first")
    await world.create("second")
    with pytest.raises(SessionExists):
        await world.service.rename(world.user, "first", "second")
    with pytest.raises(BadRequest):
        await world.service.rename(world.user, "first", "x")
    await world.service.rename(world.user, "first", "third")
    assert (await world.service.get(world.user, "third")).id == first.session.id
    assert (await world.create("first")).created
    assert (await world.store.get(first.session.id)).name == "third"


async def test_search_by_status(world: Any) -> None:
    from bai_tui.app.model.sessions import SessionStatus as S

    for name in ("one-1", "two-2", "three"):
        await world.create(name)
    await world.service.terminate(world.user, "two-2")
    search = world.service.search
    page, total = await search(world.user, statuses=[S.RUNNING], access_key=None, limit=1, offset=0)
    assert ([item.name for item in page], total) == (["three"], 2)
    page, total = await search(world.user, statuses=[S.RUNNING, S.TERMINATED], access_key=None, limit=9, offset=0)
    assert ([item.name for item in page], total) == (["three", "two-2", "one-1"], 3)
    page, total = await search(world.user, statuses=[S.TERMINATED], access_key="AKIAOTHER", limit=9, offset=0)
    assert total == 1, "others may not be searched: the caller's own come"


async def test_pages_are_newest_first_after_a_renaming_and_a_restart(world: Any) -> None:
    await world.create("first", resources={"cpu": "3"})
    await world.create("second", enqueue_only=True, resources={"cpu": "4"})
    await world.create("third", resources={"cpu": "1"}, priority=99)
    assert (await world.service.get(world.user, "third")).status == "RUNNING"
    await world.service.rename(world.user, "first", "eldest")
    for _ in range(2):
        pages = [
            await world.service.search(world.user, statuses=list(LIVE), access_key=key, limit=1, offset=offset)
            for key in (None, world.user.access_key)
            for offset in range(4)
        ]
        names = [item.name for page, _ in pages for item in page]
        assert names == ["third", "second", "eldest"] * 2
        assert {total for _, total in pages} == {3}
        await world.restart()  # which takes over those that run before those that wait
