from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from bai_tui.app.backend.store import SqliteStore
from bai_tui.app.backend.store.database import Database, queries
from bai_tui.app.backend.store.files import migrations, open_file
from bai_tui.app.model.errors import ConfigError, ServiceUnavailable
from bai_tui.app.model.sessions import Session

MakeSession = Callable[..., Session]


def test_a_new_file_is_private_and_of_the_newest_schema(database: Path) -> None:
    old = os.umask(0)
    try:
        connection = open_file(database)
    finally:
        os.umask(old)
    assert stat.S_IMODE(database.stat().st_mode) == 0o600
    assert connection.execute("PRAGMA user_version").fetchone()[0] == len(migrations())
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


def test_every_query_is_valid_sql_for_the_newest_schema(database: Path) -> None:
    connection = open_file(database)
    for name, statement in queries().items():
        names = {word[1:].rstrip(",);") for word in statement.replace("(", " ").split() if word.startswith(":")}
        try:
            connection.execute("EXPLAIN " + statement, dict.fromkeys(names))
        except sqlite3.Error as exc:
            pytest.fail(f"{name}: {exc}")
    connection.close()


def overwritten(content: bytes) -> bytes:
    return content[:2048] + os.urandom(len(content) - 2048)


def words_that_are_no_text(content: bytes) -> bytes:
    """SQLite names what it cannot read in its error, of which Python then fails to make a text."""
    return content.replace(b"tablesessions", b"table\xafessions").replace(b"CREATE TABLE", b"CREATE ELBAT")


@pytest.mark.parametrize("damage", [lambda _: b"this is no database" * 100, overwritten, words_that_are_no_text])
async def test_a_damaged_file_is_kept_and_an_empty_one_begun(
    database: Path,
    make_session: MakeSession,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[bytes], bytes],
) -> None:
    store = SqliteStore(database)
    await store.save_all([make_session() for _ in range(200)])
    await store.close()
    content = damage(database.read_bytes())
    database.write_bytes(content)
    with caplog.at_level(logging.ERROR):
        store = SqliteStore(database)
    assert await store.load_live() == []
    await store.close()
    (kept,) = database.parent.glob("bai-tui.db.corrupt-*")
    assert kept.read_bytes() == content
    (line,) = [record.getMessage() for record in caplog.records]
    assert str(kept) in line
    assert store.notice == line


def test_a_second_damaged_file_does_not_overwrite_the_first(database: Path) -> None:
    for content in (b"first" * 500, b"second" * 500):
        database.write_bytes(content)
        open_file(database).close()
    kept = sorted(path.read_bytes()[:5] for path in database.parent.glob("bai-tui.db.corrupt-*"))
    assert kept == [b"first", b"secon"]


def test_a_newer_database_is_refused_and_untouched(database: Path) -> None:
    connection = open_file(database)
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    before = database.read_bytes()
    with pytest.raises(ConfigError, match="newer bai-tui"):
        open_file(database)
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == [database.name]


def test_a_missing_folder_is_one_clear_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        open_file(tmp_path / "nowhere" / "bai-tui.db")


def test_a_folder_in_place_of_the_file_is_one_clear_sentence(database: Path) -> None:
    database.mkdir()
    with pytest.raises(ConfigError, match=str(database)):
        open_file(database)
    assert database.is_dir()


def test_a_locked_database_is_told_after_the_busy_time(database: Path) -> None:
    holder = open_file(database)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(ConfigError, match="locked by another process"):
        open_file(database, busy_timeout_s=0.05)
    holder.execute("ROLLBACK")
    holder.close()
    open_file(database).close()


async def test_one_bad_job_does_not_take_the_others_with_it(database: Path) -> None:
    db = Database(database)
    jobs = [
        db.submit(lambda c: c.execute("CREATE TABLE a (x)").rowcount),
        db.submit(lambda c: c.execute("INSERT INTO nothing VALUES (1)").rowcount),
        db.submit(lambda c: c.execute("INSERT INTO a VALUES (1)").rowcount),
    ]
    done = await asyncio.gather(*jobs, return_exceptions=True)
    assert isinstance(done[1], ServiceUnavailable)
    assert await db.submit(lambda c: c.execute("SELECT count(*) FROM a").fetchone()[0]) == 1
    await db.close()
    with pytest.raises(ServiceUnavailable):
        await db.submit(lambda c: c.total_changes)
