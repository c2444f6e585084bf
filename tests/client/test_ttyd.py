"""The terminal of a cluster's session: ttyd's websocket inside that of the manager's proxy for apps."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.client.api import ApiClient
from bai_tui.app.client.pty import PtyNotice
from bai_tui.app.client.ttyd import TtydPty
from bai_tui.app.model.errors import Unreachable
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from .conftest import FakeServer, problem

SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"
APPS = f"GET /stream/session/{SID}/apps"
PROXY = f"GET /stream/session/{SID}/tcpproxy"
TTYD = [{"name": "sshd", "protocol": "tcp", "ports": [2200]}, {"name": "ttyd", "protocol": "http", "ports": [7681]}]

Proxy = Callable[[web.Request], Awaitable[web.StreamResponse]]


def ttyd(received: list[bytes], *, piece: int = 1 << 16) -> Proxy:
    """Returns a proxy with a ttyd behind it.

    Args:
        piece: bytes at once, as they come from a socket.
    """

    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.query["app"] == "ttyd"
        outer = web.WebSocketResponse()
        await outer.prepare(request)
        inner = ServerProtocol(subprotocols=[Subprotocol("tty")])

        async def flush() -> None:
            for data in inner.data_to_send():
                for first in range(0, len(data), piece):
                    await outer.send_bytes(data[first : first + piece])

        async for message in outer:
            inner.receive_data(message.data)
            for event in inner.events_received():
                if isinstance(event, Request):
                    assert event.path == "/ws"
                    inner.send_response(inner.accept(event))
                    assert inner.subprotocol == "tty"
                    inner.send_binary(b"1a title")
                    inner.send_binary(b"2{}")
                    inner.send_ping(b"")
                elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                    received.append(bytes(event.data))
                    typed = bytes(event.data)[1:]
                    if event.data[:1] == b"0":
                        inner.send_binary(b"0" + typed[:1], fin=False)
                        inner.send_continuation(typed[1:], fin=True)
                    if typed in (b"exit\r", b"fail\r"):
                        inner.send_close(1000 if typed == b"exit\r" else 1011)
            await flush()
            if received and received[-1] == b"0lost\r":
                break
        await outer.close()
        return outer

    return handler


async def until(pieces: Any, wanted: bytes) -> bytes:
    got = b""
    while wanted not in got:
        piece = await anext(pieces)
        assert isinstance(piece, bytes)
        got += piece
    return got


@pytest.mark.parametrize("piece", [1 << 16, 1])
async def test_a_terminal_of_a_cluster_is_that_of_ttyd(client: ApiClient, server: FakeServer, piece: int) -> None:
    received: list[bytes] = []
    server.answers |= {APPS: TTYD, PROXY: ttyd(received, piece=piece)}
    async with asyncio.timeout(20), client.pty(SID) as pty:
        pieces = aiter(pty)
        await pty.resize(30, 100)
        await pty.type("größer\r")
        assert await until(pieces, b"\r") == "größer\r".encode(), "neither its title nor its settings"
        await pty.ping()
        await pty.type(b"x" * 150_000 + b"\r")
        assert len(await until(pieces, b"\r")) == 150_001
    hello, size, *typed = received
    assert json.loads(hello) == {"AuthToken": "", "columns": 80, "rows": 24}
    assert size[:1] == b"1" and json.loads(size[1:]) == {"columns": 100, "rows": 30}
    assert typed[0] == b"0" + "größer\r".encode()


@pytest.mark.parametrize(("word", "code"), [("exit\r", 0), ("fail\r", 1)])
async def test_after_the_end_of_a_shell_another_may_be_started(
    client: ApiClient, server: FakeServer, word: str, code: int
) -> None:
    received: list[bytes] = []
    server.answers |= {APPS: TTYD, PROXY: ttyd(received)}
    async with asyncio.timeout(20), client.pty(SID) as pty:
        pieces = aiter(pty)
        await pty.resize(5, 6)
        await pty.type(word)
        await until(pieces, b"\r")
        assert await anext(pieces) == PtyNotice("the shell has ended", code)
        await pty.type("into nothing\r")
        await pty.restart()
        answer = asyncio.create_task(until(pieces, b"more\r"))
        while sum(message.startswith(b"{") for message in received) < 2:
            await asyncio.sleep(0)
        await pty.type("more\r")
        assert await answer == b"more\r"
    assert json.loads(received[-2]) == {"AuthToken": "", "columns": 6, "rows": 5}, "of the size that it had"


async def test_a_lost_proxy_is_said_to_be_lost(client: ApiClient, server: FakeServer) -> None:
    server.answers |= {APPS: TTYD, PROXY: ttyd([])}
    async with asyncio.timeout(20), client.pty(SID) as pty:
        pieces = aiter(pty)
        await pty.type("lost\r")
        with pytest.raises(Unreachable, match="went away before the terminal ended"):
            await until(pieces, b"never")


async def test_what_answers_behind_the_proxy_may_be_no_terminal(client: ApiClient, server: FakeServer) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        outer = web.WebSocketResponse()
        await outer.prepare(request)
        await outer.receive()
        await outer.send_bytes(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
        await outer.close()
        return outer

    server.answers |= {APPS: TTYD, PROXY: handler}
    with pytest.raises(Unreachable, match="has no terminal for this session"):
        async with asyncio.timeout(20), client.pty(SID):
            pass


@pytest.mark.parametrize("apps", [[], [{"name": "sshd"}], problem])
async def test_without_that_app_the_pty_websocket_is_tried(client: ApiClient, server: FakeServer, apps: Any) -> None:
    async def refused(request: web.Request) -> web.Response:
        return problem(501, "not-implemented", "no apps here")

    async def shell(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json({"type": "out", "data": base64.b64encode(b"$ ").decode()})
        await socket.receive()
        return socket

    server.answers |= {APPS: refused if apps is problem else apps, f"GET /stream/session/{SID}/pty": shell}
    async with asyncio.timeout(20), client.pty(SID) as pty:
        assert not isinstance(pty, TtydPty)
        assert await anext(aiter(pty)) == b"$ "
