"""Composition of the application: routes, middleware, shutdown."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Final

from aiohttp import WSCloseCode, web

from ..ports import Service
from . import (
    events,
    execute_rest,
    execute_stream,
    files,
    gql,
    images,
    journal,
    journal_stream,
    keypairs,
    machine,
    openapi,
    prometheus,
    pty_stream,
    resources,
    sessions,
    stats,
)
from .auth import METRICS_PATH, advertised_version, expect_later, gate
from .body import MAX_JSON_BYTES
from .callers import note_response
from .connections import ConnectionLimits
from .context import CONTEXT, ApiContext, context_of
from .problems import guarded_headers
from .replays import Replays
from .runner import ProblemRunner

GIB = 1024**3
CAPABILITIES = (
    "journal",
    "devices",
    "end-of-input",
    "stats",
    "extend",
    "follow",
    "keypairs",
    "inspect",
    "delete-files",
    "images",
)
"""What this backend offers beyond the public API."""
_GOODBYE_S: Final = 1.0
_NOT_HERE = ("commit", "imagify", "start-service", "shutdown-service")


def create_app(
    service: Service,
    *,
    version: str,
    hosts: Sequence[str] = (),
    upload_limit_bytes: int = GIB,
    metrics_token: str | None = None,
    clock: Callable[[], float] = time.time,
    replays: Replays | None = None,
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
        metrics_token: what opens `GET /metrics` besides a signature (see `metrics_token`); None = nothing does.
        clock: Unix time, for tests.
        replays: remembers the signatures that were used; None = one that forgets them with this process. The caller
            closes it.
    """
    app = web.Application(middlewares=[gate], client_max_size=MAX_JSON_BYTES)
    app[CONTEXT] = ApiContext(
        service=service,
        version=version,
        hosts=frozenset(host.lower() for host in hosts),
        upload_limit_bytes=upload_limit_bytes,
        clock=clock,
        replays=Replays() if replays is None else replays,
        metrics_token=metrics_token,
    )
    app[gql.ENGINE] = gql.GraphQLEngine()
    app[stats.ENCODER] = stats.StatsEncoder()
    app[execute_rest.CURSORS] = execute_rest.Cursors()
    app.on_response_prepare.append(note_response)
    app.on_response_prepare.append(_guard_headers)
    app.on_shutdown.append(_begin_shutdown)
    app.add_routes(_routes())
    return app


def create_runner(
    app: web.Application, *, limits: ConnectionLimits | None = None, shutdown_timeout_s: float = 5.0
) -> ProblemRunner:
    """Returns the runner that serves `app`: `await runner.setup()`, then `web.TCPSite(runner, host, port)`.

    Args:
        limits: of connections; None = the usual ones.
        shutdown_timeout_s: how long `cleanup` waits for requests under way before it cuts them.
    """
    return ProblemRunner(app, limits=limits or ConnectionLimits(), shutdown_timeout_s=shutdown_timeout_s)


async def _guard_headers(request: web.Request, response: web.StreamResponse) -> None:
    guarded_headers(response.headers)


async def _handshake(request: web.Request) -> web.Response:
    version = context_of(request).version
    return web.json_response(
        {
            "version": advertised_version(request.headers.get("User-Agent", "")),
            "manager": version,
            "bai-tui": {"version": version, "capabilities": list(CAPABILITIES)},
        }
    )


async def _begin_shutdown(app: web.Application) -> None:
    context = app[CONTEXT]
    context.closing.set()
    # all at once, and not for long: the farewell to one that does not read stands behind what it has not read
    goodbyes = [
        ws.close(code=WSCloseCode.GOING_AWAY, message=b"the backend stops; runs go on") for ws in context.sockets
    ]
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await asyncio.gather(*goodbyes, return_exceptions=True)


def _routes() -> list[web.RouteDef]:
    session, stream = "/session/{ref}", "/stream/session/{ref}"
    routes = [
        web.get("/", _handshake),
        web.get("/openapi.json", openapi.serve),
        web.get("/auth", resources.auth_get),
        web.post("/auth", resources.auth_post),
        web.get("/manager/announcement", resources.announcement),
        web.get("/config/resource-slots", resources.resource_slots),
        web.get("/config/vfolder-types", resources.vfolders),
        web.get("/folders", resources.vfolders),
        web.get("/resource/presets", resources.presets),
        web.post("/resource/check-presets", resources.check_presets),
        web.get("/scaling-groups", resources.scaling_groups),
        web.post("/keypair/{access_key}/rotate", keypairs.rotate),
        web.get("/machine", machine.machine),
        web.get(METRICS_PATH, prometheus.metrics),
        web.post("/admin/gql", gql.admin_gql),
        web.post("/admin/graphql", gql.admin_graphql),
        web.get("/events/session", events.session_events),
        web.get("/events/background-task", images.background_task),
        web.get("/image/log", images.log),
        web.post("/image/tasks/{task_id}/cancel", images.cancel_task),
        web.post("/session", sessions.create),
        web.post("/session/_/create", sessions.create),
        web.get("/session/_/match", sessions.match),
        web.get(session, sessions.get_info),
        web.delete(session, sessions.terminate),
        web.patch(session, sessions.restart),
        web.post(session, execute_rest.execute),
        web.get(f"{stream}/execute", execute_stream.execute),
        web.get(f"{stream}/journal", journal_stream.follow),
        web.get(f"{stream}/apps", sessions.apps),
        web.get(f"{stream}/tcpproxy", sessions.no_app),
        web.get(f"{stream}/httpproxy", sessions.no_app),
        web.get(f"{stream}/pty", pty_stream.attach),
        web.get(f"{session}/journal", journal.read),
        web.get(f"{session}/runs", journal.runs),
        web.post(f"{session}/interrupt", sessions.interrupt),
        web.post(f"{session}/complete", sessions.complete),
        web.post(f"{session}/inspect", sessions.inspect),
        web.post(f"{session}/rename", sessions.rename),
        web.post(f"{session}/extend", sessions.extend),
        web.get(f"{session}/logs", sessions.logs),
        web.get(f"{session}/status-history", sessions.history),
        web.get(f"{session}/abusing-report", sessions.abusing_report),
        web.get(f"{session}/dependency-graph", sessions.dependency_graph),
        web.get(f"{session}/files", files.list_files),
        web.post(f"{session}/upload", files.upload),
        web.post(f"{session}/delete-files", files.delete_files),
        web.get(f"{session}/download", files.download),
        web.post(f"{session}/download", files.download),
        web.get(f"{session}/commit", sessions.not_here),
        web.get(f"{session}/direct-access-info", sessions.not_here),
    ]
    routes += [web.post(f"{session}/{name}", sessions.not_here) for name in _NOT_HERE]
    for route in routes:
        route.kwargs["expect_handler"] = expect_later
    return routes
