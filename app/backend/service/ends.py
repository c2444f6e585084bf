"""How sessions end that nobody has ended: what status that is, in which words, and what became of a command."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...model.sessions import Session, SessionResult, SessionStatus
from ..ports import MACHINE_RESTARTED, WALL_TIME, Exit
from . import journal

S = SessionStatus
_RUNNER_DIED: Final = "runner-died:"
_FAILURES: Final = (_RUNNER_DIED, "failed-to-start:", "restarting failed:")


def how_it_ended(ended: Exit) -> tuple[SessionStatus, str]:
    """Returns (status, `status_info`) of a session whose runner has ended without being asked by the service."""
    if ended.reason.startswith((MACHINE_RESTARTED, WALL_TIME)):
        return S.TERMINATED, ended.reason
    if ended.code is not None:
        return S.TERMINATED, f"self-terminated: {ended.reason}"
    return S.ERROR, f"{_RUNNER_DIED} {ended.reason}; its processes were ended, its journal is kept"


def ended_before(ended: Exit) -> str | None:
    """Returns the `status_info` of a session whose time was over just before somebody asked for its end; else None.

    A `run --rm` hears from the runner that the session ends, and asks for its removal before the service knows.
    """
    return ended.reason if ended.reason.startswith(WALL_TIME) else None


def final_of(info: str) -> SessionStatus:
    """Returns where the ending leads that an earlier daemon began for the reason `info`."""
    return S.ERROR if info.startswith(_FAILURES) else S.TERMINATED


def batch_run(session: Session) -> str:
    """Returns the id of the run of a batch session's command."""
    return f"batch-{session.id}"


def conclude(session: Session, exit_code: int | None, why: str = "") -> str:
    """Writes down how the command of a batch session ended; returns the reason of the session's end."""
    session.exit_code = exit_code if exit_code is not None else -1
    if session.exit_code == 0:
        session.result = SessionResult.SUCCESS
        return "task-finished"
    session.result = SessionResult.FAILURE
    why = why or (f"exit status {exit_code}" if exit_code is not None else "")
    return f"task-failed: {why}" if why else "task-failed"


def told_by_journal(session: Session, folder: Path) -> str | None:
    """Concludes a batch session whose command had ended when the runner did; None when it had not. Blocks."""
    for record in journal.read(folder):
        if record.run_id == batch_run(session) and record.kind == "run-finished":
            return conclude(session, record.exit_code, record.reason)
    return None
