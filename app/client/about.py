"""What was asked for with a session beside its slots: environment, options, storage folders."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from .address import segment
from .parsing import mapping
from .transport import Transport
from .views import AboutView


async def about(transport: Transport, ref: str) -> AboutView:
    """Returns what the server tells of a live session; empty where it tells nothing.

    Raises:
        SessionNotFound: there is none, or it has ended.
    """
    told = mapping(await transport.request("GET", f"/session/{segment(ref)}"))
    mounts = told.get("mounts")
    return AboutView(
        _texts(told.get("environ")),
        _texts(told.get("resourceOpts")),
        tuple(map(_folder, mounts)) if isinstance(mounts, list) else (),
    )


def _texts(value: Any) -> dict[str, str]:
    """Returns a mapping that may come as JSON in a string, as managers before 26 send it."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return {}
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, Mapping) else {}


def _folder(mount: Any) -> str:
    """Returns the name of a folder; clusters send it alone, or first of several things."""
    return str(mount[0]) if isinstance(mount, list | tuple) and mount else str(mount)
