"""A client of a session's terminal, seen from the backend: a connection of its own to the runner."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...model.errors import KernelNotReady, LaunchFailed
from ..ports import Exit, TerminalNews
from ..runner.files import SOCKET
from ..runner.wire import Folder, encode

_LINE_BYTES: Final = 32 << 10
"""Longest message of a runner; twice as much is read ahead, and no more: see `api.pty_stream`."""
_END_S: Final = 10.0
"""How long the end of a session may be in coming after that of the connection to its runner."""
_WINDOW_BYTES: Final = 64 << 10
"""Of input that the runner has not confirmed: what comes behind it waits."""


async def attach(session_id: str, session_dir: Path, end: asyncio.Future[Exit]) -> RunnerTerminal:
    """Attaches to the terminal of a session, whose shell is started when there is none.

    Args:
        end: is done when the session has ended.

    Raises:
        LaunchFailed: there is no starting it, and why.
        KernelNotReady: the runner is gone, or of a version that has no terminals.
    """
    try:
        terminal = RunnerTerminal(session_id, end, *await _connect(session_dir))
    except OSError:
        raise KernelNotReady(f"the runner of the session {session_id} is gone; start a new session") from None
    try:
        await terminal.begin()
    except BaseException:
        await terminal.close()
        raise
    return terminal


async def _connect(session_dir: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(False)
    try:
        folder = Folder(str(session_dir))
        try:
            await asyncio.get_running_loop().sock_connect(sock, folder.address(SOCKET))
        finally:
            folder.close()
        return await asyncio.open_unix_connection(sock=sock, limit=_LINE_BYTES)
    except BaseException:
        sock.close()
        raise


class RunnerTerminal:
    """Implements `ports.Terminal`. One task iterates `news`; answers come in while it does."""

    def __init__(
        self, session_id: str, end: asyncio.Future[Exit], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """To be made by `attach`."""
        self._session_id = session_id
        self._end = end
        self._reader = reader
        self._writer = writer
        self._last_id = 0
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._typed: dict[int, int] = {}
        """Bytes of input that are not confirmed, by the number of their message."""
        self._room = asyncio.Event()
        self._gone = False

    async def begin(self) -> None:
        """Returns when the runner has attached this client (errors as `attach`)."""
        number, answer = self._ask(do="attach")
        while number in self._answers:
            # a runner of an earlier version speaks of its state in between, and refuses
            self._take(await self._line())
        self._check(answer.result())

    def _ask(self, **message: Any) -> tuple[int, asyncio.Future[dict[str, Any]]]:
        if self._gone:
            raise self._ended()
        self._last_id += 1
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[self._last_id] = answer
        self._writer.write(encode({"id": self._last_id, "op": "terminal", **message}))
        return self._last_id, answer

    async def _line(self) -> dict[str, Any]:
        try:
            line = await self._reader.readline()
            told = json.loads(line) if line.endswith(b"\n") else None
        except (OSError, ValueError):
            told = None
        if not isinstance(told, dict):
            self._fail()
            raise self._ended()
        return told

    def _take(self, told: dict[str, Any]) -> TerminalNews | None:
        if "out" in told:
            return TerminalNews(output=told["out"])
        if "ended" in told:
            return TerminalNews(exit_code=int(told["ended"]))
        answer = self._answers.pop(told.get("id", 0), None)
        if answer is not None and not answer.done():
            answer.set_result(told)
        if self._typed.pop(told.get("id", 0), 0):
            self._room.set()
        return None

    def _fail(self) -> None:
        self._gone = True
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(self._ended())
                answer.exception()  # whoever waits hears it; nobody waiting is no error
        self._answers.clear()
        self._room.set()

    def _ended(self) -> KernelNotReady:
        return KernelNotReady(f"the session {self._session_id} has ended")

    def _check(self, answer: dict[str, Any]) -> None:
        if answer.get("error") == "bad-request":
            raise KernelNotReady(
                f"the session {self._session_id} was started by a version of bai-tui that had no terminals: start a "
                "new one"
            )
        if "error" in answer:
            raise LaunchFailed(f"{answer['message']} (session {self._session_id})")

    # --- ports.Terminal

    async def news(self) -> AsyncGenerator[TerminalNews]:
        """Yields what the shell writes and its ends, until the session has ended. Safe to cancel.

        Raises:
            KernelNotReady: the connection to the runner was lost, and the session has not ended.
        """
        while True:
            try:
                news = self._take(await self._line())
            except KernelNotReady:
                await asyncio.wait([self._end], timeout=_END_S)
                if self._end.done():
                    return
                raise KernelNotReady(f"the terminal of the session {self._session_id} was lost: open it anew") from None
            if news is not None:
                yield news

    async def type(self, data: bytes) -> None:
        """Types; returns at once unless much was typed that nobody has read. Cancelled, it may have been typed.

        Raises:
            KernelNotReady: the session has ended.
        """
        while sum(self._typed.values()) >= _WINDOW_BYTES and not self._gone:
            self._room.clear()
            await self._room.wait()
        number, answer = self._ask(do="keys", data=base64.b64encode(data).decode("ascii"))
        self._typed[number] = len(data)
        answer.add_done_callback(lambda answer: answer.cancelled() or answer.exception())

    async def resize(self, rows: int, cols: int) -> None:
        """Tells the size of the screen.

        Raises:
            KernelNotReady: the session has ended.
        """
        self._ask(do="resize", rows=rows, cols=cols)

    async def restart(self) -> None:
        """Ends the shell, where there is one, and starts another.

        Raises:
            KernelNotReady: the session has ended.
            LaunchFailed: there is no starting it, and why.
        """
        self._check(await self._ask(do="restart")[1])

    async def busy(self) -> bool:
        """Whether the shell waits for a program in the foreground.

        Raises:
            KernelNotReady: the session has ended.
        """
        return bool((await self._ask(do="busy")[1]).get("busy"))

    async def close(self) -> None:
        """Lets go of the terminal; its shell goes on. Safe to call twice."""
        self._fail()
        self._writer.transport.abort()
        with suppress(OSError):
            await self._writer.wait_closed()
