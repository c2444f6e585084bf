"""Fields of `ps -f`, by the names of the Backend.AI client, and a few of ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import click

_OBJECTS = frozenset(
    {"status_data", "resource_opts", "service_ports", "occupying_slots", "requested_slots", "idle_checks"}
)
"""Fields that GraphQL sends as text that holds JSON."""


def _decoded(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _status_data(key: str) -> Callable[[Any], Any]:
    def take(value: Any) -> Any:
        data = _decoded(value)
        return data.get(key) if isinstance(data, Mapping) else None

    return take


def _waiting(value: Any) -> str | None:
    from ..client.parsing import waiting

    found = waiting(_status_data("scheduler")(value))
    return None if found is None else found.text


def _live_stat(value: Any) -> Any:
    from ..client.parsing import stat_of
    from ..model.metrics import wire_metrics

    return wire_metrics(stat_of(value)) or None


def _idle_remaining(value: Any) -> float | None:
    from ..client.parsing import idle_checks

    left = (check.remaining_s for check in idle_checks(value).values())
    return min((seconds for seconds in left if seconds is not None), default=None)


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    """As it is told."""
    selection: str
    """What GraphQL is asked for."""
    take: Callable[[Any], Any]
    """Value in the row -> value that is told."""

    def of(self, row: Mapping[str, Any]) -> Any:
        """Returns the value in a row."""
        return self.take(row.get(self.selection.partition("{")[0].strip()))


_PLAIN = """
abusing_reports access_key agent_ids cluster_mode cluster_size cluster_template created_at created_user_email
created_user_id domain_name group_id group_name idle_checks image main_kernel_id mounts name occupying_slots priority
registry requested_slots resource_opts result scaling_group scheduled_at service_ports starts_at startup_command status
status_changed status_data status_info tag terminated_at type user_email user_id vfolder_mounts
"""
FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in sorted(
        [
            *(Field(name, name, _decoded if name in _OBJECTS else lambda value: value) for name in _PLAIN.split()),
            Field("session_id", "id", lambda value: value),
            Field("dependencies", "dependencies{name id}", lambda value: value),
            Field("allocation", "status_data", _status_data("allocation")),
            Field("enforcement", "status_data", _status_data("enforcement")),
            Field("idle_remaining", "idle_checks", _idle_remaining),
            Field("live_stat", "containers{live_stat last_stat}", _live_stat),
            Field("waiting", "status_data", _waiting),
        ],
        key=lambda field: field.name,
    )
}
"""By the name on the command line."""
_ALSO = {"id": "session_id", "occupied_slots": "occupying_slots"}


def _named(names: str) -> tuple[Field, ...]:
    return tuple(FIELDS[name] for name in names.split())


JSON_DEFAULT = _named("name session_id group_name type image status status_info status_changed result")
JSON_DETAIL = _named(
    "priority tag created_at terminated_at requested_slots occupying_slots allocation live_stat idle_remaining "
    "idle_checks waiting enforcement dependencies startup_command status_data"
)


def field_of(name: str) -> Field:
    """Returns the field of that name.

    Raises:
        click.BadParameter: there is no such field; the nearest is named.
    """
    field = FIELDS.get(_ALSO.get(name, name))
    if field is None:
        from difflib import get_close_matches

        near = get_close_matches(name, FIELDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(FIELDS)}"
        raise click.BadParameter(f"there is no field {name!r}; {hint}", param_hint="--format")
    return field


def selections(fields: Sequence[Field]) -> list[str]:
    """Returns what GraphQL is asked for, each once."""
    return list(dict.fromkeys(field.selection for field in fields))


def cell(value: Any) -> str:
    """Returns a value for a table."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
