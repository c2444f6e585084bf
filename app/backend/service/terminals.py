"""A session's terminal, seen by one who is attached to it: its use keeps the session from idling."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Final

from ...model.errors import KernelNotReady
from ..ports import Terminal, TerminalNews

_LOOK_S: Final = 2.0
"""How often it is looked whether a program runs in the foreground."""


class WatchedTerminal:
    """Implements `ports.SessionTerminal`."""

    def __init__(self, terminal: Terminal, used: Callable[[], None]) -> None:
        """`used` is called when the session is used."""
        self._terminal = terminal
        self._used = used

    def news(self) -> AsyncGenerator[TerminalNews]:
        """Yields what there was, then what comes, until the session has ended. To be iterated by one task."""
        return self._terminal.news()

    async def type(self, data: bytes) -> None:
        """Types; waits while nobody reads what was typed before.

        Raises:
            KernelNotReady: the session has ended; so in the other methods.
        """
        self._used()
        await self._terminal.type(data)

    async def resize(self, rows: int, cols: int) -> None:
        """Tells the size of the screen; the newest counts."""
        await self._terminal.resize(rows, cols)

    async def restart(self) -> None:
        """Ends the shell, where there is one, and starts another.

        Raises:
            LaunchFailed: with the reason.
        """
        self._used()
        await self._terminal.restart()

    def keep(self) -> None:
        """Notes that the session is used."""
        self._used()

    async def watch(self) -> None:
        """Notes again and again that the session is used, while a program runs in the foreground. To be cancelled."""
        while True:
            await asyncio.sleep(_LOOK_S)  # nothing tells when a program has left the foreground
            try:
                if await self._terminal.busy():
                    self._used()
            except KernelNotReady:
                return

    async def close(self) -> None:
        """Lets go of the terminal; its shell goes on."""
        await self._terminal.close()
