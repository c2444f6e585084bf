"""An SQLite file behind one thread of its own: the event loop never waits for a disk, and no lock is needed.

Knows files, migrations and transactions; knows nothing of sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import queue
import re
import sqlite3
import threading
import time
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from ...model.errors import ConfigError, ServiceUnavailable

log = logging.getLogger(__name__)
T = TypeVar("T")
_Job = tuple[Callable[[sqlite3.Connection], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]
_BATCH: Final = 256
"""Most jobs in one transaction: what piles up while a transaction runs goes into the next one together."""
BUSY_TIMEOUT_S: Final = 3.0


@cache
def queries() -> Mapping[str, str]:
    """Returns name -> statement of queries.sql."""
    text = resources.files(__package__).joinpath("queries.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


@cache
def migrations() -> tuple[tuple[int, str], ...]:
    """Returns (number, script) of every migration, ascending, without gaps from 1."""
    found = []
    for item in resources.files(f"{__package__}.migrations").iterdir():
        match = re.fullmatch(r"(\d{4})_\w+\.sql", item.name)
        if match:
            found.append((int(match[1]), item.read_text("utf-8")))
    found.sort()
    if [number for number, _ in found] != list(range(1, len(found) + 1)):
        raise AssertionError("migrations must be numbered from 0001 without gaps")
    return tuple(found)


def open_file(
    path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S, tell: Callable[[str], object] | None = None
) -> sqlite3.Connection:
    """Opens the database at `path`, newest schema, mode 0600. Blocks.

    A file that is no healthy database is kept beside as `<name>.corrupt-<time>` and an empty one begun; `tell` gets
    the sentence that says so.

    Raises:
        ConfigError: it cannot be opened or written, is in use, or was made by a newer version.
    """
    try:
        return _open(path, busy_timeout_s)
    except sqlite3.DatabaseError as exc:
        if _is_corrupt(exc):
            kept = _set_aside(path)
            notice = (
                f"the database {path} was damaged ({exc}) and is kept as {kept}: "
                "the history begins anew, live sessions go on"
            )
            log.error("%s", notice)
            if tell is not None:
                tell(notice)
            try:
                return _open(path, busy_timeout_s)
            except sqlite3.DatabaseError as again:
                exc = again
        raise _explained(path, exc) from None


def _open(path: Path, busy_timeout_s: float) -> sqlite3.Connection:
    with contextlib.suppress(FileExistsError):
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except OSError as exc:
            if isinstance(exc, FileExistsError):
                raise
            raise ConfigError(
                f"the database {path} cannot be made: {exc.strerror}; check the owner, mode and space of its folder"
            ) from None
    # check_same_thread: opened here, used by the one thread of Database afterwards
    connection = sqlite3.connect(path, timeout=busy_timeout_s, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        if connection.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check failed: malformed")
        migrate(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the schema to the newest version in one transaction; writes nothing when it is.

    Raises:
        ConfigError: the schema is newer than this program.
    """
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    newest = len(migrations())
    if version > newest:
        raise ConfigError(
            f"the database {path} was written by a newer bai-tui (schema {version}, this one knows {newest}): "
            "upgrade bai-tui, or move the file away"
        )
    if version == newest:
        # A write of no effect: a read-only file or a foreign lock must be told now, not at the first session.
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number, script in migrations()[version:]:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _statements(script: str) -> list[str]:
    """Splits a script; executescript() would commit the transaction that a migration runs in."""
    found, current = [], ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            found.append(current)
            current = ""
    return found


def _is_corrupt(exc: sqlite3.DatabaseError) -> bool:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "malformed" in str(exc)


def _set_aside(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S")
    kept = path.with_name(f"{path.name}.corrupt-{stamp}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.corrupt-{stamp}-{number}")
    path.rename(kept)
    for suffix in ("-wal", "-shm"):  # they belong to the damaged file
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(kept.with_name(kept.name + suffix))
    return kept


def _explained(path: Path, exc: sqlite3.Error) -> ConfigError:
    code = getattr(exc, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return ConfigError(f"the database {path} is locked by another process: end it, then try again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ConfigError(
            f"the database {path} cannot be written: check the owner and mode of the file and its folder"
        )
    if code == sqlite3.SQLITE_FULL:
        return ConfigError(f"there is no space left for the database {path}: free some, then try again")
    return ConfigError(f"the database {path} cannot be used: {exc}")


class Database:
    """A connection in a thread. Jobs run in the order of `submit`; those that pile up share one transaction."""

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Opens the file; blocks for milliseconds. Raises ConfigError, see `open_file`."""
        self.path = path
        told: list[str] = []
        self._connection = open_file(path, busy_timeout_s=busy_timeout_s, tell=told.append)
        self.notice = "".join(told)
        """What the user should hear of how the file was found; empty when it was in order."""
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="store", daemon=True)
        self._thread.start()
        self._closed = False

    def submit(self, job: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        """Hands a job to the thread and returns its result to come.

        The job runs even if nobody waits for it, and it is committed when the future is done.
        The future raises ServiceUnavailable when the database refused.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        if self._closed:
            future.set_exception(ServiceUnavailable("the store is closed: the backend is stopping"))
        else:
            self._jobs.put((job, loop, future))
        return future

    async def close(self) -> None:
        """Finishes what was submitted, then closes the file. Idempotent."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        ended = False
        while not ended:
            batch: list[_Job] = []
            job = self._jobs.get()
            while True:
                if job is None:
                    ended = True
                    break
                batch.append(job)
                if len(batch) >= _BATCH:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._run(batch)
        self._connection.close()

    def _run(self, batch: list[_Job]) -> None:
        try:
            results: list[Any] = self._transaction(batch)
        except Exception:
            # One bad job must not take the others with it: each gets a transaction of its own.
            results = []
            for job in batch:
                try:
                    results += self._transaction([job])
                except Exception as exc:
                    results.append(exc)
        for loop in {job[1] for job in batch}:
            mine = [(job[2], result) for job, result in zip(batch, results, strict=True) if job[1] is loop]
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(self._deliver, mine)

    def _transaction(self, batch: list[_Job]) -> list[Any]:
        self._connection.execute("BEGIN")
        try:
            results = [job[0](self._connection) for job in batch]
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return results

    def _deliver(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in results:
            if future.cancelled():
                continue
            if isinstance(result, sqlite3.Error):
                future.set_exception(ServiceUnavailable(_explained(self.path, result).message))
            elif isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
