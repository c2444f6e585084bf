"""How a mutation tells what it has done, or why it has not: as managers do, with `ok` and `msg`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from ...model.errors import BaiTuiError, ConfigError, Forbidden, ImageFailed
from ..ports import Keypair

_OURS_TO_TELL = (ImageFailed, ConfigError)
"""Failures of the backend whose sentence is for the user."""


async def told(caller: Keypair, name: str, change: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Makes a change; returns its payload, or what it refuses with `ok: false` and the reason.

    `bai_code` is the error code of the reason, where the schema has it.
    """
    try:
        return {"ok": True, "msg": "success", **await change()}
    except BaiTuiError as exc:
        if exc.status >= 500 and not isinstance(exc, _OURS_TO_TELL):
            raise
        # the words by which clients of a manager know that they need another role
        denied = f"no permission to execute {name}: " if isinstance(exc, Forbidden) and not caller.is_admin else ""
        return {"ok": False, "msg": f"{denied}{exc.message}", "bai_code": exc.error_code}
