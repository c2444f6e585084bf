"""What sessions use, as an event of the stream (capability `stats`)."""

from __future__ import annotations

import json
from typing import Any, Final

from aiohttp import web

from ...model.metrics import Metrics, wire_metrics
from ..ports import Keypair, Sampled, Service
from .machine import gpu_views

EVENT: Final = "bai_stats"


class StatsEncoder:
    """Writes rounds of the sampler as events. What a session uses is written once a round, however many read it."""

    def __init__(self) -> None:
        self._time_s = 0.0
        self._written: dict[str, tuple[Metrics, bytes]] = {}

    def encode(self, service: Service, caller: Keypair, sampled: Sampled, *, only: str | None = None) -> bytes:
        """Returns one event.

        Args:
            sampled: a round as `caller` may see it.
            only: id of the one session that is told of; None = all that `sampled` has.
        """
        if sampled.time_s != self._time_s:
            self._time_s = sampled.time_s
            self._written = {}
        ids = sampled.sessions if only is None else [only] if only in sampled.sessions else []
        sessions = b",".join(
            b'"%s":%s' % (session_id.encode(), self._session(session_id, sampled.sessions[session_id]))
            for session_id in ids
        )
        head: dict[str, Any] = {
            "time": sampled.time_s,
            "cpu_pct": sampled.cpu_pct,
            "mem_used_bytes": sampled.mem_used_bytes,
            "gpus": gpu_views(service.devices(caller), sampled),
        }
        return b'event: %s\ndata: %s,"sessions":{%s}}\n\n' % (EVENT.encode(), json.dumps(head).encode()[:-1], sessions)

    def _session(self, session_id: str, metrics: Metrics) -> bytes:
        known = self._written.get(session_id)
        if known is not None and known[0] is metrics:
            return known[1]
        written = json.dumps(wire_metrics(metrics)).encode()
        self._written[session_id] = metrics, written
        return written


ENCODER = web.AppKey("stats encoder", StatsEncoder)
