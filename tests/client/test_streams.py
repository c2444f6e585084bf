"""The execute websocket and server-sent events, with the faults that networks have."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from bai_tui.app.client.api import ApiClient
from bai_tui.app.client.events import EventParser
from bai_tui.app.model.console import ExecuteRequest, Frame, RunMode, RunStatus
from bai_tui.app.model.errors import RemoteError, SessionNotFound, Unreachable

from .conftest import FakeServer, recording

SID = "46f98ea2-63be-4987-bf8a-26eeb2d7c504"
EXECUTE = f"GET /stream/session/{SID}/execute"
QUERY = ExecuteRequest(RunMode.QUERY, "print(1)")


def replay(frames: list[Any], received: list[Any], *, finish: bool = True) -> Any:
    """Returns a handler that answers the first frame with `frames`, waiting for input where a frame asks for it."""

    async def handler(request: web.Request) -> web.StreamResponse:
        assert "Content-Type" not in request.headers
        assert "Origin" not in request.headers
        assert "Sec-WebSocket-Extensions" not in request.headers
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        received.append(await socket.receive_json())
        for frame in frames:
            await socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))
            if isinstance(frame, dict) and frame.get("status") == "waiting-input":
                received.append(await socket.receive_str())
        if not finish:
            assert request.transport is not None
            request.transport.abort()
        await socket.close()
        return socket

    return handler


async def collect(client: ApiClient, request: ExecuteRequest, answer: str = "") -> list[Frame]:
    frames = []
    async with client.execute(SID, request) as stream:
        async for frame in stream:
            frames.append(frame)
            if frame.status is RunStatus.WAITING_INPUT:
                await stream.send_input(answer)
    return frames


async def test_a_query_of_a_real_manager(client: ApiClient, server: FakeServer) -> None:
    received: list[Any] = []
    server.answers[EXECUTE] = replay(recording("stream-query"), received)
    frames = await collect(client, QUERY)
    text = "".join(data for frame in frames for kind, data in frame.console if kind == "stdout")
    assert text == "tick 0\ntick 1\ntick 2\n"
    assert (frames[-1].status, frames[-1].exit_code) == (RunStatus.FINISHED, 0)
    assert received == [{"code": "print(1)", "mode": "query", "options": {}}]


async def test_an_answer_goes_up_as_raw_text(client: ApiClient, server: FakeServer) -> None:
    received: list[Any] = []
    server.answers[EXECUTE] = replay(recording("stream-input"), received)
    await collect(client, QUERY, "Ada")
    assert received[1] == "Ada"


async def test_batch_mode(client: ApiClient, server: FakeServer) -> None:
    received: list[Any] = []
    server.answers[EXECUTE] = replay(recording("stream-batch"), received)
    options = {"clean": "", "build": "", "exec": "python3 rec.py a b"}
    frames = await collect(client, ExecuteRequest(RunMode.BATCH, "", options))
    assert [frame.status for frame in frames] == [RunStatus.CLEAN_FINISHED, RunStatus.FINISHED]
    assert received == [{"code": "", "mode": "batch", "options": options}]


async def test_a_big_frame_passes(client: ApiClient, server: FakeServer) -> None:
    big = {"status": "finished", "console": [["stdout", "x" * 20_000_000]], "exitCode": 0}
    server.answers[EXECUTE] = replay([big], [])
    (frame,) = await collect(client, QUERY)
    assert len(frame.console[0][1]) == 20_000_000


@pytest.mark.parametrize("finish", [True, False])
async def test_a_connection_that_ends_early_is_no_success(client: ApiClient, server: FakeServer, finish: bool) -> None:
    server.answers[EXECUTE] = replay([{"status": "continued", "console": [["stdout", "a"]]}], [], finish=finish)
    seen = []
    with pytest.raises(Unreachable, match="connection lost"):
        async with client.execute(SID, QUERY) as stream:
            async for frame in stream:
                seen.append(frame)
    assert len(seen) == 1


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"status": "error", "msg": "the kernel is gone"}, "the kernel is gone"),
        ({"status": "error"}, "without a reason"),
        ("no json", "no JSON"),
        ("[]", "no JSON object"),
    ],
)
async def test_a_run_that_the_server_gives_up(client: ApiClient, server: FakeServer, frame: Any, message: str) -> None:
    server.answers[EXECUTE] = replay([frame], [])
    with pytest.raises(RemoteError, match=message):
        await collect(client, QUERY)


async def test_a_refused_handshake_is_the_error_in_its_body(client: ApiClient, server: FakeServer) -> None:
    body = {
        "type": "https://api.backend.ai/probs/entity-not-found",
        "title": "Entity not found.",
        "error_code": "session_read_not-found",
        "msg": "No SessionRow matches the given key",
    }

    async def refuse(request: web.Request) -> web.StreamResponse:
        return web.json_response(body, status=404, content_type="application/problem+json")

    server.answers[EXECUTE] = refuse
    with pytest.raises(SessionNotFound, match="No SessionRow") as caught:
        await collect(client, QUERY)
    assert caught.value.http_status == 404  # type: ignore[attr-defined]


async def test_a_server_that_speaks_no_websocket(client: ApiClient, server: FakeServer) -> None:
    server.answers[EXECUTE] = {"hello": "there"}
    with pytest.raises(RemoteError):
        await collect(client, QUERY)


async def test_leaving_early_closes_the_socket(client: ApiClient, server: FakeServer) -> None:
    closed = asyncio.Event()

    async def endless(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_json()
        await socket.send_json({"status": "continued"})
        message = await socket.receive()
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED)
        closed.set()
        return socket

    server.answers[EXECUTE] = endless
    async with client.execute(SID, QUERY) as stream:
        async for _ in stream:
            break
    await asyncio.wait_for(closed.wait(), 5)


# --- events ------------------------------------------------------------------------------------------------------


def sse(pieces: list[bytes], queries: list[str]) -> Any:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert "Content-Type" not in request.headers
        queries.append(request.raw_path)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
        return response

    return handler


async def test_events_of_a_real_manager(client: ApiClient, server: FakeServer) -> None:
    queries: list[str] = []
    text = "\n".join(recording("events")) + "\n"
    server.answers["GET /events/session"] = sse([text.encode(), b"event: server_close\ndata: {}\n\n"], queries)
    seen = [event async for event in client.events(session=SID)]
    assert queries == [f"/events/session?sessionId={SID}&scope=*"]
    assert [event.name for event in seen[:4]] == [
        "bai_connected",
        "session_scheduled",
        "session_preparing",
        "session_prepared",
    ]
    assert (seen[1].session_id, seen[1].session_name) == (SID, "recsess1")
    assert (seen[1].data["reason"], seen[1].reason) == ("triggered-by-scheduler", ""), "that is no reason"
    assert seen[-1].name != "server_close"


async def test_a_lost_stream_of_events_is_told(client: ApiClient, server: FakeServer) -> None:
    queries: list[str] = []
    server.answers["GET /events/session"] = sse([b"event: session_started\r\ndata: {}\r\n\r\n: ping\r\n\r\n"], queries)
    seen = []
    with pytest.raises(Unreachable, match="connection lost"):
        async for event in client.events(session="my name"):
            seen.append(event.name)
    assert seen == ["bai_connected", "session_started"]
    assert queries == ["/events/session?sessionName=my%20name&scope=*"]


async def test_events_of_a_session_that_is_not_there(client: ApiClient, server: FakeServer) -> None:
    with pytest.raises(RemoteError, match="Unknown URL path"):
        async for _ in client.events():
            pass


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_events_are_read_however_they_are_cut(end: str, size: int) -> None:
    text = end.join(
        [": hello", "event: a", "data: {", "data: }", "", "data:x", "id: 7", "", "event:b", "data: é", "", ""]
    )
    data = text.encode()
    parser = EventParser()
    found = [event for at in range(0, len(data), size) for event in parser.feed(data[at : at + size])]
    found += parser.feed(b"\n") if end == "\r" else []
    assert found == [("a", "{\n}"), ("message", "x"), ("b", "é")]


def test_a_line_in_many_pieces_is_put_together_once_and_has_an_end() -> None:
    parser = EventParser()
    assert [parser.feed(piece) for piece in (b"event: a\nda", b"ta: on", b"e ti", b"me")] == [[]] * 4
    assert parser.feed(b"\n\n") == [("a", "one time")]
    with pytest.raises(ValueError, match="too long"):
        for _ in range(100):
            parser.feed(b"x" * 65536)
