"""Reads answers into views, leniently: what a server does not send, or sends in another form, keeps its default."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from ..model.errors import BaiTuiError
from ..model.sessions import SessionStatus
from ..model.slots import ResourceSlots, parse_amount
from .views import CreatedSession, DeviceView, EventView, ImageView, JournalLine, SessionView


def decoded(value: Any) -> Any:
    """Returns what a JSONString field holds; None when it is null or no JSON."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return None
    return value


def mapping(value: Any) -> Mapping[str, Any]:
    """Returns a JSONString field that holds an object; empty when it does not."""
    value = decoded(value)
    return value if isinstance(value, Mapping) else {}


def amount(slot: str, value: Any) -> Decimal | None:
    """Returns an amount as servers write it; None when it is no finite one."""
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        try:
            return parse_amount(slot, str(value))
        except BaiTuiError:
            return None
    return number if number.is_finite() else None


def slots(value: Any) -> ResourceSlots:
    """Returns a slot map; amounts that are not finite are left out."""
    amounts = {name: amount(name, text) for name, text in mapping(value).items()}
    return ResourceSlots({name: number for name, number in amounts.items() if number is not None})


def moment(value: Any) -> datetime | None:
    """Returns an aware datetime; None when there is none."""
    if not isinstance(value, str):
        return None
    try:
        when = datetime.fromisoformat(value)
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=UTC)


def idle_remaining(value: Any) -> float | None:
    """Returns the seconds until the first idle check ends a session; None = never, or not known."""
    left = [
        float(check["remaining"])
        for check in mapping(value).values()
        if isinstance(check, Mapping) and isinstance(check.get("remaining"), int | float)
    ]
    return min(left, default=None)


def session_view(row: Mapping[str, Any]) -> SessionView:
    """Reads a `ComputeSession` of GraphQL."""
    text = str(row.get("status") or "")
    data = mapping(row.get("status_data"))
    allocation = data.get("allocation")
    return SessionView(
        id=str(row.get("id") or row.get("session_id") or ""),
        name=str(row.get("name") or ""),
        status=SessionStatus(text) if text in SessionStatus.__members__ else None,
        status_text=text,
        status_info=row.get("status_info") or None,
        image=str(row.get("image") or ""),
        image_notice=data.get("image_notice") or None,
        type=str(row.get("type") or "").lower(),
        priority=row.get("priority"),
        access_key=row.get("access_key"),
        group_name=row.get("group_name"),
        tag=row.get("tag") or None,
        result=str(row.get("result") or ""),
        created_at=moment(row.get("created_at")),
        terminated_at=moment(row.get("terminated_at")),
        status_changed=moment(row.get("status_changed")),
        requested_slots=slots(row.get("requested_slots")),
        occupying_slots=slots(row.get("occupying_slots")),
        allocation={
            str(slot): {str(device): str(share) for device, share in shares.items()}
            for slot, shares in (allocation.items() if isinstance(allocation, Mapping) else ())
            if isinstance(shares, Mapping)
        },
        idle_remaining_s=idle_remaining(row.get("idle_checks")),
        busy=data.get("busy") is True,
    )


def created_session(answer: Any, name: str) -> CreatedSession:
    """Reads the answer of `POST /session`."""
    body = mapping(answer)
    ports = body.get("servicePorts")
    return CreatedSession(
        id=str(body.get("sessionId") or ""),
        name=str(body.get("sessionName") or name),
        status=str(body.get("status") or "RUNNING"),
        created=body.get("created") is not False,
        service_ports=tuple(str(port.get("name")) for port in ports or () if isinstance(port, Mapping)),
    )


def image_view(row: Mapping[str, Any]) -> ImageView:
    """Reads an `Image` of GraphQL."""
    registry, name, tag = (str(row.get(key) or "") for key in ("registry", "name", "tag"))
    reference = f"{name}:{tag}" if tag else name
    pairs = row.get("labels")
    return ImageView(
        reference=f"{registry}/{reference}" if registry else reference,
        architecture=str(row.get("architecture") or ""),
        aliases=tuple(map(str, row.get("aliases") or ())),
        size_bytes=int(row.get("size_bytes") or 0),
        digest=str(row.get("digest") or ""),
        labels={str(pair["key"]): str(pair.get("value") or "") for pair in pairs or () if isinstance(pair, Mapping)},
        installed=row.get("installed") is not False,
    )


def device_view(row: Mapping[str, Any]) -> DeviceView:
    """Reads a GPU of our backend's `GET /machine`."""
    promised = {str(sid): amount("cuda.shares", share) for sid, share in mapping(row.get("promised")).items()}
    return DeviceView(
        id=str(row.get("id") or ""),
        model=str(row.get("model") or ""),
        kind=str(row.get("kind") or ""),
        capacity=amount("cuda.shares", row.get("capacity")) or Decimal(0),
        mem_bytes=int(row.get("mem_bytes") or 0),
        promised={sid: share for sid, share in promised.items() if share is not None},
    )


def journal_line(row: Mapping[str, Any]) -> JournalLine:
    """Reads a record of our backend's journal."""
    record = row.get("rec")
    kind, data = record if isinstance(record, list) and len(record) == 2 else ("", None)
    return JournalLine(int(row["seq"]), float(row.get("t") or 0.0), row.get("run"), str(kind), data)


def event_view(name: str, data: Mapping[str, Any]) -> EventView:
    """Reads a server-sent event."""
    code = data.get("exitCode")
    return EventView(
        name=name,
        session_id=data.get("sessionId"),
        session_name=data.get("sessionName"),
        reason=str(data.get("reason") or ""),
        exit_code=code if isinstance(code, int) else None,
        data=data,
    )
