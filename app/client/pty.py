"""The terminal of a session: over the pty websocket, or on a cluster as its app `ttyd`."""

from __future__ import annotations

import base64
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from ..model.errors import Unreachable
from .address import segment
from .cluster import is_cluster
from .stream import close_early, lost, open_socket, send
from .transport import Transport

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

_RECEIVE_BUFFER_BYTES: Final = 32 << 10
"""What lies in it is shown before the answer to a key: little of it, so that ctrl+c ends a flood at once."""
_QUEUED_FRAMES: Final = 2
CHARS_BYTES: Final = 64 << 10
"""Of input in one frame."""


@dataclass(frozen=True, slots=True)
class PtyNotice:
    """What a server says of a terminal beside its output."""

    text: str
    """For the user."""
    exit_code: int | None = None
    """Of the shell, which has ended: `restart` starts another. None = it has not, or the server does not tell."""
    ended: bool = False
    """The session has ended; nothing comes after this."""


class Pty:
    """An open terminal. Iterate it for output and notices; the iteration ends with the session."""

    def __init__(self, connection: ClientConnection, url: str) -> None:
        self._connection = connection
        self._url = url

    async def __aiter__(self) -> AsyncIterator[bytes | PtyNotice]:
        """Yields output as bytes, and what else there is to say. Whoever reads slowly slows the shell.

        Raises:
            Unreachable: the connection was lost, or the server speaks of something else.
        """
        from websockets.exceptions import ConnectionClosed
        from websockets.frames import CloseCode

        while True:
            try:
                message = await self._connection.recv()
            except ConnectionClosed as exc:
                if exc.rcvd is not None and exc.rcvd.code == CloseCode.NORMAL_CLOSURE:
                    return
                raise lost(exc, self._url, "the terminal") from None
            told = _parsed(message, self._url)
            if told.get("type") == "out":
                yield _decoded(told.get("data"), self._url)
            elif told.get("type") == "error":
                code = told.get("exitCode")
                ended = told.get("ended") is True
                yield PtyNotice(str(told.get("data") or ""), code if isinstance(code, int) else None, ended)
                if ended:
                    return

    async def type(self, data: bytes | str) -> None:
        """Types: text as UTF-8. Waits while the server takes nothing.

        Raises:
            Unreachable: the connection was lost; so in the other methods.
        """
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        for first in range(0, len(raw), CHARS_BYTES):
            chars = base64.b64encode(raw[first : first + CHARS_BYTES]).decode("ascii")
            await self._send(type="stdin", chars=chars)

    async def resize(self, rows: int, cols: int) -> None:
        """Tells the size of the screen."""
        await self._send(type="resize", rows=max(rows, 1), cols=max(cols, 1))

    async def ping(self) -> None:
        """Keeps the session from idling."""
        await self._send(type="ping")

    async def restart(self) -> None:
        """Ends the shell, where there is one, and starts another."""
        await self._send(type="restart")

    async def _send(self, **frame: Any) -> None:
        await send(self._connection, self._url, json.dumps(frame))


def _parsed(message: str | bytes, url: str) -> Mapping[str, Any]:
    # managers send JSON in binary frames, and document text frames
    try:
        told = json.loads(message)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, Mapping):
        raise Unreachable(f"{url} sent a part of a terminal that cannot be read")
    return told


def _decoded(data: object, url: str) -> bytes:
    try:
        return base64.b64decode(data if isinstance(data, str) else "?", validate=True)
    except ValueError:
        raise Unreachable(f"{url} sent output of a terminal that cannot be read") from None


@contextlib.asynccontextmanager
async def attach(transport: Transport, ref: str) -> AsyncIterator[Pty]:
    """Opens the terminal of a session. Leaving the context closes the connection; the shell goes on.

    Raises:
        RemoteError, Unreachable: see `open_socket`.
    """
    if is_cluster(await transport.info()):
        from . import ttyd

        if await ttyd.offers(transport, ref):
            async with ttyd.attach(transport, ref) as terminal:
                yield terminal
            return
    connection = await open_socket(transport, f"/stream/session/{segment(ref)}/pty", max_queue=_QUEUED_FRAMES)
    frugal(connection)
    try:
        yield Pty(connection, transport.url)
    finally:
        await close_early(connection)


def frugal(connection: ClientConnection) -> None:
    """Lets little lie in the buffers on the way here: what does is shown before the answer to a key."""
    sock = connection.transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
