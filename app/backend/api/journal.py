"""The records of a session by number, and its runs, also after its end (capabilities `journal` and `follow`)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from aiohttp import web

from ...model.errors import BadRequest
from ..ports import JournalRecord, RunSummary
from .context import caller_of, context_of, service_of, unless_closing

MAX_RECORDS: Final = 5000
MAX_WAIT_S: Final = 60.0
MAX_SEQ: Final = 2**53
MAX_RUNS: Final = 10_000
MAX_BYTES: Final = 8 * 1024 * 1024
"""An answer takes no further record once it holds this much; the reader goes on from the last number."""


def _line(record: JournalRecord) -> bytes:
    run = json.dumps(record.run_id).encode()
    return b'{"seq":%d,"t":%.6f,"run":%s,"rec":%s}' % (record.seq, record.time_s, run, record.raw)


def parts(records: Iterable[JournalRecord], max_bytes: int) -> Iterator[bytes]:
    """Yields `{"records": [...]}` with the records' bytes spliced in, never decoded; a new one after `max_bytes`."""
    lines: list[bytes] = []
    size = 0
    for record in records:
        lines.append(_line(record))
        size += len(lines[-1])
        if size >= max_bytes:
            yield b'{"records":[%s]}' % b",".join(lines)
            lines, size = [], 0
    if lines:
        yield b'{"records":[%s]}' % b",".join(lines)


def dump(records: Sequence[JournalRecord], *, newest: bool = False) -> bytes:
    """Returns the first of the parts, of at most `MAX_BYTES` unless a single record has more; or the last of them."""
    if newest:
        kept, size = 0, 0
        for record in reversed(records):
            size += len(record.raw)
            if kept and size > MAX_BYTES:
                break
            kept += 1
        records = records[len(records) - kept :]
    return next(parts(records, MAX_BYTES), b'{"records":[]}')


def number(request: web.Request, name: str, default: float, low: float, high: float) -> float:
    """Returns a number of the query, at most `high`.

    Raises:
        BadRequest: no number, or less than `low`.
    """
    text = request.query.get(name)
    if text is None:
        return default
    try:
        value = float(text)
    except ValueError:
        raise BadRequest(f"the parameter {name!r} is {text!r}: write a number") from None
    if not low <= value:
        raise BadRequest(f"the parameter {name!r} is {text!r}: {low:g} is the least")
    return min(value, high)


async def read(request: web.Request) -> web.Response:
    limit = int(number(request, "limit", 1000, 1, MAX_RECORDS))
    if "before" in request.query:
        before = int(number(request, "before", 0, 0, MAX_SEQ))
        found = await service_of(request).journal_before(
            caller_of(request), request.match_info["ref"], before=before, limit=limit
        )
        return web.Response(body=dump(found, newest=True), content_type="application/json")
    after = int(number(request, "after", 0, 0, MAX_SEQ))
    wait_s = number(request, "wait", 0, 0, MAX_WAIT_S)
    journal = service_of(request).journal(
        caller_of(request), request.match_info["ref"], after=after, limit=limit, wait_s=wait_s
    )
    if wait_s:
        what = "ask the next one for the journal after the same number"
        records = await unless_closing(context_of(request), journal, what)
    else:
        records = await journal
    return web.Response(body=dump(records), content_type="application/json")


async def runs(request: web.Request) -> web.Response:
    """GET /session/{ref}/runs: what was run, the newest last."""
    limit = int(number(request, "limit", 1000, 1, MAX_RUNS))
    found = await service_of(request).list_runs(caller_of(request), request.match_info["ref"])
    return web.json_response({"runs": [_run(run) for run in found[-limit:]]})


def _run(run: RunSummary) -> dict[str, Any]:
    return {
        "id": run.run_id,
        "after": run.after,
        "started": run.started_s,
        "mode": run.mode,
        "code": run.code,
        "last": run.last_seq,
        "ended": run.ended_s,
        "exitCode": run.exit_code,
        "died": run.died,
        "reason": run.reason,
    }
