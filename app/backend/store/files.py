"""The files of the database: opened, brought to the newest schema, set aside when damaged. Blocks.

What is damaged is never written to again: it is kept beside, and what can still be read of it is copied.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Callable
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Final

from ...model.errors import ConfigError

log = logging.getLogger(__name__)
BUSY_TIMEOUT_S: Final = 3.0
_TABLES: Final = ("keypairs", "sessions")
_SIDES: Final = ("-wal", "-shm")
_OF_SQLITE: Final = (sqlite3.Error, UnicodeDecodeError)
"""The second in place of the first where its words are no text, see `unreadable`."""
_REFUSALS: Final = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_NOMEM,
)


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
    """Opens the database at `path`, newest schema, mode 0600.

    A file that is no healthy database is kept beside as `<name>.corrupt-<time>` and a new one begun, with what can be
    read of it; `tell` gets the sentence that says so.

    Raises:
        ConfigError: it cannot be opened or written, is in use, or was made by a newer version.
    """
    try:
        return _open(path, busy_timeout_s)
    except sqlite3.DatabaseError as exc:
        if is_corrupt(exc):
            try:
                return begin_anew(path, exc, busy_timeout_s=busy_timeout_s, tell=tell)
            except sqlite3.DatabaseError as again:
                exc = again
        raise explained(path, exc) from None


def begin_anew(
    path: Path,
    damage: sqlite3.Error,
    *,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    tell: Callable[[str], object] | None = None,
) -> sqlite3.Connection:
    """Sets a damaged file aside and returns a new database in its place, with what can be read of the old one.

    Raises:
        sqlite3.DatabaseError, ConfigError: there is no new one.
    """
    kept = set_aside(path, "corrupt") if path.exists() else None  # else an earlier try has got so far
    connection = _open(path, busy_timeout_s)
    saved = _salvage(kept, connection) if kept is not None else 0
    what = f"{saved} records of it could be read and go on" if saved else "the history begins anew"
    aside = f"is kept as {kept}" if kept is not None else "was set aside"
    notice = f"the database {path} was damaged ({damage}) and {aside}: {what}, live sessions go on"
    log.error("%s", notice)
    if tell is not None:
        tell(notice)
    return connection


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
    except BaseException as exc:
        connection.close()
        if isinstance(exc, UnicodeDecodeError):
            raise unreadable() from None
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


# --- what is there


def marks(path: Path) -> tuple[tuple[int, int] | None, ...]:
    """Returns what tells the database and its log on disk from others of their names; None for one that is gone."""
    return _mark(path), _mark(path.with_name(path.name + "-wal"))


def _mark(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def rescue(connection: sqlite3.Connection, path: Path, *, foreign: bool, own_log: bool) -> sqlite3.Connection:
    """Writes all that an open database holds to `path` again, whose files were removed or replaced; returns that one.

    A file of somebody else (`foreign`) at its place is kept beside as `<name>.other-<time>`; with the log that lies
    there, unless that is `connection`'s own: it would spoil the other.

    Raises:
        sqlite3.Error, OSError, ConfigError: it could not be written.
    """
    fresh = path.with_name(path.name + ".new")
    fresh.unlink(missing_ok=True)
    os.close(os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    with contextlib.closing(sqlite3.connect(fresh)) as copy:
        connection.backup(copy)
    if foreign and not own_log:
        set_aside(path, "other")
    for suffix in _SIDES:
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if foreign and own_log:
        set_aside(path, "other")
    fresh.replace(path)
    return open_file(path)


def set_aside(path: Path, why: str) -> Path:
    """Renames a database with its side files; returns its new name."""
    stamp = f"{why}-{time.strftime('%Y%m%d-%H%M%S')}"
    kept = path.with_name(f"{path.name}.{stamp}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.{stamp}-{number}")
    path.rename(kept)
    for suffix in _SIDES:
        side = path.with_name(path.name + suffix)
        if side.exists():
            side.rename(kept.with_name(kept.name + suffix))
    return kept


def _salvage(kept: Path, into: sqlite3.Connection) -> int:
    """Copies what can be read of a damaged database; returns the number of records. Raises nothing of it."""
    before = into.total_changes
    into.execute("BEGIN")
    ways = ["mode=ro"] if kept.with_name(kept.name + "-wal").exists() else []
    for options in (*ways, "mode=ro&immutable=1"):  # with its log; without it
        with contextlib.suppress(*_OF_SQLITE), contextlib.closing(_connect_uri(kept, options)) as damaged:
            for table in _TABLES:
                for order in ("ASC", "DESC"):  # from both ends: a damaged page stops the reading
                    _copy(damaged, into, table, order)
    into.execute("COMMIT")
    return into.total_changes - before


def _connect_uri(path: Path, options: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.as_uri()}?{options}", uri=True)


def _copy(damaged: sqlite3.Connection, into: sqlite3.Connection, table: str, order: str) -> None:
    columns = [row[1] for row in into.execute(f"PRAGMA table_info({table})")]
    names, places = ", ".join(columns), ", ".join("?" * len(columns))
    select = f"SELECT {names} FROM {table} ORDER BY 1 {order}"  # noqa: S608 - all of it is ours
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({places})"  # noqa: S608 - as above
    with contextlib.suppress(*_OF_SQLITE):
        for row in damaged.execute(select):
            with contextlib.suppress(sqlite3.Error):
                into.execute(insert, row)


# --- errors


def unreadable() -> sqlite3.DatabaseError:
    """Returns the error that stands for a `UnicodeDecodeError` out of sqlite3.

    SQLite's words name what is damaged, with its bytes; Python fails to make a text of them and loses the error.
    """
    return sqlite3.DatabaseError("malformed database schema: its names are no text")


def _code(exc: sqlite3.Error) -> int:
    return int(getattr(exc, "sqlite_errorcode", 0)) & 0xFF


def is_corrupt(exc: sqlite3.Error) -> bool:
    """Whether it says that the file is damaged."""
    return _code(exc) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "malformed" in str(exc)


def is_of_the_file(exc: sqlite3.Error) -> bool:
    """Whether it is the file or its disk that refuses, whatever was asked of it."""
    return is_corrupt(exc) or is_locked(exc) or _code(exc) in _REFUSALS


def is_locked(exc: sqlite3.Error) -> bool:
    """Whether it says that another process holds the file."""
    return _code(exc) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def explained(path: Path, exc: sqlite3.Error) -> ConfigError:
    """Returns the error as a sentence for the user."""
    if is_locked(exc):
        return ConfigError(f"the database {path} is locked by another process: end it, then try again")
    if _code(exc) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return ConfigError(
            f"the database {path} cannot be written: check the owner and mode of the file and its folder"
        )
    if _code(exc) == sqlite3.SQLITE_FULL:
        return ConfigError(f"there is no space left for the database {path}: free some, then try again")
    return ConfigError(f"the database {path} cannot be used: {exc}")
