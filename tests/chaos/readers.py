"""Those who follow output: over the stream of a run, and page by page through the journal. Both resume by number."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from bai_tui.app.client.api import ApiClient, ExecuteStream
from bai_tui.app.client.patience import Patience
from bai_tui.app.client.stream import WebsocketRun
from bai_tui.app.client.views import JournalLine
from bai_tui.app.model.console import Frame, RunStatus
from bai_tui.app.model.endpoint import Endpoint
from bai_tui.app.model.errors import IllegalState, NotFound, RemoteError, Unreachable

from .model import Run, Tracked, Violation
from .programs import faults

ENDS = ("run-finished", "kernel-died")


class Door(Protocol):
    """The way to the daemon of now; both wait while there is none."""

    async def connect(self) -> ApiClient: ...

    async def find(self) -> Endpoint: ...


def reset(stream: WebsocketRun) -> None:
    """Drops a connection as a machine does that falls into the water: no farewell, what is unread is thrown away."""
    transport = stream._socket.transport
    sock = transport.get_extra_info("socket")
    if sock is not None:
        with contextlib.suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


class JournalReader:
    """Reads the journal of a session as it grows. Every number must come once, in order."""

    def __init__(self, session: Tracked, door: Door, seed: int) -> None:
        self.session = session
        self.after = 0
        self.records: list[JournalLine] = []
        self.dropped: list[tuple[int, int]] = []
        self._door = door
        self._rng = random.Random(seed)

    async def page(self, wait_s: float) -> bool:
        """Reads on; False when there was nothing.

        Raises:
            Violation: a record is missing or came twice.
        """
        assert self.session.id is not None
        client = await self._door.connect()
        limit = self._rng.choice((1, 3, 50, 1000))
        lines = await client.journal(self.session.id, after=self.after, limit=limit, wait_s=wait_s)
        for line in lines:
            self._take(line)
        return bool(lines)

    async def _pushed(self, batches: int) -> None:
        """Reads some batches over a websocket, which is left then."""
        client = await self._door.connect()
        following = client.follow(self.session.id or "", after=self.after)
        async with aclosing(following.batches()) as pushed:
            async for lines in pushed:
                for line in lines:
                    self._take(line)
                batches -= 1
                if batches <= 0:
                    return

    def _take(self, line: JournalLine) -> None:
        if line.kind == "dropped":
            first, last = int(line.data["first"]), int(line.data["last"])
            if not (first <= self.after + 1 <= last == line.seq):
                raise Violation(f"{self.session.name}: {line.data} is said to be dropped after {self.after}")
            self.dropped.append((self.after + 1, last))
        elif line.seq != self.after + 1:
            what = "came twice" if line.seq <= self.after else "are lost"
            raise Violation(f"{self.session.name}: after record {self.after} came {line.seq}: records {what}")
        else:
            self.records.append(line)
        self.after = line.seq

    async def follow(self) -> None:
        """Reads until cancelled: page by page, and by turns as the server pushes."""
        while True:
            try:
                if self._rng.random() < 0.5:
                    await self._pushed(self._rng.randint(1, 20))
                await self.page(self._rng.choice((0.2, 2.0)))
            except (Unreachable, NotFound):
                await asyncio.sleep(0.02)  # the daemon is being replaced
            except RemoteError as exc:
                if 0 < exc.http_status < 500:  # 0: told by websocket
                    raise
                await asyncio.sleep(0.02)  # its disk is full

    async def rest(self) -> None:
        """Reads what is left of a journal that does not grow any more."""
        while await self.page(0):
            pass


class RunReader:
    """Starts a run and follows it to its end, whatever happens to the connection."""

    def __init__(self, run: Run, door: Door, seed: int) -> None:
        self.run = run
        self.text: dict[str, str] = {"stdout": "", "stderr": ""}
        self.after = 0
        self.run_id: str | None = None
        self.end: tuple[str, int | None] | None = None
        self.gaps = False
        self.refused: str | None = None
        self._door = door
        self._rng = random.Random(seed)

    async def start(self) -> None:
        """Runs it over a websocket; returns when it has ended or the stream is lost."""
        run, rng = self.run, self._rng
        if rng.random() < 0.4:
            await self._persist()
            return
        client = await self._door.connect()
        assert run.session.id is not None
        rude_after = rng.randint(1, 12) if rng.random() < 0.35 else None
        deaf = rude_after is not None and rng.random() < 0.3
        answers = list(run.program.answers)
        try:
            async with client.execute(run.session.id, run.program.request) as stream:
                if deaf:
                    await asyncio.sleep(rng.uniform(0.0, 0.5))  # no synchronisation: one that does not read
                seen = 0
                async for frame in stream:
                    seen += 1
                    await self._take_frame(stream, frame, answers)
                    if frame.status is RunStatus.FINISHED:
                        return
                    if rude_after is not None and seen >= rude_after:
                        assert isinstance(stream, WebsocketRun)
                        reset(stream)
        except Unreachable:
            return
        except RemoteError as exc:
            self.refused = exc.message

    async def _persist(self) -> None:
        """Leaves it to the client to hold on to the run, wherever the daemon goes."""
        assert self.run.session.id is not None
        answers = list(self.run.program.answers)
        try:
            async with (
                ApiClient(await self._door.find()) as client,
                client.execute(
                    self.run.session.id, self.run.program.request, patience=Patience(self._door.find)
                ) as stream,
            ):
                async for frame in stream:
                    await self._take_frame(stream, frame, answers)
        except RemoteError as exc:
            self.refused = exc.message

    async def _take_frame(self, stream: ExecuteStream, frame: Frame, answers: list[str]) -> None:
        """Takes what a frame tells of the run, and gives the next of the answers when it asks for one."""
        if frame.run_id and not self._is_told_only(frame):
            self.run.begun = True
            self.run_id = frame.run_id
        self._take_records(frame.console)
        self.after = max(self.after, frame.seq or 0)
        if frame.status is RunStatus.WAITING_INPUT and answers:
            await stream.send_input(answers.pop(0))
        if frame.status is RunStatus.FINISHED:
            if frame.run_id:
                self.end = ("finished", frame.exit_code)
            else:
                self.refused = frame.message or "refused"

    @staticmethod
    def _is_told_only(frame: Frame) -> bool:
        """Whether a frame is the client's own word for a run of which it saw nothing."""
        return frame.status is RunStatus.FINISHED and frame.seq is None

    def _take_records(self, records: Sequence[tuple[str, Any]]) -> None:
        for kind, data in records:
            if kind in self.text:
                self.text[kind] += str(data)
            elif kind == "dropped":
                self.gaps = True

    async def resume(self, over: Callable[[], bool]) -> None:
        """Goes on through the journal from the number that the stream has told, to the end of the run.

        Args:
            over: whether the session has ended, so that nothing will be added to its journal.
        """
        run, tries = self.run, 0
        while self.end is None:
            ended = over()
            try:
                client = await self._door.connect()
                assert run.session.id is not None
                lines = await client.journal(run.session.id, after=self.after, limit=500, wait_s=0 if ended else 1)
            except RemoteError as exc:
                if not isinstance(exc, Unreachable | NotFound) and exc.http_status < 500:
                    raise
                await asyncio.sleep(0.02)  # the daemon is being replaced, or its disk is full
                continue
            for line in lines:
                await self._take_line(client, line)
            if not lines:
                tries += 1
                if ended or (self.run_id is None and tries > 5):
                    return  # it never began, or nobody is left to tell of its end

    async def _take_line(self, client: ApiClient, line: JournalLine) -> None:
        self.after = line.seq
        if line.kind == "dropped":
            self.gaps = True
        if line.kind == "run-started" and self.run_id is None and self._is_ours(line.data):
            self.run_id = line.run_id
            self.run.begun = True
        if self.run_id is None or line.run_id != self.run_id:
            return
        self._take_records([(line.kind, line.data)])
        if line.kind in ENDS:
            self.end = (line.kind, line.data.get("exitCode"))
        elif line.kind == "waiting-input" and self.run.program.answers:
            await self._answer(client, self.run_id, line.seq)

    async def _answer(self, client: ApiClient, run_id: str, prompt: int) -> None:
        """Answers a prompt until a backend has taken it: what was taken already counts once."""
        while True:
            try:
                await client.answer(self.run.session.id or "", run_id, self.run.program.answers[0], prompt)
            except (IllegalState, NotFound):
                return  # it has ended meanwhile
            except RemoteError as exc:
                if not isinstance(exc, Unreachable) and exc.http_status < 500:
                    raise
                await asyncio.sleep(0.02)  # the daemon is being replaced, or its disk is full
                with contextlib.suppress(RemoteError):
                    client = await self._door.connect()
            else:
                return

    def _is_ours(self, data: Any) -> bool:
        return self.run.program.token in str(data.get("code")) + str(data.get("options"))

    def faults(self) -> list[str]:
        """Returns what is wrong with what was read."""
        run = self.run
        if not run.begun:
            return []
        found = faults(run.program.token, run.program.channels, self.text, whole=not run.cut, gaps=self.gaps)
        if self.end is None and not run.runner_lost and not run.cut:
            found.append(f"{run.program.token}: its end was never told")
        if self.end is not None and not run.cut and self.end[1] != run.program.exit_code:
            found.append(f"{run.program.token}: exit code {self.end[1]} instead of {run.program.exit_code}")
        return found


def run_texts(records: Sequence[JournalLine], token: str) -> tuple[list[str], dict[str, str], list[tuple[str, Any]]]:
    """Returns of the runs of `token` in a journal: their ids, the text of each stream, and how they ended."""
    ids = [
        line.run_id or ""
        for line in records
        if line.kind == "run-started" and token in str(line.data.get("code")) + str(line.data.get("options"))
    ]
    text = {"stdout": "", "stderr": ""}
    ends = []
    parts: dict[str, list[str]] = {"stdout": [], "stderr": []}
    for line in records:
        if line.run_id in ids:
            if line.kind in parts:
                parts[line.kind].append(str(line.data))
            elif line.kind in ENDS:
                ends.append((line.kind, line.data.get("exitCode")))
    text = {kind: "".join(pieces) for kind, pieces in parts.items()}
    return ids, text, ends
