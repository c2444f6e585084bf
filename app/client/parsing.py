"""Reads answers into views, leniently: what a server does not send, or sends in another form, keeps its default."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from math import isfinite, nan
from typing import Any, Final

from ..model.errors import BaiTuiError
from ..model.metrics import Metric, Metrics
from ..model.sessions import TERMINAL, SessionStatus
from ..model.slots import ResourceSlots, parse_amount
from .views import (
    CreatedSession,
    EventView,
    IdleCheckView,
    JournalLine,
    LayerView,
    ProgressView,
    RunView,
    SessionView,
    WaitingView,
)

IMAGE_PROGRESS: Final = "bai_image_progress"
"""Name of the event that tells how far the building or pulling of an image is (capability `images`)."""
IMAGE_EVENTS: Final = frozenset({IMAGE_PROGRESS, "bai_image_gone", "bai_image_back"})
_NO_REASONS: Final = frozenset({"triggered-by-scheduler", "passed-preconditions"})
"""What managers since 26 write as the reason of whatever their scheduler does."""


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


def number(value: Any) -> float | None:
    """Returns a finite number as servers write it, in text or not; None when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if isfinite(found) else None


class _Unread(Mapping[str, Metric]):
    """The metrics of a `live_stat`, each read when it is asked for: of a thousand sessions few are on the screen."""

    __slots__ = ("_read", "_wire")

    def __init__(self, wire: Mapping[str, Any]) -> None:
        self._wire = wire
        self._read: dict[str, Metric] = {}

    def __getitem__(self, name: str) -> Metric:
        found = self._read.get(name)
        if found is None:
            wire = self._wire[name]
            if not isinstance(wire, Mapping):
                raise KeyError(name)
            try:
                found = self._read[name] = Metric.parse(wire)
            except BaiTuiError:
                raise KeyError(name) from None
        return found

    def current(self, name: str) -> float:
        """Returns the current value alone; NaN when it was not measured."""
        wire = self._wire.get(name)
        try:
            return float(wire["current"]) if wire is not None else nan
        except (KeyError, TypeError, ValueError):
            return nan

    def __iter__(self) -> Iterator[str]:
        return (name for name in self._wire if name in self)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def current(metrics: Metrics, name: str) -> float:
    """Returns the current value of a metric, NaN when it was not measured; of what a server has sent without reading
    the rest of it."""
    if isinstance(metrics, _Unread):
        return metrics.current(name)
    metric = metrics.get(name)
    return nan if metric is None else metric.current


def metrics(value: Any) -> Metrics:
    """Returns the metrics of a `live_stat`; what cannot be read is left out."""
    return _Unread(mapping(value))


def stat_of(containers: Any) -> Metrics:
    """Returns what the kernels of a session use together, or used last; empty when the server does not tell."""
    total: dict[str, Metric] = {}
    for container in containers if isinstance(containers, list) else ():
        if not isinstance(container, Mapping):
            continue
        for name, metric in (metrics(container.get("live_stat")) or metrics(container.get("last_stat"))).items():
            other = total.get(name)
            # Highest and mean of a sum are not the sums of the highest and the means.
            total[name] = (
                metric
                if other is None
                else Metric(
                    current=metric.current + other.current,
                    capacity=(metric.capacity or 0.0) + (other.capacity or 0.0) or None,
                    unit_hint=metric.unit_hint,
                )
            )
    return total


def idle_checks(value: Any) -> dict[str, IdleCheckView]:
    """Returns the idle checks of a session by name."""
    return {
        str(name): IdleCheckView(
            remaining_s=number(check.get("remaining")),
            in_grace=check.get("remaining_time_type") == "grace_period",
            extra=check["extra"] if isinstance(check.get("extra"), Mapping) else None,
        )
        for name, check in mapping(value).items()
        if isinstance(check, Mapping)
    }


def waiting(value: Any) -> WaitingView | None:
    """Returns why a session waits, from `status_data.scheduler`; a cluster has the failed predicates only."""
    if not isinstance(value, Mapping):
        return None
    failed = [one for one in _list(value.get("failed_predicates")) if isinstance(one, Mapping)]
    text = str(value.get("msg") or "") or "; ".join(str(one.get("msg") or one.get("name") or "") for one in failed)
    position = value.get("position")
    if not text:
        return None
    return WaitingView(
        text=text,
        position=position if isinstance(position, int) else None,
        expected_start=moment(value.get("expected_start")),
        failed=tuple(str(one.get("name") or "") for one in failed),
    )


def _layers(value: Any) -> tuple[LayerView, ...]:
    return tuple(
        LayerView(*(str(one.get(key) or "") for key in ("name", "applies_to", "guarantee", "detail")))
        for one in _list(value)
        if isinstance(one, Mapping)
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def session_view(row: Mapping[str, Any]) -> SessionView:
    """Reads a `ComputeSession` of GraphQL."""
    text = str(row.get("status") or "")
    data = mapping(row.get("status_data"))
    allocation = data.get("allocation")
    # a cluster still tells what was left when the session ended
    checks = idle_checks(row.get("idle_checks")) if text not in TERMINAL else {}
    left = [check.remaining_s for check in checks.values() if check.remaining_s is not None]
    return SessionView(
        id=str(row.get("id") or row.get("session_id") or ""),
        name=str(row.get("name") or ""),
        status=SessionStatus(text) if text in SessionStatus.__members__ else None,
        status_text=text,
        status_info=_reason(row.get("status_info")) or None,
        image=str(row.get("image") or ""),
        image_notice=data.get("image_notice") or None,
        image_gone=data.get("image_gone") or None,
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
        idle_remaining_s=min(left, default=None),
        busy=data.get("busy") is True,
        stat=stat_of(row.get("containers")),
        idle_checks=checks,
        kept_until=moment(data.get("kept_until")),
        waiting=waiting(data.get("scheduler")) if text == SessionStatus.PENDING else None,
        layers=_layers(data.get("enforcement")),
        startup_command=row.get("startup_command") or None,
        depends_on=tuple(
            str(one.get("name") or one.get("id") or "")
            for one in _list(row.get("dependencies"))
            if isinstance(one, Mapping)
        ),
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


def journal_line(row: Mapping[str, Any]) -> JournalLine:
    """Reads a record of our backend's journal."""
    record = row.get("rec")
    kind, data = record if isinstance(record, list) and len(record) == 2 else ("", None)
    return JournalLine(int(row["seq"]), float(row.get("t") or 0.0), row.get("run"), str(kind), data)


def run_view(row: Mapping[str, Any]) -> RunView:
    """Reads a run of our backend's list."""
    code, last = row.get("exitCode"), row.get("last")
    return RunView(
        id=str(row.get("id") or ""),
        after=int(row.get("after") or 0),
        started_s=number(row.get("started")) or 0.0,
        mode=str(row.get("mode") or ""),
        code=str(row.get("code") or ""),
        last_seq=last if isinstance(last, int) else None,
        ended_s=number(row.get("ended")),
        exit_code=code if isinstance(code, int) else None,
        died=row.get("died") is True,
        reason=str(row.get("reason") or ""),
    )


def _reason(told: Any) -> str:
    """Returns why something happened; empty where a manager only says that its scheduler did it, as it does all."""
    return "" if told in _NO_REASONS else str(told or "")


def progress_view(data: Mapping[str, Any]) -> ProgressView:
    """Reads how far the building or pulling of an image is."""
    return ProgressView(
        number(data.get("current")) or 0.0, number(data.get("total")) or 0.0, str(data.get("message") or "")
    )


def event_view(name: str, data: Mapping[str, Any]) -> EventView:
    """Reads a server-sent event."""
    code = data.get("exitCode")
    goes_on = name == IMAGE_PROGRESS and data.get("state") == "updated"
    ended = name == IMAGE_PROGRESS and not goes_on
    return EventView(
        name=name,
        session_id=data.get("sessionId") or None,
        session_name=data.get("sessionName") or None,
        reason=str(data.get("message") or "") if ended else _reason(data.get("reason")),
        exit_code=code if isinstance(code, int) else None,
        data=data,
        image=str(data.get("image") or "") if name in IMAGE_EVENTS else "",
        progress=progress_view(data) if goes_on else None,
    )
