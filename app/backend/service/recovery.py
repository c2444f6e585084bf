"""What a new daemon does with the sessions of the one before it: takes over those that live, ends the others."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Final

from ...model.errors import BadRequest, BaiTuiError, IllegalState
from ...model.sessions import ANSWERING, Session, SessionStatus
from ..ports import Engine, Kernel, SessionStore
from ..scheduler import Allocation, Scheduler
from ..store.rows import load_session
from .entries import Entry, Register
from .folders import Folders
from .lifecycle import Lifecycle
from .states import States

log = logging.getLogger(__name__)
S = SessionStatus
_AT_ONCE: Final = 16
"""Runners that are asked at the same time."""


class Recovery:
    """Runs once, before the daemon is ready."""

    def __init__(
        self,
        *,
        scheduler: Scheduler,
        engine: Engine,
        folders: Folders,
        states: States,
        register: Register,
        lifecycle: Lifecycle,
    ) -> None:
        self._scheduler = scheduler
        self._engine = engine
        self._folders = folders
        self._states = states
        self._register = register
        self._lifecycle = lifecycle

    async def left_behind(self, folders: list[Path], store: SessionStore) -> list[Session]:
        """Returns the sessions of `folders` that live but that the database has lost.

        What else was left running in one of the folders is ended.
        """
        found = []
        for folder in folders:
            if not self._folders.work(folder.name).exists():
                continue  # it ended in order
            record = self._folders.noted(folder.name)
            if record is not None and await store.get(folder.name) is None:
                try:
                    found.append(load_session(record))
                    log.warning("session %s was lost by the database and is found again", folder.name)
                    continue
                except (ValueError, KeyError, TypeError):
                    log.warning("the record in %s cannot be read", folder)
            try:
                await self._engine.adopt(folder.name, folder, {})
            except Exception:
                log.exception("what the session %s has left behind cannot be ended", folder.name)
        return found

    async def adopt(self, sessions: list[Session]) -> list[Session]:
        """Takes over or ends the sessions that had started; returns those that still wait, for `requeue`."""
        started = [session for session in sessions if session.status is not S.PENDING]
        await asyncio.to_thread(self._folders.remove_unfinished, [session.id for session in started])
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(session: Session) -> Kernel | None:
            async with gate:
                try:
                    return await self._engine.adopt(session.id, self._folders.session(session.id), session.runner)
                except Exception:
                    log.exception("the runner of the session %s cannot be taken over", session.id)
                    return None

        kernels = await asyncio.gather(*(ask(session) for session in started))
        for session, kernel in zip(started, kernels, strict=True):
            entry = Entry(session, kernel=kernel)
            self._register.add(entry)
            self._promise(entry)
            self._settle(entry)
        return [session for session in sessions if session.status is S.PENDING]

    def _promise(self, entry: Entry) -> None:
        session = entry.session
        try:
            self._scheduler.adopt(session.id, Allocation.parse(session.allocation))
        except (BadRequest, IllegalState) as exc:
            # The machine offers less than before. The user's work is worth more than the sum of the slots.
            entry.promised = False
            log.warning("session %s goes on without a promise of resources: %s", session.id, exc.message)

    def _settle(self, entry: Entry) -> None:
        session = entry.session
        if entry.kernel is None:
            if session.status is S.TERMINATING:
                self._lifecycle.end(entry, session.status_info or "user-requested")
            elif session.status in ANSWERING or session.status is S.RESTARTING:
                self._lifecycle.end(entry, "self-terminated: its processes were gone when the backend started")
            else:
                self._lifecycle.end(entry, "failed-to-start: the backend ended meanwhile", final=S.ERROR)
            return
        session.runner = self._engine.runner_info(entry.kernel)
        if session.status is S.RESTARTING:
            self._states.move(session, S.RUNNING)
        if session.status in ANSWERING:
            self._lifecycle.watch(entry)
            self._states.tell(session)  # the database may have lost it
            entry.settled.set()
        elif session.status is S.TERMINATING:
            self._lifecycle.end(entry, session.status_info or "user-requested")
        else:
            self._lifecycle.end(entry, "failed-to-start: the backend ended meanwhile", final=S.ERROR)

    def requeue(self, waiting: list[Session]) -> None:
        """Queues again, in order, what waited. What cannot be granted on this machine any more ends as ERROR."""
        for session in waiting:
            entry = Entry(session)
            try:
                self._lifecycle.requeue(entry)
            except BaiTuiError as exc:
                self._states.move(session, S.ERROR, f"failed-to-start: {exc.message}")
                entry.settled.set()
                entry.ended.set()
