"""What sessions and GPUs really use: pushed by our backend once a second, asked for every few seconds elsewhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any, Final

from ..model.sessions import ANSWERING
from .events import events
from .machine import gpus, own_gpus
from .parsing import metrics, number, stat_of
from .queries import STAT_FIELDS, all_rows
from .transport import Transport
from .views import StatsView

STATS: Final = "bai_stats"
"""Name of the event that holds a round (capability `stats`)."""
_POLL_S: Final = 5.0
"""Agents of a cluster measure every 5 seconds."""


def stats_view(data: Mapping[str, Any]) -> StatsView:
    """Reads a `bai_stats` event."""
    sessions = data.get("sessions")
    return StatsView(
        time_s=number(data.get("time")) or time.time(),
        sessions={str(sid): metrics(stat) for sid, stat in sessions.items()} if isinstance(sessions, Mapping) else {},
        gpus=gpus(data.get("gpus")),
        cpu_pct=number(data.get("cpu_pct")) or 0.0,
        mem_used_bytes=int(number(data.get("mem_used_bytes")) or 0),
    )


async def _asked(transport: Transport) -> StatsView:
    """Asks for what is known now."""
    rows = await all_rows(transport, ["id", "occupying_slots", *STAT_FIELDS], sorted(ANSWERING))
    used = {str(row.get("id") or ""): stat_of(row.get("containers")) for row in rows}
    return StatsView(time_s=time.time(), sessions=used, gpus=await own_gpus(transport))


async def stats(transport: Transport) -> AsyncGenerator[StatsView]:
    """Yields what is known now at once, then each new round until the server closes.

    Raises:
        Unreachable: the connection was lost.
    """
    yield await _asked(transport)
    while "stats" not in (await transport.info()).capabilities:
        await asyncio.sleep(_POLL_S)  # this server does not push
        yield await _asked(transport)
    async with aclosing(events(transport, None, stats=True)) as pushed:
        async for event in pushed:
            if event.name == STATS:
                yield stats_view(event.data)
