"""Reading of sessions: those that live from memory, those that have ended from the store."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Final

from ...model.errors import NotFound, ServiceUnavailable
from ...model.sessions import LIVE, Session, SessionStatus
from ..ports import Keypair, SessionStore
from .entries import Entry, Register
from .lookup import begins, find, is_session_id, missing
from .queue import Queue
from .recorder import Recorder

S = SessionStatus
_AT_ONCE: Final = 50


class Finder:
    """Finds sessions for those who may see them."""

    def __init__(self, register: Register, store: SessionStore, recorder: Recorder, queue: Queue) -> None:
        self._register = register
        self._store = store
        self._recorder = recorder
        self._queue = queue

    def current(self, entry: Entry) -> Session:
        """Returns the record, with what a waiting session waits for now."""
        session = entry.session
        if session.status is S.PENDING and (waiting := self._queue.waiting(session)) is not None:
            session.status_info = waiting.text
        return session

    def live(self, caller: Keypair, ref: str) -> Entry:
        """Returns a session that lives.

        Raises:
            SessionNotFound, AmbiguousReference: see `lookup.find`.
        """
        entry = find(self._register, caller, ref)
        self.current(entry)
        return entry

    async def get(self, caller: Keypair, ref: str) -> Session:
        """Returns a session; ended ones are found by their full id only."""
        try:
            return self.live(caller, ref).session
        except NotFound:
            session = await self.ended(caller, ref)
            if session is not None:
                return session
        # say again what went wrong: the reference may be ambiguous
        self.live(caller, ref)
        raise missing(ref)

    async def ended(self, caller: Keypair, ref: str) -> Session | None:
        """Returns a session as it was written last, by its full id; None when there is none."""
        if not is_session_id(ref):
            return None
        await self._recorder.settled()
        session_id = str(uuid.UUID(ref))
        session = self._recorder.unwritten().get(session_id) or await self._store.get(session_id)
        return session if session is not None and _may_see(caller, session) else None

    async def is_remembered(self, session: Session) -> bool:
        """Whether the next daemon will find a session in the database."""
        try:
            return await self._store.get(session.id) is not None
        except ServiceUnavailable:
            return False

    async def search(
        self,
        caller: Keypair,
        *,
        statuses: Sequence[SessionStatus] | None,
        access_key: str | None,
        limit: int,
        offset: int,
    ) -> tuple[Sequence[Session], int]:
        """Returns one page, newest first, and the total count. `access_key` None = all that the caller may see."""
        owner = access_key if caller.is_admin else caller.access_key
        if statuses is not None and LIVE.issuperset(statuses):
            entries, total = self._live_page(frozenset(statuses), owner, limit, offset)
            return await self._current_all(entries), total
        await self._recorder.settled()
        page: Sequence[Session]
        unwritten = self._recorder.unwritten()
        if unwritten:
            page, total = await self._overlaid(unwritten, owner, statuses, limit, offset)
        else:
            page, total = await self._store.search(access_key=owner, statuses=statuses, limit=limit, offset=offset)
        live = ((self._register.get(session.id), session) for session in page)
        return [self.current(entry) if entry else session for entry, session in live], total

    async def _overlaid(
        self,
        unwritten: Mapping[str, Session],
        owner: str | None,
        statuses: Sequence[SessionStatus] | None,
        limit: int,
        offset: int,
    ) -> tuple[list[Session], int]:
        """Searches in what the store would say if it could be written; returns one page and the total count."""

        def fits(session: Session) -> bool:
            return (owner is None or session.access_key == owner) and (statuses is None or session.status in statuses)

        window = offset + limit + len(unwritten)
        stored, total = await self._store.search(access_key=owner, statuses=statuses, limit=window, offset=0)
        outdated = await asyncio.gather(*(self._store.get(session_id) for session_id in unwritten))
        newer = [session for session in unwritten.values() if fits(session)]
        found = [*newer, *(session for session in stored if session.id not in unwritten)]
        found.sort(key=lambda session: session.enqueue_order, reverse=True)
        total += len(newer) - sum(session is not None and fits(session) for session in outdated)
        return found[offset : offset + limit], total

    async def _current_all(self, entries: Sequence[Entry]) -> Sequence[Session]:
        """Returns the records of many: looking up what each waits for must not hold up everybody else."""
        found = []
        for number, entry in enumerate(entries, 1):
            found.append(self.current(entry))
            if not number % _AT_ONCE:
                await asyncio.sleep(0)  # others have their turn in a long list
        return found

    def _live_page(
        self, statuses: frozenset[SessionStatus], owner: str | None, limit: int, offset: int
    ) -> tuple[Sequence[Entry], int]:
        """Returns one page of those that live, newest first, and how many there are. Clients turn page after page."""
        entries = self._register.newest_first()
        if owner is None and statuses == LIVE:
            return list(islice(entries, offset, offset + limit)), len(self._register)
        if statuses != LIVE:
            entries = [entry for entry in entries if entry.session.status in statuses]
        if owner is not None:
            entries = [entry for entry in entries if entry.session.access_key == owner]
        found = list(entries)
        return found[offset : offset + limit], len(found)

    def match(self, caller: Keypair, prefix: str) -> Sequence[Session]:
        """Returns the live sessions whose id or name begins with `prefix`."""
        return [self.current(entry) for entry in self._register.seen_by(caller) if begins(entry, prefix)]


def _may_see(caller: Keypair, session: Session) -> bool:
    return caller.is_admin or session.access_key == caller.access_key
