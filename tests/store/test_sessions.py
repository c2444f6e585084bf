from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from bai_tui.app.backend.ports import Keypair
from bai_tui.app.backend.store import SqliteStore
from bai_tui.app.backend.store.database import queries
from bai_tui.app.backend.store.files import migrations
from bai_tui.app.backend.store.rows import dump_session, load_session
from bai_tui.app.model.sessions import Session, SessionResult, SessionStatus, SessionType
from bai_tui.app.model.slots import ResourceSlots

MakeSession = Callable[..., Session]
NOW = datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=UTC)


async def test_every_field_comes_back(store: SqliteStore, make_session: MakeSession) -> None:
    session = make_session(
        image_notice="runs python:3.11",
        type=SessionType.BATCH,
        priority=50,
        tag="t",
        status=SessionStatus.RUNNING,
        status_info="x",
        status_data={"a": [1, {"b": None}]},
        status_history={"PENDING": NOW, "RUNNING": NOW},
        starts_at=NOW,
        terminated_at=NOW,
        result=SessionResult.FAILURE,
        exit_code=-11,
        requested_slots=ResourceSlots({"cuda.shares": Decimal("0.125"), "mem": 10**12}),
        occupied_slots=ResourceSlots({"cuda.shares": Decimal("0.125")}),
        allocation={"cuda.shares": {"gpu0": "0.125"}},
        resource_opts={"shmem": "64m"},
        environ={"K": "ü\n"},
        mounts=["m"],
        startup_command="true",
        bootstrap_script="echo",
        callback_url="http://x",
        idle_timeout_s=0.0,
        last_used_at=NOW,
        num_queries=7,
        depends_on=["a", "b"],
        not_before=NOW,
        batch_timeout_s=1.5,
        pending_timeout_s=2.5,
        split_shares=True,
        kept_until=NOW,
        last_stat={"mem": {"current": "5"}},
        runner={"pid": 4, "start_time": 1.5},
    )
    await store.save(session)
    assert await store.get(session.id) == session


async def test_what_is_nothing_is_not_taken_for_what_was_never_said(
    store: SqliteStore, make_session: MakeSession
) -> None:
    session = make_session(exit_code=0, tag="", startup_command="", idle_timeout_s=0.0, priority=0, last_stat={})
    await store.save(session)
    assert await store.get(session.id) == session


def test_a_record_of_an_earlier_version_is_read_with_defaults_for_what_it_did_not_know(
    make_session: MakeSession,
) -> None:
    session = make_session(status=SessionStatus.PENDING)
    record = json.loads(dump_session(session))
    later = {"depends_on", "not_before", "batch_timeout_s", "pending_timeout_s", "split_shares", "kept_until"}
    assert not (later | {"last_stat", "runner", "exit_code"}) & set(record), "what is empty is not written"
    everything: dict[str, object] = {"last_stat": {}, "exit_code": None, "environ": {}, "tag": None, "runner": {}}
    assert load_session(json.dumps(record | everything)) == session


async def test_a_save_holds_what_was_true_when_it_was_called(store: SqliteStore, make_session: MakeSession) -> None:
    session = make_session(name="before")
    saving = asyncio.ensure_future(store.save(session))
    await asyncio.sleep(0)
    session.name = "after"
    await saving
    found = await store.get(session.id)
    assert found is not None and found.name == "before"


async def test_only_live_sessions_are_loaded_in_order_of_admission(
    store: SqliteStore, make_session: MakeSession
) -> None:
    sessions = [make_session(status=status) for status in SessionStatus]
    await store.save_all(reversed(sessions))
    live = await store.load_live()
    ended = {SessionStatus.TERMINATED, SessionStatus.ERROR, SessionStatus.CANCELLED}
    assert [item.id for item in live] == [item.id for item in sessions if item.status not in ended]
    assert await store.last_enqueue_order() == len(sessions)


async def test_search_pages_newest_first_and_counts_all(store: SqliteStore, make_session: MakeSession) -> None:
    mine = [make_session(access_key="MINE") for _ in range(5)]
    other = make_session(access_key="OTHER", status=SessionStatus.RUNNING)
    await store.save_all([*mine, other])
    page, total = await store.search(access_key="MINE", statuses=None, limit=2, offset=1)
    assert [item.id for item in page] == [mine[3].id, mine[2].id]
    assert total == 5
    page, total = await store.search(access_key=None, statuses=[SessionStatus.RUNNING], limit=9, offset=0)
    assert ([item.id for item in page], total) == ([other.id], 1)
    assert await store.search(access_key=None, statuses=[], limit=9, offset=0) == ([], 0)


async def test_saves_are_there_after_reopening(database: Path, make_session: MakeSession) -> None:
    first = SqliteStore(database)
    session = make_session()
    pair = Keypair(access_key="AK", secret_key="S", user_id="u@h", user_uuid="x", is_admin=True, created_at=NOW)
    await asyncio.gather(first.save(session), first.add_keypair(pair))
    await first.close()
    second = SqliteStore(database)
    assert await second.get(session.id) == session
    assert await second.keypairs() == [pair]
    await second.close()


async def test_what_was_submitted_is_written_though_its_waiter_left(
    store: SqliteStore, make_session: MakeSession
) -> None:
    session = make_session()
    saving = asyncio.ensure_future(store.save(session))
    await asyncio.sleep(0)
    saving.cancel()
    assert await store.get(session.id) == session


async def test_a_record_of_a_newer_minor_version_is_read(store: SqliteStore, make_session: MakeSession) -> None:
    session = make_session()
    await store.save(session)
    await store._database.submit(
        lambda db: db.execute("UPDATE sessions SET record = json_set(record, '$.new_field', 1)").rowcount
    )
    assert await store.get(session.id) == session


async def test_an_unreadable_record_does_not_hide_the_others(store: SqliteStore, make_session: MakeSession) -> None:
    bad, good = make_session(), make_session()
    await store.save_all([bad, good])
    await store._database.submit(
        lambda db: db.execute("UPDATE sessions SET record = '{\"id\":' WHERE id = ?", (bad.id,)).rowcount
    )
    assert [item.id for item in await store.load_live()] == [good.id]


async def test_what_was_held_lately(store: SqliteStore, make_session: MakeSession) -> None:
    def ended(day: int, **fields: object) -> Session:
        values = {"status": SessionStatus.TERMINATED, "starts_at": NOW, "terminated_at": NOW + timedelta(days=day)}
        return make_session(**(values | fields))

    held = ResourceSlots({"cpu": 2, "cuda.shares": Decimal("0.5")})
    scheduled = {"PENDING": NOW, "SCHEDULED": NOW - timedelta(seconds=3)}
    await store.save_all(
        [
            ended(1),
            ended(5, access_key="AKIABOB", requested_slots=held, status_history=scheduled),
            ended(4),
            ended(6, starts_at=None, status=SessionStatus.CANCELLED),
            make_session(status=SessionStatus.RUNNING, starts_at=NOW),
        ]
    )
    first, second = await store.used_since(NOW + timedelta(days=3))
    assert first.until_s - first.since_s == 4 * 86400
    assert (second.access_key, second.slots) == ("AKIABOB", held)
    assert second.until_s - second.since_s == 5 * 86400 + 3


@pytest.mark.parametrize("name", ["search_sessions", "count_sessions"])
def test_records_of_other_pages_are_not_read(tmp_path: Path, name: str) -> None:
    with closing(sqlite3.connect(tmp_path / "plan.db")) as db:
        for _, script in migrations():
            db.executescript(script)
        asked = {"statuses": '["RUNNING"]', "limit": 1, "offset": 1}
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {queries()[name]}", asked)]
    assert any("USING COVERING INDEX sessions_by_status" in step for step in plan), plan
    assert not any(step.startswith("SCAN sessions") for step in plan), plan
