"""REST endpoints of sessions, apart from execution and files."""

from __future__ import annotations

import contextlib
from dataclasses import asdict
from datetime import UTC
from typing import Any

from aiohttp import web

from ...model.errors import BadRequest, NotFound, NotImplementedHere, SessionNotFound
from ...model.sessions import LIVE, Session, SessionStatus
from ..ports import Keypair, Service
from .body import create_request, read_fields, read_object
from .context import acting_for, caller_of, context_of, service_of, truth, unless_closing
from .resources import EVERYTHING
from .sessionview import create_status, info, iso, known, stat, status_history, utc_now

NO_CONTENT = 204
_MAX_DEPTH = 100
"""Of a dependency graph as told."""


def _ref(request: web.Request) -> str:
    return request.match_info["ref"]


async def _session(request: web.Request) -> Session:
    return await service_of(request).get(caller_of(request), _ref(request))


async def create(request: web.Request) -> web.Response:
    """POST /session: answers when the session runs, unless it is only to be queued or the wait is over."""
    body = await read_object(request)
    service, caller = service_of(request), caller_of(request)
    asked = create_request(body)
    owner = body.get("owner_access_key")
    if owner is not None and not isinstance(owner, str):
        raise BadRequest("the field 'owner_access_key' must be a string")
    creation = service.create(acting_for(caller, owner, service), asked)
    if asked.enqueue_only:
        outcome = await creation
    else:
        outcome = await unless_closing(context_of(request), creation, "the session goes on, or waits for the next one")
    session = outcome.session
    answer = {
        "sessionId": session.id,
        "sessionName": session.name,
        "status": create_status(session.status, timed_out=outcome.timed_out),
        "servicePorts": [],
        "created": outcome.created,
        "image": session.image,
        "imageNotice": session.image_notice,
    }
    if session.status_info:
        answer["statusInfo"] = session.status_info
    return web.json_response(answer, status=201)


async def get_info(request: web.Request) -> web.Response:
    session = await _session(request)
    context = context_of(request)
    owner = context.service.keypair(session.access_key)
    return web.json_response(info(context.service, session, owner, utc_now(context.clock())))


async def terminate(request: web.Request) -> web.Response:
    """DELETE /session/{ref}: answers when its processes are gone, with what it has used.

    `recursive` takes along the sessions that wait for it, and those that wait for them.
    """
    forced, recursive = truth(request, "forced"), truth(request, "recursive")
    service, caller = service_of(request), caller_of(request)
    if recursive:
        root = await service.get(caller, _ref(request))
        for session_id in await _dependents(service, caller, root):
            with contextlib.suppress(SessionNotFound):  # it has ended meanwhile
                await service.terminate(caller, session_id, forced=forced)
    session = await service.terminate(caller, _ref(request), forced=forced)
    status = "cancelled" if session.status is SessionStatus.CANCELLED else "terminated"
    return web.json_response({"stats": {"version": 2, "status": status, **(stat(service, session) or {})}})


async def _dependents(service: Service, caller: Keypair, root: Session) -> list[str]:
    """Returns the ids of live sessions that depend on `root`, those that depend on others of them first."""
    live, _ = await service.search(caller, statuses=sorted(LIVE), access_key=None, limit=EVERYTHING, offset=0)
    above: dict[str, list[str]] = {}
    for session in live:
        for session_id in session.depends_on:
            above.setdefault(session_id, []).append(session.id)
    found: dict[str, None] = {}
    queue = [root.id]
    while queue:
        for session_id in above.get(queue.pop(), ()):
            if session_id not in found:
                found[session_id] = None
                queue.append(session_id)
    return list(reversed(found))


async def restart(request: web.Request) -> web.Response:
    await service_of(request).restart(caller_of(request), _ref(request))
    return web.Response(status=NO_CONTENT)


async def rename(request: web.Request) -> web.Response:
    name = request.query.get("name") or (await read_fields(request)).text("name")
    if not name:
        raise BadRequest("give the new name as ?name= or in the body")
    await service_of(request).rename(caller_of(request), _ref(request), name)
    return web.Response(status=NO_CONTENT)


async def interrupt(request: web.Request) -> web.Response:
    await service_of(request).interrupt(caller_of(request), _ref(request))
    return web.Response(status=NO_CONTENT)


async def complete(request: web.Request) -> web.Response:
    """POST /session/{ref}/complete: completions at `options.row` and `options.col`, else at the end of the code."""
    fields = await read_fields(request)
    code = fields.text("code")
    cursor = _cursor(code, fields.object("options"))
    found = await service_of(request).complete(caller_of(request), _ref(request), code, cursor)
    # what clients of a cluster read comes first; the rest is ours
    result: dict[str, Any] = {"status": "finished", "error": None, "suggestions": list(found.matches)}
    result |= {"types": list(found.types), "cursor_start": found.start, "cursor_end": cursor, "busy": found.busy}
    return web.json_response({"result": result})


async def inspect(request: web.Request) -> web.Response:
    """POST /session/{ref}/inspect (capability `inspect`): what the name at a character of the code stands for."""
    fields = await read_fields(request)
    code = fields.text("code")
    cursor, detail = fields.integer("cursor", default=len(code)), fields.integer("detail")
    if not 0 <= cursor <= len(code):
        raise BadRequest(f"the cursor is at character {cursor} of code that has {len(code)}")
    if detail not in (0, 1):
        raise BadRequest(f"the detail is {detail}: 0 tells signature and documentation, 1 the source, too")
    found = await service_of(request).inspect(caller_of(request), _ref(request), code, cursor, detail)
    return web.json_response(asdict(found))


def _cursor(code: str, options: dict[str, Any]) -> int:
    row, col = options.get("row"), options.get("col")
    if not isinstance(row, int) or not isinstance(col, int):
        return len(code)
    lines = code.split("\n")
    if not 0 <= row < len(lines) or not 0 <= col <= len(lines[row]):
        raise BadRequest(f"the completion cursor is at row {row}, column {col}, where the code has nothing")
    return sum(len(line) + 1 for line in lines[:row]) + col


async def logs(request: web.Request) -> web.Response:
    text = await service_of(request).logs(caller_of(request), _ref(request))
    return web.json_response({"result": {"logs": text}})


async def history(request: web.Request) -> web.Response:
    return web.json_response(status_history(await _session(request)))


async def abusing_report(request: web.Request) -> web.Response:
    """GET /session/{ref}/abusing-report: nobody watches for abuse on a machine of one's own."""
    session = await _session(request)
    return web.json_response({"kernel": session.kernel_id, "abuse_report": None})


async def extend(request: web.Request) -> web.Response:
    """POST /session/{ref}/extend (capability `extend`): no idle check ends it for so many seconds; 0 takes it back."""
    fields = await read_fields(request)
    if not fields.has("seconds"):
        raise BadRequest("the field 'seconds' is missing: say for how long the session is to be kept (0 takes it back)")
    service = service_of(request)
    session = await service.extend(caller_of(request), _ref(request), fields.duration("seconds"))
    remaining_s = service.idle_remaining_s(session)
    return web.json_response(
        {
            "kept_until": iso(session.kept_until),
            "remaining": None if remaining_s is None else round(remaining_s, 3),
        }
    )


async def dependency_graph(request: web.Request) -> web.Response:
    """GET /session/{ref}/dependency-graph: what a session waits for, what that waits for, and so on."""
    service, caller = service_of(request), caller_of(request)
    root = await service.get(caller, _ref(request))
    found: dict[str, Session] = {root.id: root}
    queue = [root]
    while queue:
        for session_id in queue.pop().depends_on:
            if session_id not in found and (one := await known(service, caller, session_id)) is not None:
                found[session_id] = one
                queue.append(one)

    told: set[str] = set()

    def node(session: Session, depth: int) -> dict[str, Any]:
        # each is told in full once: with several ways to the same session the answer would double at each crossing
        further = [] if session.id in told or depth >= _MAX_DEPTH else [i for i in session.depends_on if i in found]
        told.add(session.id)
        return {
            "session_id": session.id,
            "session_name": session.name,
            # as a manager's database prints them: the tree of the client takes them apart at these very places
            "status": f"KernelStatus.{session.status.value}",
            "status_changed": f"{session.status_changed.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f}+00:00",
            "depends_on": [node(found[session_id], depth + 1) for session_id in further],
        }

    return web.json_response(node(root, 0))


async def match(request: web.Request) -> web.Response:
    found = await service_of(request).match(caller_of(request), request.query.get("id", ""))
    return web.json_response({"matches": [{"id": s.id, "name": s.name, "status": s.status.value} for s in found]})


async def apps(request: web.Request) -> web.Response:
    """GET /stream/session/{ref}/apps: sessions of this backend offer no service ports."""
    await _session(request)
    return web.json_response([])


async def no_app(request: web.Request) -> web.Response:
    session = await _session(request)
    app = request.query.get("app", "")
    raise NotFound(f"the session {session.name!r} offers no app {app!r}: this backend opens no service ports")


async def not_here(request: web.Request) -> web.Response:
    """Refuses what Backend.AI has and this backend has not, by name."""
    await _session(request)
    what = request.path.rpartition("/")[2]
    raise NotImplementedHere(f"{what!r} is not available on this backend; a Backend.AI cluster offers it")
