"""GET /events/session: what happens to sessions, as server-sent events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from aiohttp import web

from ...model.errors import BadRequest
from ...model.sessions import TERMINAL
from ..ports import Keypair, Sampled, SessionEvent
from .context import CALLER, acting_for, context_of, truth
from .stats import ENCODER

T = TypeVar("T")
KEEP_ALIVE_S: Final = 15.0
_ENDINGS: Final = frozenset({"session_terminated", "session_cancelled"})
"""Events after which nothing more happens to a session."""
PING: Final = b": ping\n\n"
HEADERS: Final = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
SERVER_CLOSE: Final = b"event: server_close\ndata: {}\n\n"
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
    with_stats, with_progress = truth(request, "stats"), truth(request, "progress")
    watched: str | None = None
    over = False
    if wanted and wanted != "*":
        session = await context.service.get(caller, wanted)
        watched, over = session.id, session.status in TERMINAL
    response = web.StreamResponse(headers=HEADERS)
    if over:
        await response.prepare(request)
        await response.write(SERVER_CLOSE)
        return response
    selection = _Selection(watched, caller.access_key if owner and owner != "*" else None, prefixes)
    events = Source(context.service.events(caller, session_ref=watched, progress=with_progress), "next session event")
    sources: list[Source[Any]] = [events]
    if with_stats:
        sources.append(Source(context.service.samples(caller), "next round of the sampler"))
    try:
        # the subscription stands before the client hears that it does, so nothing falls between
        await asyncio.sleep(0)
        await response.prepare(request)
        await _pump(request, response, sources, selection, caller)
        await response.write(SERVER_CLOSE)
    except ConnectionError:
        pass  # the reader has gone, which is how most of them end
    finally:
        for source in sources:
            await source.close()
    return response


@dataclass(frozen=True, slots=True)
class _Selection:
    """Which events a reader is told."""

    watched: str | None
    """Id of the one session whose end ends the stream; None = all."""
    owner: str | None
    prefixes: tuple[str, ...] | None

    def __contains__(self, event: SessionEvent) -> bool:
        if self.owner is not None and event.access_key != self.owner and event.session_id:
            return False
        return self.prefixes is None or event.name.startswith(self.prefixes)

    def ends_with(self, event: SessionEvent) -> bool:
        return self.watched is not None and event.session_id == self.watched and event.name in _ENDINGS


class Source(Generic[T]):
    """An endless iteration, one step of which is always under way: so several can be waited for at once."""

    def __init__(self, items: AsyncIterator[T], name: str) -> None:
        self._items = items
        self._name = name
        self.next: asyncio.Task[T | None] = self._step()

    def _step(self) -> asyncio.Task[T | None]:
        return asyncio.create_task(_next(self._items), name=self._name)

    def take(self) -> T | None:
        """Returns what has come, None at the end, and begins to wait for what comes then."""
        found = self.next.result()
        if found is not None:
            self.next = self._step()
        return found

    async def close(self) -> None:
        self.next.cancel()
        await asyncio.gather(self.next, return_exceptions=True)
        if (close := getattr(self._items, "aclose", None)) is not None:
            await close()


async def _next(items: AsyncIterator[T]) -> T | None:
    return await anext(items, None)


async def _pump(
    request: web.Request,
    response: web.StreamResponse,
    sources: list[Source[Any]],
    selection: _Selection,
    caller: Keypair,
) -> None:
    """Writes what comes until the backend stops or the watched session has ended.

    A reader that is slow holds up nobody but itself: `write` waits for it, and meanwhile its sources keep what their
    own rules say: of measures the newest, of events a bounded number.
    """
    context, encoder = context_of(request), request.app[ENCODER]
    stop = asyncio.create_task(context.closing.wait(), name="stop of an event stream")
    try:
        while True:
            waiting = {stop, *(source.next for source in sources)}
            done, _ = await asyncio.wait(waiting, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
            if stop in done:
                return
            if not done:
                await response.write(PING)
                continue
            for source in sources:
                if not source.next.done():
                    continue
                found = source.take()
                if found is None:
                    return
                if isinstance(found, Sampled):
                    await response.write(encoder.encode(context.service, caller, found, only=selection.watched))
                    continue
                if found in selection:
                    await response.write(encode(found))
                if selection.ends_with(found):
                    return
    finally:
        stop.cancel()
        await asyncio.gather(stop, return_exceptions=True)
