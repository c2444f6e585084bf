"""Fields of `ps -f`, by the names of the Backend.AI client."""

from __future__ import annotations

import json
from typing import Any

import click

FIELDS = {
    "abusing_reports": "abusing_reports",
    "access_key": "access_key",
    "agent_ids": "agent_ids",
    "cluster_mode": "cluster_mode",
    "cluster_size": "cluster_size",
    "cluster_template": "cluster_template",
    "created_at": "created_at",
    "created_user_email": "created_user_email",
    "created_user_id": "created_user_id",
    "dependencies": "dependencies { name id }",
    "domain_name": "domain_name",
    "group_id": "group_id",
    "group_name": "group_name",
    "idle_checks": "idle_checks",
    "image": "image",
    "main_kernel_id": "main_kernel_id",
    "mounts": "mounts",
    "name": "name",
    "occupying_slots": "occupying_slots",
    "priority": "priority",
    "registry": "registry",
    "requested_slots": "requested_slots",
    "resource_opts": "resource_opts",
    "result": "result",
    "scaling_group": "scaling_group",
    "scheduled_at": "scheduled_at",
    "service_ports": "service_ports",
    "session_id": "id",
    "starts_at": "starts_at",
    "startup_command": "startup_command",
    "status": "status",
    "status_changed": "status_changed",
    "status_data": "status_data",
    "status_info": "status_info",
    "tag": "tag",
    "terminated_at": "terminated_at",
    "type": "type",
    "user_email": "user_email",
    "user_id": "user_id",
    "vfolder_mounts": "vfolder_mounts",
}
"""Name on the command line -> GraphQL selection."""
_ALSO = {"id": "id", "occupied_slots": "occupying_slots"}
JSON_DEFAULT = (
    "name id group_name type image status status_info status_changed result".split()  # noqa: SIM905 - one line is read easier
)
DETAIL = ("tag", "created_at", "occupying_slots", "idle_checks")
_OBJECTS = frozenset(
    {"status_data", "resource_opts", "service_ports", "occupying_slots", "requested_slots", "idle_checks"}
)
"""Fields that GraphQL sends as text that holds JSON."""


def field_of(name: str) -> str:
    """Returns the GraphQL selection of a field.

    Raises:
        click.BadParameter: there is no such field; the nearest is named.
    """
    field = FIELDS.get(name) or _ALSO.get(name)
    if field is None:
        from difflib import get_close_matches

        near = get_close_matches(name, FIELDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(FIELDS)}"
        raise click.BadParameter(f"there is no field {name!r}; {hint}", param_hint="--format")
    return field


def told_name(field: str) -> str:
    """Returns the name under which a field is printed as JSON."""
    return "session_id" if field == "id" else field


def plain_value(field: str, value: Any) -> Any:
    """Returns a field's value for JSON output: objects instead of text that holds JSON."""
    if field in _OBJECTS and isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def cell(value: Any) -> str:
    """Returns a value for a table."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
