"""A server on 127.0.0.1 over the behaving fake, and a client that signs as the official one does."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from bai_tui.app.backend.api import create_app, create_runner
from bai_tui.app.model.signing import ABSENT_CONTENT_TYPE, authorization, signature
from bai_tui.tests.api import conformance, fakes
from yarl import URL

TOKEN = "a-token-of-this-test"


class Answer:
    def __init__(self, status: int, headers: Any, raw: bytes) -> None:
        self.status, self.headers, self.raw = status, headers, raw

    @property
    def json(self) -> Any:
        return json.loads(self.raw)

    @property
    def problem(self) -> str:
        assert self.headers["Content-Type"].startswith("application/problem+json"), self.headers["Content-Type"]
        body = self.json
        assert {"type", "title", "msg"} <= body.keys()
        return str(body["type"]).rpartition("/")[2]


class Api:
    """Signs and sends requests. Every argument that is signed can be falsified."""

    def __init__(self, session: aiohttp.ClientSession, base: str, keypair: Any) -> None:
        self.session, self.base, self.keypair = session, base, keypair
        self.host = URL(base).authority

    def acting(self, keypair: Any) -> Api:
        return Api(self.session, self.base, keypair)

    def headers(
        self,
        method: str,
        target: str,
        content_type: str | None,
        *,
        version: str = "v9.20250722",
        date: str | None = None,
        secret: str | None = None,
        host: str | None = None,
        signed_type: str | None = None,
    ) -> dict[str, str]:
        date = date or datetime.now(UTC).isoformat()
        mac = signature(
            secret_key=secret or self.keypair.secret_key,
            method=method,
            raw_target=target,
            date=date,
            host=host or self.host,
            content_type=signed_type or content_type or ABSENT_CONTENT_TYPE,
            api_version=version,
        )
        headers = {
            "Date": date,
            "X-BackendAI-Version": version,
            "Authorization": authorization(self.keypair.access_key, mac),
        }
        if content_type:
            headers["Content-Type"] = content_type
        return headers

    async def send(
        self,
        method: str,
        target: str,
        body: Any = None,
        *,
        content_type: str | None = None,
        extra: dict[str, str] | None = None,
        raw: bytes | io.BytesIO | None = None,
        **sign: Any,
    ) -> Answer:
        data = raw if raw is not None else (json.dumps(body).encode() if body is not None else None)
        kind = content_type or ("application/json" if data is not None else "text/plain")
        headers = self.headers(method, target, kind, **sign) | (extra or {})
        url = URL(self.base + target, encoded=True)
        async with self.session.request(method, url, data=data, headers=headers, allow_redirects=False) as answer:
            raw = await answer.read()
            conformance.check(method, target, answer.status, answer.headers, raw)
            return Answer(answer.status, answer.headers, raw)

    async def create(self, name: str = "sess-01", **more: Any) -> str:
        answer = await self.send("POST", "/session", {"name": name, "image": "python:3.11-debian12"} | more)
        assert answer.status == 201, answer.raw
        return str(answer.json["sessionId"])

    def execute(self, ref: str, **options: Any) -> Any:
        target = f"/stream/session/{ref}/execute"
        headers = self.headers("GET", target, None)
        return self.session.ws_connect(self.base + target, headers=headers | options.pop("extra", {}), **options)

    async def gql(self, query: str, **variables: Any) -> dict[str, Any]:
        answer = await self.send("POST", "/admin/gql", {"query": query, "variables": variables})
        assert answer.status == 200, answer.raw
        return dict(answer.json)


@pytest.fixture
async def service(tmp_path: Path) -> Any:
    return fakes.FakeService(tmp_path)


@pytest.fixture
async def runner(service: Any) -> AsyncIterator[web.AppRunner]:
    runner = create_runner(
        create_app(service, version="0.1.0", upload_limit_bytes=4 * 1024 * 1024, metrics_token=TOKEN)
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield runner
    service.stop()
    for task in list(service.running.values()):
        task.cancel()
    await service.tasks.close()
    await runner.cleanup()


@pytest.fixture
async def api(runner: web.AppRunner) -> AsyncIterator[Api]:
    port = runner.addresses[0][1]
    async with aiohttp.ClientSession() as session:
        yield Api(session, f"http://127.0.0.1:{port}", fakes.USER)


@pytest.fixture
def admin(api: Api) -> Api:
    return api.acting(fakes.ADMIN)
