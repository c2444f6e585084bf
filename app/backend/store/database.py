"""An SQLite file behind one thread of its own: the event loop never waits for a disk, and no lock is needed.

Knows transactions and what can befall a file that is in use; knows nothing of sessions.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import re
import sqlite3
import threading
from collections.abc import Callable, Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Final, TypeVar

from ...model.errors import ConfigError, ServiceUnavailable
from .files import (
    BUSY_TIMEOUT_S,
    begin_anew,
    explained,
    is_corrupt,
    is_locked,
    is_of_the_file,
    marks,
    open_file,
    rescue,
    unreadable,
)

log = logging.getLogger(__name__)
T = TypeVar("T")
_Job = tuple[Callable[[sqlite3.Connection], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]
_BATCH: Final = 256
"""Most jobs in one transaction: what piles up while a transaction runs goes into the next one together."""
_IMPATIENT_S: Final = 0.1
"""How long a lock is waited for that was not given up in time before: readers wait behind it."""


@cache
def queries() -> Mapping[str, str]:
    """Returns name -> statement of queries.sql."""
    text = resources.files(__package__).joinpath("queries.sql").read_text("utf-8")
    parts = re.split(r"^-- name: (\w+)$", text, flags=re.MULTILINE)
    return {name: body.strip() for name, body in zip(parts[1::2], parts[2::2], strict=True)}


class Database:
    """A connection in a thread. Jobs run in the order of `submit`; those that pile up share one transaction.

    Files that are removed, replaced or damaged while they are in use are made good, see `on_loss`.
    """

    def __init__(self, path: Path, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> None:
        """Opens the file; blocks for milliseconds. Raises ConfigError, see `open_file`."""
        self.path = path
        self.notice = ""
        """What the user should hear of what was done to the file; empty when it was in order."""
        self.problem = ""
        """Why the newest write could not be done; empty when it was. Reading may well go on."""
        self.on_loss: Callable[[], None] = lambda: None
        """Called, in the thread, when records may be gone: whoever has them in memory should write them again."""
        self._busy_timeout_s = busy_timeout_s
        self._patient = True
        self._abandoned: list[sqlite3.Connection] = []
        self._connection = open_file(path, busy_timeout_s=busy_timeout_s, tell=self._tell)
        self._marks = marks(path)
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
        for connection in (self._connection, *self._abandoned):
            connection.close()

    def _run(self, batch: list[_Job]) -> None:
        results: list[Any]
        try:
            self._look()
            before = self._connection.total_changes
            results = self._transaction(batch)
            if self._connection.total_changes != before:
                self._went_well()
        except Exception as failure:
            self._note(failure)
            # One bad job must not take the others with it: each gets a transaction of its own. What the file refuses
            # it refuses all of them.
            results = []
            for job in batch:
                if self.problem:
                    results.append(failure)
                    continue
                try:
                    results += self._transaction([job])
                except Exception as exc:
                    results.append(exc)
        for loop in {job[1] for job in batch}:
            mine = [(job[2], result) for job, result in zip(batch, results, strict=True) if job[1] is loop]
            with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(self._deliver, mine)

    def _look(self) -> None:
        """Makes sure that what is written can be found again: the files may have been removed or replaced.

        Raises:
            sqlite3.Error, OSError, ConfigError: it cannot.
        """
        found = marks(self.path)
        if found == self._marks:
            return
        if found[0] == self._marks[0] and self._marks[1] is None:
            self._marks = found  # the log is made with the first transaction
            return
        foreign = found[0] not in (None, self._marks[0])
        self._replace_by(rescue(self._connection, self.path, foreign=foreign, own_log=found[1] == self._marks[1]))
        what = "replaced" if foreign else "removed"
        self._tell(f"the database {self.path} was {what} by somebody while in use: it was written again")
        log.error("%s", self.notice)

    def _went_well(self) -> None:
        if self.problem:
            log.warning("the database can be written again")
        self.problem = ""
        self._be_patient(True)

    def _note(self, failure: Exception) -> None:
        """Takes note of a failure that is the file's, and begins a new one where it is damaged."""
        if isinstance(failure, sqlite3.Error):
            if not is_of_the_file(failure):
                return
            problem = explained(self.path, failure).message
        elif isinstance(failure, OSError | ConfigError):
            problem = f"the database {self.path} cannot be written: {getattr(failure, 'strerror', failure)}"
        else:
            return
        if problem != self.problem:
            log.error("%s", problem)
        self.problem = problem
        if isinstance(failure, sqlite3.Error):
            if is_locked(failure):
                self._be_patient(False)
            elif is_corrupt(failure):
                self._begin_anew(failure)

    def _begin_anew(self, damage: sqlite3.Error) -> None:
        try:
            fresh = begin_anew(self.path, damage, busy_timeout_s=self._busy_timeout_s, tell=self._tell)
        except (sqlite3.Error, OSError, ConfigError) as exc:
            log.error("there is no new database: %s", exc)
            return
        self._replace_by(fresh)
        self.on_loss()

    def _replace_by(self, fresh: sqlite3.Connection) -> None:
        # Closed now, the old one would take the log of the new one with it, which has its name.
        self._abandoned.append(self._connection)
        self._connection = fresh
        self._patient = True
        self._marks = marks(self.path)

    def _be_patient(self, patient: bool) -> None:
        if patient is not self._patient:
            self._patient = patient
            wait_s = self._busy_timeout_s if patient else min(_IMPATIENT_S, self._busy_timeout_s)
            self._connection.execute(f"PRAGMA busy_timeout = {round(1000 * wait_s)}")

    def _tell(self, notice: str) -> None:
        self.notice = notice

    def _transaction(self, batch: list[_Job]) -> list[Any]:
        self._connection.execute("BEGIN")
        try:
            results = [job[0](self._connection) for job in batch]
            self._connection.execute("COMMIT")
        except BaseException as exc:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if isinstance(exc, UnicodeDecodeError):
                raise unreadable() from None
            raise
        return results

    def _deliver(self, results: list[tuple[asyncio.Future[Any], Any]]) -> None:
        for future, result in results:
            if future.cancelled():
                continue
            if isinstance(result, sqlite3.Error):
                future.set_exception(ServiceUnavailable(explained(self.path, result).message))
            elif isinstance(result, OSError | ConfigError):
                future.set_exception(ServiceUnavailable(self.problem))
            elif isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)
