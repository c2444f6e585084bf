"""GET /stream/session/{ref}/execute: one websocket, one run.

Two tasks share a run: one sends what has gathered in the journal, one takes the client's answers. Whatever is
ready goes out at once and together: nothing waits for a timer and nothing is sent line by line. The journal is the
buffer: a slow client slows the reading of it, not the run.
"""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import Final

from aiohttp import WSCloseCode, WSMsgType, web

from ...model.console import ExecuteRequest
from ...model.errors import BackendFailure, BadRequest, BaiTuiError
from ...model.sessions import Session
from ..ports import Keypair, Run
from .context import ApiContext, caller_of, context_of
from .frames import failure, frames_of, is_end
from .problems import unexpected
from .sockets import GONE, until_first

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES: Final = 16 * 1024 * 1024
_READABLE_BYTES: Final = 4 * MAX_MESSAGE_BYTES
"""What is read of a message that is refused: a socket that is closed with bytes unread takes the refusal with it."""
FIRST_FRAME_TIMEOUT_S: Final = 60.0


class ClientGone(Exception):
    """The other side has closed or lost the connection."""


async def execute(request: web.Request) -> web.WebSocketResponse:
    context, caller = context_of(request), caller_of(request)
    # refused as a handshake answer where the session is not there: clients then show the status
    session = await context.service.get(caller, request.match_info["ref"])
    with context.service.attached(session.id):
        return await _serve(request, context, caller, session)


async def _serve(request: web.Request, context: ApiContext, caller: Keypair, session: Session) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(compress=False, max_msg_size=_READABLE_BYTES, timeout=2.0)
    await ws.prepare(request)
    context.sockets.add(ws)
    try:
        asked = await _first_frame(ws)
        if asked is not None:
            async with context.service.run(caller, session.id, asked, asked.run_id) as run:
                await _attend(ws, run)
    except ClientGone:
        log.info("the client of a run in session %s has gone; the run goes on", session.id)
    except BaiTuiError as exc:
        await _say(ws, failure(exc.message).dump(""))
    except ConnectionError:
        log.info("the connection of a run in session %s was lost; the run goes on", session.id)
    except Exception as exc:
        # the answer has begun, so the failure travels as a frame
        await _say(ws, failure(unexpected(exc, f"a run in session {session.id}")).dump(""))
    finally:
        context.sockets.discard(ws)
        if not ws.closed:
            await ws.close()
    return ws


async def _say(ws: web.WebSocketResponse, frame: bytes) -> None:
    if not ws.closed:
        try:
            await ws.send_frame(frame, WSMsgType.TEXT)
        except ConnectionError:
            log.debug("nobody is there any more to be told of a failure")


async def _refuse(ws: web.WebSocketResponse, message: str, code: WSCloseCode) -> None:
    await ws.send_json({"status": "error", "msg": message})
    # a close reason has room for 123 bytes
    await ws.close(code=code, message=message.encode()[:120].decode(errors="ignore").encode())


def _too_long(text: str) -> bool:
    # a character has at most four bytes: most texts need no counting
    return len(text) * 4 > MAX_MESSAGE_BYTES and len(text.encode()) > MAX_MESSAGE_BYTES


async def _refuse_length(ws: web.WebSocketResponse) -> None:
    text = f"a frame of an execute stream has at most {MAX_MESSAGE_BYTES} bytes: upload larger code as a file"
    await _refuse(ws, text, WSCloseCode.MESSAGE_TOO_BIG)


async def _first_frame(ws: web.WebSocketResponse) -> ExecuteRequest | None:
    """Returns what the client wants run; None when it said nothing usable and was told so."""
    try:
        message = await ws.receive(timeout=FIRST_FRAME_TIMEOUT_S)
    except TimeoutError:
        await _refuse(ws, "no first frame came within a minute", WSCloseCode.POLICY_VIOLATION)
        return None
    if message.type in GONE:
        return None
    if message.type is not WSMsgType.TEXT:
        await _refuse(ws, "the first frame of an execute stream must be text", WSCloseCode.UNSUPPORTED_DATA)
        return None
    if _too_long(message.data):
        await _refuse_length(ws)
        return None
    try:
        return ExecuteRequest.parse(message.data)
    except (BadRequest, RecursionError) as exc:
        await _refuse(ws, str(exc), WSCloseCode.INVALID_TEXT)
        return None


async def _attend(ws: web.WebSocketResponse, run: Run) -> None:
    """Serves one run until its end has been told.

    Raises:
        ClientGone: the client left first, or the server closed the socket because it stops.
        BackendFailure: the journal ended before the run did.
    """
    await until_first({f"frames of run {run.run_id}": _send(ws, run), f"input of run {run.run_id}": _listen(ws, run)})


async def _send(ws: web.WebSocketResponse, run: Run) -> None:
    """Sends until the end of the run has been told."""
    async with aclosing(run.batches()) as batches:
        async for records in batches:
            for frame in frames_of(records):
                # awaiting each frame lets the socket's own buffer push back
                await ws.send_frame(frame.dump(run.run_id), WSMsgType.TEXT)
            if is_end(records[-1]):
                return
    raise BackendFailure("The journal of the run ended before the run did: the log of the backend says more.")


async def _listen(ws: web.WebSocketResponse, run: Run) -> None:
    """Hands the client's text frames to the run as answers to its prompts."""
    while True:
        message = await ws.receive()
        if message.type in GONE:
            raise ClientGone
        if message.type is not WSMsgType.TEXT:
            await _refuse(ws, "answers to a prompt must be text frames", WSCloseCode.UNSUPPORTED_DATA)
            raise ClientGone
        if _too_long(message.data):
            await _refuse_length(ws)
            raise ClientGone
        try:
            await run.send_input(message.data)
        except BaiTuiError as exc:
            await ws.send_json({"status": "error", "msg": exc.message})
