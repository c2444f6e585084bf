"""A terminal that echoes what is typed, in capitals; `exit N` ends its shell."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncGenerator

from bai_tui.app.backend.ports import TerminalNews
from bai_tui.app.model.errors import KernelNotReady, LaunchFailed


class FakeTerminal:
    """Behaves as `ports.Terminal` promises."""

    def __init__(self, kept: bytes = b"") -> None:
        self.queue: asyncio.Queue[TerminalNews | None] = asyncio.Queue()
        self.typed = b""
        self.sizes: list[tuple[int, int]] = []
        self.kept_awake = 0
        self.restarts = 0
        self.is_busy = False
        self.is_over = False
        self.is_closed = False
        self.refusal: str | None = None
        """Why a restart is refused."""
        if kept:
            self.say(kept)

    def say(self, data: bytes) -> None:
        self.queue.put_nowait(TerminalNews(base64.b64encode(data).decode()))

    def end(self) -> None:
        """The session ends."""
        self.is_over = True
        self.queue.put_nowait(None)

    async def news(self) -> AsyncGenerator[TerminalNews]:
        while (news := await self.queue.get()) is not None:
            yield news

    async def type(self, data: bytes) -> None:
        if self.is_over:
            raise KernelNotReady("the session has ended")
        self.typed += data
        self.say(data.upper())
        if data.startswith(b"exit"):
            self.queue.put_nowait(TerminalNews(exit_code=int(data[5:] or b"0")))

    async def resize(self, rows: int, cols: int) -> None:
        self.sizes.append((rows, cols))

    async def restart(self) -> None:
        if self.refusal is not None:
            raise LaunchFailed(self.refusal)
        self.restarts += 1
        self.say(b"$ ")

    async def busy(self) -> bool:
        if self.is_over:
            raise KernelNotReady("the session has ended")
        return self.is_busy

    def keep(self) -> None:
        self.kept_awake += 1

    async def close(self) -> None:
        self.is_closed = True
