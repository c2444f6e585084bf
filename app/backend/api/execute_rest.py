"""POST /session/{ref}: execution by long poll, for clients without websockets.

A run goes on whether or not anybody asks for more of it; what was said lies in the journal. All that is kept here is
how far each run has been told.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import OrderedDict
from dataclasses import replace
from typing import Final

from aiohttp import web

from ...model.console import ExecuteRequest, RunMode, RunStatus
from ...model.errors import BadRequest, NotFound
from ...model.sessions import Session
from ..ports import JournalRecord, Keypair, Run, Service
from .body import Fields, read_fields
from .context import caller_of, service_of
from .frames import FrameParts, frames_of, tells
from .sessions import complete

POLL_S: Final = 2.0
"""How long a call waits for more output, as the manager does."""
MAX_ANSWER_BYTES: Final = 512 * 1024
_RUN_ID = re.compile(r"[\w.-]{1,64}", re.ASCII)
_READ_AT_ONCE = 500


class Cursors:
    """How far each run has been told: (session id, run id) -> journal number. The least recently asked go first."""

    def __init__(self, capacity: int = 1024) -> None:
        self._seqs: OrderedDict[tuple[str, str], int] = OrderedDict()
        self._capacity = capacity

    def get(self, session_id: str, run_id: str) -> int | None:
        return self._seqs.get((session_id, run_id))

    def set(self, session_id: str, run_id: str, seq: int) -> None:
        self._seqs[session_id, run_id] = seq
        self._seqs.move_to_end((session_id, run_id))
        while len(self._seqs) > self._capacity:
            self._seqs.popitem(last=False)


CURSORS = web.AppKey("cursors", Cursors)


async def execute(request: web.Request) -> web.Response:
    fields = await read_fields(request)
    mode = fields.text("mode", default="query")
    if mode == "complete":
        return await complete(request)
    if mode not in ("query", "batch", "continue", "input"):
        raise BadRequest(f"the mode {mode!r} is not known: use query, batch, continue, input or complete")
    service, caller = service_of(request), caller_of(request)
    session = await service.get(caller, request.match_info["ref"])
    cursors = request.app[CURSORS]
    run_id = fields.optional_text("runId", "run_id")
    if run_id is not None and not _RUN_ID.fullmatch(run_id):
        raise BadRequest("a run id has 1 to 64 letters, digits, '_', '.' or '-'")
    told: list[JournalRecord] = []
    if mode in ("query", "batch"):
        run_id, told = await _start(service, caller, session, RunMode(mode), fields, run_id, cursors)
    elif run_id is None:
        raise BadRequest(f"the mode {mode!r} needs the runId of the run to go on with")
    elif mode == "input":
        run = await service.find_run(caller, session.id, run_id)
        await run.send_input(fields.text("code"))
    answer = await _poll(service, caller, session, run_id, cursors, told)
    return web.Response(body=b'{"result":%s}' % answer.dump(run_id), content_type="application/json")


async def _start(
    service: Service,
    caller: Keypair,
    session: Session,
    mode: RunMode,
    fields: Fields,
    run_id: str | None,
    cursors: Cursors,
) -> tuple[str, list[JournalRecord]]:
    """Begins a run; returns its id and what it has to say before its first record in the journal."""
    if run_id is not None and cursors.get(session.id, run_id) is not None:
        raise BadRequest(f"the run id {run_id!r} has been used in this session: take another, or mode 'continue'")
    asked = ExecuteRequest(mode, fields.text("code"), fields.object("options"))
    async with service.run(caller, session.id, asked, run_id) as run:
        first = await _first(run, session)
        if first.kind == "run-started":
            cursors.set(session.id, run.run_id, first.seq - 1)
            return run.run_id, []
        # said by the service: it bears the number of the record before the run, which is not the run's
        cursors.set(session.id, run.run_id, first.seq)
        return run.run_id, [first]


async def _first(run: Run, session: Session) -> JournalRecord:
    async for record in run.records():
        return record
    raise NotFound(f"the journal of the session {session.name!r} has nothing of the run {run.run_id!r}")


async def _position(service: Service, caller: Keypair, session: Session, run_id: str, cursors: Cursors) -> int:
    seq = cursors.get(session.id, run_id)
    if seq is not None:
        return seq
    # begun by websocket, or before this backend started: told from its beginning
    run = await service.find_run(caller, session.id, run_id)
    return (await _first(run, session)).seq - 1


async def _poll(
    service: Service, caller: Keypair, session: Session, run_id: str, cursors: Cursors, told: list[JournalRecord]
) -> FrameParts:
    """Returns `told` and what the run says until a status comes, `POLL_S` passes, or the answer is full."""
    seq = await _position(service, caller, session, run_id, cursors)
    clock = asyncio.get_running_loop().time
    deadline = clock() + POLL_S
    gathered = list(told)
    size, lost = 0, False
    while True:
        left_s = deadline - clock()
        if left_s <= 0:
            break
        records = await service.journal(caller, session.id, after=seq, limit=_READ_AT_ONCE, wait_s=left_s)
        if not records:
            if clock() < deadline:
                # the journal has ended: nothing more will come for anybody to wait for
                break
            continue
        for record in records:
            seq = record.seq
            if record.kind == "dropped" and record.run_id is None:
                lost = True  # where the end of the run was dropped too, another run will be the first to tell
            elif record.run_id != run_id:  # a kernel that dies beside a batch command ends no run
                if not lost or record.run_id is None:
                    continue
                record = _lost_end(record, run_id)
            else:
                lost = False
            gathered.append(record)
            size += len(record.raw)
            if tells(record) or size >= MAX_ANSWER_BYTES:
                cursors.set(session.id, run_id, seq)
                return _one(gathered)
    cursors.set(session.id, run_id, seq)
    return _one(gathered)


def _lost_end(record: JournalRecord, run_id: str) -> JournalRecord:
    """Returns what stands for the end of a run that was dropped before `record`."""
    data = {"exitCode": None, "reason": "how the run ended was dropped with its output"}
    return replace(record, run_id=run_id, kind="run-finished", raw=json.dumps(["run-finished", data]).encode())


def _one(records: list[JournalRecord]) -> FrameParts:
    frames = frames_of(records, max_bytes=2**62)
    return frames[0] if frames else FrameParts(RunStatus.CONTINUED, [])
