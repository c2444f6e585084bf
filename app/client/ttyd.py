"""The terminal of a session on a cluster: its app `ttyd`, reached through the proxy that the manager has for apps.

Managers still take the pty websocket, but no kernel of theirs has answered there for years. ttyd speaks a websocket of
its own, which travels as bytes in the one of the proxy.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final

from ..model.errors import RemoteError, Unreachable
from .address import segment
from .parsing import mapping
from .pty import CHARS_BYTES, Pty, PtyNotice, frugal
from .stream import MAX_FRAME_BYTES, close_early, open_socket, receive
from .transport import Transport

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection
    from websockets.client import ClientProtocol
    from websockets.frames import Frame

APP: Final = "ttyd"
_OUTPUT: Final = b"0"
_INPUT: Final = b"0"
_RESIZE: Final = b"1"
_QUEUED_FRAMES: Final = 2


async def offers(transport: Transport, ref: str) -> bool:
    """Returns whether a session has the app; False as well where the server does not tell of apps.

    Raises:
        Unreachable: the server does not answer.
    """
    try:
        apps = await transport.request("GET", f"/stream/session/{segment(ref)}/apps")
    except Unreachable:
        raise
    except RemoteError:
        return False
    return isinstance(apps, list) and any(mapping(app).get("name") == APP for app in apps)


class TtydPty(Pty):
    """A terminal in ttyd. Its shell runs in a tmux of the session, so that it survives a lost connection."""

    def __init__(self, transport: Transport, ref: str) -> None:
        self._transport = transport
        self._target = f"/stream/session/{segment(ref)}/tcpproxy"
        self._url = transport.url
        self._outer: ClientConnection | None = None
        self._inner: ClientProtocol | None = None
        self._frames: list[Frame] = []
        """Read, and not looked at yet."""
        self._size = (24, 80)
        self._wanted = asyncio.Event()
        """Another shell is."""

    async def open(self) -> None:
        """Connects, and so starts a shell where there is none.

        Raises:
            RemoteError, Unreachable: see `open_socket`.
        """
        from websockets.client import ClientProtocol
        from websockets.protocol import State
        from websockets.typing import Subprotocol
        from websockets.uri import parse_uri

        await self.close()
        self._frames.clear()
        self._outer = outer = await open_socket(self._transport, self._target, [("app", APP)], max_queue=_QUEUED_FRAMES)
        frugal(outer)
        self._inner = inner = ClientProtocol(
            parse_uri("ws://localhost/ws"), subprotocols=[Subprotocol("tty")], max_size=MAX_FRAME_BYTES
        )
        inner.send_request(inner.connect())
        await self._flush()
        while inner.state is State.CONNECTING:
            await self._read()
            if inner.handshake_exc is not None:
                raise Unreachable(f"{self._url} has no terminal for this session: {inner.handshake_exc}")
        rows, columns = self._size
        await self._say(json.dumps({"AuthToken": "", "columns": columns, "rows": rows}).encode())

    async def close(self) -> None:
        """Leaves; the shell goes on."""
        if self._outer is not None:
            await close_early(self._outer)

    async def __aiter__(self) -> AsyncIterator[bytes | PtyNotice]:
        """See `Pty`: yields output, and that the shell has ended."""
        from websockets.frames import CloseCode, Opcode
        from websockets.protocol import State

        told = b""  # of what kind the message is that frames go on with
        while True:
            while self._frames:
                frame = self._frames.pop(0)
                data = bytes(frame.data)
                if frame.opcode in (Opcode.BINARY, Opcode.TEXT):
                    told, data = data[:1], data[1:]
                elif frame.opcode is not Opcode.CONT:
                    continue
                if told == _OUTPUT and data:
                    yield data
            inner = self._inner
            assert inner is not None
            if inner.state is State.OPEN:
                await self._read()
            elif not self._frames:
                farewell = inner.close_rcvd
                code = 0 if farewell is not None and farewell.code == CloseCode.NORMAL_CLOSURE else 1
                await self.close()
                self._wanted.clear()
                yield PtyNotice("the shell has ended", code)
                await self._wanted.wait()
                await self.open()

    async def type(self, data: bytes | str) -> None:
        raw = data.encode("utf-8", "surrogateescape") if isinstance(data, str) else data
        for first in range(0, len(raw), CHARS_BYTES):
            await self._say(_INPUT + raw[first : first + CHARS_BYTES])

    async def resize(self, rows: int, cols: int) -> None:
        self._size = (max(rows, 1), max(cols, 1))
        await self._say(_RESIZE + json.dumps({"columns": self._size[1], "rows": self._size[0]}).encode())

    async def ping(self) -> None:
        if self._is_open():
            assert self._inner is not None
            self._inner.send_ping(b"")
            await self._flush()

    async def restart(self) -> None:
        """Starts another shell after one that has ended; one that runs goes on."""
        self._wanted.set()

    def _is_open(self) -> bool:
        from websockets.protocol import State

        return self._inner is not None and self._inner.state is State.OPEN

    async def _say(self, message: bytes) -> None:
        if self._is_open():  # else the shell has ended meanwhile
            assert self._inner is not None
            self._inner.send_binary(message)
            await self._flush()

    async def _read(self) -> None:
        """Takes what has come, and answers pings.

        Raises:
            Unreachable: the proxy closed the connection.
        """
        from websockets.frames import Frame

        assert self._outer is not None and self._inner is not None
        piece = await receive(self._outer, self._url, "the terminal")
        self._inner.receive_data(piece.encode() if isinstance(piece, str) else piece)
        self._frames += [event for event in self._inner.events_received() if isinstance(event, Frame)]
        await self._flush()

    async def _flush(self) -> None:
        assert self._outer is not None and self._inner is not None
        await self._send_all(self._inner.data_to_send())

    async def _send_all(self, pieces: Iterable[bytes]) -> None:
        from websockets.exceptions import ConnectionClosed

        assert self._outer is not None
        try:
            for piece in pieces:
                if piece:  # an empty one says that nothing follows, which the proxy cannot pass on
                    await self._outer.send(piece)
        except ConnectionClosed:
            raise Unreachable(f"connection lost: {self._url} went away before the input was sent") from None


@contextlib.asynccontextmanager
async def attach(transport: Transport, ref: str) -> AsyncIterator[TtydPty]:
    """Opens the terminal of a session; see `pty.attach`.

    Raises:
        RemoteError, Unreachable: see `open_socket`.
    """
    pty = TtydPty(transport, ref)
    try:
        await pty.open()
        yield pty
    finally:
        await pty.close()
