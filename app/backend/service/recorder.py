"""Store first, tell then: changes of sessions are written together and published in order once they are written.

What changes while a write is under way goes into the next one, so the quick states of a launch cost one write.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final

from ...model.errors import ServiceUnavailable
from ...model.sessions import Session
from ..ports import SessionEvent, SessionStore
from .events import EventBus

log = logging.getLogger(__name__)
_RETRY_S: Final = 1.0
_SOON_S: Final = 1.0


class Recorder:
    """Writes noted sessions and publishes their events. `run` must be going on."""

    def __init__(self, store: SessionStore, bus: EventBus) -> None:
        self._store = store
        self._bus = bus
        self._dirty: dict[str, Session] = {}
        self._writing: dict[str, Session] = {}
        self._events: list[SessionEvent] = []
        self._wake = asyncio.Event()
        self._noted = 0
        self._written = 0
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._soon: asyncio.TimerHandle | None = None
        self._failure = self._told = ""

    def note(self, session: Session, *events: SessionEvent) -> None:
        """Has `session` written at once, and `events` published after it."""
        self._dirty[session.id] = session
        self._events += events
        self._noted += 1
        self._wake.set()

    def note_soon(self, session: Session) -> None:
        """Has `session` written within a second: for counters that need not wake the disk for each run."""
        self._dirty[session.id] = session
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_later(_SOON_S, self._wake.set)

    async def settled(self) -> None:
        """Returns when all that was noted until now is written and published, or could not be written (logged)."""
        if self._written >= self._noted:
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append((self._noted, future))
        await future

    @property
    def failure(self) -> str:
        """Why the newest write failed; empty when it did not."""
        return self._failure

    def unwritten(self) -> Mapping[str, Session]:
        """Returns, by id, the sessions of which the database says something old because it refuses to be written."""
        return self._writing | self._dirty if self._failure else {}

    def forget(self, session: Session) -> None:
        """Has a session left unwritten that the database has never heard of, unless it is just being told."""
        if session.id not in self._writing:
            self._dirty.pop(session.id, None)

    async def written(self, session: Session, what: str) -> None:
        """Returns when all that was noted until now is written: `session` stays so although this process be killed now.

        Args:
            what: what has happened to the session: `is extended`.

        Raises:
            ServiceUnavailable: `session` could not be written, and why.
        """
        await self.settled()
        if session.id in self.unwritten():
            raise ServiceUnavailable(
                f"the session {session.name} {what}, but that is forgotten if the backend ends before it can be "
                f"written: {self._failure}"
            )

    async def run(self) -> None:
        """Writes until cancelled."""
        while True:
            await self._wake.wait()
            if not await self.flush():
                # the disk is full or gone: memory stays the truth, and the next change or the clock tries again
                asyncio.get_running_loop().call_later(_RETRY_S, self._wake.set)

    async def flush(self) -> bool:
        """Writes and publishes what was noted; returns whether it could be written."""
        self._wake.clear()
        if self._soon is not None:
            self._soon.cancel()
            self._soon = None
        noted, dirty, events = self._noted, self._dirty, self._events
        self._dirty, self._events = {}, []
        self._writing = dirty
        written = True
        if dirty:
            try:
                await self._store.save_all(dirty.values())
            except ServiceUnavailable as exc:
                if exc.message != self._told:  # tried again and again, told once
                    log.error("sessions could not be written: %s", exc.message)
                self._failure = self._told = exc.message
                self._dirty = dirty | self._dirty
                written = False
            except BaseException:
                self._dirty = dirty | self._dirty
                self._events = events + self._events
                raise
            finally:
                self._writing = {}
        if written:
            self._failure = ""
            if dirty:
                self._told = ""
        for event in events:
            self._bus.publish(event)
        self._written = noted
        waiting = []
        for number, future in self._waiters:
            if number > noted:
                waiting.append((number, future))
            elif not future.done():
                future.set_result(None)
        self._waiters = waiting
        return written
