"""The keypair of the local backend is rotated while clients of it are at work: they take what it is now."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from aiohttp import web
from bai_tui.app.client.api import ApiClient, Endpoint
from bai_tui.app.model.console import ExecuteRequest, RunMode
from bai_tui.app.model.errors import AuthFailed, ConfigError

from .conftest import FakeServer


class Found:
    """Where the endpoint is found again, as `app.local` finds it."""

    def __init__(self, *secrets: str | None) -> None:
        self.secrets = list(secrets)
        self.looks = 0

    def endpoint(self, endpoint: Endpoint) -> Endpoint:
        def look() -> Endpoint | None:
            self.looks += 1
            secret = self.secrets.pop(0) if len(self.secrets) > 1 else self.secrets[0]
            if secret is None:
                raise ConfigError("its keypair is being written")
            return replace(endpoint, secret_key=secret, url="http://127.0.0.1:1")

        return replace(endpoint, renew=look)


async def test_a_rotated_keypair_is_read_again(server: FakeServer, endpoint: Endpoint) -> None:
    server.answers["GET /session/abcd/logs"] = {"result": {"logs": "hello"}}
    found = Found(endpoint.secret_key, None, "another")
    async with ApiClient(found.endpoint(endpoint)) as client:
        assert await client.logs("abcd") == "hello" and found.looks == 0
        server.secret = "another"
        assert await client.logs("abcd") == "hello"
        assert found.looks == 3, "the file is a moment behind the server"
        assert await client.logs("abcd") == "hello" and found.looks == 3
        assert len(server.refused) == 1


async def test_streams_open_with_a_rotated_keypair(server: FakeServer, endpoint: Endpoint) -> None:
    async def execute(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await ws.receive()
        await ws.send_json({"status": "finished", "runId": "r", "exitCode": 0, "console": []})
        return ws

    async def events(request: web.Request) -> web.Response:
        return web.Response(text="event: server_close\ndata: {}\n\n", content_type="text/event-stream")

    server.answers["GET /stream/session/abcd/execute"] = execute
    server.answers["GET /events/session"] = events
    server.secret = "another"
    async with (
        ApiClient(Found("another").endpoint(endpoint)) as client,
        client.execute("abcd", ExecuteRequest(RunMode.QUERY, "1")) as run,
    ):
        assert [frame.exit_code async for frame in run] == [0]
    async with ApiClient(Found("another").endpoint(endpoint)) as client:
        assert [event.name async for event in client.events()] == ["bai_connected"]
    assert len(server.refused) == 2


@pytest.mark.parametrize("known", ["a-secret-for-tests", None])
async def test_a_keypair_that_does_not_open_is_told(server: FakeServer, endpoint: Endpoint, known: str | None) -> None:
    server.secret = "another"
    async with ApiClient(Found(known).endpoint(endpoint)) as client:
        with pytest.raises(AuthFailed, match="mismatch"):
            await client.logs("abcd")
        with pytest.raises(AuthFailed, match="mismatch"):
            async with client.execute("abcd", ExecuteRequest(RunMode.QUERY, "1")):
                pass
    assert len(server.refused) == 2, "once is enough where there is nothing else to try"


async def test_what_acts_is_sent_once(server: FakeServer, endpoint: Endpoint) -> None:
    server.answers["POST /session/abcd/rename"] = {}
    server.secret = "another"
    async with ApiClient(Found("another").endpoint(endpoint)) as client:
        await client.rename("abcd", "other")
    assert [target for target in server.targets() if "rename" in target][1:], "refused, then done"
    assert json.dumps(server.refused).count("rename") == 1


def test_an_endpoint_shows_no_secret(endpoint: Endpoint) -> None:
    assert endpoint.secret_key not in repr(endpoint) and endpoint.secret_key not in str(endpoint)
