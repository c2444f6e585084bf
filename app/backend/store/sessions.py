"""Sessions and keypairs in SQLite: fulfils `ports.SessionStore`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import re
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from ...model.sessions import LIVE, Session, SessionStatus
from ..ports import Keypair, PastUse
from .database import Database, queries
from .rows import dump_keypair, dump_session, load_keypair, load_past_use, load_session

log = logging.getLogger(__name__)
_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class SqliteStore:
    """The store of the daemon. Every write is durable against the end of this process when it returns."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the database; blocks for milliseconds.

        Raises:
            ConfigError: the file cannot be used; the message says what to do.
        """
        self._database = Database(path)

    @property
    def notice(self) -> str:
        """What the user should hear of what befell the file; empty when it was in order."""
        return self._database.notice

    @property
    def problem(self) -> str:
        """Why nothing can be written at present; empty when it can."""
        return self._database.problem

    def on_loss(self, call: Callable[[], None]) -> None:
        """Has `call` called, in the loop of the caller, when records may be gone: to be written again then."""
        loop = asyncio.get_running_loop()

        def told() -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(call)

        self._database.on_loss = told

    async def save(self, session: Session) -> None:
        """Writes a session as it is now; later changes of the object are not written.

        Raises:
            ServiceUnavailable: the database refused.
        """
        await self.save_all((session,))

    async def save_all(self, sessions: Iterable[Session]) -> None:
        """Writes sessions in one transaction. Cancelling does not undo it. Raises like `save`."""
        rows = [
            {
                "id": session.id,
                "access_key": session.access_key,
                "name": session.name,
                "status": session.status.value,
                "live": int(session.status in LIVE),
                "enqueue_order": session.enqueue_order,
                "record": dump_session(session),
            }
            for session in sessions
        ]
        await self._database.submit(lambda db: db.executemany(queries()["save_session"], rows).rowcount)

    async def load_live(self) -> Sequence[Session]:
        """Returns the sessions whose status is not terminal, in the order of admission."""
        return _sessions(await self._database.submit(lambda db: db.execute(queries()["live_sessions"]).fetchall()))

    async def get(self, session_id: str) -> Session | None:
        """Returns a session by its id, ended ones too."""
        rows = await self._database.submit(
            lambda db: db.execute(queries()["session_by_id"], {"id": session_id}).fetchall()
        )
        return next(iter(_sessions(rows)), None)

    async def last_enqueue_order(self) -> int:
        """Returns the highest position ever given to an admission; 0 when there was none."""
        number: int = await self._database.submit(lambda db: db.execute(queries()["last_enqueue_order"]).fetchone()[0])
        return number

    async def search(
        self, *, access_key: str | None, statuses: Sequence[SessionStatus] | None, limit: int, offset: int
    ) -> tuple[Sequence[Session], int]:
        """Returns one page, newest first, and the total count. None = every owner, every status."""
        asked = {
            "access_key": access_key,
            "statuses": json.dumps([status.value for status in (SessionStatus if statuses is None else statuses)]),
            "limit": limit,
            "offset": offset,
        }
        kind = "" if access_key is None else "_of_owner"

        def read(db: sqlite3.Connection) -> tuple[list[tuple[str]], int]:
            rows = db.execute(queries()[f"search_sessions{kind}"], asked).fetchall()
            return rows, db.execute(queries()[f"count_sessions{kind}"], asked).fetchone()[0]

        rows, total = await self._database.submit(read)
        return _sessions(rows), total

    async def used_since(self, when: datetime) -> Sequence[PastUse]:
        """Returns what sessions held that have started, and ended at `when` or later, in the order of their ends."""
        since = {"since": when.isoformat()}
        rows = await self._database.submit(lambda db: db.execute(queries()["used_since"], since).fetchall())
        return [load_past_use(row) for row in rows]

    async def keypairs(self) -> Sequence[Keypair]:
        rows = await self._database.submit(lambda db: db.execute(queries()["keypairs"]).fetchall())
        return [load_keypair(row) for row in rows]

    async def add_keypair(self, keypair: Keypair) -> None:
        """Adds a keypair, or replaces the one with the same access key."""
        row = dump_keypair(keypair)
        await self._database.submit(lambda db: db.execute(queries()["add_keypair"], row).rowcount)

    async def remove_keypair(self, access_key: str) -> None:
        """Removes a keypair; nothing happens when there is none."""
        key = {"access_key": access_key}
        await self._database.submit(lambda db: db.execute(queries()["remove_keypair"], key).rowcount)

    async def close(self) -> None:
        """Writes what is under way and closes the file. Idempotent."""
        await self._database.close()


def _sessions(rows: Sequence[tuple[str]]) -> list[Session]:
    found = []
    for (text,) in rows:
        try:
            found.append(load_session(text))
        except (ValueError, KeyError, TypeError) as exc:
            # One unreadable record must not hide the others or keep the daemon from starting. Of its text, only the id
            # is told: the environment in it may hold secrets, and what the error says may quote it.
            told = _ID.search(text)
            where = told[0] if told else "without an id"
            log.error(
                "a session record in the database cannot be read and is left out: %s (%s)", where, type(exc).__name__
            )
    return found
