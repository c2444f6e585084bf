"""The backend's end of a connection to a runner."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from ..runner.files import SOCKET
from ..runner.wire import Folder

_LIMIT_BYTES: Final = 64 << 20
"""Longest answer of a runner."""


class RunnerError(Exception):
    """A runner refused an operation; `code` says why in one word."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class RunnerGone(Exception):
    """The runner has ended or closed the connection."""


class RunnerLink:
    """Requests with answers, and notes of the runner's state in between."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, on_state: Callable[[dict[str, Any]], None]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._on_state = on_state
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._last_id = 0
        self._task = asyncio.create_task(self._listen(), name="runner-link")
        self.hello: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        """What a newly forked runner says of itself; fails with `RunnerGone`."""

    @classmethod
    async def over(cls, sock: socket.socket, on_state: Callable[[dict[str, Any]], None]) -> RunnerLink:
        """Returns a link over a connected socket, which it owns from now on."""
        reader, writer = await asyncio.open_unix_connection(sock=sock, limit=_LIMIT_BYTES)
        return cls(reader, writer, on_state)

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

    async def _listen(self) -> None:
        try:
            while line := await self._reader.readline():
                message = json.loads(line)
                if "hello" in message:
                    if not self.hello.done():
                        self.hello.set_result(message["hello"])
                elif "id" in message:
                    if "journal" in message:
                        self._on_state(message)
                    answer = self._answers.pop(message["id"], None)
                    if answer is not None and not answer.done():
                        answer.set_result(message)
                else:
                    self._on_state(message)
        except (OSError, ValueError, asyncio.IncompleteReadError):
            pass
        finally:
            self._fail()

    def _fail(self) -> None:
        for answer in (*self._answers.values(), self.hello):
            if not answer.done():
                answer.set_exception(RunnerGone())
                answer.exception()  # whoever waits hears it; nobody waiting is no error
        self._answers.clear()

    @property
    def is_closed(self) -> bool:
        return self._task.done()

    async def call(self, op: str, **arguments: Any) -> dict[str, Any]:
        """Sends an operation and returns its answer. Cancelled, the operation still happens.

        Raises:
            RunnerError: refused.
            RunnerGone: no answer will come.
        """
        if self._task.done():
            raise RunnerGone
        self._last_id += 1
        number = self._last_id
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[number] = answer
        line = json.dumps({"id": number, "op": op, **arguments}, separators=(",", ":")).encode() + b"\n"
        try:
            self._writer.write(line)
            await self._writer.drain()
            reply: dict[str, Any] = await answer
        except OSError:
            raise RunnerGone from None
        finally:
            self._answers.pop(number, None)
        if "error" in reply:
            raise RunnerError(reply["error"], reply["message"])
        return reply

    async def close(self) -> None:
        """Closes the connection. Safe to call twice."""
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.wait([self._task])
        self._fail()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()
