"""What sessions have written: followed, from the newest backwards, and as a list of runs."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from bai_tui.app.backend.engines.journal import last_seq
from bai_tui.app.backend.runner.journal import Journal
from bai_tui.app.backend.service.output import page_before, runs_of
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import SessionNotFound
from bai_tui.tests.waiting import turns, until


def query(code: str) -> ExecuteRequest:
    return ExecuteRequest(RunMode.QUERY, code)


async def texts(world: Any, ref: str, after: int = 0) -> list[Any]:
    async with aclosing(world.service.follow(world.user, ref, after)) as batches:
        return [record.data async for batch in batches for record in batch if record.kind == "stdout"]


async def test_a_follower_gets_what_was_what_comes_and_the_end(world: Any) -> None:
    outcome = await world.create()
    kernel = world.kernel(outcome)
    await kernel.write(None, "stdout", "before")
    following = asyncio.ensure_future(texts(world, "sess-1"))
    late = asyncio.ensure_future(texts(world, "sess-1", kernel.last_seq))
    for word in ("one", "two"):
        await turns(1)  # the followers read in between
        await kernel.write(None, "stdout", word)
    await world.service.terminate(world.user, "sess-1")
    assert await following == ["before", "one", "two"]
    assert await late == ["one", "two"]
    assert await texts(world, outcome.session.id, 2) == ["one", "two"]


async def test_a_follower_of_a_waiting_session_waits(world: Any) -> None:
    world.engine.hold = asyncio.Event()
    creating = asyncio.ensure_future(world.create())
    await until(lambda: world.engine.specs)
    following = asyncio.ensure_future(texts(world, "sess-1"))
    await turns()
    assert not following.done()
    world.engine.hold.set()
    await world.kernel(await creating).write(None, "stdout", "now")
    await world.service.terminate(world.user, "sess-1")
    assert await following == ["now"]


async def test_a_session_that_never_ran_has_nothing_to_follow(world: Any) -> None:
    outcome = await world.create("later", enqueue_only=True, type="batch", startup_command="x", starts_at=None)
    await world.service.terminate(world.user, "later")
    assert await texts(world, outcome.session.id) == []


async def test_a_stranger_follows_nothing(world: Any) -> None:
    outcome = await world.create()
    for read in (
        world.service.list_runs(world.other, outcome.session.id),
        world.service.journal_before(world.other, outcome.session.id, before=9, limit=9),
        anext(world.service.follow(world.other, outcome.session.id, 0)),
    ):
        with pytest.raises(SessionNotFound):
            await read


async def test_a_runner_that_dies_ends_the_following(world: Any) -> None:
    from bai_tui.app.backend.ports import Exit

    outcome = await world.create()
    following = asyncio.ensure_future(texts(world, "sess-1"))
    await turns(1)  # it follows already
    await world.kernel(outcome).end(Exit(None, "killed"))
    assert await asyncio.wait_for(following, 5) == []
    assert (await world.ended(outcome)).status.value in ("ERROR", "TERMINATED")


async def test_runs_are_listed_with_their_ends(world: Any) -> None:
    outcome = await world.create()
    for code in ("print one", "die", "input"):
        async with world.service.run(world.user, "sess-1", query(code), code.replace(" ", "-")) as run:
            if code != "input":
                [_ async for _ in run.batches()]
    runs = await world.service.list_runs(world.user, "sess-1")
    assert [(run.run_id, run.code, run.exit_code, run.died) for run in runs] == [
        ("print-one", "print one", 0, False),
        ("die", "die", -11, True),
        ("input", "input", None, False),
    ]
    assert runs[1].reason == "killed by SIGSEGV"
    assert [run.last_seq is None for run in runs] == [False, False, True]
    first = await world.service.journal(world.user, outcome.session.id, after=runs[1].after, limit=1, wait_s=0)
    assert (first[0].kind, first[0].run_id) == ("run-started", "die")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    journal = Journal(str(tmp_path), segment_bytes=400)
    for number in range(1, 41):
        journal.append(None, ["stdout", f'{number} "rec":["run-started"'])
        journal.flush()
    journal.close()
    assert len(list(tmp_path.glob("*.jsonl"))) > 3
    return tmp_path


def test_the_newest_come_first_whatever_the_segments(folder: Path) -> None:
    assert last_seq(folder) == 40
    for before, limit, wanted in (
        (10**9, 3, [38, 39, 40]),
        (11, 3, [8, 9, 10]),
        (3, 9, [1, 2]),
        (1, 9, []),
        (0, 9, []),
    ):
        assert [record.seq for record in page_before(folder, before, limit)] == wanted
    assert page_before(folder / "none", 9, 9) == []


def test_a_new_segment_that_is_empty_or_torn_hides_nothing(folder: Path) -> None:
    assert last_seq(folder / "none") == 0
    (folder / f"{41:020}.jsonl").write_bytes(b"")
    assert last_seq(folder) == 40
    (folder / f"{41:020}.jsonl").write_bytes(b'{"seq":41,"t":1.0,"run":nu')
    assert last_seq(folder) == 40


def test_what_was_printed_is_no_run(folder: Path) -> None:
    assert runs_of(folder) == []
