"""A registry of container images on loopback: as much of its API (version 2) as pulling takes."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web
from bai_tui.tests.containers.offline import OfflineImage, digest

LOGIN = base64.b64encode(b"user:password").decode()
"""Whom private images are shown."""
_PART = 1 << 18


@dataclass
class Registry:
    """What it has, and how it behaves."""

    host: str = ""
    """`127.0.0.1:<port>`"""
    images: dict[str, OfflineImage] = field(default_factory=dict)
    """`name:tag` -> image."""
    private: set[str] = field(default_factory=set)
    """Names that need a login."""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Open: blobs come as fast as they can. Closed: large ones stop in the middle."""
    pause_s: float = 0.0
    """Between two parts of a large blob: the network that it comes through."""
    halfway: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when a large one has stopped."""
    cut_off: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when whoever pulled it has gone meanwhile."""

    def add(self, name: str, image: OfflineImage) -> str:
        """Takes an image; returns the reference to pull it by."""
        self.images[name] = image
        return f"{self.host}/{name}"

    async def version(self, request: web.Request) -> web.Response:
        if self.private:  # clients learn here, once, that logins are asked for
            self._challenge(request)
        return web.json_response({})

    async def manifest(self, request: web.Request) -> web.Response:
        name, tag = request.match_info["name"], request.match_info["tag"]
        self._authorize(request, name)
        for reference, image in self.images.items():
            data = image.manifest()
            if reference == f"{name}:{tag}" or digest(data) == tag:
                kind = "application/vnd.docker.distribution.manifest.v2+json"
                return web.Response(body=data, content_type=kind, headers={"Docker-Content-Digest": digest(data)})
        raise web.HTTPNotFound(text='{"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}]}')

    async def blob(self, request: web.Request) -> web.StreamResponse:
        self._authorize(request, request.match_info["name"])
        blobs = {key: data for image in self.images.values() for key, data in image.blobs().items()}
        data = blobs[request.match_info["digest"]]
        answer = web.StreamResponse(headers={"Content-Length": str(len(data))})
        await answer.prepare(request)
        parts = [data[start : start + _PART] for start in range(0, len(data), _PART)]
        for number, part in enumerate(parts):
            if number and number == len(parts) // 2:
                await self._stop_halfway()
            await answer.write(part)
            await asyncio.sleep(self.pause_s)  # a network that is as slow as a test wants it
        return answer

    async def _stop_halfway(self) -> None:
        if self.gate.is_set():
            return
        self.halfway.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cut_off.set()
            raise

    def _authorize(self, request: web.Request, name: str) -> None:
        if name in self.private:
            self._challenge(request)

    def _challenge(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Basic {LOGIN}":  # who has no login may send an empty one
            raise web.HTTPUnauthorized(
                text='{"errors": [{"code": "UNAUTHORIZED", "message": "authentication required"}]}',
                headers={"WWW-Authenticate": 'Basic realm="tests"'},
            )


@asynccontextmanager
async def registry() -> AsyncIterator[Registry]:
    """Serves one while the block lasts, its gate open."""
    served = Registry()
    served.gate.set()
    app = web.Application()
    app.router.add_get("/v2/", served.version)
    app.router.add_get("/v2/{name:.+}/manifests/{tag}", served.manifest)
    app.router.add_get("/v2/{name:.+}/blobs/{digest}", served.blob)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.host = f"127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()
