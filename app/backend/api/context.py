"""What every handler reaches through the application and the request: typed keys, no globals."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiohttp import web

from ...model.errors import BadRequest, Forbidden, NotFound, ServiceUnavailable
from ..ports import Keypair, Service
from .callers import Callers
from .replays import Replays

T = TypeVar("T")


@dataclass(slots=True, kw_only=True)
class ApiContext:
    """The application's own state, made by `create_app`."""

    service: Service
    version: str
    """Of this program."""
    hosts: frozenset[str]
    """Lower-case names, besides `localhost` and IP literals, that a Host header may carry."""
    upload_limit_bytes: int
    clock: Callable[[], float]
    """Unix time."""
    replays: Replays
    """What was signed and accepted before."""
    metrics_token: str | None = None
    """What opens `GET /metrics` besides a signature; None = nothing does."""
    callers: Callers = field(default_factory=Callers)
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server begins to shut down: endless answers come to their end."""
    sockets: set[web.WebSocketResponse] = field(default_factory=set)
    """Open websockets, to be closed then."""


CONTEXT = web.AppKey("context", ApiContext)
CALLER = web.RequestKey("caller", Keypair)
"""The signer's keypair."""


def context_of(request: web.Request) -> ApiContext:
    return request.app[CONTEXT]


def service_of(request: web.Request) -> Service:
    return request.app[CONTEXT].service


def caller_of(request: web.Request) -> Keypair:
    """Returns the keypair on whose behalf the request acts: the signer's, or for an admin that of `owner_access_key`.

    Raises:
        Forbidden: an ordinary user names somebody else.
        NotFound: there is no such keypair.
    """
    caller = request[CALLER]
    return acting_for(caller, request.query.get("owner_access_key"), service_of(request))


def acting_for(caller: Keypair, owner: str | None, service: Service) -> Keypair:
    """Returns `caller`, or the keypair of `owner` when an admin acts for somebody else (errors as `caller_of`)."""
    if not owner or owner == caller.access_key:
        return caller
    if not caller.is_admin:
        raise Forbidden(f"only an administrator may act for the access key {owner!r}")
    found = service.keypair(owner)
    if found is None:
        raise NotFound(f"there is no access key {owner!r} on this backend")
    return found


async def unless_closing(context: ApiContext, wait: Coroutine[Any, Any, T], what: str) -> T:
    """Returns what a long wait returns; it is cancelled when the server begins to shut down, which waits for nobody.

    Raises:
        ServiceUnavailable: the server shuts down; `what` says what becomes of the matter.
    """
    waiting = asyncio.create_task(wait, name="long wait of a request")
    closing = asyncio.create_task(context.closing.wait(), name="end of a long wait")
    try:
        await asyncio.wait({waiting, closing}, return_when=asyncio.FIRST_COMPLETED)
        if waiting.done():
            return waiting.result()
        raise ServiceUnavailable(f"the backend is stopping; {what}")
    finally:
        for task in (waiting, closing):
            task.cancel()
        await asyncio.gather(waiting, closing, return_exceptions=True)


def truth(request: web.Request, name: str) -> bool:
    """Returns a yes or no of the query, False when it is absent.

    Raises:
        BadRequest: neither.
    """
    value = request.query.get(name, "false").lower()
    if value in ("1", "true", "yes", "on"):
        return True
    if value in ("0", "false", "no", "off", ""):
        return False
    raise BadRequest(f"the parameter {name!r} is {value!r}: write true or false")
