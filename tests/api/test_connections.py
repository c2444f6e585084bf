"""Raw sockets: slow senders, too many connections, requests that no client sends."""

from __future__ import annotations

import asyncio
import io
import socket
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from bai_tui.app.backend.api import ConnectionLimits, create_app, create_runner
from bai_tui.app.backend.api.body import MAX_JSON_BYTES
from bai_tui.app.backend.api.runner import ProblemRunner
from bai_tui.tests.api import fakes
from bai_tui.tests.api.conftest import Api

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HANDSHAKE = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@asynccontextmanager
async def served(service: Any, **limits: Any) -> AsyncIterator[tuple[Api, ProblemRunner]]:
    runner = create_runner(create_app(service, version="0"), limits=ConnectionLimits(**limits))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        async with aiohttp.ClientSession() as session:
            yield Api(session, f"http://127.0.0.1:{runner.addresses[0][1]}", fakes.USER), runner
    finally:
        await runner.cleanup()


async def connect(api: Api) -> Streams:
    return await asyncio.open_connection("127.0.0.1", int(api.host.rpartition(":")[2]))


async def ask(api: Api, raw: bytes) -> bytes:
    """Returns the status line and headers of an answer to raw bytes."""
    reader, writer = await connect(api)
    writer.write(raw)
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return head


def signed(api: Api, method: str, target: str, content_type: str | None = "application/json", extra: str = "") -> bytes:
    headers = api.headers(method, target, content_type)
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{method} {target} HTTP/1.1\r\nHost: {api.host}\r\n{lines}{extra}\r\n".encode()


async def trickle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, first: bytes, pause_s: float) -> None:
    """Writes byte after byte until the server closes."""
    closed = asyncio.ensure_future(ended(reader))
    writer.write(first)
    for _ in range(500):
        if (await asyncio.wait([closed], timeout=pause_s))[0]:
            break
        writer.write(b"x")
    assert closed.done()
    writer.close()


async def ended(reader: asyncio.StreamReader) -> bytes:
    """Returns all that comes until the server closes, or resets what it will not read."""
    gathered = b""
    try:
        async with asyncio.timeout(10):
            while piece := await reader.read(65536):
                gathered += piece
    except ConnectionResetError:
        pass
    return gathered


# --- slow


@pytest.mark.parametrize("sent", [b"", b"GET", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: "])
async def test_headers_that_do_not_come_close_the_connection(service: Any, sent: bytes) -> None:
    async with served(service, head_timeout_s=0.05) as (api, _):
        reader, writer = await connect(api)
        writer.write(sent)
        assert await ended(reader) == b""
        writer.close()
        assert (await api.send("GET", "/auth")).status == 200, "others are served"


async def test_headers_that_trickle_close_the_connection(service: Any) -> None:
    async with served(service, head_timeout_s=0.2) as (api, _):
        reader, writer = await connect(api)
        await trickle(reader, writer, b"GET / HTTP/1.1\r\n", 0.01)


async def test_the_second_request_is_not_waited_for_longer_because_bytes_come(service: Any) -> None:
    async with served(service, idle_timeout_s=0.2) as (api, _):
        reader, writer = await connect(api)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"}}")
        await trickle(reader, writer, b"G", 0.02)


async def test_an_idle_connection_is_closed(service: Any) -> None:
    async with served(service, idle_timeout_s=0.05) as (api, runner):
        reader, writer = await connect(api)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"}}")
        assert await ended(reader) == b""
        writer.close()
        assert len(runner.connections) == 0


async def test_a_body_that_does_not_come_is_answered_and_cut(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bai_tui.app.backend.api.body.BODY_TIMEOUT_S", 0.05)
    async with served(service, lingering_s=0.05) as (api, _):
        reader, writer = await connect(api)
        writer.write(signed(api, "POST", "/auth", extra="Content-Length: 100\r\n") + b'{"ec')
        answer = await ended(reader)
        writer.close()
    assert answer.startswith(b"HTTP/1.1 408 ") and b"request-timeout" in answer and b"0.05 seconds" in answer


async def test_a_body_of_a_stranger_is_not_waited_for(service: Any) -> None:
    async with served(service, lingering_s=0.05) as (api, _):
        reader, writer = await connect(api)
        writer.write(f"POST /session HTTP/1.1\r\nHost: {api.host}\r\nContent-Length: 100\r\n\r\n".encode())
        assert (await ended(reader)).startswith(b"HTTP/1.1 401 ")
        writer.close()


async def test_an_upload_that_trickles_is_cut(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bai_tui.app.backend.api.files.GRACE_S", 0.2)
    async with served(service, lingering_s=0.05) as (api, _):
        ref = await api.create()
        folder = await service.work_dir(fakes.USER, ref)
        reader, writer = await connect(api)
        kind = "multipart/form-data; boundary=B"
        writer.write(signed(api, "POST", f"/session/{ref}/upload", kind, "Transfer-Encoding: chunked\r\n"))
        part = b'--B\r\nContent-Disposition: form-data; name="src"; filename="a"\r\n\r\n'
        writer.write(b"%x\r\n%s\r\n" % (len(part), part))
        closed = asyncio.ensure_future(ended(reader))
        sent = 0
        while not closed.done():
            writer.write(b"1\r\nx\r\n")
            sent += 1
            await asyncio.wait([closed], timeout=0.01)
            assert sent < 500
        writer.close()
    assert closed.result().startswith(b"HTTP/1.1 408 ")
    assert list(folder.iterdir()) == []


# --- many


async def test_a_flood_of_strangers_does_not_keep_the_owner_out(service: Any) -> None:
    async with served(service, strangers=8) as (api, runner):
        ref = await api.create()
        async with api.execute(ref) as ws:
            flood = [await connect(api) for _ in range(40)]
            assert (await api.send("GET", "/auth")).status == 200
            assert len(runner.connections) <= 8 + 2
            ends = await asyncio.gather(*(ended(reader) for reader, _ in flood[:30]))
            assert set(ends) == {b""}, "the oldest were dropped"
            # what the owner has is left alone
            await ws.send_json({"mode": "query", "code": "say still here"})
            assert (await ws.receive_json())["console"] == [["stdout", "still here\n"]]
            for _, writer in flood:
                writer.close()


async def test_strangers_that_ask_for_the_handshake_stay_strangers(service: Any) -> None:
    async with served(service, strangers=4) as (api, runner):
        flood = []
        for _ in range(12):
            reader, writer = await connect(api)
            writer.write(HANDSHAKE)
            await reader.readuntil(b"}}")
            flood.append(writer)
        assert len(runner.connections) == 4
        assert (await api.send("GET", "/auth")).status == 200
        for writer in flood:
            writer.close()


async def test_a_wrong_signature_makes_nobody_known(service: Any) -> None:
    async with served(service, strangers=3) as (api, runner):
        writers = []
        for _ in range(9):
            reader, writer = await connect(api)
            writer.write(f"GET /auth HTTP/1.1\r\nHost: {api.host}\r\nAuthorization: BackendAI x\r\n\r\n".encode())
            await reader.readuntil(b"}")
            writers.append(writer)
        assert len(runner.connections) == 3
        for writer in writers:
            writer.close()


async def test_a_key_has_so_many_streams_and_others_are_served(service: Any) -> None:
    async with served(service, per_key=3) as (api, _):
        ref = await api.create()
        streams = [await api.execute(ref) for _ in range(2)]
        # the idle connection of `create` gives way to the third
        streams.append(await api.execute(ref))
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await api.execute(ref)
        assert refused.value.status == 429
        answer = await api.acting(fakes.OTHER).send("GET", "/auth")
        assert answer.status == 200
        for ws in streams:
            await ws.close()
        assert (await api.send("GET", "/auth")).status == 200
        assert (await api.execute(ref)).closed is False


async def test_too_many_in_all_close_what_is_idle(service: Any) -> None:
    async with served(service, total=4, strangers=3) as (api, runner):
        kept = []
        for _ in range(4):
            reader, writer = await connect(api)
            writer.write(signed(api, "GET", "/auth", None))
            await reader.readuntil(b'""}')
            kept.append((reader, writer))
        newest = await connect(api)
        newest[1].write(signed(api, "GET", "/auth", None))
        assert b"200 OK" in await newest[0].readuntil(b'""}')
        assert await ended(kept[0][0]) == b""
        assert len(runner.connections) == 4
        for _, writer in (*kept, newest):
            writer.close()


async def test_limits_leave_descriptors_to_the_sessions() -> None:
    few = ConnectionLimits.for_files(256)
    assert few.total == 64 and few.strangers < few.total
    assert ConnectionLimits.for_files(65536) == ConnectionLimits()


async def test_a_machine_that_is_gone_is_noticed_in_two_minutes(service: Any) -> None:
    async with served(service) as (api, runner):
        reader, writer = await connect(api)
        writer.write(HANDSHAKE)
        await reader.readuntil(b"}}")
        assert runner.server is not None
        (handler,) = runner.server.connections
        assert handler.transport is not None
        sock = handler.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        idle, every, times = (
            sock.getsockopt(socket.IPPROTO_TCP, option)
            for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
        )
        assert idle + every * times <= 120
        writer.close()


async def test_a_client_that_goes_away_in_the_middle_leaves_nothing(service: Any) -> None:
    async with served(service) as (api, runner):
        for sent in (b"GET", HANDSHAKE[:-2], signed(api, "POST", "/auth", extra="Content-Length: 9\r\n") + b"{"):
            _, writer = await connect(api)
            writer.write(sent)
            await writer.drain()
            writer.transport.abort()
        assert (await api.send("GET", "/auth")).status == 200
        assert len(runner.connections) <= 2


# --- large and odd


@pytest.mark.parametrize(
    "raw",
    [
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100) + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: 127.0.0.1\r\n\r\n",
        b"GET / HTTP/1.1\nHost: 127.0.0.1\n\n\x00\r\n\r\n",
    ],
    ids=["line", "header", "headers", "tls", "smuggled", "negative", "space", "version", "newlines"],
)
async def test_what_is_no_http_is_refused_with_a_problem(service: Any, raw: bytes) -> None:
    async with served(service, head_timeout_s=0.3) as (api, _):
        reader, writer = await connect(api)
        writer.write(raw)
        answer = await ended(reader)
        writer.close()
        assert answer == b"" or answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")), answer[:200]
        assert (await api.send("GET", "/auth")).status == 200


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP"])
async def test_compressed_bodies_are_refused_unread(api: Any, coding: str) -> None:
    bomb = zlib.compress(b" " * 50_000_000, wbits=31)
    answer = await api.send("POST", "/auth", raw=bomb, extra={"Content-Encoding": coding})
    assert (answer.status, answer.problem) == (415, "unsupported-media-type")


async def test_a_second_coding_is_no_way_around(api: Any) -> None:
    extra = "Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n"
    head = await ask(api, signed(api, "POST", "/auth", extra=extra) + b"{}")
    assert head.startswith(b"HTTP/1.1 415 ")


async def test_a_body_beyond_the_limit_is_refused(api: Any) -> None:
    answer = await api.send("POST", "/auth", raw=io.BytesIO(b" " * (MAX_JSON_BYTES + 1)))
    assert (answer.status, answer.problem) == (413, "content-too-large")


@pytest.mark.parametrize(
    "raw",
    [b"[" * 200_000, b'{"a":' * 100_000, b'{"echo": ' + b"9" * 100_000 + b"}", b'{"echo": "\\ud800"}', b"\xff\xfe{}"],
    ids=["lists", "objects", "digits", "surrogate", "utf-16"],
)
async def test_hostile_json_is_refused_or_answered(api: Any, raw: bytes) -> None:
    answer = await api.send("POST", "/auth", raw=raw)
    assert answer.status in (200, 400), answer.raw


async def test_what_is_no_http_leaves_nothing_in_the_log(service: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with served(service) as (api, _):
        for raw in (
            b"\x16\x03\x01 the secret\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nA: the secret\0\r\n\r\n",
        ):
            assert b" 400 " in await ask(api, raw)
    assert caplog.records == [], "anybody could fill it"


@pytest.mark.parametrize("expect", ["100-continue", "anything"])
async def test_nobody_is_told_to_go_on_before_it_is_known_who_asks(service: Any, expect: str) -> None:
    async with served(service) as (api, _):
        extra = f"Expect: {expect}\r\nContent-Length: 0\r\n"
        unsigned = f"POST /auth HTTP/1.1\r\nHost: {api.host}\r\n{extra}\r\n".encode()
        assert b" 401 " in (await ask(api, unsigned)).splitlines()[0]
        known = await ask(api, signed(api, "POST", "/auth", extra=extra))
        if expect == "100-continue":
            assert known == b"HTTP/1.1 100 Continue\r\n\r\n"
        else:
            assert b" 417 " in known.splitlines()[0] and b"application/problem+json" in known
