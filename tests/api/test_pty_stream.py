"""The terminal over a websocket, as the public API has it: a kernel's shell is played by a fake."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import aiohttp
import pytest
from aiohttp import WSCloseCode, WSMsgType
from bai_tui.tests.waiting import until

from .conftest import Api


def open_pty(api: Api, ref: str, **options: Any) -> Any:
    target = f"/stream/session/{ref}/pty"
    return api.session.ws_connect(api.base + target, headers=api.headers("GET", target, None), **options)


def stdin(data: bytes) -> dict[str, str]:
    return {"type": "stdin", "chars": base64.b64encode(data).decode()}


async def output(ws: Any, wanted: bytes) -> bytes:
    """Returns what came up to `wanted`."""
    got = b""
    while wanted not in got:
        message = await ws.receive(timeout=10)
        # as a manager does, whatever its documents say
        assert message.type is WSMsgType.BINARY, message
        told = json.loads(message.data)
        assert told.keys() == {"type", "data"} and told["type"] == "out"
        got += base64.b64decode(told["data"])
    return got


async def error(ws: Any) -> dict[str, Any]:
    message = await ws.receive(timeout=10)
    assert message.type is WSMsgType.TEXT, message
    told = json.loads(message.data)
    assert told["type"] == "error"
    return dict(told)


async def test_what_is_typed_and_what_is_shown(api: Api, service: Any) -> None:
    sid = await api.create()
    async with open_pty(api, "sess-01") as ws:
        assert await output(ws, b"$ ") == b"$ "
        await ws.send_json(stdin("größe\x03\x00".encode()))
        assert await output(ws, b"\x00") == "größe\x03\x00".encode().upper()
        await ws.send_json({"type": "resize", "rows": 30, "cols": 100})
        await ws.send_json({"type": "ping"})
        await ws.send_bytes(json.dumps(stdin(b"bin")).encode())
        await output(ws, b"BIN")
        (terminal,) = service.terminals
        assert terminal.sizes == [(30, 100)] and terminal.kept_awake == 1
        await ws.send_json(stdin(b"exit 7"))
        await output(ws, b"EXIT 7")
        told = await error(ws)
        assert told["exitCode"] == 7 and "7" in told["data"]
        await ws.send_json({"type": "restart"})
        await output(ws, b"$ ")
        assert terminal.restarts == 1
        terminal.refusal = "there is no shell"
        await ws.send_json({"type": "restart"})
        assert (await error(ws))["data"] == "there is no shell"
        terminal.end()
        assert (await error(ws))["ended"] is True
        assert (await ws.receive(timeout=10)).type is WSMsgType.CLOSE
        assert ws.close_code == WSCloseCode.OK
    await until(lambda: terminal.is_closed)
    assert (await api.send("GET", f"/session/{sid}")).status == 200


async def test_much_that_is_typed_is_handed_on_in_parts(api: Api, service: Any) -> None:
    ref = await api.create()
    async with open_pty(api, ref) as ws:
        await ws.send_json(stdin(b"x" * 100_000 + b"!"))
        await output(ws, b"!")
    assert service.terminals[0].typed == b"x" * 100_000 + b"!"


@pytest.mark.parametrize(
    "said",
    [
        "x", "[]", "{}", '{"type": "stdin"}', '{"type": "stdin", "chars": "%%%"}', '{"type": "stdin", "chars": 1}',
        '{"type": "resize"}', '{"type": "resize", "rows": 0, "cols": 80}', '{"type": "resize", "rows": 1e9, "cols": 1}',
        '{"type": "resize", "rows": 24, "cols": 1001}', '{"type": "resize", "rows": true, "cols": 1}',
        '{"type": "dance"}', "[" * 100_000, b"\xff\xfe",
    ],
)  # fmt: skip
async def test_what_is_no_frame_ends_the_stream_and_nothing_else(api: Api, service: Any, said: Any) -> None:
    sid = await api.create()
    async with open_pty(api, sid) as ws:
        await output(ws, b"$ ")
        await (ws.send_str(said) if isinstance(said, str) else ws.send_bytes(said))
        assert (await ws.receive(timeout=10)).type is WSMsgType.CLOSE
        assert ws.close_code == WSCloseCode.POLICY_VIOLATION
    await until(lambda: service.terminals[0].is_closed)
    assert service.terminals[0].typed == b""
    assert (await api.send("GET", f"/session/{sid}")).status == 200


async def test_refusals_are_answers_to_the_handshake(api: Api, service: Any) -> None:
    waiting = await api.create("waits", enqueueOnly=True)
    for ref, status in (("nobody", 404), (waiting, 400)):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await open_pty(api, ref)
        assert refused.value.status == status
    answer = await api.send("GET", f"/stream/session/{await api.create()}/pty")
    assert answer.status == 400 and "websocket" in answer.json["msg"]
    assert service.terminals == []


async def test_the_stop_of_the_backend_is_told_as_such(api: Api, runner: Any, service: Any) -> None:
    ref = await api.create()
    async with open_pty(api, ref) as ws:
        await output(ws, b"$ ")
        stopping = asyncio.ensure_future(runner.cleanup())
        assert (await ws.receive(timeout=10)).type is WSMsgType.CLOSE
        assert ws.close_code == WSCloseCode.GOING_AWAY
        await stopping
    await until(lambda: service.terminals[0].is_closed)
