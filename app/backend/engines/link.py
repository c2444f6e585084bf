"""The backend's end of a connection to a runner."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..runner.files import SOCKET
from ..runner.wire import Folder, encode

_LIMIT_BYTES: Final = 64 << 20
"""Longest answer of a runner."""


class RunnerError(Exception):
    """A runner refused an operation; `code` says why in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RunnerGone(Exception):
    """The runner has ended or closed the connection."""


class RunnerLink(asyncio.Protocol):
    """Requests with answers, and notes of the runner's state in between.

    A protocol of its own and no stream: a message is served in the very turn of the loop in which it comes.
    """

    def __init__(self, on_state: Callable[[dict[str, Any]], None]) -> None:
        """To be connected by `over` or `connect`; `on_state` hears what the runner says of itself."""
        self._on_state = on_state
        self._transport: asyncio.Transport | None = None
        self._rest = b""
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._closed = asyncio.Event()
        self.hello: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        """What a newly forked runner says of itself; fails with `RunnerGone`."""

    @classmethod
    async def over(cls, sock: socket.socket, on_state: Callable[[dict[str, Any]], None]) -> RunnerLink:
        """Returns a link over a connected socket, which it owns from now on."""
        _, link = await asyncio.get_running_loop().create_unix_connection(lambda: cls(on_state), sock=sock)
        return link

    @classmethod
    async def connect(cls, session_dir: Path, on_state: Callable[[dict[str, Any]], None]) -> RunnerLink:
        """Connects to the runner of `session_dir`.

        Raises:
            OSError: nobody listens there.
        """
        sock = socket.socket(socket.AF_UNIX)
        sock.setblocking(False)
        try:
            folder = Folder(str(session_dir))
            try:
                await asyncio.get_running_loop().sock_connect(sock, folder.address(SOCKET))
            finally:
                folder.close()
            return await cls.over(sock, on_state)
        except BaseException:
            sock.close()
            raise

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        try:
            for line in lines:
                self._take(json.loads(line))
        except ValueError:
            self._abort()  # no runner speaks like this
        if len(self._rest) > _LIMIT_BYTES:
            self._abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail()
        self._closed.set()

    # --- messages

    def _take(self, message: dict[str, Any]) -> None:
        if "journal" in message:
            self._on_state(message)
        if "id" in message:
            answer = self._answers.pop(message["id"], None)
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif "hello" in message and not self.hello.done():
            self.hello.set_result(message["hello"])

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _fail(self) -> None:
        for answer in (*self._answers.values(), self.hello):
            if not answer.done():
                answer.set_exception(RunnerGone())
                answer.exception()  # whoever waits hears it; nobody waiting is no error
        self._answers.clear()

    @property
    def is_closed(self) -> bool:
        return self._transport is None or self._transport.is_closing()

    async def call(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Sends an operation and returns its answer. Cancelled, the operation still happens.

        Raises:
            RunnerError: refused.
            RunnerGone: no answer will come.
        """
        if self._transport is None or self._transport.is_closing():
            raise RunnerGone
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        # Nobody asks twice without an answer, so that little can wait here for a runner that does not read.
        self._transport.write(encode({"id": number, "op": op, **arguments}))
        try:
            reply: dict[str, Any] = await answer
        finally:
            self._answers.pop(number, None)
        if "error" in reply:
            raise RunnerError(reply["error"], reply["message"])
        return reply

    async def close(self) -> None:
        """Closes the connection. Safe to call twice."""
        if self._transport is not None:
            self._transport.abort()
            await self._closed.wait()
