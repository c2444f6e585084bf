"""What was asked for with a session beside its slots: environment, options, storage folders."""

from __future__ import annotations

import ast
import json
from collections.abc import Mapping
from typing import Any

from ..model.errors import RemoteError, Unreachable
from .address import segment
from .cluster import is_cluster
from .parsing import mapping
from .queries import UUID
from .transport import Transport
from .views import AboutView


async def about(transport: Transport, ref: str) -> AboutView:
    """Returns what the server tells of a live session; empty where it tells nothing.

    Args:
        ref: Folders of a cluster are told for full ids only.

    Raises:
        SessionNotFound: there is none, or it has ended.
    """
    told = mapping(await transport.request("GET", f"/session/{segment(ref)}"))
    mounts = told.get("mounts")
    if mounts is None and UUID.fullmatch(ref) and is_cluster(await transport.info()):
        mounts = await _mounts(transport, ref)
    return AboutView(
        _texts(told.get("environ")),
        _texts(told.get("resourceOpts")),
        tuple(map(_folder, mounts)) if isinstance(mounts, list) else (),
    )


async def _mounts(transport: Transport, session_id: str) -> Any:
    """Returns the folders of a session of a manager, which tells of them by GraphQL only."""
    query = "query($id:UUID!){compute_session(id:$id){mounts}}"
    try:
        told = await transport.graphql(query, {"id": session_id})
    except Unreachable:
        raise
    except RemoteError:
        return None
    return mapping(told.get("compute_session")).get("mounts")


def _texts(value: Any) -> dict[str, str]:
    """Returns a mapping; managers send it as JSON in a string, or as Python writes it."""
    if isinstance(value, str):
        value = _read(value)
    if not isinstance(value, Mapping):
        return {}
    found: dict[str, str] = {}
    for key, told in value.items():
        # managers since 26 tell the options of each container apart
        found |= {str(k): str(v) for k, v in told.items()} if isinstance(told, Mapping) else {str(key): str(told)}
    return found


def _read(text: str) -> Any:
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return None


def _folder(mount: Any) -> str:
    """Returns the name of a folder; clusters send it alone, or first of several things."""
    return str(mount[0]) if isinstance(mount, list | tuple) and mount else str(mount)
