"""A run that goes on over lost connections: its frames from the websocket, then, where that broke, from the journal."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Final

from ..model.console import ConsoleRecord, ExecuteRequest, Frame, RunStatus, dropped_notice
from ..model.errors import BaiTuiError, Unreachable
from ..model.notices import death_notice
from . import stream
from .follow import Following
from .patience import Patience, is_loss, persist
from .stream import WebsocketRun
from .views import JournalLine

if TYPE_CHECKING:
    from .api import ApiClient

_STATUS_OF: Final = {
    "waiting-input": RunStatus.WAITING_INPUT,
    "clean-finished": RunStatus.CLEAN_FINISHED,
    "build-finished": RunStatus.BUILD_FINISHED,
    "run-finished": RunStatus.FINISHED,
    "kernel-died": RunStatus.FINISHED,
}
_SILENT: Final = frozenset({"run-started", "kernel-started"})


class PersistentRun:
    """An open run, an `ExecuteStream`. Its id was chosen by us, so that it is found again and never begun twice."""

    def __init__(self, client: ApiClient, session_id: str, request: ExecuteRequest, patience: Patience) -> None:
        if request.run_id is None:
            raise AssertionError("a run that is to be found again needs an id")
        self._client = client
        self._session_id = session_id
        self._request = request
        self._run_id = request.run_id
        self._patience = patience
        self._seq: int | None = None
        """Number of the newest record that was given; None = none yet."""
        self._channel: WebsocketRun | Following | None = None
        self._prompt = 0
        """Number of the newest record that asked for input."""
        self._answer: str | None = None
        """What was sent to it."""
        self._frames: AsyncGenerator[Frame] | None = None

    def __aiter__(self) -> AsyncIterator[Frame]:
        self._frames = self._all()
        return self._frames

    async def close(self) -> None:
        """Closes the connection. The run goes on if it has not ended."""
        if self._frames is not None:
            await self._frames.aclose()

    async def _all(self) -> AsyncGenerator[Frame]:
        again = False
        while True:
            try:
                async with aclosing(self._first(again)) as frames:
                    async for frame in frames:
                        yield frame
                return
            except BaiTuiError as exc:
                if not is_loss(exc):
                    raise
                await self._patience.restore(self._client, exc)
            after = self._seq if self._seq is not None else await self._begun()
            if after is not None:
                break
            again = True  # it never reached the session
        async with aclosing(self._rest(after)) as frames:
            async for frame in frames:
                yield frame

    async def _first(self, again: bool) -> AsyncGenerator[Frame]:
        """Yields the frames of the websocket that starts the run."""
        async with stream.execute(self._client.transport, self._session_id, self._request) as run:
            self._channel = run
            try:
                async for frame in run:
                    if again and frame.run_id == "" and await self._begun() is not None:
                        # refused, since what was sent before the connection was lost has reached the session after all
                        raise Unreachable("the run had begun already")
                    self._note(frame)
                    yield frame
            finally:
                self._channel = None

    def _note(self, frame: Frame) -> None:
        if frame.seq is not None:
            self._seq = frame.seq
        if frame.status is RunStatus.WAITING_INPUT:
            self._prompt, self._answer = frame.seq or 0, None

    async def _begun(self) -> int | None:
        """Returns the journal number before the run; None when the session knows of no such run."""
        runs = await persist(self._client, self._patience, lambda: self._client.list_runs(self._session_id))
        return next((run.after for run in runs if run.id == self._run_id), None)

    async def _rest(self, after: int) -> AsyncGenerator[Frame]:
        """Yields what the journal tells of the run."""
        following = self._client.follow(self._session_id, after=after, attach=True, patience=self._patience)
        if self._answer is not None:
            # whether it arrived before the connection was lost, nobody can tell but the server
            await following.send_input(self._run_id, self._answer, self._prompt)
        self._channel = following
        try:
            async with aclosing(following.batches()) as batches:
                async for lines in batches:
                    for frame in frames_of(lines, self._run_id):
                        self._note(frame)
                        yield frame
                        if frame.status is RunStatus.FINISHED:
                            return
            why = f": {following.ending.reason}" if following.ending is not None and following.ending.reason else ""
            message = f"the session ended while the code ran{why}"
            yield Frame(
                RunStatus.FINISHED, [("stderr", f"{message}\n")], exit_code=1, message=message, run_id=self._run_id
            )
        finally:
            self._channel = None

    async def send_input(self, text: str) -> None:
        """Answers the newest `waiting-input` frame; returns when the answer was sent, or will be. It counts once."""
        self._answer = text
        channel = self._channel
        if isinstance(channel, Following):
            await channel.send_input(self._run_id, text, self._prompt)
        elif channel is not None:
            with suppress(Unreachable):  # whoever iterates finds out as well
                await channel.send_input(text)


def frames_of(lines: Iterable[JournalLine], run_id: str) -> Iterator[Frame]:
    """Yields the frames that the websocket of a run would have given for its part of a journal."""
    console: list[ConsoleRecord] = []
    seq: int | None = None
    for line in lines:
        # a kernel that dies beside a batch command ends no run: its record names none
        if line.kind in _SILENT or line.run_id != run_id:
            continue
        seq = line.seq
        data = line.data if isinstance(line.data, dict) else {}
        status = _STATUS_OF.get(line.kind)
        if status is None:
            dropped = line.kind == "dropped"
            console.append(("stderr", f"{dropped_notice(data)}\n") if dropped else (line.kind, line.data))
            continue
        message = None
        if line.kind == "kernel-died":
            message = death_notice(data)
            console.append(("stderr", f"{message}\n"))
        code = data.get("exitCode")
        if not isinstance(code, int):
            code = 1 if line.kind == "kernel-died" else None
        options = {"is_password": bool(data.get("is_password"))} if status is RunStatus.WAITING_INPUT else None
        yield Frame(status, console, exit_code=code, options=options, message=message, seq=seq, run_id=run_id)
        console = []
    if console:
        yield Frame(RunStatus.CONTINUED, console, seq=seq, run_id=run_id)
