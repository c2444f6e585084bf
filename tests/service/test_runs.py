from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import pytest
from bai_tui.app.backend.ports import JournalRecord
from bai_tui.app.backend.service.runs import PartOfJournal, WatchedRun
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import BadRequest, IllegalState, KernelNotReady, NotFound, SessionNotFound
from bai_tui.app.model.sessions import SessionStatus
from bai_tui.tests.waiting import turns, until

S = SessionStatus


def query(code: str) -> ExecuteRequest:
    return ExecuteRequest(RunMode.QUERY, code)


async def frames(run: Any) -> list[Any]:
    return [json.loads(record.raw) async for record in run.records()]


async def test_a_run_gives_its_own_records_only(world: Any) -> None:
    outcome = await world.create()
    async with world.service.run(world.user, "sess-1", query("print one")) as run:
        await frames(run)
    await world.kernel(outcome).write(None, "stdout", "late")
    async with world.service.run(world.user, "sess-1", query("print two"), "run-2") as run:
        found = await frames(run)
    assert [kind for kind, _ in found] == ["run-started", "stdout", "run-finished"]
    assert found[1] == ["stdout", "two\n"]
    assert outcome.session.num_queries == 2
    again = await world.service.find_run(world.user, "sess-1", "run-2")
    assert await frames(again) == found


async def test_a_kernel_that_dies_beside_a_batch_command_does_not_end_it(world: Any) -> None:
    outcome = await world.create(type="batch", startup_command="wait")
    kernel = world.kernel(outcome)
    await until(lambda: kernel.busy_run is not None)
    run = await world.service.find_run(world.user, "sess-1", kernel.busy_run)
    await kernel.write(None, "kernel-died", {"exitCode": 137, "signal": "SIGKILL", "reason": "killed by SIGKILL"})
    await kernel.write(kernel.busy_run, "stdout", "still here\n")
    assert outcome.session.status is S.RUNNING
    await kernel.finish(0)
    assert [kind for kind, _ in await frames(run)] == ["run-started", "stdout", "run-finished"]
    session = await world.ended(outcome)
    assert (session.status, session.status_info) == (S.TERMINATED, "task-finished")


async def test_input_reaches_the_run(world: Any) -> None:
    await world.create()
    async with world.service.run(world.user, "sess-1", query("input")) as run:
        kinds = []
        async for record in run.records():
            kinds.append(record.kind)
            if record.kind == "waiting-input":
                await run.send_input("me")
    assert kinds == ["run-started", "waiting-input", "stdout", "run-finished"]


async def test_leaving_a_run_does_not_end_it(world: Any) -> None:
    outcome = await world.create()
    async with world.service.run(world.user, "sess-1", query("wait"), "r1"):
        pass
    assert world.service.busy(outcome.session)
    with pytest.raises(IllegalState):
        async with world.service.run(world.user, "sess-1", query("print x")):
            pass
    await world.service.interrupt(world.user, "sess-1")
    found = await frames(await world.service.find_run(world.user, "sess-1", "r1"))
    assert [kind for kind, _ in found] == ["run-started", "stderr", "run-finished"]
    assert not world.service.busy(outcome.session)


async def test_a_run_whose_session_is_ended_says_so(world: Any) -> None:
    await world.create()
    async with world.service.run(world.user, "sess-1", query("wait")) as run:
        reading = asyncio.ensure_future(frames(run))
        await world.service.terminate(world.user, "sess-1")
        assert (await reading)[-1] == ["kernel-died", {"exitCode": None, "reason": "the session has ended"}]


async def test_a_dead_kernel_is_told_and_replaced_by_the_next_run(world: Any) -> None:
    outcome = await world.create()
    events = world.service.events(world.user)
    async with world.service.run(world.user, "sess-1", query("die")) as run:
        assert (await frames(run))[-1][0] == "kernel-died"
    assert (await anext(events)).name == "bai_kernel_died"
    session = await world.service.get(world.user, "sess-1")
    assert session.status is S.RUNNING
    assert "killed by SIGSEGV" in session.status_info
    async with world.service.run(world.user, "sess-1", query("print x")) as run:
        found = await frames(run)
    assert found[0][0] == "stderr" and "killed by SIGSEGV" in found[0][1]
    assert found[-1] == ["run-finished", {"exitCode": 0}]
    assert world.kernel(outcome).restarts == 1
    assert session.status_info is None
    async with world.service.run(world.user, "sess-1", query("print x")) as run:
        assert (await frames(run))[0][0] == "run-started"
    async with world.service.run(world.user, "sess-1", query("die")) as run:
        await frames(run)
    assert "kernel_started" in [(await anext(events)).name for _ in range(2)]


async def test_a_waiting_session_takes_no_code_and_says_why(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    await world.create("second", enqueue_only=True)
    with pytest.raises(KernelNotReady, match="PENDING"):
        async with world.service.run(world.user, "second", query("print")):
            pass


async def test_a_run_id_is_used_once(world: Any) -> None:
    await world.create()
    async with world.service.run(world.user, "sess-1", query("print x"), "same") as run:
        await frames(run)
    with pytest.raises(IllegalState, match="same"):
        async with world.service.run(world.user, "sess-1", query("print x"), "same"):
            pass


async def test_an_unknown_run_is_not_found(world: Any) -> None:
    await world.create()
    with pytest.raises(NotFound, match="nope"):
        await world.service.find_run(world.user, "sess-1", "nope")


async def test_restart_gives_a_new_kernel(world: Any) -> None:
    outcome = await world.create()
    await world.service.restart(world.user, "sess-1")
    assert world.kernel(outcome).restarts == 1
    assert outcome.session.status is S.RUNNING
    assert "RESTARTING" in outcome.session.status_history


async def test_a_session_that_cannot_restart_goes_on(world: Any) -> None:
    outcome = await world.create()
    world.kernel(outcome).image_gone = True
    with pytest.raises(IllegalState, match="removed"):
        await world.service.restart(world.user, "sess-1")
    assert outcome.session.status is S.RUNNING
    async with world.service.run(world.user, "sess-1", query("print x")) as run:
        await frames(run)


async def test_the_journal_is_read_in_pages_live_and_ended(world: Any) -> None:
    outcome = await world.create()
    async with world.service.run(world.user, "sess-1", query("print hello")) as run:
        await frames(run)
    for _ in range(2):
        read = [
            await world.service.journal(world.user, outcome.session.id, after=after, limit=2, wait_s=0)
            for after in (0, 2, 4)
        ]
        assert [[record.seq for record in page] for page in read] == [[1, 2], [3, 4], []]
        assert await world.service.logs(world.user, outcome.session.id) == "hello\n"
        if outcome.session.status is S.RUNNING:
            await world.service.terminate(world.user, "sess-1")


async def test_the_journal_waits_for_what_is_to_come(world: Any) -> None:
    outcome = await world.create()
    last = world.kernel(outcome).last_seq
    reading = asyncio.ensure_future(world.service.journal(world.user, "sess-1", after=last, limit=9, wait_s=30))
    await turns()
    assert not reading.done()
    await world.kernel(outcome).write(None, "stdout", "now")
    assert [record.data for record in await reading] == ["now"]


async def test_other_users_see_nothing_and_admins_all(world: Any) -> None:
    outcome = await world.create()
    session_id = outcome.session.id
    for ref in (session_id, "sess-1", "sess"):
        with pytest.raises(SessionNotFound):
            await world.service.get(world.other, ref)
        assert (await world.service.get(world.admin, ref)).id == session_id
    assert await world.service.match(world.other, "s") == []
    assert (await world.service.search(world.other, statuses=None, access_key=None, limit=9, offset=0))[1] == 0
    assert (await world.service.search(world.admin, statuses=None, access_key=None, limit=9, offset=0))[1] == 1
    await world.service.terminate(world.user, "sess-1")
    with pytest.raises(SessionNotFound):
        await world.service.get(world.other, session_id)


async def test_completion_reaches_the_kernel(world: Any) -> None:
    await world.create()
    assert (await world.service.complete(world.user, "sess-1", "pri", 3)).matches == ("pri_x",)
    assert (await world.service.inspect(world.user, "sess-1", "pri", 3, 1)).text == "source"
    assert (await world.service.work_dir(world.user, "sess-1")).is_dir()


async def test_a_death_that_only_the_runner_knows_of_is_healed_too(world: Any) -> None:
    outcome = await world.create()
    kernel = world.kernel(outcome)
    execute = kernel.execute
    refused: list[str] = []

    async def refuse_once(run_id: str, request: ExecuteRequest) -> None:
        if not refused:
            refused.append(run_id)
            raise KernelNotReady("the kernel of the session is not running")
        await execute(run_id, request)

    kernel.execute = refuse_once
    async with world.service.run(world.user, "sess-1", query("print x")) as run:
        found = await frames(run)
    assert kernel.restarts == 1
    assert "started anew" in found[0][1]
    assert found[-1][0] == "run-finished"


@pytest.mark.parametrize("run_id", ['a"b', "a\\b", "a\n", "x" * 129, "../x"])
async def test_odd_run_ids_are_refused(world: Any, run_id: str) -> None:
    await world.create()
    with pytest.raises(BadRequest):
        async with world.service.run(world.user, "sess-1", query("print x"), run_id):
            pass


def record(seq: int, run_id: str | None, kind: str, data: Any = None) -> JournalRecord:
    return JournalRecord(seq, 1.0, run_id, kind, json.dumps([kind, data]).encode())


def gap(first: int, last: int, run_id: str | None = None) -> JournalRecord:
    return record(last, run_id, "dropped", {"first": first, "last": last, "bytes": 99})


@pytest.mark.parametrize(
    ("after", "records", "kinds"),
    [
        # inside of the run
        (0, [record(1, "r", "run-started"), gap(2, 5, "r"), record(6, "r", "run-finished")],
         ["run-started", "dropped", "run-finished"]),
        # before it, which is no business of its readers
        (0, [record(1, None, "stdout"), gap(2, 5), record(6, "r", "run-started"), record(7, "r", "run-finished")],
         ["run-started", "run-finished"]),
        # with its beginning
        (3, [gap(4, 6), record(7, "r", "stdout"), record(8, "r", "run-finished")],
         ["dropped", "stdout", "run-finished"]),
        # in which it has ended
        (0, [record(1, "r", "run-started"), gap(2, 5), record(6, None, "stdout"), record(7, "other", "stdout")],
         ["run-started", "dropped", "run-finished"]),
        # in which all of it has gone
        (3, [gap(4, 9), record(10, "other", "stdout")], ["dropped", "run-finished"]),
        # a batch run goes on beside a kernel that dies
        (0, [record(1, "r", "run-started"), gap(2, 5), record(6, None, "kernel-died"), record(7, "r", "run-finished")],
         ["run-started", "dropped", "run-finished"]),
    ],
)  # fmt: skip
def test_a_run_is_told_of_the_gaps_that_are_its_own(after: int, records: Any, kinds: list[str]) -> None:
    for size in (1, len(records)):
        part = PartOfJournal("r", after)
        found = [one for begin in range(0, len(records), size) for one in part.of(records[begin : begin + size])]
        assert [one.kind for one in found] == kinds
        assert part.ended and found[-1].run_id == "r"


async def test_a_watcher_learns_of_an_end_that_was_dropped_when_nothing_follows() -> None:
    class Kernel:
        busy_run, last_seq = None, 6

        async def batches(self, after: int) -> AsyncGenerator[Sequence[JournalRecord]]:
            yield [record(1, "r", "run-started")]
            yield [gap(2, 5), record(6, None, "stdout", "of a background process")]
            await asyncio.get_running_loop().create_future()

    kernel: Any = Kernel()
    run = WatchedRun(kernel, "r", 0)
    async with asyncio.timeout(5):
        kinds = [found.kind async for found in run.records()]
    assert kinds == ["run-started", "dropped", "run-finished"]
