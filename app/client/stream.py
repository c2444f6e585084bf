"""Runs over the execute websocket. One connection is one run."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING

from ..model.console import ExecuteRequest, Frame, RunStatus
from ..model.errors import BadRequest, RemoteError, Unreachable
from .address import segment, told
from .transport import UNAUTHORIZED, USER_AGENT, Transport

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection, connect
    from websockets.exceptions import ConnectionClosed

MAX_FRAME_BYTES = 64 * 2**20
"""The manager allows 16 MiB; a frame may carry a picture."""
_PING_EVERY_S = 30.0
_CLOSE_WITHIN_S = 2.0
_LEAVE_WITHIN_S = 0.3
"""For the farewell when a run is left before its end: whoever leaves is in a hurry, and the server may not listen."""


class WebsocketRun:
    """An open run. Iterate it for frames until one is `finished`; the iteration ends by itself then."""

    def __init__(self, socket_: ClientConnection, url: str) -> None:
        self._socket = socket_
        self._url = url
        self.over = False
        """The run has ended, or the connection has."""

    async def __aiter__(self) -> AsyncIterator[Frame]:
        """Yields frames, `finished` last.

        Raises:
            Unreachable: the connection was lost before the run ended: how it ended is not known.
            RemoteError: the server gave up the run and says why.
        """
        while True:
            try:
                frame = Frame.parse(await receive(self._socket, self._url, "the run"))
            except BadRequest as exc:
                raise RemoteError(f"{self._url}: {exc.message}", http_status=0) from None
            self.over = frame.status in (RunStatus.FINISHED, RunStatus.ERROR)
            if frame.status is RunStatus.ERROR:
                raise RemoteError(frame.message or f"{self._url} gave up the run without a reason", http_status=0)
            yield frame
            if self.over:
                return

    async def send_input(self, text: str) -> None:
        """Answers a `waiting-input` frame.

        Raises:
            Unreachable: the connection was lost.
        """
        await send(self._socket, self._url, text)


async def receive(connection: ClientConnection, url: str, what: str) -> str | bytes:
    """Returns the next message.

    Raises:
        Unreachable: the connection was lost before `what` ended.
    """
    from websockets.exceptions import ConnectionClosed

    try:
        return await connection.recv()
    except ConnectionClosed as exc:
        raise lost(exc, url, what) from None


def lost(exc: ConnectionClosed, url: str, what: str) -> Unreachable:
    """Returns what to raise for a connection that was closed before `what` ended."""
    reason = f" ({exc.rcvd.reason})" if exc.rcvd is not None and exc.rcvd.reason else ""
    return Unreachable(f"connection lost: {url} went away before {what} ended{reason}")


async def send(connection: ClientConnection, url: str, text: str) -> None:
    """Sends a message.

    Raises:
        Unreachable: the connection was lost.
    """
    from websockets.exceptions import ConnectionClosed

    try:
        await connection.send(text)
    except ConnectionClosed:
        raise Unreachable(f"connection lost: {url} went away before the input was sent") from None


async def _connector(transport: Transport, target: str, max_queue: int) -> connect:
    from websockets.asyncio.client import connect

    address = transport.address
    signed = await transport.headers("GET", target, None)
    # websockets writes these two itself; its Host is the same as ours.
    headers = [(name, value) for name, value in signed if name not in ("Host", "User-Agent")]
    return connect(
        address.websocket_url(target),
        additional_headers=headers,
        user_agent_header=USER_AGENT,
        compression=None,  # what travels is local or already small; deflate costs more than it saves
        proxy=None if address.is_loopback else True,
        ssl=(transport.tls() or True) if address.secure else None,
        open_timeout=max(30.0, transport.endpoint.connect_timeout_s),
        ping_interval=_PING_EVERY_S,
        # Whoever reads slowly stops the reading of pongs as well: only TCP may find the connection dead.
        ping_timeout=None,
        close_timeout=_CLOSE_WITHIN_S,
        max_size=MAX_FRAME_BYTES,
        max_queue=max_queue,
    )


def _keep_alive(connection: ClientConnection) -> None:
    """Lets TCP notice within minutes that the other machine is gone."""
    sock = connection.transport.get_extra_info("socket")
    if sock is None:
        return
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 6)):
            if hasattr(socket, name):
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)


async def open_socket(
    transport: Transport, path: str, query: Iterable[tuple[str, str]] = (), *, max_queue: int = 16
) -> ClientConnection:
    """Returns a signed websocket, open; to be closed by the caller.

    Args:
        max_queue: frames that are read ahead.

    Raises:
        RemoteError: the server refused; the class of its error.
        Unreachable: no websocket could be opened.
    """
    target = transport.address.target(path, query)
    used = transport.endpoint.secret_key
    connector = await _connector(transport, target, max_queue)
    from websockets.exceptions import InvalidHandshake, InvalidMessage, InvalidStatus, WebSocketException

    try:
        try:
            connection = await connector
        except InvalidStatus as exc:
            if exc.response.status_code != UNAUTHORIZED or not await transport.renew(used):
                raise
            connection = await (await _connector(transport, target, max_queue))
    except InvalidStatus as exc:
        answer = exc.response
        kind = answer.headers.get("Content-Type", "")
        raise transport.error(answer.status_code, answer.reason_phrase, bytes(answer.body or b""), kind) from None
    except TimeoutError:
        raise Unreachable(f"{transport.url} did not open the stream in time: is the server well?") from None
    except (InvalidHandshake, InvalidMessage, WebSocketException) as exc:
        raise Unreachable(f"{transport.url} did not open a websocket: {exc}") from None
    except OSError as exc:
        raise Unreachable(f"{transport.url} does not answer: {told(exc)}") from None
    _keep_alive(connection)
    return connection


async def close_early(connection: ClientConnection) -> None:
    """Closes a stream before its end."""
    connection.close_timeout = _LEAVE_WITHIN_S
    await connection.close()


@contextlib.asynccontextmanager
async def execute(transport: Transport, ref: str, request: ExecuteRequest) -> AsyncIterator[WebsocketRun]:
    """Opens a run and gives its stream. Leaving the context closes the socket.

    Raises:
        RemoteError, Unreachable: see `open_socket`.
    """
    connection = await open_socket(transport, f"/stream/session/{segment(ref)}/execute")
    run = WebsocketRun(connection, transport.url)
    try:
        await run.send_input(request.dump())
        yield run
    finally:
        await (connection.close() if run.over else close_early(connection))
