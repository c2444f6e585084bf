"""Rows behind the GraphQL types: values are computed only for the fields that a query selects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any, ClassVar, Final

from ...model.errors import BadRequest
from ...model.images import Image, ImageState
from ...model.sessions import HOLDING, Session, SessionStatus
from ...model.slots import format_amount
from ..ports import Progress, Service
from .gql_schema import global_id
from .resources import EVERYTHING
from .sessionview import (
    AGENT_ID,
    SCALING_GROUP,
    group_id,
    idle_checks,
    known,
    occupying,
    registry_of,
    stat,
    status_data,
)

MAX_PAGE: Final = 1000
Table = Mapping[str, Callable[[Any], Any]]
"""Field name -> function from row to value."""


def page_of(limit: int, offset: int) -> tuple[int, int]:
    """Returns how much of a list is asked for, cut to what is told at once.

    Raises:
        BadRequest: less than nothing.
    """
    if limit < 0 or offset < 0:
        raise BadRequest("limit and offset cannot be negative")
    return min(limit, MAX_PAGE), min(offset, EVERYTHING)


class Row:
    """An object whose attributes are the functions of its field table, called on access."""

    fields: ClassVar[Table] = {}
    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            get = type(self).fields[name]
        except KeyError:
            raise AttributeError(name) from None
        return get(self)


class SessionRow(Row):
    __slots__ = ("owner", "service", "session")

    def __init__(self, service: Service, session: Session) -> None:
        self.service = service
        self.session = session
        self.owner = service.keypair(session.access_key)

    def agents(self) -> list[str]:
        return [AGENT_ID] if self.session.status in HOLDING else []

    def started(self) -> Any:
        return self.session.starts_at or self.session.status_history.get(SessionStatus.RUNNING.value)


def _when(status: SessionStatus) -> Callable[[SessionRow], Any]:
    return lambda row: row.session.status_history.get(status.value)


def _user(name: str) -> Callable[[SessionRow], Any]:
    return lambda row: getattr(row.owner, name) if row.owner else None


def constant(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _stat(row: SessionRow) -> dict[str, dict[str, str]] | None:
    return stat(row.service, row.session)


def _dependencies(row: SessionRow) -> Any:
    return _rows_of(row) if row.session.depends_on else []


async def _rows_of(row: SessionRow) -> list[SessionRow]:
    if row.owner is None:
        return []
    found = [await known(row.service, row.owner, session_id) for session_id in row.session.depends_on]
    return [SessionRow(row.service, session) for session in found if session is not None]


def _status_data(row: Any) -> dict[str, Any] | None:
    return status_data(row.service, row.session) or None


_SHARED: Final[dict[str, Callable[[Any], Any]]] = {
    "tag": lambda row: row.session.tag,
    "architecture": lambda row: row.session.architecture,
    "domain_name": lambda row: row.session.domain,
    "status": lambda row: row.session.status.value,
    "status_changed": lambda row: row.session.status_changed,
    "status_info": lambda row: row.session.status_info,
    "status_data": _status_data,
    "created_at": lambda row: row.session.created_at,
    "terminated_at": lambda row: row.session.terminated_at,
    "starts_at": lambda row: row.started(),
    "scheduled_at": _when(SessionStatus.SCHEDULED),
    "resource_opts": lambda row: row.session.resource_opts,
    "occupied_slots": lambda row: occupying(row.session).wire(),
    "live_stat": _stat,
    "last_stat": _stat,
    "preopen_ports": constant([]),
    "scaling_group": constant(SCALING_GROUP),
    "local_rank": constant(0),
    "cluster_role": constant("main"),
    "cluster_hostname": constant("main1"),
    "cluster_idx": constant(1),
}
"""Fields that sessions and their kernels have alike: there is one kernel to a session."""

_SESSION: Final[dict[str, Callable[[Any], Any]]] = {
    **_SHARED,
    "id": lambda row: row.session.id,
    "session_id": lambda row: row.session.id,
    "main_kernel_id": lambda row: row.session.kernel_id,
    "name": lambda row: row.session.name,
    "type": lambda row: row.session.type.value.upper(),
    "main_kernel_role": constant("main"),
    "priority": lambda row: row.session.priority,
    "image": lambda row: row.session.image,
    "registry": lambda row: registry_of(row.session.image),
    "cluster_template": constant(None),
    "cluster_mode": constant("single-node"),
    "cluster_size": constant(1),
    "group_name": lambda row: row.session.group,
    "group_id": lambda row: group_id(row.session.group),
    "project_id": lambda row: group_id(row.session.group),
    "agent_ids": lambda row: row.agents(),
    "agents": lambda row: row.agents(),
    "user_email": _user("user_id"),
    "full_name": _user("user_id"),
    "user_id": _user("user_uuid"),
    "access_key": lambda row: row.session.access_key,
    "created_user_email": _user("user_id"),
    "created_user_id": _user("user_uuid"),
    "status_history": lambda row: {name: when.isoformat() for name, when in row.session.status_history.items()},
    "startup_command": lambda row: row.session.startup_command,
    "result": lambda row: row.session.result.value,
    "commit_status": constant("ready"),
    "service_ports": constant(None),
    "mounts": lambda row: list(row.session.mounts),
    "vfolder_mounts": constant([]),
    "occupying_slots": lambda row: occupying(row.session).wire(),
    "requested_slots": lambda row: row.session.requested_slots.wire(),
    "num_queries": lambda row: row.session.num_queries,
    "containers": lambda row: [KernelRow(row.service, row.session)],
    "dependencies": _dependencies,
    "abusing_reports": constant([]),
    "idle_checks": lambda row: idle_checks(row.service, row.session),
    "inference_metrics": constant(None),
}
SessionRow.fields = _SESSION
SESSION_FILTERS: Final[Mapping[str, Callable[[SessionRow], Any]]] = {
    name: get
    for name, get in _SESSION.items()
    if name
    not in (
        "containers",
        "dependencies",
        "live_stat",
        "last_stat",
        "abusing_reports",
        "inference_metrics",
        "status_data",
    )
}
"""What `filter` and `order` of session lists may name."""


class KernelRow(SessionRow):
    """The kernel of a session, as `containers` and as `kernel_nodes` show it."""

    __slots__ = ()
    fields: ClassVar[Table] = {
        **_SHARED,
        "id": lambda row: row.session.kernel_id,
        "row_id": lambda row: row.session.kernel_id,
        "kernel_id": lambda row: row.session.kernel_id,
        "idx": constant(1),
        "role": constant("main"),
        "hostname": constant("main1"),
        "session_id": lambda row: row.session.id,
        "image": lambda row: row.session.image,
        "image_reference": lambda row: row.session.image,
        "registry": lambda row: registry_of(row.session.image),
        "agent": lambda row: next(iter(row.agents()), None),
        "agent_id": lambda row: next(iter(row.agents()), None),
        "agent_addr": constant(None),
        "container_id": lambda row: row.session.kernel_id if row.session.status in HOLDING else None,
        "abusing_report": constant(None),
    }


def _node_image(row: SessionRow) -> ImageRow | None:
    return next((ImageRow(image) for image in row.service.images() if image.canonical == row.session.image), None)


class KernelNodeRow(KernelRow):
    __slots__ = ()
    fields: ClassVar[Table] = {
        **KernelRow.fields,
        "id": lambda row: global_id("KernelNode", row.session.kernel_id),
        "image": _node_image,
    }


class SessionNodeRow(SessionRow):
    __slots__ = ()
    fields: ClassVar[Table] = {
        **_SESSION,
        "id": lambda row: global_id("ComputeSessionNode", row.session.id),
        "row_id": lambda row: row.session.id,
        "type": lambda row: row.session.type.value,
        "image_references": lambda row: [row.session.image],
        "kernel_nodes": lambda row: {
            "count": 1,
            "edges": [
                {
                    "node": KernelNodeRow(row.service, row.session),
                    "cursor": global_id("KernelNode", row.session.kernel_id),
                }
            ],
        },
    }


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]


class ImageRow(Row):
    __slots__ = ("image", "notice", "progress")

    def __init__(self, image: Image, progress: Progress | None = None, notice: str | None = None) -> None:
        self.image = image
        self.progress = progress
        self.notice = notice

    fields: ClassVar[Table] = {
        "id": lambda row: row.image.id,
        "name": lambda row: row.image.reference.name.removeprefix(f"{row.image.registry}/"),
        "humanized_name": lambda row: row.image.reference.name,
        "namespace": lambda row: row.image.reference.name,
        "base_image_name": lambda row: row.image.reference.language,
        "project": lambda row: None,
        "tag": lambda row: row.image.reference.tag,
        "tags": lambda row: _pairs({row.image.reference.platform: ""}) if row.image.reference.platform else [],
        "version": lambda row: row.image.reference.version,
        "registry": lambda row: row.image.registry,
        "architecture": lambda row: row.image.architecture,
        "is_local": lambda row: row.image.registry == "local",
        "digest": lambda row: row.image.digest,
        "status": lambda row: "ALIVE",
        "labels": lambda row: _pairs(_image_labels(row.image)),
        "aliases": lambda row: list(row.image.aliases),
        "size_bytes": lambda row: row.image.size_bytes,
        "resource_limits": lambda row: [
            {"key": slot, "min": format_amount(amount), "max": "Infinity"}
            for slot, amount in row.image.min_slots.items()
        ],
        "supported_accelerators": lambda row: ["*"],
        "installed": lambda row: row.image.state is ImageState.READY,
        "installed_agents": lambda row: [AGENT_ID] if row.image.state is ImageState.READY else [],
        "bai_state": lambda row: row.image.state.name,
        "bai_reason": lambda row: row.image.reason,
        "bai_kind": lambda row: row.image.kind.value,
        "bai_language": lambda row: row.image.language,
        "bai_runtime_version": lambda row: row.image.runtime_version,
        "bai_packages": lambda row: list(row.image.packages),
        "bai_summary": lambda row: row.image.summary,
        "bai_default_slots": lambda row: row.image.default_slots.wire(),
        "bai_service_ports": lambda row: list(row.image.service_ports),
        "bai_prepare_s": lambda row: row.image.prepare_s,
        "bai_progress": lambda row: None if row.progress is None else asdict(row.progress),
        "bai_notice": lambda row: row.notice,
    }


def _image_labels(image: Image) -> dict[str, str]:
    labels = dict(image.labels)
    labels.setdefault("ai.backend.runtime-type", image.language)
    if image.runtime_version:
        labels.setdefault("bai-tui.runtime-version", image.runtime_version)
    if image.service_ports:
        labels.setdefault("ai.backend.service-ports", ",".join(image.service_ports))
    if image.reason:
        labels.setdefault("bai-tui.reason", image.reason)
    return labels


def group_row(name: str) -> dict[str, Any]:
    return {"id": group_id(name), "name": name, "description": "", "is_active": True, "domain_name": "default"}


SCALING_GROUP_ROW: Final[Mapping[str, Any]] = {
    "name": SCALING_GROUP,
    "description": "this machine",
    "is_active": True,
    "is_public": True,
    "created_at": None,
    "driver": "static",
    "scheduler": "fifo",
}
