"""GET /stream/session/{ref}/journal (capability `follow`): what a session writes, pushed from a number on.

The journal is the buffer: nothing is read of it before the client has taken what was sent, so one that reads slowly, or
not at all, slows nobody but itself and costs no memory.
"""

from __future__ import annotations

import json
import logging
from contextlib import aclosing, nullcontext
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from ...model.errors import BaiTuiError
from ...model.sessions import Session
from ..ports import Keypair, Service
from .context import caller_of, context_of, truth
from .journal import MAX_SEQ, number, parts
from .problems import unexpected
from .sockets import GONE, until_first

log = logging.getLogger(__name__)

FRAME_BYTES: Final = 256 * 1024
"""A frame takes no further record once it holds this much."""
MAX_ANSWER_BYTES: Final = 1024 * 1024


async def follow(request: web.Request) -> web.WebSocketResponse:
    context, caller = context_of(request), caller_of(request)
    after = int(number(request, "after", 0, 0, MAX_SEQ))
    attach = truth(request, "attach")
    # refused as a handshake answer where the session is not there: clients then show the status
    session = await context.service.get(caller, request.match_info["ref"])
    with context.service.attached(session.id) if attach else nullcontext():
        ws = web.WebSocketResponse(compress=False, max_msg_size=MAX_ANSWER_BYTES, timeout=2.0)
        await ws.prepare(request)
        context.sockets.add(ws)
        try:
            await _attend(ws, context.service, caller, session, after, attach)
        except ConnectionError:
            log.info("a reader of the journal of session %s was lost", session.id)
        except Exception as exc:
            what = exc.message if isinstance(exc, BaiTuiError) else unexpected(exc, f"the journal of {session.id}")
            await _say(ws, {"error": what})
            await ws.close(code=WSCloseCode.INTERNAL_ERROR)
        finally:
            context.sockets.discard(ws)
            if not ws.closed:
                await ws.close()
    return ws


async def _attend(
    ws: web.WebSocketResponse, service: Service, caller: Keypair, session: Session, after: int, attach: bool
) -> None:
    """Serves one reader until the session has ended or the reader has gone, also by the stop of the backend."""
    await until_first(
        {
            f"journal of {session.id}": _send(ws, service, caller, session.id, after),
            f"answers to {session.id}": _listen(ws, service, caller, session.id, attach),
        }
    )


async def _send(ws: web.WebSocketResponse, service: Service, caller: Keypair, session_id: str, after: int) -> None:
    async with aclosing(service.follow(caller, session_id, after)) as batches:
        async for records in batches:
            for part in parts(records, FRAME_BYTES):
                # awaiting each frame lets the socket's own buffer push back
                await ws.send_frame(part, WSMsgType.TEXT)
    session = await service.get(caller, session_id)
    await ws.send_json({"ended": True, "status": session.status.value, "reason": session.status_info or ""})


async def _listen(ws: web.WebSocketResponse, service: Service, caller: Keypair, session_id: str, attach: bool) -> None:
    """Hands the client's answers to the runs that they are for; returns when the client has gone."""
    while True:
        message = await ws.receive()
        if message.type in GONE:
            return
        try:
            told = json.loads(message.data) if message.type is WSMsgType.TEXT else None
        except (ValueError, RecursionError):
            told = None
        told = told if isinstance(told, dict) else {}
        run_id, text, prompt = told.get("run"), told.get("input"), told.get("prompt")
        if not (attach and isinstance(run_id, str) and isinstance(text, str) and isinstance(prompt, int | None)):
            wanted = '{"run": ID, "input": TEXT, "prompt": NUMBER}, with attach=true only'
            await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=f"this stream takes {wanted}".encode())
            return
        try:
            taken = await (await service.find_run(caller, session_id, run_id)).send_input(text, prompt)
        except BaiTuiError as exc:
            await _say(ws, {"run": run_id, "prompt": prompt, "error": exc.message})
        else:
            await _say(ws, {"run": run_id, "prompt": prompt, "taken": taken})


async def _say(ws: web.WebSocketResponse, told: dict[str, Any]) -> None:
    if not ws.closed:
        try:
            await ws.send_json(told)
        except ConnectionError:
            log.debug("nobody is there any more to be told of a failure")
