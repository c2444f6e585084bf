"""What a server in memory sends over a websocket: the frames of a run, the records of a session."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import TYPE_CHECKING

from bai_tui.app.client.views import JournalLine
from bai_tui.app.model.console import Frame, RunStatus
from bai_tui.app.model.errors import RemoteError, Unreachable
from bai_tui.app.model.sessions import TERMINAL

if TYPE_CHECKING:
    from bai_tui.tests.tui.fakes import FakeServer, FakeSession


class FakeStream:
    """The frames of one run, from its place in the journal on."""

    def __init__(self, server: FakeServer, session: FakeSession, run_id: str, after: int) -> None:
        self._server, self._session, self._run_id, self._after = server, session, run_id, after

    async def __aiter__(self) -> AsyncIterator[Frame]:
        session, seq = self._session, self._after
        while True:
            async with session.grown:
                while len(session.journal) <= seq and self._server.up and not self._over:
                    await session.grown.wait()
                lines = session.journal[seq:]
            if not self._server.up or self._over:
                raise Unreachable("connection lost: the server went away before the run ended")
            for line in lines:
                seq = line.seq
                if line.run_id != self._run_id or line.kind == "run-started":
                    continue
                if line.kind == "run-finished":
                    yield Frame(RunStatus.FINISHED, [], line.data["exitCode"], seq=seq, run_id=self._run_id)
                    return
                if line.kind == "waiting-input":
                    yield Frame(RunStatus.WAITING_INPUT, [], options=line.data, seq=seq, run_id=self._run_id)
                else:
                    yield Frame(RunStatus.CONTINUED, [(line.kind, line.data)], seq=seq, run_id=self._run_id)

    @property
    def _over(self) -> bool:
        return self._server.closes_streams and self._session.view.status in TERMINAL

    async def send_input(self, text: str) -> None:
        self._server.check()
        if not self._server.dies_of_answer:
            self._session.take(text, None)
        if self._server.dies_of_answer is not None:
            self._server.go_down()
            async with self._session.grown:
                self._session.grown.notify_all()


class FakeFollowing:
    """The records of a session, as they are written."""

    def __init__(self, server: FakeServer, ref: str, after: int) -> None:
        self._server, self._ref, self._after = server, ref, after

    async def batches(self) -> AsyncGenerator[Sequence[JournalLine]]:
        server, after = self._server, self._after
        server.check()
        session = server.find(self._ref)
        while True:
            async with session.grown:
                while len(session.journal) <= after and server.up and not server.stopping:
                    if session.view.status in TERMINAL:
                        return
                    await session.grown.wait()
            server.check()
            if server.stopping:
                raise RemoteError("the backend is stopping; ask the next one", http_status=503)
            lines = session.journal[after:]
            after = len(session.journal)
            yield lines
