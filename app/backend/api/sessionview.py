"""A session in the words of the wire: the values behind `GET /session/{ref}` and the GraphQL fields."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ...model.errors import SessionNotFound
from ...model.metrics import wire_metrics
from ...model.sessions import HOLDING, LIVE, Session, SessionStatus
from ...model.slots import ResourceSlots
from ..ports import Keypair, Service

AGENT_ID = "i-local"
"""Name of the one agent: this machine."""
SCALING_GROUP = "default"
REGION = "local"


def stable_uuid(*names: str) -> str:
    """Returns a UUID that is the same for the same names on every machine."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "bai-tui:" + "/".join(names)))


def group_id(group: str) -> str:
    return stable_uuid("group", group)


def iso(when: datetime | None) -> str | None:
    return None if when is None else when.isoformat()


def slots_json(slots: ResourceSlots) -> str:
    return json.dumps(slots.wire())


def _seconds(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def idle_checks(service: Service, session: Session) -> dict[str, dict[str, Any]]:
    """Returns the idle checks in Backend.AI's form; `remaining` is in seconds, null when the check never ends it."""
    return {
        check.name: {
            "remaining": _seconds(check.remaining_s),
            "remaining_time_type": "grace_period" if check.in_grace else "expire_after",
            "extra": check.extra,
        }
        for check in service.idle_checks(session)
    }


async def known(service: Service, caller: Keypair, session_id: str) -> Session | None:
    """Returns a session that another one names, None when it was of somebody else or is no longer known."""
    try:
        return await service.get(caller, session_id)
    except SessionNotFound:
        return None


def stat(service: Service, session: Session) -> dict[str, dict[str, str]] | None:
    """Returns what a session uses, or used last, in Backend.AI's form; None when it was never measured."""
    return wire_metrics(service.stat(session)) or session.last_stat or None


def status_data(service: Service, session: Session) -> dict[str, Any]:
    """Returns the session's own status data and what our clients show beside it."""
    data: dict[str, Any] = dict(session.status_data or {})
    if session.image_notice:
        data["image_notice"] = session.image_notice
    if why := service.image_gone(session):
        data["image_gone"] = why
    if session.allocation:
        data["allocation"] = session.allocation
    if session.status is SessionStatus.PENDING and (scheduler := service.waiting(session)) is not None:
        data["scheduler"] = scheduler
    if session.status in HOLDING and (layers := service.layers(session)):
        data["enforcement"] = [
            {
                "name": layer.name,
                "applies_to": layer.applies_to,
                "guarantee": layer.guarantee.value,
                "detail": layer.detail,
            }
            for layer in layers
        ]
    if session.status in LIVE:
        data["busy"] = service.busy(session)
        data["idle_remaining"] = _seconds(service.idle_remaining_s(session))
        if session.kept_until is not None:
            data["kept_until"] = iso(session.kept_until)
    return data


def occupying(session: Session) -> ResourceSlots:
    """Returns what the session holds now: nothing while it waits and after its end."""
    return session.occupied_slots if session.status in HOLDING else ResourceSlots()


def registry_of(image: str) -> str:
    """Returns the registry in an image reference, `local` when it names none."""
    head, slash, _ = image.partition("/")
    return head if slash and ("." in head or ":" in head) else "local"


def info(service: Service, session: Session, owner: Keypair | None, now: datetime) -> dict[str, Any]:
    """Returns the answer of `GET /session/{ref}`. Slots and options are JSON objects, `age` is in milliseconds."""
    end = session.terminated_at or now
    return {
        "age": round((end - session.created_at).total_seconds() * 1000),
        "domainName": session.domain,
        "groupId": group_id(session.group),
        "userId": owner.user_uuid if owner else None,
        "lang": session.image,
        "image": session.image,
        "imageAsked": session.image_asked,
        "architecture": session.architecture,
        "registry": registry_of(session.image),
        "tag": session.tag or "",
        "containerId": session.kernel_id if session.status in HOLDING else None,
        "sessionId": session.id,
        "sessionName": session.name,
        "occupiedSlots": slots_json(occupying(session)),
        "occupyingSlots": slots_json(occupying(session)),
        "requestedSlots": slots_json(session.requested_slots),
        "occupiedShares": json.dumps(session.allocation),
        "environ": json.dumps(session.environ),
        "resourceOpts": json.dumps(session.resource_opts),
        "status": session.status.value,
        "statusInfo": session.status_info,
        "statusData": status_data(service, session) or None,
        "creationTime": iso(session.created_at),
        "terminationTime": iso(session.terminated_at),
        "numQueriesExecuted": session.num_queries,
        "lastStat": stat(service, session),
        "idleChecks": idle_checks(service, session),
    }


def status_history(session: Session) -> dict[str, Any]:
    """Returns when each status was entered, in both forms in which clients look for it.

    The clients read lower-case names under `result`; the newest manager answers upper-case names at the top.
    """
    history: Mapping[str, datetime] = session.status_history
    answer: dict[str, Any] = {name: iso(when) for name, when in history.items()}
    answer["result"] = {name.lower(): iso(when) for name, when in history.items()}
    return answer


def create_status(status: SessionStatus, *, timed_out: bool) -> str:
    """Returns the status for the answer of a creation: only words at which `run` does the right thing."""
    if timed_out:
        return "TIMEOUT"
    if status in (SessionStatus.RUNNING, SessionStatus.RUNNING_DEGRADED, SessionStatus.RESTARTING):
        return "RUNNING"
    if status in (SessionStatus.TERMINATING, SessionStatus.TERMINATED):
        return "TERMINATED"
    if status in LIVE:
        return "PENDING"
    return status.value


def utc_now(now_s: float) -> datetime:
    return datetime.fromtimestamp(now_s, UTC)
