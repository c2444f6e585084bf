"""The server below the application: who may connect, and problem bodies for requests that are no HTTP.

aiohttp answers those before any middleware runs. Private members of it are used here and in `connections.py`, and only
there; tests fail when they change.
"""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web

from .connections import ConnectionLimits, Connections, GuardedHandler
from .problems import guarded_headers, status_response

log = logging.getLogger(__name__)


class _Handler(GuardedHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if status < 500 and not request.writer.output_size:
            # Anybody can send what is no HTTP, as often as he likes, and beside it what is none of the log's business.
            log.debug("no HTTP from %s: %s", request.remote, type(exc).__name__)
        else:
            super().handle_error(request, status, exc, message)  # logs, and refuses when the answer has begun
        what = (message or "").partition("\n")[0].strip(" :") or "the request could not be handled"
        said = f"the request is no HTTP that this server reads: {what}" if status < 500 else what
        response = status_response(status, said)
        guarded_headers(response.headers)
        response.force_close()
        return response


class _Server(web.Server):
    guarded: Connections

    def __call__(self) -> web.RequestHandler:
        return _Handler(self.guarded, self, loop=self._loop, **self._kwargs)


class ProblemRunner(web.AppRunner):
    """An `AppRunner` whose server bounds its connections and answers everything with problem bodies."""

    __slots__ = ("connections",)

    def __init__(self, app: web.Application, *, limits: ConnectionLimits, shutdown_timeout_s: float) -> None:
        super().__init__(
            app,
            access_log=None,
            keepalive_timeout=limits.idle_timeout_s,
            lingering_time=limits.lingering_s,
            shutdown_timeout=shutdown_timeout_s,
            # what is compressed can be a thousand times as large as it looks: such bodies are refused, see `gate`
            auto_decompress=False,
        )
        self.connections = Connections(limits)

    async def _make_server(self) -> web.Server:
        made: Any = await super()._make_server()
        server = _Server(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)
        server.guarded = self.connections
        return server
