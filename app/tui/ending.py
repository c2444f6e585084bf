"""How sessions are ended: idle ones after some seconds in which it can be taken back, busy ones as the user says."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from ..model.errors import BaiTuiError, NotFound
from ..model.sessions import SessionStatus
from .acting import Acting, Means
from .each import each, is_or_are, of
from .messages import Complained, SessionsChanged, Told
from .store import LAUNCHING

UNDO_S: Final = 5.0
"""How long the end of an idle session can be taken back: it is sent to the server only then."""
LEAVE_S: Final = 3.0
"""How long leaving waits for ends that are sent at the last moment."""


class How(StrEnum):
    """What is done to a session that runs code."""

    INTERRUPT = "INT"
    """Its run is interrupted; the session stays."""
    TERMINATE = "TERM"
    """The session ends; its processes may clean up."""
    FORCE = "KILL"
    """The session ends at once."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What `x` means for each of several sessions."""

    ended: Sequence[str]
    """They are taken off the list."""
    idle: Sequence[str]
    """They end when the time to take it back is over."""
    busy: Sequence[str]
    """The user is asked."""
    doomed: Sequence[str]
    """Their end is counting down already."""


class Ending(Acting):
    """Ends sessions.

    Args:
        forget: Drops what was kept of a session that left the list.
    """

    def __init__(self, means: Means, forget: Callable[[str], None]) -> None:
        super().__init__(means)
        self._forget = forget
        self.undo_s = UNDO_S
        self._batches: dict[int, list[str]] = {}
        """Number -> ids that one press wants to end, oldest first."""
        self._numbers = 0

    @property
    def waiting(self) -> bool:
        """Whether an end is to be sent when its time is over."""
        return bool(self._batches)

    def plan(self, ids: Sequence[str]) -> Plan:
        """Returns what is to be done to end these sessions."""
        ended: list[str] = []
        idle: list[str] = []
        busy: list[str] = []
        doomed: list[str] = []
        doomed_now = {self._store.real_id(one) for batch in self._batches.values() for one in batch}
        for session_id in ids:
            row = self._store.row(session_id)
            if row is None:
                continue
            if row.ended:
                ended.append(session_id)
            elif session_id in doomed_now:
                doomed.append(session_id)
            elif row.status is SessionStatus.TERMINATING or (row.answering and self._store.is_busy(session_id)):
                busy.append(session_id)
            else:
                idle.append(session_id)
        return Plan(ended, idle, busy, doomed)

    def dismiss(self, ids: Sequence[str]) -> None:
        """Takes ended sessions off the list."""
        for session_id in ids:
            self._store.dismiss(session_id)
            self._forget(session_id)
        self._post(SessionsChanged())

    # -- with an undo ----------------------------------------------------------------------------------------------

    def doom(self, ids: Sequence[str]) -> None:
        """Ends idle sessions when the time to take it back is over; their rows count down."""
        if not ids:
            return
        self._numbers += 1
        number = self._numbers
        self._batches[number] = list(ids)
        at_s = self._clock() + self.undo_s
        for session_id in ids:
            self._store.note(session_id, "")
            self._store.killing(session_id, at_s)
        self._post(SessionsChanged())
        self._spawn(self._later(number), f"end {number}")

    def undo(self) -> str:
        """Takes the newest end back that was not sent yet; returns what that did."""
        if not self._batches:
            return "nothing is about to end"
        kept = self._take(max(self._batches))
        self._post(SessionsChanged())
        names = list(self._names(kept).values())
        return f"{of(names)} {'goes' if len(names) == 1 else 'go'} on" if names else "they have ended already"

    def _take(self, number: int) -> list[str]:
        """Ends the countdown of a batch; returns the ids of those that still live."""
        ids = [self._store.real_id(session_id) for session_id in self._batches.pop(number, [])]
        for session_id in ids:
            self._store.killing(session_id, None)
        return [one for one in ids if (row := self._store.row(one)) is not None and not row.ended]

    async def _later(self, number: int) -> None:
        await asyncio.sleep(self.undo_s)  # so long it can be taken back
        if number in self._batches:
            await self._end(self._take(number), forced=False, sure=False)

    async def flush(self) -> None:
        """Sends at once what still waits to be sent: whoever leaves has not taken it back. Bounded by `LEAVE_S`."""
        ids = [session_id for number in list(self._batches) for session_id in self._take(number)]
        client = self._sync.connection.client
        if ids and client is not None:
            try:
                async with asyncio.timeout(LEAVE_S):
                    await self._end(ids, forced=False, sure=False)
            except TimeoutError:
                pass

    # -- at once ---------------------------------------------------------------------------------------------------

    def signal(self, ids: Sequence[str], how: How) -> None:
        """Does to sessions what the user chose."""
        if how is How.INTERRUPT:
            self._spawn(self._interrupt(ids), f"interrupt {len(ids)}")
        else:
            forced = how is How.FORCE
            for number, batch in list(self._batches.items()):
                # those that count down end now
                self._batches[number] = [one for one in batch if self._store.real_id(one) not in ids]
                if not self._batches[number]:
                    del self._batches[number]
            for session_id in ids:
                self._store.killing(session_id, None)
            self._spawn(self._end(ids, forced=forced, sure=True), f"end {len(ids)} now")

    async def _end(self, ids: Sequence[str], *, forced: bool, sure: bool) -> None:
        """Ends sessions.

        Args:
            sure: Also where somebody runs code in them that we did not know of.
        """
        ids = [self._store.real_id(session_id) for session_id in ids]
        ids = [session_id for session_id in ids if not session_id.startswith(LAUNCHING)]
        names = self._names(ids)
        for session_id in ids:
            self._store.ending(session_id)
        self._post(SessionsChanged())
        try:
            client = await self._connected()
        except BaiTuiError as error:
            self._not_ended([(session_id, error) for session_id in ids])
            return

        async def end(session_id: str) -> bool:
            if not sure and (await client.session(session_id)).busy:
                # somebody else runs code there: the list did not know yet
                return False
            await client.terminate(session_id, forced=forced)
            return True

        done, refused = await each(ids, end)
        for session_id, ended in done:
            if not ended:
                self._store.ending(session_id, False)
                self._store.note(session_id, "somebody runs code here now: x asks what to do")
        if went := [names.get(session_id, session_id) for session_id, ended in done if ended]:
            self._did("rm", *(("--forced",) if forced else ()), *went)
        lost = [session_id for session_id, error in refused if isinstance(error, NotFound)]
        for session_id in lost:
            self._store.lost(session_id)
        self._not_ended([(session_id, error) for session_id, error in refused if session_id not in lost])

    def _not_ended(self, refused: Sequence[tuple[str, BaiTuiError]]) -> None:
        for session_id, error in refused:
            self._store.ending(session_id, False)
            self._store.note(session_id, error.message)
        if len(refused) > 1:
            self._post(Complained(f"{len(refused):,} sessions could not be ended: {refused[0][1].message}"))
        self._post(SessionsChanged())
        self._sync.poke()

    async def _interrupt(self, ids: Sequence[str]) -> None:
        names = self._names(ids)
        try:
            client = await self._connected()
        except BaiTuiError as error:
            self._post(Complained(error.message))
            return
        done, refused = await each(ids, client.interrupt)
        if done:
            went = [names.get(session_id, session_id) for session_id, _ in done]
            self._did("interrupt", *went)
            self._post(Told(f"{of(went)} {is_or_are(went)} interrupted"))
        for session_id, wrong in refused:
            self._store.note(session_id, wrong.message)
        self._post(SessionsChanged())
        self._sync.poke()

    def _names(self, ids: Sequence[str]) -> dict[str, str]:
        return {session_id: row.name for session_id in ids if (row := self._store.row(session_id)) is not None}
