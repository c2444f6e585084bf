"""What a new daemon does with the sessions of the one before it: takes over those that live, ends the others."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from ...model.errors import BaiTuiError, ServiceUnavailable
from ...model.sessions import ANSWERING, STARTING, Session, SessionResult, SessionStatus, SessionType
from ...model.slots import ResourceSlots
from ..ports import Devices, Engine, Exit, Kernel, SessionStore
from ..store.rows import load_session
from .dependencies import failure_of
from .ends import final_of, how_it_ended, told_by_journal
from .entries import Entry, Register
from .folders import Folders
from .lifecycle import Lifecycle
from .states import States

log = logging.getLogger(__name__)
S = SessionStatus
_End = tuple[SessionStatus, str]
"""Where a session's end leads, and why."""
_AT_ONCE: Final = 16
"""Runners that are asked at the same time."""
_BREATH: Final = 200
"""Waiting sessions that are queued in one go."""
_MOST_STARTS: Final = 3
"""Starts of one session that the end of the daemon may cut off: one that takes it down must not do so for ever."""
_EARLY: Final = STARTING | {S.PENDING}
_RAN: Final = ANSWERING | {S.RESTARTING}
_ON_THE_WAY: Final[Mapping[SessionStatus, SessionStatus]] = {
    S.SCHEDULED: S.PREPARING,
    S.PREPARING: S.CREATING,
    S.PULLING: S.CREATING,
    S.PREPARED: S.CREATING,
    S.CREATING: S.RUNNING,
    S.RESTARTING: S.RUNNING,
}
"""What follows a status on the way to RUNNING."""


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
        self.unswept: list[str] = []
        """Sessions that have ended without being cleaned up."""

    async def found(self, live: list[Session]) -> list[Session]:
        """Returns the sessions of the daemon before: `live`, which the database knows, and those that it has lost.

        What the database was late to hear of a start is put right from the session's folder.
        """
        known = {session.id: session for session in live}
        lost, ended = await asyncio.to_thread(self._look_through, known)
        for session in lost:
            if await self._store.get(session.id) is None:
                log.warning("session %s was lost by the database and is found again", session.id)
                known[session.id] = session
            else:
                ended.append(session.id)
        self.unswept = ended
        return sorted(known.values(), key=lambda session: session.enqueue_order)

    def _look_through(self, known: Mapping[str, Session]) -> tuple[list[Session], list[str]]:
        """Returns the sessions with work folders that are not among `known`, and the ids of those without a record."""
        lost, unknown = [], []
        for session_id in self._folders.unfinished():
            session = known.get(session_id)
            if session is not None and session.status not in _EARLY:
                continue
            record = self._folders.noted(session_id)
            try:
                noted = load_session(record) if record is not None else None
            except (ValueError, KeyError, TypeError):
                log.warning("the record of the session %s in its folder cannot be read", session_id)
                noted = None
            if session is None:
                if noted is None:
                    unknown.append(session_id)
                else:
                    lost.append(noted)
            elif noted is not None:
                session.status, session.status_history = noted.status, noted.status_history
                session.allocation, session.occupied_slots = noted.allocation, noted.occupied_slots
                session.runner = noted.runner | session.runner
        return lost, unknown

    async def sweep(self) -> None:
        """Ends what sessions that have ended left running, should that be anything. To be run in the background."""
        for session_id in self.unswept:
            await self._engine.sweep(session_id, self._folders.session(session_id), {})

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

        async def ask(session: Session) -> Kernel | _End:
            async with gate:
                return await self._ask(session)

        answers = await asyncio.gather(*(ask(session) for session in started), return_exceptions=True)
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        for session, answer in zip(started, answers, strict=True):
            if isinstance(answer, tuple):
                self._end_dead(session, *answer)
            elif not isinstance(answer, BaseException):
                self._go_on(session, answer)

    async def _ask(self, session: Session) -> Kernel | _End:
        try:
            answer = await self._engine.adopt(session.id, self._folders.session(session.id), session.runner)
        except ServiceUnavailable:
            raise  # it is we who lack something: the session goes on
        except Exception as exc:
            log.exception("the runner of the session %s cannot be taken over", session.id)
            answer = Exit(None, f"the session's runner cannot be taken over ({exc})")
        if not isinstance(answer, Exit):
            return answer
        end = how_it_ended(answer)
        if session.type is SessionType.BATCH and session.status in _RAN:
            told = await asyncio.to_thread(told_by_journal, session, self._folders.journal(session.id))
            if told is not None:
                return S.TERMINATED, told
            session.result = SessionResult.FAILURE
        return end

    def _enter(self, session: Session, kernel: Kernel | None) -> Entry:
        """Registers a session that holds resources, and promises it again what it holds."""
        entry = Entry(session, kernel=kernel)
        self._register.add(entry)
        entry.shortfall = self._lifecycle.queue.adopt(entry.session, self._devices)
        if entry.shortfall is not None:
            # The machine offers less than before. The user's work is worth more than the sum of the slots.
            log.warning("session %s goes on without a promise of %s", entry.session.id, entry.shortfall)
        return entry

    def _end_dead(self, session: Session, final: SessionStatus, info: str) -> None:
        """Ends a session whose runner is gone; one that had not come up yet waits again."""
        if session.status in STARTING:
            self._back_to_queue(session)
            return
        entry = self._enter(session, None)
        if session.status is S.TERMINATING:
            info = session.status_info or "user-requested"
            final = final_of(info)
        else:
            log.warning("session %s has ended while no backend ran: %s", session.id, info)
        self._lifecycle.end(entry, info, final=final)

    def _back_to_queue(self, session: Session) -> None:
        """Has a start begun anew that the end of the daemon has cut off: nothing of the user's has run."""
        # building an image may take longer than a daemon lives, and is done outside of it
        starts = int(session.runner.get("starts", 0)) + (session.status is not S.PULLING)
        session.allocation, session.occupied_slots, session.runner = {}, ResourceSlots(), {"starts": starts}
        if starts >= _MOST_STARTS:
            info = f"failed-to-start: the backend ended {starts} times while it was being started"
            self._end(session, S.ERROR, info)
            return
        log.warning("session %s was being started when the backend ended: it waits again", session.id)
        self._states.move(session, S.PENDING)

    def _go_on(self, session: Session, kernel: Kernel) -> None:
        """Takes over a session whose runner lives."""
        entry = self._enter(session, kernel)
        session.runner = self._engine.runner_info(kernel)
        if session.status is S.TERMINATING:
            info = session.status_info or "user-requested"
            self._lifecycle.end(entry, info, final=final_of(info))
            return
        while session.status not in ANSWERING:
            self._states.move(session, _ON_THE_WAY[session.status], told=session.status is S.CREATING)
        if session.starts_at is None:  # it had come up, but nobody could write that
            session.starts_at = session.last_used_at = self._states.now()
        session.status_info = None  # what it was under an earlier daemon is looked at anew
        if entry.shortfall is not None:
            session.status_info = f"goes on without a promise of {entry.shortfall}: the machine has less now"
        self._lifecycle.watch(entry)
        self._states.tell(session)  # the database may have lost it
        self._lifecycle.queue.set_end(session)
        entry.settled.set()

    async def requeue(self, sessions: list[Session]) -> None:
        """Queues again, in order, what waited; those that need what has failed meanwhile end with the reason.

        What a session depends on was admitted before it, so it is decided before it here, too.
        """
        waiting = [session for session in sessions if session.status is S.PENDING]
        known: dict[str, Session | None] = {session.id: session for session in sessions}
        for session_id in {ref for session in waiting for ref in session.depends_on} - known.keys():
            known[session_id] = await self._store.get(session_id)
        # what is looked at here are the records of the register: who ends meanwhile does not do so unseen
        for number, session in enumerate(waiting, 1):
            if not number % _BREATH:
                await asyncio.sleep(0)  # those that were adopted are looked after, however many wait
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
        self._lifecycle.clear_start(session.id)


def _failure(session: Session, known: Mapping[str, Session | None]) -> str | None:
    """Returns why a session can never start because of those that it depends on; None when it may."""
    for session_id in session.depends_on:
        dependency = known[session_id]
        if dependency is None:
            return f"the session {session_id} is not known any more"
        if (failure := failure_of(dependency)) is not None:
            return failure
    return None
