"""Composition of the application: routes, middleware, shutdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from aiohttp import web

from ..ports import Service

GIB = 1024**3


def create_app(
    service: Service,
    *,
    version: str,
    hosts: Sequence[str] = (),
    upload_limit_bytes: int = GIB,
    clock: Callable[[], float] | None = None,
) -> web.Application:
    """Returns the application that speaks Backend.AI's API on behalf of `service`.

    Serve it with `create_runner`, which also turns errors below the application (a request line that is no
    HTTP) into problem bodies. On `runner.cleanup()` open event streams get `server_close` and execute streams are
    closed; runs go on.

    Args:
        version: version of this program, announced by the handshake.
        hosts: names under which the endpoint may be addressed besides `localhost` and IP literals; any other Host
            header is refused (a browser page that has rebound its name to this machine).
        upload_limit_bytes: most bytes of one upload request.
        clock: Unix time, for tests; the wall clock by default.
    """
    raise NotImplementedError


def create_runner(app: web.Application) -> web.AppRunner:
    """Returns the runner that serves `app`: `await runner.setup()`, then `web.TCPSite(runner, host, port)`."""
    raise NotImplementedError
