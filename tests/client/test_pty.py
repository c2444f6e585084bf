"""The terminal's websocket, as managers speak it and as our backend does."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from bai_tui.app.client.api import ApiClient
from bai_tui.app.client.pty import PtyNotice
from bai_tui.app.model.errors import NotFound, Unreachable

from .conftest import FakeServer, problem

SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"
PTY = f"GET /stream/session/{SID}/pty"


def out(data: bytes) -> dict[str, str]:
    return {"type": "out", "data": base64.b64encode(data).decode()}


def shell(received: list[Any], *, closes: bool = True) -> Any:
    """Returns a handler that answers stdin: BINARY and TEXT frames in turn."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert "Sec-WebSocket-Extensions" not in request.headers
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_bytes(json.dumps(out(b"$ ")).encode())
        async for message in socket:
            assert message.type is WSMsgType.TEXT
            told = json.loads(message.data)
            received.append(told)
            if told["type"] == "restart":
                await socket.send_json({"type": "error", "data": "not now"})
            if told["type"] != "stdin":
                continue
            typed = base64.b64decode(told["chars"])
            await socket.send_str(json.dumps(out(typed)))
            if typed == b"exit\n":
                await socket.send_json({"type": "error", "data": "ended", "exitCode": 3})
            elif typed == b"end\n":
                await socket.send_json({"type": "error", "data": "over", "ended": True})
            elif typed == b"close\n":
                break
        if not closes:
            assert request.transport is not None
            request.transport.abort()
        await socket.close()
        return socket

    return handler


async def test_both_kinds_of_frames_are_read_and_everything_can_be_sent(client: ApiClient, server: FakeServer) -> None:
    received: list[Any] = []
    server.answers[PTY] = shell(received)
    got: list[bytes | PtyNotice] = []
    async with client.pty(SID) as pty:
        await pty.resize(30, 100)
        await pty.ping()
        await pty.type("größe\udcff")
        await pty.restart()
        await pty.type(b"exit\n")
        await pty.type(b"end\n")
        async for piece in pty:
            got.append(piece)
    assert got == [
        b"$ ",
        "größe".encode() + b"\xff",
        PtyNotice("not now"),
        b"exit\n",
        PtyNotice("ended", exit_code=3),
        b"end\n",
        PtyNotice("over", ended=True),
    ]
    assert received[:2] == [{"type": "resize", "rows": 30, "cols": 100}, {"type": "ping"}]


async def test_much_is_sent_in_frames_that_servers_take(client: ApiClient, server: FakeServer) -> None:
    received: list[Any] = []
    server.answers[PTY] = shell(received)
    async with client.pty(SID) as pty:
        await pty.type(b"x" * 200_000)
        await pty.type(b"close\n")
        total = b"".join([piece async for piece in pty if isinstance(piece, bytes)])
    assert total == b"$ " + b"x" * 200_000 + b"close\n"
    assert max(len(told["chars"]) for told in received) < 100_000


async def test_a_manager_that_closes_has_ended_it(client: ApiClient, server: FakeServer) -> None:
    server.answers[PTY] = shell([])
    async with client.pty(SID) as pty:
        await pty.type(b"close\n")
        assert [piece async for piece in pty] == [b"$ ", b"close\n"]


async def test_a_connection_that_breaks_is_a_loss(client: ApiClient, server: FakeServer) -> None:
    server.answers[PTY] = shell([], closes=False)
    async with client.pty(SID) as pty:
        await pty.type(b"close\n")
        with pytest.raises(Unreachable, match="connection lost"):
            async for _ in pty:
                pass
        with pytest.raises(Unreachable):
            await pty.type(b"x")


@pytest.mark.parametrize("said", ["x", "[]", '{"type": "out"}', '{"type": "out", "data": "%"}', b"\xff"])
async def test_what_cannot_be_read_is_a_loss(client: ApiClient, server: FakeServer, said: Any) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await (socket.send_str(said) if isinstance(said, str) else socket.send_bytes(said))
        await socket.receive()
        return socket

    server.answers[PTY] = handler
    async with client.pty(SID) as pty:
        with pytest.raises(Unreachable, match="cannot be read"):
            async for _ in pty:
                pass


async def test_frames_of_later_servers_are_passed_over(client: ApiClient, server: FakeServer) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "sparkles"})
        await socket.send_json(out(b"x"))
        await socket.close()
        return socket

    server.answers[PTY] = handler
    async with client.pty(SID) as pty:
        assert [piece async for piece in pty] == [b"x"]


async def test_a_refusal_is_the_servers_own(client: ApiClient, server: FakeServer) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        return problem(404, "session-not-found", "No such session.", error_code="session_read_not-found", msg="gone")

    server.answers[PTY] = handler
    with pytest.raises(NotFound):
        async with client.pty(SID):
            pass
