"""From what a user typed to the session that is meant."""

from __future__ import annotations

from uuid import UUID

from ...model.errors import AmbiguousReference, SessionNotFound
from ..ports import Keypair
from .entries import Entry, Register


def is_session_id(ref: str) -> bool:
    """Whether `ref` is a whole UUID, in any spelling."""
    try:
        UUID(ref)
    except ValueError:
        return False
    return True


def find(register: Register, caller: Keypair, ref: str) -> Entry:
    """Returns the live session that `ref` means: an id, a name, or a unique prefix of either.

    A whole id or name wins over prefixes; an admin's own session wins over another user's of the same name.

    Raises:
        SessionNotFound: none of the caller's live sessions.
        AmbiguousReference: several begin with it.
    """
    exact = register.get(str(UUID(ref)) if is_session_id(ref) else ref)
    if exact is not None and (caller.is_admin or exact.session.access_key == caller.access_key):
        return exact
    own = register.named(caller.access_key, ref)
    if own is not None:
        return own
    seen = list(register.seen_by(caller))
    for candidates in (
        [entry for entry in seen if entry.session.name == ref],
        [entry for entry in seen if begins(entry, ref)] if ref else [],
    ):
        if len(candidates) == 1:
            return candidates[0]
        if candidates:
            raise _ambiguous(ref, candidates)
    raise missing(ref)


def begins(entry: Entry, prefix: str) -> bool:
    """Whether the id or the name of a session begins with `prefix`."""
    return entry.session.name.startswith(prefix) or entry.session.id.startswith(prefix.lower())


def missing(ref: str) -> SessionNotFound:
    return SessionNotFound(f"there is no live session {ref!r}: `ps` lists those there are")


def _ambiguous(ref: str, candidates: list[Entry]) -> AmbiguousReference:
    names = ", ".join(f"{entry.session.name} ({entry.session.id[:8]})" for entry in candidates[:5])
    more = f" and {len(candidates) - 5} more" if len(candidates) > 5 else ""
    matches = [
        {"id": entry.session.id, "name": entry.session.name, "status": entry.session.status.value}
        for entry in candidates
    ]
    return AmbiguousReference(f"{ref!r} can mean {names}{more}: write more of it", data={"matches": matches})
