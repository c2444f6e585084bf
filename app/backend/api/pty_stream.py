"""GET /stream/session/{ref}/pty: a client of the session's terminal.

Two tasks share it: one sends what the shell writes, one takes what is typed. Little is on its way at any time, so that
what is typed takes effect on the screen at once, whatever is written; who reads slowly has the shell wait, and who does
not read at all is left behind.
"""

from __future__ import annotations

import base64
import json
import logging
import socket
from contextlib import aclosing
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from ...model.errors import BadRequest, BaiTuiError
from ...model.sessions import Session
from ..ports import SessionTerminal
from .context import caller_of, context_of
from .problems import unexpected
from .sockets import GONE, until_first

log = logging.getLogger(__name__)

MAX_FRAME_BYTES: Final = 1 << 20
_TYPED_BYTES: Final = 32 << 10
"""Of input that are handed on at once."""
_SEND_BUFFER_BYTES: Final = 16 << 10
MAX_SIZE: Final = 1000
"""Rows or columns."""


async def attach(request: web.Request) -> web.WebSocketResponse:
    """Serves one client until it leaves, or until the session has ended."""
    context, caller = context_of(request), caller_of(request)
    session = await context.service.get(caller, request.match_info["ref"])
    ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_FRAME_BYTES, timeout=2.0)
    if not ws.can_prepare(request):
        raise BadRequest("a terminal is a websocket: ask for one")
    # refused as a handshake answer where there is no terminal to be had: clients then show the status
    async with context.service.terminal(caller, session.id) as terminal:
        _hold_little(request)
        await ws.prepare(request)
        context.sockets.add(ws)
        try:
            await _attend(ws, terminal, session)
        except ConnectionError:
            log.info("a client of the terminal of session %s was lost", session.id)
        except Exception as exc:
            what = exc.message if isinstance(exc, BaiTuiError) else unexpected(exc, f"the terminal of {session.id}")
            await _say(ws, what)
            await ws.close(code=WSCloseCode.INTERNAL_ERROR)
        finally:
            context.sockets.discard(ws)
            if not ws.closed:
                await ws.close()
    return ws


def _hold_little(request: web.Request) -> None:
    """Lets little lie in the buffers of the connection: all of it is shown before the effect of a key."""
    if request.transport is None:
        return
    request.transport.set_write_buffer_limits(high=_SEND_BUFFER_BYTES)
    if (sock := request.transport.get_extra_info("socket")) is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)


async def _attend(ws: web.WebSocketResponse, terminal: SessionTerminal, session: Session) -> None:
    await until_first(
        {f"terminal of {session.id}": _send(ws, terminal, session), f"keys for {session.id}": _listen(ws, terminal)}
    )


async def _send(ws: web.WebSocketResponse, terminal: SessionTerminal, session: Session) -> None:
    async with aclosing(terminal.news()) as news:
        async for piece in news:
            if piece.exit_code is None:
                # as managers do: JSON in a binary frame
                frame = b'{"type": "out", "data": "%s"}' % piece.output.encode("ascii")
                await ws.send_frame(frame, WSMsgType.BINARY)
            else:
                await _say(ws, f"the shell has ended with exit code {piece.exit_code}", exitCode=piece.exit_code)
    await _say(ws, f"the session {session.name} has ended", ended=True)


async def _say(ws: web.WebSocketResponse, text: str, **more: Any) -> None:
    if not ws.closed:
        try:
            await ws.send_json({"type": "error", "data": text, **more})
        except ConnectionError:
            log.debug("nobody is there any more to be told of a failure")


async def _listen(ws: web.WebSocketResponse, terminal: SessionTerminal) -> None:
    """Obeys the client's frames; returns when it has gone."""
    while True:
        message = await ws.receive()
        if message.type in GONE:
            return
        try:
            told = json.loads(message.data) if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) else None
            await _obey(ws, terminal, told if isinstance(told, dict) else {})
        except (ValueError, RecursionError):
            wanted = '{"type": "stdin", "chars": BASE64} or {"type": "resize", "rows": N, "cols": N} or ping or restart'
            await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=f"a terminal takes {wanted}".encode())
            return


async def _obey(ws: web.WebSocketResponse, terminal: SessionTerminal, told: dict[str, Any]) -> None:
    """Does what a frame says.

    Raises:
        ValueError: it is none.
    """
    match told.get("type"):
        case "stdin":
            chars = told.get("chars")
            if not isinstance(chars, str):
                raise ValueError("no chars")
            data = base64.b64decode(chars, validate=True)
            for first in range(0, len(data), _TYPED_BYTES):
                await terminal.type(data[first : first + _TYPED_BYTES])
        case "resize":
            await terminal.resize(_size(told.get("rows")), _size(told.get("cols")))
        case "ping":
            terminal.keep()
        case "restart":
            try:
                await terminal.restart()
            except BaiTuiError as exc:
                await _say(ws, exc.message)
        case _:
            raise ValueError("no such frame")


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MAX_SIZE:
        raise ValueError("no size of a screen")
    return value
