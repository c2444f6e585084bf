"""The JSON Schema of `config.toml`, for editors that complete and check by one."""

from __future__ import annotations

from typing import Any

from .reading import Entry, Key, Table
from .tables import TOP


def json_schema() -> dict[str, Any]:
    """Returns the schema. What contradicts, and names of themes and actions, it cannot tell: `config validate` can."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "config.toml of bai-tui",
        **_of(TOP),
    }


def _of(entry: Entry) -> dict[str, Any]:
    told = {"description": entry.meaning} if entry.meaning else {}
    if isinstance(entry, Key):
        default = {} if entry.written_default is None else {"default": entry.written_default}
        return {**told, **entry.kind.schema, **default}
    if isinstance(entry, Table):
        needed = {"required": list(entry.needed)} if entry.needed else {}
        keys = {key: _of(inner) for key, inner in entry.keys.items()}
        return {**told, "type": "object", "properties": keys, **needed, "additionalProperties": False}
    return {**told, "type": "object", "additionalProperties": _of(entry.each)}
