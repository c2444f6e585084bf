"""Answers to `input()` from stdin, line by line, without a thread: one that waits for a key cannot be cancelled."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Iterator

_CHUNK_BYTES = 64 * 1024


@contextlib.contextmanager
def _no_echo(fd: int) -> Iterator[None]:
    """Keeps a terminal from showing what is typed."""
    import termios

    before = termios.tcgetattr(fd)
    silent = before[:]
    silent[3] &= ~termios.ECHO
    termios.tcsetattr(fd, termios.TCSADRAIN, silent)
    try:
        yield
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
        os.write(sys.stderr.fileno(), b"\n")


class StdinLines:
    """Lines of stdin, as they come. Whatever was read beyond a line is kept for the next one."""

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._rest = b""
        self._ended = False

    async def line(self, *, password: bool = False) -> str | None:
        """Returns the next line without its end; None at the end of stdin. Safe to cancel: nothing is lost."""
        if password and os.isatty(self._fd):
            with _no_echo(self._fd):
                return await self._line()
        return await self._line()

    async def _line(self) -> str | None:
        while b"\n" not in self._rest and not self._ended:
            await self._more()
        if not self._rest and self._ended:
            return None
        line, _, self._rest = self._rest.partition(b"\n")
        return line.removesuffix(b"\r").decode("utf-8", "replace")

    async def _more(self) -> None:
        loop = asyncio.get_running_loop()
        ready: asyncio.Future[None] = loop.create_future()

        def settle() -> None:
            if not ready.done():
                ready.set_result(None)

        try:
            loop.add_reader(self._fd, settle)
        except OSError:
            pass  # regular files cannot be waited for and never make one wait
        else:
            try:
                await ready
            finally:
                loop.remove_reader(self._fd)
        try:
            piece = os.read(self._fd, _CHUNK_BYTES)
        except OSError:
            piece = b""  # closed, or a terminal that went away
        self._rest += piece
        self._ended = not piece
