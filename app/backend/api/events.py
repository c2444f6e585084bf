"""GET /events/session: what happens to sessions, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Final

from aiohttp import web

from ...model.errors import BadRequest, NotFound
from ...model.sessions import TERMINAL
from ..ports import SessionEvent
from .context import CALLER, acting_for, context_of

KEEP_ALIVE_S: Final = 15.0
_ENDINGS: Final = frozenset({"session_terminated", "session_cancelled"})
"""Events after which nothing more happens to a session."""
_HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
_SERVER_CLOSE: Final = b"event: server_close\ndata: {}\n\n"
"""Without it clients connect again, for ever."""


def encode(event: SessionEvent) -> bytes:
    """Returns one event as it goes over the wire."""
    data = {
        "reason": event.reason,
        "sessionName": event.session_name,
        "ownerAccessKey": event.access_key,
        "sessionId": event.session_id,
        "exitCode": event.exit_code,
        **event.extra,
    }
    return f"event: {event.name}\ndata: {json.dumps(data)}\n\n".encode()


def _prefixes(scope: str) -> tuple[str, ...] | None:
    """Returns the beginnings of the event names in a scope, None for all of them."""
    words = [word.strip() for word in scope.split(",") if word.strip()]
    if not words or "*" in words:
        return None
    for word in words:
        if word not in ("session", "kernel"):
            raise BadRequest(f"the event scope {word!r} is not known: use *, session or kernel")
    # a reader that has lost events must hear of it in every scope
    return (*(f"{word}_" for word in words), "bai_")


async def session_events(request: web.Request) -> web.StreamResponse:
    context = context_of(request)
    caller = request[CALLER]
    owner = request.query.get("ownerAccessKey")
    if owner and owner != "*":
        caller = acting_for(caller, owner, context.service)
    wanted = request.query.get("sessionId") or request.query.get("sessionName")
    prefixes = _prefixes(request.query.get("scope", "*"))
    watched: str | None = None
    over = False
    if wanted and wanted != "*":
        session = await context.service.get(caller, wanted)
        watched, over = session.id, session.status in TERMINAL
    response = web.StreamResponse(headers=_HEADERS)
    if over:
        await response.prepare(request)
        await response.write(_SERVER_CLOSE)
        return response
    events = context.service.events(caller, session_ref=watched)
    owner_only = caller.access_key if owner and owner != "*" else None
    first = asyncio.create_task(_next(events), name="next session event")
    try:
        # the subscription stands before the client hears that it does, so nothing falls between
        await asyncio.sleep(0)
        await response.prepare(request)
        await _pump(response, events, first, context.closing, watched, owner_only, prefixes)
        await response.write(_SERVER_CLOSE)
    except ConnectionError:
        pass  # the reader has gone, which is how most of them end
    finally:
        first.cancel()
        if (close := getattr(events, "aclose", None)) is not None:
            await asyncio.gather(first, return_exceptions=True)
            await close()
    return response


async def _next(events: AsyncIterator[SessionEvent]) -> SessionEvent | None:
    return await anext(events, None)


async def _pump(
    response: web.StreamResponse,
    events: AsyncIterator[SessionEvent],
    first: asyncio.Task[SessionEvent | None],
    closing: asyncio.Event,
    watched: str | None,
    owner: str | None,
    prefixes: tuple[str, ...] | None,
) -> None:
    """Writes events until the backend stops or the watched session has ended."""
    stop = asyncio.create_task(closing.wait(), name="stop of an event stream")
    pending = first
    try:
        while True:
            done, _ = await asyncio.wait({pending, stop}, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                await response.write(b": ping\n\n")
                continue
            if pending not in done:
                return
            event = pending.result()
            if event is None:
                return
            pending = asyncio.create_task(_next(events), name="next session event")
            if owner is not None and event.access_key != owner and event.session_id:
                continue
            if prefixes is None or event.name.startswith(prefixes):
                await response.write(encode(event))
            if watched is not None and event.session_id == watched and event.name in _ENDINGS:
                return
    finally:
        stop.cancel()
        pending.cancel()
        await asyncio.gather(stop, pending, return_exceptions=True)


async def background_task(request: web.Request) -> web.Response:
    task = request.query.get("taskId", "")
    raise NotFound(f"there is no background task {task!r}: this backend runs none")
