"""HTTP/1.1 over asyncio streams: keep-alive, TLS, streamed bodies.

Why not httpx for every request: importing it stands on the way of every command and of the first painted list
(measured beside asyncio, bytecode cached, best of 12: 0.12 s more with httpx, 0.01 s more with h11). httpx carries
the requests that go through a proxy, see `proxied.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import h11

from ..model.errors import Unreachable
from .address import Address, told

Headers = Sequence[tuple[str, str]]
_CHUNK_BYTES = 256 * 1024
_IDLE_CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class HttpRequest:
    method: str
    target: str
    headers: Callable[[], Headers]
    """Makes them for each attempt: a signature is good for one."""
    body: bytes | AsyncIterator[bytes] = b""
    """An iterator needs a Content-Length header whose length it keeps."""
    idempotent: bool = False
    """May be sent once more when a kept connection turns out to be closed."""
    timeout_s: float | None = 60.0
    """For the beginning of the answer and for each silence within it; None = no limit."""


class HttpResponse(Protocol):
    status: int
    reason: str
    headers: dict[str, str]
    """Lower-case names."""

    def chunks(self) -> AsyncIterator[bytes]: ...


class Http(Protocol):
    """Sends requests. Errors of the network are `Unreachable`."""

    def send(self, request: HttpRequest) -> contextlib.AbstractAsyncContextManager[HttpResponse]: ...

    async def close(self) -> None: ...


class _Stale(Exception):
    """A kept connection was closed by the server before it answered."""


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.protocol = h11.Connection(h11.CLIENT)
        self._answered = False
        """Something came back since the last request."""

    @property
    def usable(self) -> bool:
        return not self.reader.at_eof() and not self.writer.is_closing()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def write(self, request: HttpRequest) -> None:
        self._answered = False
        # A server may answer (413, 401) and close while the body is still on its way: its answer is worth more
        # than the broken pipe.
        with contextlib.suppress(ConnectionError):
            head = h11.Request(method=request.method, target=request.target, headers=list(request.headers()))
            first = self.protocol.send(head) or b""
            if isinstance(request.body, bytes):
                if request.body:
                    first += self.protocol.send(h11.Data(request.body)) or b""
                self.writer.write(first + (self.protocol.send(h11.EndOfMessage()) or b""))
                await self.writer.drain()
                return
            self.writer.write(first)
            async for piece in request.body:
                self.writer.write(self.protocol.send(h11.Data(piece)) or b"")
                await self.writer.drain()
            self.writer.write(self.protocol.send(h11.EndOfMessage()) or b"")
            await self.writer.drain()

    async def event(self, timeout_s: float | None) -> h11.Event:
        while True:
            event = self.protocol.next_event()
            if event is h11.PAUSED:
                raise h11.RemoteProtocolError("the server changed the protocol")
            if not isinstance(event, type):
                return event
            async with asyncio.timeout(timeout_s):
                data = await self.reader.read(_CHUNK_BYTES)
            if not data and not self._answered:
                raise _Stale
            self._answered = True
            self.protocol.receive_data(data)


class _DirectResponse:
    def __init__(self, connection: _Connection, head: h11.Response, timeout_s: float | None) -> None:
        self._connection = connection
        self._timeout_s = timeout_s
        self.status = head.status_code
        self.reason = head.reason.decode("latin-1")
        self.headers = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
        self.complete = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yields the body as it comes; a body cut short raises."""
        while True:
            event = await self._connection.event(self._timeout_s)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.complete = True
                return
            else:
                raise h11.RemoteProtocolError("the connection was closed within the answer")


class DirectHttp:
    """Connects to one address, keeping a few idle connections."""

    def __init__(
        self, address: Address, *, url: str, connect_timeout_s: float, tls: ssl.SSLContext | None = None
    ) -> None:
        self._address = address
        self._url = url
        self._connect_timeout_s = connect_timeout_s
        self._tls = tls
        self._idle: list[_Connection] = []

    async def _connect(self) -> _Connection:
        address = self._address
        tls = self._tls
        if address.secure and tls is None:
            # Reading the certificates of the system takes tens of milliseconds: once, and not in the event loop.
            tls = self._tls = await asyncio.to_thread(ssl.create_default_context)
        async with asyncio.timeout(self._connect_timeout_s):
            reader, writer = await asyncio.open_connection(
                address.host, address.port, ssl=tls if address.secure else None, limit=_CHUNK_BYTES
            )
        return _Connection(reader, writer)

    @contextlib.asynccontextmanager
    async def send(self, request: HttpRequest) -> AsyncIterator[HttpResponse]:
        """Sends `request` and gives its answer. Cancelling closes the connection."""
        connection, response = await self._exchange(request)
        try:
            with self._told(request):
                yield response
        finally:
            self._let_go(connection, response)

    async def _exchange(self, request: HttpRequest) -> tuple[_Connection, _DirectResponse]:
        with self._told(request):
            while self._idle:
                kept = self._idle.pop()
                if not kept.usable:
                    kept.abort()
                    continue
                try:
                    return kept, await self._attempt(kept, request)
                except _Stale:
                    if not request.idempotent:
                        raise
            fresh = await self._connect()
            return fresh, await self._attempt(fresh, request)

    async def _attempt(self, connection: _Connection, request: HttpRequest) -> _DirectResponse:
        done = False
        try:
            await connection.write(request)
            event: h11.Event | None = None
            while not isinstance(event, h11.Response):
                event = await connection.event(request.timeout_s)
            done = True
            return _DirectResponse(connection, event, request.timeout_s)
        except ConnectionError:
            raise _Stale from None
        finally:
            if not done:
                connection.abort()

    def _let_go(self, connection: _Connection, response: _DirectResponse) -> None:
        protocol = connection.protocol
        if response.complete and protocol.our_state is h11.DONE and protocol.their_state is h11.DONE:
            protocol.start_next_cycle()
            if connection.usable and len(self._idle) < _IDLE_CONNECTIONS:
                self._idle.append(connection)
                return
        connection.abort()

    @contextlib.contextmanager
    def _told(self, request: HttpRequest) -> Iterator[None]:
        try:
            yield
        except TimeoutError:
            raise Unreachable(f"{self._url} did not answer in time: is the server well?") from None
        except _Stale:
            raise Unreachable(f"{self._url} closed the connection without an answer: is the server running?") from None
        except h11.LocalProtocolError as exc:
            raise Unreachable(f"{self._url} could not be sent the request {request.target}: {exc}") from None
        except h11.RemoteProtocolError as exc:
            raise Unreachable(f"{self._url} did not speak HTTP, or was cut off: {exc}") from None
        except ssl.SSLError as exc:
            raise Unreachable(f"{self._url} has no TLS that can be trusted: {exc.reason or exc}") from None
        except OSError as exc:
            raise Unreachable(f"{self._url} does not answer: {told(exc)}") from None

    async def close(self) -> None:
        """Closes the kept connections."""
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.writer.close()
        for connection in idle:
            with contextlib.suppress(OSError):
                await connection.writer.wait_closed()
