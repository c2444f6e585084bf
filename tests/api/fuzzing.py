"""A server on a real socket in a thread of its own, and whoever signs what is sent to it: for fuzzing from outside."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from aiohttp import web
from bai_tui.app.backend.api import create_app, create_runner
from bai_tui.app.backend.ports import Keypair
from bai_tui.app.model.signing import ABSENT_CONTENT_TYPE, authorization, signature
from bai_tui.tests.api import fakes


class Signer(requests.auth.AuthBase):
    """Signs a request as it will go over the wire."""

    def __init__(self, access_key: str, secret_key: str) -> None:
        self._access_key, self._secret_key = access_key, secret_key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        date, version = datetime.now(UTC).isoformat(timespec="microseconds"), "v9.20250722"
        host = urlsplit(str(request.url)).netloc
        # what a header of that name may hold otherwise is for the tests of signatures
        for name in ("Date", "Host", "X-BackendAI-Version", "X-BackendAI-Date", "Origin", "Content-Encoding"):
            request.headers.pop(name, None)
        mac = signature(
            secret_key=self._secret_key,
            method=request.method or "",
            raw_target=request.path_url,
            date=date,
            host=host,
            content_type=str(request.headers.get("Content-Type", ABSENT_CONTENT_TYPE)),
            api_version=version,
        )
        request.headers["Date"], request.headers["X-BackendAI-Version"] = date, version
        request.headers["Authorization"] = authorization(self._access_key, mac)
        return request


class Served:
    """An API to be fuzzed."""

    def __init__(self, base: str, keypair: Keypair) -> None:
        self.base = base
        self.session = requests.Session()
        self.session.trust_env = False
        self.auth = Signer(keypair.access_key, keypair.secret_key)

    def ask(self, method: str, target: str, body: Any = None) -> requests.Response:
        return self.session.request(method, self.base + target, json=body, auth=self.auth, timeout=20)


async def _serve(root: Path, ready: Any, stop: asyncio.Event) -> None:
    service = fakes.FakeService(root)
    runner = create_runner(create_app(service, version="0"))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    ready(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await stop.wait()
    service.stop()
    for task in list(service.running.values()):
        task.cancel()
    await service.tasks.close()
    await runner.cleanup()


@contextmanager
def serving(root: Path) -> Iterator[Served]:
    """Serves the fake from a thread; the caller may block."""
    told: list[str] = []
    begun = threading.Event()
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def ready(base: str) -> None:
        told.append(base)
        begun.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(_serve(root, ready, stop))
        finally:
            begun.set()
            loop.close()

    thread = threading.Thread(target=run, name="fuzzed server")
    thread.start()
    try:
        assert begun.wait(20) and told
        served = Served(told[0], fakes.ADMIN)
        with served.session:
            yield served
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
