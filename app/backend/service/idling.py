"""Ends sessions that nobody uses, warns before, and lets their owners keep them for longer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from ...model.errors import BadRequest, IllegalState
from ...model.sessions import ANSWERING, TERMINAL, SessionStatus
from ..ports import IdleCheck, Keypair
from .alarm import Alarm
from .batch import EndSession
from .elapsed import Elapsed
from .entries import Entry
from .idlechecks import REASONS, IdleChecks
from .states import States

S = SessionStatus
_LOOK_AGAIN_S: Final = 1.0
_SOONEST_S: Final = 0.01
_LONGEST_S: Final = 10 * 366 * 86400.0


class Idling:
    """Asks `IdleChecks` about each session when something can have come of it."""

    def __init__(self, alarm: Alarm, checks: IdleChecks, states: States, elapsed: Elapsed, end: EndSession) -> None:
        self._alarm = alarm
        self._checks = checks
        self._states = states
        self._elapsed = elapsed
        self._end = end

    def watch(self, entry: Entry) -> None:
        """Looks after a session from now on."""
        session, now = entry.session, self._elapsed.now()
        if session.status in TERMINAL or session.status is S.TERMINATING:
            return
        look_at_s = now + _LOOK_AGAIN_S
        if session.status in ANSWERING:
            verdict = self._checks.verdict(session, entry.standing, now)
            if verdict.ends is not None:
                self._end(entry, REASONS[verdict.ends.name])
                return
            if verdict.warns is not None:
                self._warn(entry, verdict.warns)
            look_at_s = verdict.look_at_s
        key = ("idle", session.id)
        if math.isinf(look_at_s):
            self._alarm.drop(key)
        else:
            look_at_s = max(look_at_s, now + _SOONEST_S)
            self._alarm.set(key, self._elapsed.unix_at(look_at_s), lambda: self.watch(entry))

    def _warn(self, entry: Entry, check: IdleCheck) -> None:
        left_s = round(check.remaining_s or 0.0, 3)
        self._states.tell(
            entry.session,
            "bai_idle_warning",
            reason=f"{REASONS[check.name]} in {left_s:.0f} s",
            extra={"check": check.name, "remaining": left_s},
        )

    def forget(self, session_id: str) -> None:
        """Looks after a session no more: it has ended."""
        self._alarm.drop(("idle", session_id))
        self._checks.forget(session_id)

    def checks(self, entry: Entry) -> Sequence[IdleCheck]:
        """Returns the checks that are on for a session; empty unless it runs."""
        if entry.session.status not in ANSWERING:
            return ()
        return self._checks.checks(entry.session, entry.standing, self._elapsed.now())

    def extend(self, caller: Keypair, entry: Entry, by_s: float, lifetime_s: float) -> None:
        """Keeps every check from ending a session for `by_s` seconds from now; 0 takes that back.

        Args:
            lifetime_s: longest life of the owner's sessions; only an admin can go beyond it. 0 = no limit.

        Raises:
            IllegalState: it does not run.
            BadRequest: negative, not finite, or too long.
        """
        session, now = entry.session, self._elapsed.now()
        if session.status not in ANSWERING:
            raise IllegalState(f"the session {session.name} is {session.status}: only a running one can be extended")
        if not 0 <= by_s <= _LONGEST_S:
            raise BadRequest(f"a session cannot be extended by {by_s} s: give seconds from 0 to ten years")
        if by_s and lifetime_s > 0 and not caller.is_admin and now + by_s > entry.began_s + lifetime_s:
            left_s = max(entry.began_s + lifetime_s - now, 0.0)
            raise BadRequest(
                f"the session {session.name} can be kept for {left_s:.0f} s at most: its keypair's sessions live "
                f"{lifetime_s:.0f} s (max_session_lifetime), which only an admin can extend"
            )
        session.kept_until = datetime.fromtimestamp(self._elapsed.unix() + by_s, UTC) if by_s else None
        entry.kept_s = now + by_s if by_s else -math.inf
        kept = session.kept_until.isoformat() if session.kept_until else None
        self._states.tell(session, "bai_session_extended", extra={"kept_until": kept})
        self.watch(entry)
