"""What befalls a database that is in use: nothing that lives is lost, nothing damaged is written to, the user hears."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from bai_tui.app.backend.store import SqliteStore
from bai_tui.app.backend.store import database as database_module
from bai_tui.app.model.errors import ServiceUnavailable
from bai_tui.app.model.sessions import Session

MakeSession = Callable[..., Session]


@pytest_asyncio.fixture
async def store(database: Path) -> AsyncIterator[SqliteStore]:
    made = SqliteStore(database)
    yield made
    await made.close()


async def names(path: Path) -> list[str]:
    """Returns the sessions that the next backend finds."""
    made = SqliteStore(path)
    try:
        return [session.name for session in await made.load_live()]
    finally:
        await made.close()


@pytest.mark.parametrize("gone", [[""], ["-wal"], ["", "-wal", "-shm"]])
async def test_files_that_somebody_removes_are_written_again(
    store: SqliteStore, database: Path, make_session: MakeSession, gone: list[str]
) -> None:
    await store.save(make_session(name="before", enqueue_order=1))
    for suffix in gone:
        database.with_name(database.name + suffix).unlink()
    await store.save(make_session(name="after", enqueue_order=2))
    assert "removed by somebody" in store.notice and not store.problem
    assert database.stat().st_mode & 0o777 == 0o600
    copy = database.parent / "killed" / database.name
    copy.parent.mkdir()
    for file in database.parent.glob("bai-tui.db*"):  # what a backend leaves that is killed now
        shutil.copy(file, copy.parent)
    assert await names(copy) == ["before", "after"]
    await store.close()
    assert await names(database) == ["before", "after"]


async def test_a_file_that_somebody_puts_in_its_place_is_kept(
    store: SqliteStore, database: Path, make_session: MakeSession
) -> None:
    await store.save(make_session(name="mine", enqueue_order=1))
    (database.parent / "other").write_bytes(b"a backup of last week")
    (database.parent / "other").replace(database)
    await store.save(make_session(name="after", enqueue_order=2))
    (kept,) = database.parent.glob("bai-tui.db.other-*")
    assert kept.read_bytes() == b"a backup of last week"
    await store.close()
    assert await names(database) == ["mine", "after"]


async def test_damage_in_use_is_set_aside_and_what_lives_is_asked_for(
    store: SqliteStore, database: Path, make_session: MakeSession
) -> None:
    lost = asyncio.Event()
    store.on_loss(lost.set)
    first = make_session(name="first", enqueue_order=1)
    await store.save_all([first, *(make_session(enqueue_order=n) for n in range(2, 300))])
    with sqlite3.connect(database) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other.close()
    pages = database.stat().st_size // 4096
    with database.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(4096 * (pages - 1)))
    with pytest.raises(ServiceUnavailable):
        for _ in range(50):  # until it comes by a page that is not in memory
            await store.search(access_key=None, statuses=None, limit=1000, offset=0)
            await store.save_all([make_session(enqueue_order=n) for n in range(300, 600)])
    async with asyncio.timeout(5):
        await lost.wait()
    kept = [path for path in database.parent.glob("bai-tui.db.corrupt-*") if path.suffix.startswith(".corrupt")]
    assert any(str(path) in store.notice for path in kept)
    await store.save(first)
    assert not store.problem
    assert await store.get(first.id) == first
    await store.close()
    assert "first" in await names(database)


async def test_what_can_be_read_of_a_damaged_file_goes_on(database: Path, make_session: MakeSession) -> None:
    store = SqliteStore(database)
    await store.save_all([make_session(name=f"s-{n}", enqueue_order=n) for n in range(1, 301)])
    await store.close()
    with sqlite3.connect(database) as other:
        (root,) = other.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'sessions_by_status'").fetchone()
    other.close()
    with database.open("r+b") as file:
        file.seek(4096 * (root - 1))
        file.write(os.urandom(4096))
    store = SqliteStore(database)
    assert "300 records of it could be read" in store.notice
    assert len(await store.load_live()) == 300
    await store.close()


async def test_a_lock_of_another_process_holds_up_nobody_for_long_and_nothing_is_lost(
    database: Path, make_session: MakeSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "BUSY_TIMEOUT_S", 0.05)
    monkeypatch.setattr(database_module, "_IMPATIENT_S", 0.01)
    store = SqliteStore(database)
    await store.save(make_session(name="before"))
    with sqlite3.connect(database, isolation_level=None) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(ServiceUnavailable, match="locked by another process"):
            await store.save(make_session())
        assert "locked by another process" in store.problem
        assert [session.name for session in await store.load_live()] == ["before"], "reading goes on"
        assert store.problem, "and tells nothing of writing"
        other.execute("ROLLBACK")
    other.close()
    await store.save(make_session())
    assert not store.problem
    await store.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MiB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0:
        pytest.skip("a small disk can be mounted by root only")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)]
    mounted = subprocess.run(command, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


async def test_a_full_disk_is_told_and_over_when_there_is_space(small_disk: Path, make_session: MakeSession) -> None:
    store = SqliteStore(small_disk / "bai-tui.db")
    await store.save(make_session(name="before", enqueue_order=1))
    filler = small_disk / "filler"
    with pytest.raises(OSError, match="No space"), filler.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(ServiceUnavailable, match="no space left"):
        await store.save_all([make_session(enqueue_order=n) for n in range(2, 200)])
    assert "no space left" in store.problem
    assert [session.name for session in await store.load_live()] == ["before"]
    assert store.problem
    filler.unlink()
    await store.save(make_session(name="after", enqueue_order=2))
    assert not store.problem
    assert [session.name for session in await store.load_live()] == ["before", "after"]
    await store.close()
