"""Session records to JSON text and back. Unknown keys are ignored and missing ones take their defaults, so that a
record of an older or newer minor version can be read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from datetime import datetime
from typing import Any, Final

from ...model.sessions import Session, SessionResult, SessionStatus, SessionType
from ...model.slots import ResourceSlots
from ..ports import Keypair, PastUse

_FIELDS: Final = tuple(item.name for item in fields(Session))
_EMPTY: Final = {
    item.name: item.default if item.default_factory is MISSING else item.default_factory()
    for item in fields(Session)
    if item.default_factory is not MISSING or (item.default is not MISSING and not item.default)
}
"""Field -> what it is (None, 0, no entries) when a record does not name it."""
_ABSENT: Final = object()
_TIMES: Final = ("created_at", "starts_at", "terminated_at", "last_used_at", "not_before", "kept_until")
_SLOTS: Final = ("requested_slots", "occupied_slots")
_ENCODE: Final = json.JSONEncoder(separators=(",", ":")).encode


def dump_session(session: Session) -> str:
    """Returns `session` as JSON text, without what is empty by default."""
    record: dict[str, Any] = {
        name: value for name in _FIELDS if (value := getattr(session, name)) != _EMPTY.get(name, _ABSENT)
    }
    for name in _TIMES:
        if name in record:
            record[name] = record[name].isoformat()
    for name in _SLOTS:
        if name in record:
            record[name] = record[name].wire()
    record["status_history"] = {status: when.isoformat() for status, when in session.status_history.items()}
    return _ENCODE(record)


def load_session(text: str) -> Session:
    """Returns the session of a JSON text made by `dump_session`.

    Raises:
        ValueError, KeyError, TypeError: the text is no such record.
    """
    stored: dict[str, Any] = json.loads(text)
    record = {name: stored[name] for name in _FIELDS if name in stored}
    for name in _TIMES:
        if record.get(name):
            record[name] = datetime.fromisoformat(record[name])
    for name in _SLOTS:
        if name in record:
            record[name] = _slots(record[name])
    history = record.get("status_history", {})
    record["status_history"] = {status: datetime.fromisoformat(when) for status, when in history.items()}
    for name, kind in (("status", SessionStatus), ("type", SessionType), ("result", SessionResult)):
        if name in record:
            record[name] = kind(record[name])
    return Session(**record)


def _slots(wire: Mapping[str, Any]) -> ResourceSlots:
    return ResourceSlots.parse(wire, known=dict.fromkeys(wire, ""))


def load_past_use(row: tuple[str, str, str, str]) -> PastUse:
    """Returns the use of a row of the query `used_since`."""
    access_key, slots, since, until = row
    return PastUse(
        access_key=access_key,
        slots=_slots(json.loads(slots or "{}")),
        since_s=datetime.fromisoformat(since).timestamp(),
        until_s=datetime.fromisoformat(until).timestamp(),
    )


def dump_keypair(keypair: Keypair) -> dict[str, Any]:
    """Returns the parameters of the query `add_keypair`."""
    return {
        "access_key": keypair.access_key,
        "secret_key": keypair.secret_key,
        "user_id": keypair.user_id,
        "user_uuid": keypair.user_uuid,
        "is_admin": int(keypair.is_admin),
        "is_active": int(keypair.is_active),
        "created_at": keypair.created_at.isoformat() if keypair.created_at else None,
    }


def load_keypair(row: tuple[Any, ...]) -> Keypair:
    """Returns the keypair of a row of the query `keypairs`."""
    access_key, secret_key, user_id, user_uuid, is_admin, is_active, created_at = row
    return Keypair(
        access_key=access_key,
        secret_key=secret_key,
        user_id=user_id,
        user_uuid=user_uuid,
        is_admin=bool(is_admin),
        is_active=bool(is_active),
        created_at=datetime.fromisoformat(created_at) if created_at else None,
    )
