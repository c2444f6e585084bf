from __future__ import annotations

import asyncio
import json
import stat
import time
from datetime import timedelta
from typing import Any

import pytest
from bai_tui.app.backend.ports import Exit
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import LaunchFailed, ServiceUnavailable
from bai_tui.app.model.sessions import SessionResult, SessionStatus
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.app.policies import SchedulerSettings
from bai_tui.tests.waiting import until

S = SessionStatus
KEPT = "its processes were ended, its journal is kept"


async def crash(world: Any) -> None:
    """The daemon is killed: its tasks are gone, nothing more is written; runners go on."""
    await world.service._tasks.close()


async def test_running_sessions_are_taken_over_with_what_they_hold(world: Any) -> None:
    first = await world.create(resources={"gpu": "0.75"})
    async with world.service.run(world.user, "sess-1", ExecuteRequest(RunMode.QUERY, "print one"), "r1") as run:
        _ = [record async for record in run.records()]
    await crash(world)
    service = await world.start()
    session = await service.get(world.user, "sess-1")
    assert (session.id, session.status) == (first.session.id, S.RUNNING)
    assert session is not first.session
    assert service.slots()[1].wire()["cuda.shares"] == "0.75"
    (gpu,) = [use for use in service.devices(world.user) if use.device.id == "gpu0"]
    assert list(gpu.promised["cuda.shares"]) == [session.id]
    run = await service.find_run(world.user, "sess-1", "r1")
    assert [record.kind async for record in run.records()] == ["run-started", "stdout", "run-finished"]
    async with service.run(world.user, "sess-1", ExecuteRequest(RunMode.QUERY, "print two")) as run:
        assert "two\n" in [record.data async for record in run.records()]
    second = await world.create("sess-2", resources={"gpu": "0.5"}, enqueue_only=True)
    assert second.session.status is S.PENDING
    assert second.session.enqueue_order > session.enqueue_order
    await service.terminate(world.user, "sess-1")
    assert (await world.create("sess-2", resources={"gpu": "0.5"})).session.status is S.RUNNING


async def test_waiting_sessions_keep_their_order(world: Any) -> None:
    await world.create("first", resources={"cpu": "4"})
    for name in ("second", "third", "fourth"):
        await world.create(name, resources={"cpu": "4"}, enqueue_only=True)
    await crash(world)
    service = await world.start()
    assert "4 cpu" in ((await service.get(world.user, "second")).status_info or "")
    for name in ("second", "third", "fourth"):
        live = await service.match(world.user, "")
        assert [item.name for item in live if item.status is S.RUNNING] == [
            {"second": "first", "third": "second", "fourth": "third"}[name]
        ]
        for item in live:
            if item.status is S.RUNNING:
                await service.terminate(world.user, item.id)
        assert (await world.create(name)).session.status is S.RUNNING


async def test_a_session_whose_runner_is_gone_is_ended_with_the_reason(world: Any) -> None:
    outcome = await world.create(resources={"cpu": "4"})
    await crash(world)
    await world.kernel(outcome).end(Exit(None, "killed"))
    await world.start()
    waiting = await world.create("sess-2", resources={"cpu": "4"})
    assert waiting.session.status is S.RUNNING
    session = await world.service.get(world.user, outcome.session.id)
    assert (session.status, session.status_info) == (S.ERROR, f"runner-died: killed; {KEPT}")
    assert world.engine.swept == [session.id], "what it has left behind is ended before its share is free"


@pytest.mark.parametrize(("reason", "code"), [("machine-restarted: x", None), ("wall-time: 5 s", 0)])
async def test_a_session_that_ended_for_want_of_neither_care_nor_time_is_no_error(
    world: Any, reason: str, code: int | None
) -> None:
    outcome = await world.create()
    journal = world.root / "sessions" / outcome.session.id / "journal"
    await crash(world)
    await world.kernel(outcome).end(Exit(code, reason))
    await world.start()
    session = await world.ended(outcome)
    assert (session.status, session.status_info) == (S.TERMINATED, reason)
    assert list(journal.iterdir()), "it is kept for the retention time"


async def test_an_end_in_order_that_nobody_could_write_down_is_none_with_an_error(world: Any) -> None:
    outcome = await world.create()
    await crash(world)
    await world.kernel(outcome).end(Exit(0, "the session was ended"))
    await world.start()
    session = await world.ended(outcome)
    assert (session.status, session.status_info) == (S.TERMINATED, "self-terminated: the session was ended")


async def test_a_start_that_was_cut_off_is_begun_anew(world: Any) -> None:
    world.engine.hold = asyncio.Event()
    outcome = await world.create(enqueue_only=True, resources={"cpu": "4"})
    behind = await world.create("behind", enqueue_only=True, resources={"cpu": "4"})
    await until(lambda: world.engine.specs)
    (world.root / "sessions" / outcome.session.id / "work" / "half").touch()
    await world.service._recorder.flush()
    await crash(world)
    world.engine.hold = None
    service = await world.start()
    again = await world.create(resources={"cpu": "4"})
    assert (again.created, again.session.id, again.session.status) == (False, outcome.session.id, S.RUNNING)
    assert world.engine.swept == [outcome.session.id]
    assert not (world.root / "sessions" / outcome.session.id / "work" / "half").exists()
    assert (await service.get(world.user, behind.session.id)).status is S.PENDING, "the order is kept"


async def test_of_a_cut_off_start_that_is_cancelled_nothing_is_left(world: Any) -> None:
    world.engine.hold = asyncio.Event()
    outcome = await world.create(enqueue_only=True, resources={"cpu": "4"})
    await world.create("urgent", enqueue_only=True, resources={"cpu": "4"}, priority=99)
    await until(lambda: world.engine.specs)
    await world.service._recorder.flush()
    await crash(world)
    world.engine.hold = None
    service = await world.start()
    assert (await service.get(world.user, outcome.session.id)).status is S.PENDING
    folder = world.root / "sessions" / outcome.session.id
    assert folder.exists()
    await service.terminate(world.user, outcome.session.id)
    await until(lambda: not folder.exists())
    assert world.engine.swept == [outcome.session.id]


async def launched(world: Any, count: int) -> None:
    await until(lambda: len(world.engine.specs) >= count)


async def test_a_session_that_takes_the_backend_down_does_not_do_so_for_ever(world: Any) -> None:
    world.engine.hold = asyncio.Event()
    outcome = await world.create(enqueue_only=True)
    for count in range(1, 4):
        await launched(world, count)
        await world.service._recorder.flush()
        await crash(world)
        await world.start()
    session = await world.ended(outcome)
    assert session.status is S.ERROR
    assert "ended 3 times while it was being started" in session.status_info
    assert not world.service.slots()[1].amount("cpu")


@pytest.mark.parametrize("written", ["nothing", "admission", "all but the end"])
async def test_a_start_that_the_database_was_late_to_hear_of_is_taken_over(world: Any, written: str) -> None:
    """It came up, and then the backend was killed before it could store more than what was `written`."""
    outcome = await world.create(resources={"gpu": "0.3"})
    stored = await world.store.get(outcome.session.id)
    allocation = stored.allocation
    if written == "nothing":
        world.store.rows.clear()
    else:
        stored.status = S.PENDING if written == "admission" else S.CREATING
        stored.runner = {}
        stored.starts_at = None
        if written == "admission":
            stored.allocation, stored.occupied_slots = {}, ResourceSlots()
        await world.store.save(stored)
    await crash(world)
    service = await world.start()
    session = await service.get(world.user, outcome.session.id)
    assert (session.status, session.allocation) == (S.RUNNING, allocation)
    assert session.starts_at is not None
    assert session.runner == {"pid": 4711, "start_time": 12}
    assert service.slots()[1].wire()["cuda.shares"] == "0.3"
    assert [spec.session_id for spec in world.engine.specs] == [session.id], "it was not started twice"


async def test_nothing_is_started_whose_record_cannot_be_kept(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise LaunchFailed("the session's record cannot be written: No space left on device")

    monkeypatch.setattr(world.service._folders, "note", refuse)
    outcome = await world.create()
    assert outcome.session.status is S.ERROR
    assert "No space left" in outcome.session.status_info
    assert not world.engine.specs


async def test_want_of_descriptors_keeps_the_backend_from_starting_not_the_sessions(world: Any) -> None:
    outcome = await world.create()
    await crash(world)
    world.engine.cannot_adopt = ServiceUnavailable("too many open files")
    with pytest.raises(ServiceUnavailable, match="too many open files"):
        await world.start()
    world.engine.cannot_adopt = None
    service = await world.start()
    assert (await service.get(world.user, outcome.session.id)).status is S.RUNNING


@pytest.mark.parametrize("in_time", [True, False])
async def test_the_result_of_a_command_is_found_though_its_runner_is_gone(world: Any, in_time: bool) -> None:
    outcome = await world.create(type="batch", startup_command="wait")
    depending = await world.create(
        "after", type="batch", startup_command="exit 0", dependencies=["sess-1"], enqueue_only=True
    )
    kernel = world.kernel(outcome)
    await until(lambda: kernel.busy_run is not None)
    await crash(world)
    if in_time:
        await kernel.finish(0)
    await kernel.end(Exit(None, "machine-restarted: x"))
    await world.start()
    session, after = await world.ended(outcome), await world.ended(depending)
    if in_time:
        assert (session.result, session.status_info, session.exit_code) == (SessionResult.SUCCESS, "task-finished", 0)
        assert after.result is SessionResult.SUCCESS
    else:
        assert (session.result, session.status_info) == (SessionResult.FAILURE, "machine-restarted: x")
        assert after.status is S.CANCELLED


async def test_an_ending_that_was_cut_off_is_finished(world: Any) -> None:
    outcome = await world.create()
    kernel = world.kernel(outcome)
    kernel.hold_termination = asyncio.Event()
    ending = asyncio.ensure_future(world.service.terminate(world.user, "sess-1"))
    await until(lambda: kernel.terminations)
    await world.service._recorder.flush()
    await crash(world)
    ending.cancel()
    kernel.hold_termination = None
    service = await world.start()
    entry = service._register.get(outcome.session.id)
    if entry is not None:
        await entry.ended.wait()
    session = await service.get(world.user, outcome.session.id)
    assert (session.status, session.status_info) == (S.TERMINATED, "user-requested")


async def test_a_batch_that_went_on_meanwhile_is_followed_not_run_twice(world: Any) -> None:
    outcome = await world.create(type="batch", startup_command="wait")
    kernel = world.kernel(outcome)
    await until(lambda: kernel.busy_run is not None)
    await crash(world)
    await kernel.finish(5)
    service = await world.start()
    session = await world.ended(outcome)
    assert (session.result, session.exit_code, session.status_info) == (
        SessionResult.FAILURE,
        5,
        "task-failed: exit status 5",
    )
    records = await service.journal(world.user, session.id, after=0, limit=99, wait_s=0)
    assert [record.kind for record in records].count("run-started") == 1


async def test_a_smaller_machine_keeps_the_users_work(world: Any, caplog: pytest.LogCaptureFixture) -> None:
    outcome = await world.create(resources={"gpu": "1"})
    await crash(world)
    world.devices._devices = world.devices._devices[:2]
    service = await world.start()
    assert (await service.get(world.user, "sess-1")).status is S.RUNNING
    assert "goes on without a promise" in caplog.text
    assert (await service.terminate(world.user, "sess-1")).status is S.TERMINATED
    assert world.kernel(outcome).terminations


async def test_a_waiting_request_that_no_longer_fits_waits_on_and_can_be_removed(world: Any) -> None:
    await world.create(resources={"gpu": "1"})
    waiting = await world.create("second", resources={"gpu": "1"}, enqueue_only=True)
    await crash(world)
    world.devices._devices = world.devices._devices[:2]
    await world.start()
    session = await world.service.get(world.user, waiting.session.id)
    assert session.status is S.PENDING
    assert "can never be granted" in session.status_info
    await world.service.terminate(world.user, "second")
    assert (await world.service.get(world.user, waiting.session.id)).status is S.CANCELLED


async def test_sessions_survive_the_loss_of_the_database(world: Any) -> None:
    outcome = await world.create()
    entry = world.service._register.get(outcome.session.id)
    assert entry is not None
    world.service._lifecycle.keep_record(entry)
    await asyncio.gather(*(task for task in world.service._tasks._tasks if "record " in task.get_name()))
    await crash(world)
    world.store.rows.clear()
    service = await world.start()
    session = await service.get(world.user, "sess-1")
    assert (session.id, session.status) == (outcome.session.id, S.RUNNING)
    await service._recorder.settled()
    assert json.loads(world.store.rows[session.id])["status"] == "RUNNING"


async def test_folders_of_ended_sessions_go_after_a_week(world: Any) -> None:
    outcome = await world.create()
    await world.service.terminate(world.user, "sess-1")
    folder = world.root / "sessions" / outcome.session.id
    await world.service.stop()
    for days, there in ((6, True), (8, False)):
        import time

        world.now = time.time() + days * 86400
        await world.start()
        await asyncio.gather(*(task for task in world.service._tasks._tasks if "old" in task.get_name()))
        await world.service.stop()
        assert folder.exists() is there


async def test_a_daemon_that_stops_at_once_leaves_the_records_too(world: Any) -> None:
    outcome = await world.create()
    await world.service.stop()
    world.store.rows.clear()
    service = await world.start()
    assert (await service.get(world.user, "sess-1")).id == outcome.session.id
    record = world.root / "sessions" / outcome.session.id / "session.json"
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


async def test_half_an_upload_goes_with_the_daemon_that_took_it(world: Any) -> None:
    outcome = await world.create()
    work = world.root / "sessions" / outcome.session.id / "work"
    (work / ".upload-12ab").mkdir()
    (work / ".upload-12ab" / "0").write_text("half")
    (work / "kept").write_text("whole")
    await crash(world)
    await world.start()
    assert [item.name for item in work.iterdir()] == ["kept"]


async def test_the_images_are_told_when_the_machine_was_looked_over(world: Any) -> None:
    known, world.catalogue.known = world.catalogue.known, {}

    async def look() -> None:
        world.catalogue.known = known

    world.catalogue.refresh = look
    assert not world.service.images()
    assert len(await world.service.all_images()) == len(known)


async def test_who_used_much_before_a_restart_is_not_first_after_it(world: Any) -> None:
    await world.restart(scheduling=SchedulerSettings(policy="fair-share"))
    greedy = await world.create("greedy", caller=world.user, resources={"cpu": "4"})
    await world.service.terminate(world.user, "greedy")
    stored = await world.store.get(greedy.session.id)
    stored.starts_at = stored.terminated_at - timedelta(hours=9)
    await world.store.save(stored)
    service = await world.restart()
    await world.create("whole", caller=world.admin, resources={"cpu": "4"})
    first = await world.create("mine", caller=world.user, resources={"cpu": "4"}, enqueue_only=True)
    second = await world.create("theirs", caller=world.other, resources={"cpu": "4"}, enqueue_only=True)
    await service.terminate(world.admin, "whole")
    assert (first.session.status is S.PENDING, second.session.status is S.PENDING) == (True, False)


async def test_a_thousand_sessions_are_there_again_within_seconds(world: Any) -> None:
    world.devices = type(world.devices)(cpu=1000, mem=1000 * (1 << 30))
    await world.restart()
    for number in range(1000):
        await world.create(f"many-{number:04d}", resources={"cpu": "1", "mem": "64m"}, enqueue_only=True)
    waiting = [(await world.create(f"wait-{n}", resources={"cpu": "1"}, enqueue_only=True)).session for n in range(50)]
    await until(lambda: len(world.engine.kernels) >= 1000)
    await world.service._recorder.settled()
    before = {d.device.id: d.promised for d in world.service.devices(world.admin)}
    began = time.perf_counter()
    service = await world.restart()
    found, total = await service.search(
        world.user, statuses=[S.RUNNING, S.PENDING], access_key=None, limit=2000, offset=0
    )
    assert time.perf_counter() - began < 10, "it grows with the square of something"
    assert (total, sum(session.status is S.RUNNING for session in found)) == (1050, 1000)
    assert [session.id for session in found if session.status is S.PENDING] == [one.id for one in reversed(waiting)]
    assert {d.device.id: d.promised for d in service.devices(world.admin)} == before
