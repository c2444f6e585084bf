"""The one place where the state of a session changes: checked, recorded, then told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from ...model.sessions import TERMINAL, Session, SessionResult, SessionStatus, check_move
from ..ports import SessionEvent
from .recorder import Recorder

S = SessionStatus
_EVENTS: Final[Mapping[SessionStatus, tuple[str, ...]]] = {
    S.PENDING: ("session_enqueued",),
    S.SCHEDULED: ("session_scheduled",),
    S.PREPARING: ("session_preparing", "kernel_preparing"),
    S.PULLING: ("session_pulling", "kernel_pulling"),
    S.CREATING: ("kernel_creating", "session_creating"),
    S.RUNNING: ("kernel_started", "session_started"),
    S.RESTARTING: ("session_restarting",),
    S.TERMINATING: ("session_terminating", "kernel_terminating"),
    # session_failure and session_success go before session_terminated: who waits for a result stops at either
    S.TERMINATED: ("kernel_terminated", "session_terminated"),
    S.ERROR: ("kernel_terminated", "session_failure", "session_terminated"),
    S.CANCELLED: ("kernel_cancelled", "session_cancelled"),
}
_FAILURE: Final = 1
"""Exit code that is told when a session failed before anything of it could exit."""


class States:
    """Moves sessions from state to state."""

    def __init__(self, recorder: Recorder, clock: Callable[[], float]) -> None:
        self._recorder = recorder
        self._clock = clock

    def admit(self, session: Session) -> None:
        """Records a new PENDING session."""
        session.status_history[S.PENDING.value] = session.created_at
        self._describe(session)
        self._recorder.note(session, *self._events(session, "session enqueued"))

    def now(self) -> datetime:
        """Returns the time of what happens now."""
        return datetime.fromtimestamp(self._clock(), UTC)

    def move(self, session: Session, status: SessionStatus, info: str | None = None, *, told: bool = True) -> None:
        """Gives `session` another status; `info` replaces its `status_info`.

        Args:
            told: with the events of that status; else the caller tells of it.

        Raises:
            IllegalState: the state machine has no such move.
        """
        check_move(session.status, status)
        now = self.now()
        session.status = status
        session.status_info = info
        session.status_history[status.value] = now
        if status in TERMINAL:
            session.terminated_at = now
        self._describe(session)
        self._recorder.note(session, *(self._events(session, info or "") if told else ()))

    def tell(self, session: Session, *names: str, reason: str = "", extra: Mapping[str, Any] | None = None) -> None:
        """Records `session` and publishes events that are no change of status."""
        self._describe(session)
        self._recorder.note(session, *(event(session, name, reason, extra) for name in names))

    def _events(self, session: Session, reason: str) -> list[SessionEvent]:
        names = _EVENTS.get(session.status, ())
        if session.status is S.TERMINATED and session.result is not SessionResult.UNDEFINED:
            result = "session_success" if session.result is SessionResult.SUCCESS else "session_failure"
            names = ("kernel_terminated", result, "session_terminated")
        return [event(session, name, reason) for name in names]

    def _describe(self, session: Session) -> None:
        data: dict[str, Any] = {"image_asked": session.image_asked}
        if session.image_notice:
            data["image_notice"] = session.image_notice
        if session.allocation:
            data["allocation"] = session.allocation
        if session.status is S.ERROR and session.status_info:
            data["error"] = {"src": "backend", "repr": session.status_info}
        session.status_data = data


def event(session: Session, name: str, reason: str = "", extra: Mapping[str, Any] | None = None) -> SessionEvent:
    """Returns an event about `session` as it is now."""
    exit_code = session.exit_code
    if name == "session_failure" and exit_code is None:
        exit_code = _FAILURE
    if name.startswith("kernel_"):
        extra = {"kernelId": session.kernel_id, "clusterRole": "main", "clusterIdx": 1}
    return SessionEvent(name, session.id, session.name, session.access_key, reason, exit_code, extra or {})
