"""What a new daemon does with the sessions of the one before it: takes over those that live, ends the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ...model.errors import BaiTuiError
from ...model.sessions import ANSWERING, Session, SessionStatus
from ..ports import Devices, Engine, Kernel, SessionStore
from ..store.rows import load_session
from .dependencies import failure_of
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
        engine: Engine,
        devices: Devices,
        store: SessionStore,
        folders: Folders,
        states: States,
        register: Register,
        lifecycle: Lifecycle,
    ) -> None:
        self._engine = engine
        self._devices = frozenset(device.id for device in devices.list())
        self._store = store
        self._folders = folders
        self._states = states
        self._register = register
        self._lifecycle = lifecycle

    async def left_behind(self, folders: list[Path]) -> list[Session]:
        """Returns the sessions of `folders` that live but that the database has lost.

        What else was left running in one of the folders is ended.
        """
        found = []
        for folder in folders:
            if not self._folders.work(folder.name).exists():
                continue  # it ended in order
            record = self._folders.noted(folder.name)
            if record is not None and await self._store.get(folder.name) is None:
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

    async def recall(self) -> None:
        """Counts what was used lately, where the policy looks at it."""
        since = self._lifecycle.queue.remembers_since()
        if since is not None:
            self._lifecycle.queue.recall(await self._store.used_since(since))

    async def adopt(self, sessions: list[Session]) -> None:
        """Takes over or ends the sessions that had started; those that still wait are for `requeue`."""
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

    def _promise(self, entry: Entry) -> None:
        entry.shortfall = self._lifecycle.queue.adopt(entry.session, self._devices)
        if entry.shortfall is not None:
            # The machine offers less than before. The user's work is worth more than the sum of the slots.
            log.warning("session %s goes on without a promise of %s", entry.session.id, entry.shortfall)

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
            session.status_info = None  # what it was under an earlier daemon is looked at anew
            if entry.shortfall is not None:
                session.status_info = f"goes on without a promise of {entry.shortfall}: the machine has less now"
            self._lifecycle.watch(entry)
            self._states.tell(session)  # the database may have lost it
            entry.settled.set()
        elif session.status is S.TERMINATING:
            self._lifecycle.end(entry, session.status_info or "user-requested")
        else:
            self._lifecycle.end(entry, "failed-to-start: the backend ended meanwhile", final=S.ERROR)

    async def requeue(self, sessions: list[Session]) -> None:
        """Queues again, in order, what waited; those that need what has failed meanwhile end with the reason.

        What a session depends on was admitted before it, so it is decided before it here, too.
        """
        waiting = [session for session in sessions if session.status is S.PENDING]
        known: dict[str, Session | None] = {session.id: session for session in sessions}
        for session_id in {ref for session in waiting for ref in session.depends_on} - known.keys():
            known[session_id] = await self._store.get(session_id)
        # from here on nothing else happens: nobody ends unseen between the look at it and the queue
        for session in waiting:
            if failure := _failure(session, known):
                self._end(session, S.CANCELLED, f"dependency-failed: {failure}")
                continue
            try:
                self._lifecycle.requeue(Entry(session))
            except BaiTuiError as exc:  # no request that was ever admitted: somebody wrote into the database
                self._end(session, S.ERROR, f"failed-to-start: {exc.message}")

    def _end(self, session: Session, final: SessionStatus, info: str) -> None:
        """Ends a session that was not queued again."""
        log.warning("session %s does not wait any more: %s", session.id, info)
        self._states.move(session, final, info)


def _failure(session: Session, known: Mapping[str, Session | None]) -> str | None:
    """Returns why a session can never start because of those that it depends on; None when it may."""
    for session_id in session.depends_on:
        dependency = known[session_id]
        if dependency is None:
            return f"the session {session_id} is not known any more"
        if (failure := failure_of(dependency)) is not None:
            return failure
    return None
