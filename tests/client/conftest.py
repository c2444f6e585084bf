"""A server that plays the part of a manager: it checks every signature with code of its own and answers from tables.

Answers under `recordings/` are facts of a real manager (26.9.6), shortened.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from bai_tui.app.client.api import ApiClient, Endpoint

ACCESS_KEY, SECRET_KEY = "AKTEST0000000000", "a-secret-for-tests"
RECORDINGS = Path(__file__).parent / "recordings"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def recording(name: str) -> Any:
    return json.loads((RECORDINGS / f"{name}.json").read_text())


def expected_signature(request: web.Request, secret: str = SECRET_KEY) -> str:
    """Wire contract 2, written down anew: only what stands in the request counts."""
    date = request.headers["Date"]
    host = request.headers["Host"]
    kind = request.headers.get("Content-Type", "application/octet-stream").partition(";")[0].lower()
    text = (
        f"{request.method}\n{request.raw_path}\n{date}\nhost:{host}\ncontent-type:{kind}\n"
        f"x-backendai-version:{request.headers['X-BackendAI-Version']}\n{hashlib.sha256(b'').hexdigest()}"
    )
    day = date[:10].replace("-", "")
    key = hmac.new(secret.encode(), day.encode(), hashlib.sha256).digest()
    key = hmac.new(key, host.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def problem(status: int, kind: str, title: str, **more: Any) -> web.Response:
    body = {"type": f"https://api.backend.ai/probs/{kind}", "title": title, **more}
    return web.json_response(body, status=status, content_type="application/problem+json")


@dataclass
class FakeServer:
    """What came in, and what is answered."""

    url: str = ""
    handshake: dict[str, Any] = field(default_factory=lambda: {"version": "v9.20250722", "manager": "26.9.6"})
    answers: dict[str, Any] = field(default_factory=dict)
    """`METHOD path` -> JSON, or a handler."""
    graphql: Callable[[str, dict[str, Any]], Any] | None = None
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    """Signed wrongly; must be empty at the end of every test that does not want it."""
    secret: str = SECRET_KEY
    """What it knows."""
    connections: set[int] = field(default_factory=set)
    """Client ports seen."""

    def targets(self) -> list[str]:
        return [f"{request.method} {request.raw_path}" for request in self.requests]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername")[1])
        if request.path == "/" and request.method == "GET":
            assert "Authorization" not in request.headers
            return web.json_response(self.handshake)
        scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
        fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
        key, _, signature = fields.get("credential", "").partition(":")
        right = (scheme, fields.get("signMethod"), key) == ("BackendAI", "HMAC-SHA256", ACCESS_KEY)
        if not right or not hmac.compare_digest(signature, expected_signature(request, self.secret)):
            self.refused.append(request.raw_path)
            return problem(
                401,
                "auth-failed",
                "Credential/signature mismatch.",
                error_code="user_auth_unauthorized",
                msg="HMAC signature mismatch",
            )
        answer = self.answers.get(f"{request.method} {request.path}")
        if callable(answer):
            response: web.StreamResponse = await answer(request)
            return response
        self.bodies.append(await request.read())
        if answer is None and request.path == "/admin/gql" and self.graphql is not None:
            asked = json.loads(self.bodies[-1])
            answer = self.graphql(asked["query"], asked["variables"])
        if answer is None:
            return problem(404, "url-not-found", "Unknown URL path.", error_code="api_read_not-found")
        if isinstance(answer, int):
            return web.Response(status=answer)
        return web.json_response(answer)


@pytest.fixture
async def server() -> AsyncIterator[FakeServer]:
    fake = FakeServer()
    app = web.Application(client_max_size=2**30)
    app.router.add_route("*", "/{tail:.*}", fake.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    fake.url = f"http://{host}:{port}"
    yield fake
    await runner.cleanup()
    await asyncio.sleep(0)


@pytest.fixture
def endpoint(server: FakeServer) -> Endpoint:
    return Endpoint(server.url, ACCESS_KEY, SECRET_KEY, connect_timeout_s=2.0)


@pytest.fixture
async def client(endpoint: Endpoint, server: FakeServer) -> AsyncIterator[ApiClient]:
    async with ApiClient(endpoint) as opened:
        yield opened
    assert not server.refused
