"""Images that are built without a session, by whom, and what is told of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from bai_tui.app.backend.service.backgroundtasks import KEPT_S, MOST_AT_ONCE, BackgroundTasks, Outcome
from bai_tui.app.backend.service.tasks import Tasks
from bai_tui.app.model.errors import Forbidden, ImageNotFound, NotFound, QuotaExceeded
from bai_tui.app.model.images import ImageState
from bai_tui.tests.waiting import until

DATA, TORCH = "python-data:3.11", "python-pytorch:2"


@pytest.fixture
def shelf(world: Any) -> Any:
    for name in (DATA, TORCH):
        world.catalogue.add(name)
    return world.catalogue


async def news_of(world: Any, task_id: str, caller: Any = None) -> list[Any]:
    return [news async for news in world.service.task_news(caller or world.user, task_id)]


async def prepare(world: Any, *references: str, caller: Any = None, **options: Any) -> str:
    task_id, _ = await world.service.prepare_images(caller or world.user, references, **options)
    return str(task_id)


async def test_a_task_tells_where_it_stands_and_how_it_ended(world: Any, shelf: Any) -> None:
    task_id = await prepare(world, DATA)
    assert await prepare(world, DATA) == task_id, "asked for again, it is the same"
    await shelf.begun.wait()
    reader = world.service.task_news(world.user, task_id)
    assert (await anext(reader)).state == "started"
    shelf.builds[DATA].step(1, 2, "installing numpy\n")
    news = await anext(reader)
    assert (news.state, news.current, news.total, news.message) == ("updated", 1, 2, "installing numpy")
    shelf.builds[DATA].finish()
    end = await anext(reader)
    assert (end.state, end.current, end.total, end.message) == ("done", 2, 2, f"{DATA} is ready")
    assert await anext(reader, None) is None
    assert await news_of(world, task_id) == [end], "it is known after its end"
    assert await prepare(world, DATA) != task_id


async def test_a_task_is_of_who_began_it(world: Any, shelf: Any) -> None:
    mine = await prepare(world, DATA)
    theirs = await prepare(world, DATA, caller=world.other)
    assert mine != theirs
    await until(lambda: DATA in shelf.builds and len(shelf.builds[DATA].hearers) == 2)
    with pytest.raises(NotFound, match="no background task"):
        world.service.task_news(world.other, mine)
    with pytest.raises(NotFound):
        await world.service.cancel_task(world.other, mine)
    await world.service.cancel_task(world.admin, mine)
    assert [news.state for news in await news_of(world, mine)] == ["cancelled"]
    assert len(shelf.builds[DATA].hearers) == 1, "the other one still wants it"
    await world.service.cancel_task(world.user, mine)
    shelf.builds[DATA].finish()
    assert (await news_of(world, theirs, world.other))[-1].state == "done"


async def test_a_user_has_so_many_at_a_time_and_an_administrator_any(world: Any) -> None:
    tasks, forever = Tasks(), asyncio.Event()
    background = BackgroundTasks(tasks)

    async def work(tell: object) -> Outcome:
        await forever.wait()
        return Outcome("done")

    begun = [background.start(world.user, [number], work) for number in range(MOST_AT_ONCE)]
    with pytest.raises(QuotaExceeded, match="16 background tasks of yours"):
        background.start(world.user, ["one more"], work)
    assert background.start(world.user, [3], work) == begun[3]
    for number in range(MOST_AT_ONCE + 1):
        background.start(world.admin, [number], work)
    background.start(world.other, ["one"], work)
    await background.cancel(world.user, begun[0])  # before it could do anything
    assert [news.state async for news in background.news(world.user, begun[0])] == ["cancelled"]
    background.start(world.user, ["one more"], work)
    await tasks.close()


async def test_a_task_says_why_it_failed(world: Any, shelf: Any) -> None:
    task_id = await prepare(world, DATA)
    await shelf.begun.wait()
    shelf.builds[DATA].fail("no space left in the cache")
    end = (await news_of(world, task_id))[-1]
    assert (end.state, end.message) == ("failed", "no space left in the cache")


async def test_several_images_one_of_which_cannot_be_built(world: Any, shelf: Any) -> None:
    task_id = await prepare(world, DATA, TORCH, DATA)
    await until(lambda: DATA in shelf.builds)
    shelf.builds[DATA].fail("no")
    await until(lambda: TORCH in shelf.builds)
    shelf.builds[TORCH].finish()
    end = (await news_of(world, task_id))[-1]
    assert (end.state, end.message, end.errors) == ("partial_success", f"{TORCH} is ready", ("no",))


async def test_what_is_ready_is_done_at_once_unless_it_is_wanted_anew(world: Any, shelf: Any) -> None:
    shelf.add(DATA, ImageState.READY)
    task_id = await prepare(world, DATA)
    assert (await news_of(world, task_id))[-1].state == "done"
    assert not shelf.builds
    await prepare(world, DATA, anew=True)
    await until(lambda: DATA in shelf.builds)


async def test_a_substitute_is_named(world: Any, shelf: Any) -> None:
    shelf.stands_for["python-data:2"] = DATA
    _, notices = await world.service.prepare_images(world.user, ["python-data:2"])
    assert notices == ["python-data:2 is not here"]
    with pytest.raises(ImageNotFound, match="no image 'nothing'"):
        await prepare(world, "nothing")


async def test_administrators_alone_remove_and_name(world: Any, shelf: Any) -> None:
    shelf.add(DATA, ImageState.READY)
    session = (await world.create(image=DATA)).session
    for forbidden in (
        world.service.remove_images(world.user, [DATA]),
        world.service.alias_image(world.user, "data", DATA),
        world.service.dealias_image(world.user, "data"),
    ):
        with pytest.raises(Forbidden, match="administrator"):
            await forbidden
    assert shelf.written == []
    await world.service.alias_image(world.admin, "data", DATA)
    await world.service.dealias_image(world.admin, "data")
    assert shelf.written == [("data", DATA), ("data",)]
    with pytest.raises(ImageNotFound, match=r"the nearest is python-data:3\.11"):
        await world.service.remove_images(world.admin, ["python-dat:3.11"])
    assert await world.service.remove_images(world.admin, [DATA]) == f"removed {DATA}"
    assert world.service.image_gone(session) == "it was removed or changed (not built)"


async def test_the_log_of_a_building(world: Any, shelf: Any) -> None:
    assert await world.service.image_log(DATA) == f"built {DATA}\n"
    with pytest.raises(NotFound, match="neither built nor pulled"):
        await world.service.image_log("python:3.11-debian12")


async def test_looking_again_tells_what_has_changed(world: Any, shelf: Any) -> None:
    async def refresh() -> None:
        shelf.add("new:1")
        shelf.known.pop(TORCH, None)

    shelf.refresh = refresh
    (end,) = (await news_of(world, world.service.rescan_images(world.user)))[-1:]
    assert (end.state, end.message) == ("done", "4 images, 1 new, 1 gone")


async def test_tasks_are_forgotten_some_time_after_their_end(world: Any) -> None:
    now = 0.0
    tasks = Tasks()
    known = BackgroundTasks(tasks, lambda: now)
    hold = asyncio.Event()

    async def at_once(_: Any) -> Outcome:
        return Outcome("done")

    async def held(_: Any) -> Outcome:
        await hold.wait()
        raise ValueError("a mistake of ours")

    short, long = known.start(world.user, ("short",), at_once), known.start(world.user, ("long",), held)
    assert [news.state async for news in known.news(world.user, short)][-1] == "done"
    now = KEPT_S + 1
    with pytest.raises(NotFound):
        known.news(world.user, short)
    hold.set()
    end = [news async for news in known.news(world.user, long)][-1]
    assert end.state == "failed" and "ValueError: a mistake of ours" not in end.message
    assert "see its log" in end.message
    await tasks.close()
