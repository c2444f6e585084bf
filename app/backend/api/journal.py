"""GET /session/{ref}/journal (capability `journal`): the records of a session by number, also after its end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from aiohttp import web

from ...model.errors import BadRequest
from ..ports import JournalRecord
from .context import caller_of, context_of, service_of, unless_closing

MAX_RECORDS: Final = 5000
MAX_WAIT_S: Final = 60.0
MAX_BYTES: Final = 8 * 1024 * 1024
"""An answer takes no further record once it holds this much; the reader goes on from the last number."""


def dump(records: Sequence[JournalRecord]) -> bytes:
    """Returns `{"records": [...]}` with the records' bytes spliced in, never decoded."""
    lines: list[bytes] = []
    size = 0
    for record in records:
        run = json.dumps(record.run_id).encode()
        lines.append(b'{"seq":%d,"t":%.6f,"run":%s,"rec":%s}' % (record.seq, record.time_s, run, record.raw))
        size += len(record.raw)
        if size >= MAX_BYTES:
            break
    return b'{"records":[%s]}' % b",".join(lines)


def _number(request: web.Request, name: str, default: float, low: float, high: float) -> float:
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
    after = int(_number(request, "after", 0, 0, 2**62))
    limit = int(_number(request, "limit", 1000, 1, MAX_RECORDS))
    wait_s = _number(request, "wait", 0, 0, MAX_WAIT_S)
    journal = service_of(request).journal(
        caller_of(request), request.match_info["ref"], after=after, limit=limit, wait_s=wait_s
    )
    if wait_s:
        what = "ask the next one for the journal after the same number"
        records = await unless_closing(context_of(request), journal, what)
    else:
        records = await journal
    return web.Response(body=dump(records), content_type="application/json")
