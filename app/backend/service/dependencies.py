"""Sessions that others wait for: what may be depended on, and what has become of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

from ...model.errors import BadRequest, SessionNotFound
from ...model.sessions import TERMINAL, Session, SessionResult, SessionType
from ..ports import Keypair
from .entries import Register
from .lookup import find

FindEnded = Callable[[Keypair, str], Awaitable[Session | None]]
"""Returns the session of a full id as it was written last, None when the keypair has none."""


async def dependencies_of(
    caller: Keypair, refs: Sequence[str], register: Register, find_ended: FindEnded
) -> list[Session]:
    """Returns the sessions that `refs` mean, each once: live ones by name or id, ended ones by id.

    Raises:
        BadRequest: none of the caller's sessions.
        AmbiguousReference: several live ones begin with it.
    """
    owner = replace(caller, is_admin=False)  # an admin, too, waits for sessions of his own only
    found: dict[str, Session] = {}
    for ref in refs:
        try:
            session: Session | None = find(register, owner, ref).session
        except SessionNotFound:
            session = await find_ended(owner, ref)
            if session is not None and session.status not in TERMINAL:
                session = None  # it ends at this moment
        if session is None:
            raise BadRequest(
                f"there is no session {ref!r} of yours to depend on: name a live one, or give the id of one that has "
                "ended"
            )
        found[session.id] = session
    return list(found.values())


def check_dependencies(sessions: Sequence[Session]) -> None:
    """Refuses what can never be fulfilled.

    Raises:
        BadRequest: an interactive session, or one that ended otherwise than with success.
    """
    for session in sessions:
        if session.type is not SessionType.BATCH:
            raise BadRequest(
                f"the session {session.name} is {session.type.value} and never reports success: depend on batch "
                "sessions only"
            )
        if (failure := failure_of(session)) is not None:
            raise BadRequest(f"{failure}: what depends on it would never start")


def failure_of(session: Session) -> str | None:
    """Returns how a session failed to succeed, None while it lives and when it has succeeded."""
    if session.status not in TERMINAL or session.result is SessionResult.SUCCESS:
        return None
    info = f", {session.status_info}" if session.status_info else ""
    return f"the session {session.name} has ended without success ({session.status}{info})"
