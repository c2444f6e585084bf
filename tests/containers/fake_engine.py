"""Something that answers as Docker does, from answers in the form of its documentation."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class FakeEngine:
    """Answers by path, without the version that it begins with."""

    api_version: str = "1.43"
    answers: dict[str, Any] = field(default_factory=dict)
    """`GET /info` -> what is answered as JSON, a `web.Response`, or a function of the request."""
    asked: list[str] = field(default_factory=list)
    """`GET /v1.43/info?x=y` of each request."""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{request.method} {request.rel_url}")
        path = request.path
        if path == "/_ping":
            return web.Response(text="OK", headers={"Api-Version": self.api_version})
        _, _, rest = path.split("/", 2)
        answer = self.answers.get(f"{request.method} /{rest}")
        if answer is None:
            return web.json_response({"message": "page not found"}, status=404)
        if callable(answer):
            made: web.StreamResponse = await answer(request)
            return made
        return web.json_response(answer)


@asynccontextmanager
async def fake_engine(path: Path) -> AsyncIterator[FakeEngine]:
    """Serves one on a unix socket while the block lasts."""
    engine = FakeEngine()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", engine.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.UnixSite(runner, str(path)).start()
        yield engine
    finally:
        await runner.cleanup()


def refused(status: int, message: str) -> Answer:
    """Returns an answer that is an error in Docker's form."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.json_response({"message": message}, status=status)

    return answer


def streamed(*parts: bytes) -> Answer:
    """Returns an answer that comes in these parts, whatever they cut in two."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)
        for part in parts:
            await response.write(part)
        return response

    return answer


def objects(*values: dict[str, Any]) -> bytes:
    """Returns JSON objects as a stream has them."""
    return b"".join(json.dumps(value).encode() + b"\r\n" for value in values)
