"""Frames made up at random into the websockets: no 5xx, no hang, no error in the log, and the next run works."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import struct
from typing import Any

import pytest
from bai_tui.tests.api.test_connections import connect, ended, signed
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

EXAMPLES = int(os.environ.get("BAI_TUI_FUZZ_EXAMPLES", "0"))
"""For a longer search by hand, random each time."""
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
UPGRADE = f"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
ASKED = json.dumps({"mode": "query", "code": "ask name? "}).encode()


def frame(opcode: int, payload: bytes, *, final: bool = True, mask: bool = True, reserved: int = 0) -> bytes:
    head = bytes([(0x80 if final else 0) | reserved << 4 | opcode])
    size = len(payload)
    flag = 0x80 if mask else 0
    if size < 126:
        head += bytes([flag | size])
    elif size < 65536:
        head += bytes([flag | 126]) + struct.pack("!H", size)
    else:
        head += bytes([flag | 127]) + struct.pack("!Q", size)
    if not mask:
        return head + payload
    return head + b"\x01\x02\x03\x04" + bytes(byte ^ (index % 4 + 1) for index, byte in enumerate(payload))


def plain(value: Any) -> bytes:
    return json.dumps(value).encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "mode": st.sampled_from(["query", "batch", "continue", "input", "", "QUERY"]) | VALUES,
        "code": st.sampled_from(["say hi", "ask x", "die", "exit 3", "flood 50", "png", ""]) | VALUES,
        "options": VALUES | st.fixed_dictionaries({"exec": st.text(max_size=20)}),
        "run": VALUES,
        "runId": VALUES,
        "input": VALUES,
    },
).map(plain)
PAYLOADS = REQUESTS | VALUES.map(plain) | st.binary(max_size=200) | st.text(max_size=100).map(str.encode)
FRAMES = st.builds(
    frame,
    st.sampled_from([TEXT, TEXT, TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG, 3, 15]),
    PAYLOADS,
    final=st.sampled_from([True, True, True, False]),
    mask=st.sampled_from([True, True, True, False]),
    reserved=st.sampled_from([0, 0, 0, 1, 4, 7]),
)
PIECES = st.lists(FRAMES | st.binary(max_size=30), min_size=1, max_size=6)


async def _open(api: Any, target: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await connect(api)
    writer.write(signed(api, "GET", target, None, UPGRADE))
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 "), head
    return reader, writer


@pytest.mark.parametrize("stream", ["execute", "journal?attach=true", "journal?after=3"])
async def test_made_up_frames(api: Any, service: Any, stream: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    ref = await api.create()
    target = f"/stream/session/{ref}/{stream}"
    loop = asyncio.get_running_loop()

    async def attempt(pieces: list[bytes], cut: bool) -> None:
        reader, writer = await _open(api, target)
        for piece in pieces:
            writer.write(piece)
        if cut:
            writer.transport.abort()
        else:
            writer.write(frame(CLOSE, struct.pack("!H", 1000)))
            writer.write_eof()
            await ended(reader)
            writer.close()
        # whatever was begun is ended, and the next run works
        await api.send("POST", f"/session/{ref}/interrupt")
        async with asyncio.timeout(10):
            while service.running:
                await asyncio.gather(*service.running.values(), return_exceptions=True)

    attempts: list[tuple[list[bytes], bool]] = []

    # the examples are made first: hypothesis does not await
    @settings(
        max_examples=EXAMPLES or 40,
        derandomize=not EXAMPLES,
        database=None,
        deadline=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(pieces=PIECES, cut=st.booleans())
    def gather(pieces: list[bytes], cut: bool) -> None:
        attempts.append((pieces, cut))

    gather()
    for pieces, cut in attempts:
        began = loop.time()
        await attempt(pieces, cut)
        assert loop.time() - began < 10, pieces
    async with api.execute(ref) as ws:
        await ws.send_json({"mode": "query", "code": "say still well"})
        assert (await ws.receive_json())["console"] == [["stdout", "still well\n"]]
    assert not caplog.records, caplog.text
    assert service.streams.get(ref, 0) == 0, "every stream was let go"


@pytest.mark.parametrize(
    ("pieces", "code"),
    [
        ([frame(TEXT, b"{", final=False), frame(CONTINUATION, b'"mode": 1}')], 1007),
        ([frame(TEXT, b"\xff\xfe")], 1007),
        ([frame(BINARY, ASKED)], 1003),
        ([frame(TEXT, b"{}", mask=False)], 1007),
        ([frame(TEXT, b"{}", reserved=7)], 1002),
        ([frame(3, b"")], 1002),
        ([frame(CONTINUATION, b"x")], 1002),
        ([frame(PING, b"x" * 126)], 1002),
        ([b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"abcd"], 1009),
        ([b"\x81\xff" + b"\xff" * 8 + b"abcd"], 1009),
        ([frame(TEXT, b"[" * 100_000)], 1007),
    ],
    ids=[
        "halves",
        "no utf-8",
        "binary",
        "unmasked",
        "reserved",
        "opcode",
        "tail",
        "ping",
        "2^63",
        "2^64",
        "deep",
    ],
)
async def test_frames_that_are_refused(api: Any, pieces: list[bytes], code: int) -> None:
    ref = await api.create()
    reader, writer = await _open(api, f"/stream/session/{ref}/execute")
    for piece in (*pieces, frame(CLOSE, b"")):
        writer.write(piece)
    answer = await ended(reader)
    writer.close()
    assert struct.pack("!H", code) in answer, answer


async def test_a_thousand_pings_are_answered_and_a_run_goes_on(api: Any) -> None:
    ref = await api.create()
    reader, writer = await _open(api, f"/stream/session/{ref}/execute")
    writer.write(frame(PING, b"p") * 1000 + frame(TEXT, plain({"mode": "query", "code": "say hi"})))
    head = await reader.readuntil(b"finished")
    writer.write(frame(CLOSE, b""))
    answer = head + await ended(reader)
    writer.close()
    assert answer.count(b"\x8a\x01p") == 1000 and b"hi\\n" in answer


async def test_answers_to_nobodys_question(api: Any, service: Any) -> None:
    """Frames that come before a prompt, or when none comes, do not gather for ever, and end with the run."""
    ref = await api.create()
    async with api.execute(ref) as ws:
        await ws.send_json({"mode": "query", "code": "wait"})
        for _ in range(2000):
            await ws.send_str("x" * 100)
        service.go.set()
        async for message in ws:
            assert json.loads(message.data)["status"] in ("continued", "finished", "error")
    assert not service.running
