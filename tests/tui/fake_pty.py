"""The terminals of the server in memory: they echo what is typed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from bai_tui.app.client.pty import PtyNotice
from bai_tui.app.model.errors import Unreachable


class FakeShell:
    """The terminal of one session: outlives its clients."""

    def __init__(self) -> None:
        self.kept = b"$ "
        self.typed = b""
        self.sizes: list[tuple[int, int]] = []
        self.restarts = 0
        self.clients: list[asyncio.Queue[bytes | PtyNotice | None]] = []
        self.attached = 0
        """How often somebody attached."""

    def say(self, data: bytes) -> None:
        self.kept += data
        self._tell(data)

    def notify(self, notice: PtyNotice) -> None:
        self._tell(notice)

    def lose(self) -> None:
        """Breaks every connection."""
        self._tell(None)

    def _tell(self, piece: bytes | PtyNotice | None) -> None:
        for client in self.clients:
            client.put_nowait(piece)


class FakePty:
    """Behaves as `client.pty.Pty` does."""

    def __init__(self, shell: FakeShell) -> None:
        self._shell = shell
        self._queue: asyncio.Queue[bytes | PtyNotice | None] = asyncio.Queue()

    async def __aenter__(self) -> FakePty:
        self._shell.attached += 1
        self._shell.clients.append(self._queue)
        self._queue.put_nowait(self._shell.kept)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._shell.clients.remove(self._queue)

    async def __aiter__(self) -> AsyncIterator[bytes | PtyNotice]:
        while (piece := await self._queue.get()) is not None:
            yield piece
            if isinstance(piece, PtyNotice) and piece.ended:
                return
        raise Unreachable("connection lost: the server went away before the terminal ended")

    async def type(self, data: bytes) -> None:
        self._shell.typed += data
        self._shell.say(data.replace(b"\r", b"\r\n"))

    async def resize(self, rows: int, cols: int) -> None:
        self._shell.sizes.append((rows, cols))

    async def restart(self) -> None:
        self._shell.restarts += 1
        self._shell.say(b"\r\nagain$ ")
