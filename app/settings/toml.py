"""Plain values as TOML: the standard library reads it only."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(name: str) -> str:
    """Returns one part of a key, quoted where it must be."""
    return name if _BARE.fullmatch(name) else toml_value(name)


def toml_value(value: Any) -> str:
    """Returns text, numbers, flags, and lists and tables of them, in one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{toml_key(key)} = {toml_value(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(toml_value(inner) for inner in value) + "]"
    # what JSON writes of these is TOML, but for U+007F and surrogate pairs
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
