"""A session's journal, pushed by the server and resumed over lost connections: nothing missing, nothing twice."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, Final

from ..model.errors import BaiTuiError, IllegalState, RemoteError, Unreachable
from .address import segment
from .parsing import journal_line
from .patience import Patience, is_loss
from .stream import close_early, open_socket, receive, send
from .views import Ending, JournalLine

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

    from .api import ApiClient

_END: Final = 2**53
"""A number above those of all records."""


class Following:
    """A reader of one session's journal. One at a time may iterate `batches`; to be closed by who leaves it early."""

    def __init__(
        self,
        client: ApiClient,
        session_id: str,
        *,
        after: int,
        attach: bool,
        patience: Patience | None,
        refused: Callable[[str], object],
    ) -> None:
        """Stands behind record `after`; see `ApiClient.follow`."""
        self._client = client
        self._session_id = session_id
        self._attach = attach
        self._patience = patience
        self._refused = refused
        self._socket: ClientConnection | None = None
        self._answers: dict[int, str] = {}
        """Answers that the server has not confirmed, by the number of their prompt."""
        self.after = after
        """Number of the newest record that was given."""
        self.ending: Ending | None = None
        """How the session ended; None while it lives, as far as we know."""

    async def batches(self) -> AsyncGenerator[Sequence[JournalLine]]:
        """Yields what has been written, each time all that has come, until the session has ended.

        Connects again, and goes on where it stood, as long as there is patience.

        Raises:
            RemoteError: the server refuses, or there is no such session any more.
            Unreachable: the connection was lost, and the server did not come back.
        """
        while self.ending is None:
            try:
                async with aclosing(self._connected()) as connected:
                    async for lines in connected:
                        yield lines
            except BaiTuiError as exc:
                if self._patience is None or not is_loss(exc):
                    raise
                await self._patience.restore(self._client, exc)

    async def _connected(self) -> AsyncGenerator[Sequence[JournalLine]]:
        transport = self._client.transport
        query = [("after", str(self.after)), *([("attach", "true")] if self._attach else [])]
        socket = await open_socket(transport, f"/stream/session/{segment(self._session_id)}/journal", query)
        try:
            self._socket = socket
            for answer in list(self._answers.values()):
                await send(socket, transport.url, answer)
            while self.ending is None:
                told = _parsed(await receive(socket, transport.url, "the session"), transport.url)
                if "records" in told:
                    lines = [journal_line(row) for row in told["records"] if isinstance(row, Mapping)]
                    if lines := [line for line in lines if line.seq > self.after]:
                        self.after = lines[-1].seq
                        yield lines
                elif told.get("ended"):
                    self.ending = Ending(str(told.get("status") or ""), str(told.get("reason") or ""))
                elif "run" in told:
                    self._settle(told)
                elif "error" in told:
                    raise RemoteError(str(told["error"]), http_status=0)
        finally:
            self._socket = None
            await close_early(socket)

    async def send_input(self, run_id: str, text: str, prompt: int) -> None:
        """Answers the prompt of a run (`attach` only); returns when the answer was sent, or will be.

        It is sent again over each new connection until the server has taken it, and counts once.

        Args:
            prompt: journal number of the record that asks.
        """
        self._answers[prompt] = json.dumps({"run": run_id, "input": text, "prompt": prompt})
        if self._socket is not None:
            with suppress(Unreachable):
                await send(self._socket, self._client.transport.url, self._answers[prompt])

    def _settle(self, told: Mapping[str, Any]) -> None:
        """Takes what became of an answer."""
        prompt = told.get("prompt")
        if self._answers.pop(prompt if isinstance(prompt, int) else 0, None) is not None and "error" in told:
            self._refused(str(told["error"]))


async def answer(client: ApiClient, session_id: str, run_id: str, text: str, prompt: int) -> None:
    """Answers the prompt of a run and returns when the server has confirmed it. May be done again: it counts once.

    Raises:
        IllegalState: the run asks for nothing any more, or its session has ended.
        Unreachable: the connection was lost; whether the answer arrived is not known.
    """
    transport = client.transport
    # behind all records: what the run says to it is read elsewhere
    query = [("after", str(_END)), ("attach", "true")]
    socket = await open_socket(transport, f"/stream/session/{segment(session_id)}/journal", query)
    try:
        await send(socket, transport.url, json.dumps({"run": run_id, "input": text, "prompt": prompt}))
        while True:
            told = _parsed(await receive(socket, transport.url, "the answer"), transport.url)
            if "error" in told:
                raise IllegalState(str(told["error"]))
            if told.get("ended"):
                raise IllegalState("the session has ended")
            if "run" in told:
                return
    finally:
        await close_early(socket)


def _parsed(message: str | bytes, url: str) -> Mapping[str, Any]:
    try:
        told = json.loads(message)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, Mapping):
        raise Unreachable(f"{url} sent a part of a journal that cannot be read")
    return told
