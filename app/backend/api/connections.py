"""Who may hold a connection, and for how long: nobody without a key can take the place of somebody with one.

A connection is a stranger until a request on it was let in. Of strangers there is room for a few hundred: when another
one comes, the oldest goes. A client with a key is a stranger for milliseconds, so a flood of connections cannot keep it
out. Connections with a key are counted by key. A connection on which no request has come in time is closed.

Whether the other machine is still there is for TCP to find out, within two minutes. Pings of websockets would not do:
the official client does not answer them while its user thinks about a prompt, and one that stops reading stops the
answers too, and must not be cut for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from dataclasses import dataclass
from typing import Any, Final, cast

from aiohttp import web

from .problems import TooManyRequests

log = logging.getLogger(__name__)

_TCP: Final = (("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 4))
"""A machine that is gone is noticed after 60 + 4 * 15 seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """How many connections there may be, and how slow."""

    head_timeout_s: float = 20.0
    """From the connection to the end of the first request's headers."""
    idle_timeout_s: float = 75.0
    """From an answer to the end of the next request's headers."""
    lingering_s: float = 5.0
    """For what a client goes on to send after it was refused."""
    strangers: int = 512
    """Connections on which nothing was let in yet."""
    total: int = 4096
    per_key: int = 2048
    """Of one access key, streams and websockets included."""

    @classmethod
    def for_files(cls, most: int) -> ConnectionLimits:
        """Returns limits for a process that may open `most` files: sessions need descriptors, too."""
        usual = cls()
        total = max(64, min(usual.total, most // 4))
        return cls(strangers=min(usual.strangers, total // 4), total=total, per_key=max(48, total // 2))


class Connections:
    """All connections of a server, strangers first."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self.limits = limits
        self._strangers: dict[GuardedHandler, None] = {}
        """The oldest first."""
        self._known: dict[str, dict[GuardedHandler, None]] = {}
        """By access key."""
        self._count = 0
        """Of those that are known."""

    def __len__(self) -> int:
        return len(self._strangers) + self._count

    def arrived(self, handler: GuardedHandler) -> None:
        self._strangers[handler] = None
        if len(self._strangers) > self.limits.strangers:
            self._drop(next(iter(self._strangers)), "it was the oldest of too many without a signed request")
        if len(self) > self.limits.total:
            idle = next((known for of_key in self._known.values() for known in of_key if known.idle), handler)
            self._drop(idle, "there are too many connections")

    def trust(self, handler: GuardedHandler, access_key: str) -> None:
        """Knows that a request of `access_key` has come on a connection.

        Raises:
            TooManyRequests: the key has as many connections as it may.
        """
        if handler.access_key == access_key:
            return
        of_key = self._known.setdefault(access_key, {})
        if len(of_key) >= self.limits.per_key:
            idle = next((known for known in of_key if known.idle), None)
            if idle is None:
                raise TooManyRequests(
                    f"this access key has {len(of_key)} connections at work, which is as many as it may have: "
                    "close streams that nobody reads"
                )
            self._drop(idle, "its key has too many")
        self.left(handler)
        handler.access_key = access_key
        of_key[handler] = None
        self._known[access_key] = of_key
        self._count += 1

    def left(self, handler: GuardedHandler) -> None:
        self._strangers.pop(handler, None)
        of_key = self._known.get(handler.access_key)
        if of_key is not None and handler in of_key:
            del of_key[handler]
            self._count -= 1
            if not of_key:
                del self._known[handler.access_key]

    def _drop(self, handler: GuardedHandler, why: str) -> None:
        self.left(handler)
        log.debug("a connection is closed: %s", why)
        handler.abort()


class GuardedHandler(web.RequestHandler):
    """A connection that is closed when it says nothing in time, and that knows whose it is.

    Overrides public methods of aiohttp; reads two private members, of which a test notices when they change.
    """

    __slots__ = ("_connections", "_head_timer", "access_key")

    def __init__(self, connections: Connections, manager: web.Server, **kwargs: Any) -> None:
        super().__init__(manager, **kwargs)
        self._connections = connections
        self._head_timer: asyncio.TimerHandle | None = None
        self.access_key = ""
        """That signed the last request; empty: a stranger."""

    @property
    def idle(self) -> bool:
        """Whether it waits for a request."""
        return self._waiter is not None

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        _short_keepalive(transport)
        limits = self._connections.limits
        self._head_timer = asyncio.get_running_loop().call_later(limits.head_timeout_s, self._head_due)
        self._connections.arrived(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        self._connections.left(self)
        super().connection_lost(exc)

    def _head_due(self) -> None:
        self._head_timer = None
        if not self._request_count:
            self.abort()


def _short_keepalive(transport: asyncio.BaseTransport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):
        for name, value in _TCP:
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


def trust(request: web.BaseRequest, access_key: str) -> None:
    """Tells the server that a request was let in (errors as `Connections.trust`)."""
    handler = cast(object, request.protocol)
    if isinstance(handler, GuardedHandler):
        handler._connections.trust(handler, access_key)
