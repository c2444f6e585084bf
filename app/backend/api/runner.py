"""The server below the application: requests that are no HTTP get a problem body, too.

aiohttp answers those before any middleware runs. Two private members of it are used here, and only here; a test
fails when they change.
"""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .problems import status_response


class _Handler(web.RequestHandler):
    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs, and refuses when the answer has begun
        what = (message or "").partition("\n")[0].strip(" :") or "the request could not be handled"
        said = f"the request is no HTTP that this server reads: {what}" if status < 500 else what
        response = status_response(status, said)
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Handler(self, loop=self._loop, **self._kwargs)


class ProblemRunner(web.AppRunner):
    """An `AppRunner` whose server answers everything with problem bodies."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made: Any = await super()._make_server()
        return _Server(made.request_handler, request_factory=made.request_factory, loop=made._loop, **made._kwargs)
