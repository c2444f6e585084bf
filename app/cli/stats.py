"""What a session used, in words."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from .tables import size, table


def stats_text(stats: Mapping[str, Any]) -> str:
    """Returns a table of metrics (version 2 of the wire contract, or the flat numbers of version 1)."""
    rows = []
    for name, value in stats.items():
        if name in ("status", "version"):
            continue
        rows.append([name, _metric(value) if isinstance(value, Mapping) else str(value)])
    return table(["METRIC", "VALUE"], rows) if rows else "statistics are unavailable\n"


def _metric(metric: Mapping[str, Any]) -> str:
    hint = str(metric.get("unit_hint") or "")
    current = str(metric.get("current") or "")
    if hint == "bytes":
        try:
            return size(Decimal(str(metric.get("stats.max") or current)))
        except InvalidOperation:
            return current
    if hint in ("percent", "pct", "%"):
        return f"{metric.get('pct') or current} %"
    return f"{current} {hint}".strip()
