"""The terminal of a session in the terminal of the user: keys as they come, output as it comes."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import struct
import sys
import termios
import tty
from typing import Final

from ..client.api import ApiClient
from ..client.patience import is_loss
from ..client.pty import Pty
from ..model.errors import BaiTuiError, Unreachable
from . import exit_codes
from .endpoint import patience
from .talk import say

LEAVE: Final = b"\x1d"
"""ctrl+]"""
_UNDO: Final = (
    b"\x18\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l\x1b[?2004l\x1b[?1l\x1b>\x1b[?1049l\x1b[?7h\x1b[?25h"
    b"\x1b[m\x0f"
)
"""What a program may have asked of the terminal."""
_AGAIN: Final = _UNDO + b"\x1b[H\x1b[2J"
_READ_BYTES: Final = 1 << 16
_ENDING: Final = (signal.SIGTERM, signal.SIGHUP)


class RawTerminal:
    """One `bai-tui shell`."""

    def __init__(self, client: ApiClient, ref: str) -> None:
        self._client = client
        self._ref = ref
        self._pty: Pty | None = None
        self._keys: asyncio.Queue[bytes] = asyncio.Queue(maxsize=64)
        self._resized = asyncio.Event()
        self._work: asyncio.Task[int] | None = None
        self._signal: int | None = None

    async def run(self) -> int:
        """Does everything, and returns the exit status. The user's terminal is as it was then."""
        loop = asyncio.get_running_loop()
        session_id = await self._client.resolve(self._ref)
        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard)
        self._work = asyncio.create_task(self._do(session_id), name="shell")
        sender = asyncio.create_task(self._send(), name="keys")
        sizer = asyncio.create_task(self._follow_size(), name="size")
        loop.add_signal_handler(signal.SIGWINCH, self._resized.set)
        for number in _ENDING:
            loop.add_signal_handler(number, self._on_signal, number)
        say(f"the terminal of {self._ref}: ctrl+] leaves it, and it goes on")
        tty.setraw(keyboard)
        loop.add_reader(keyboard, self._read, keyboard)
        try:
            await asyncio.wait({self._work, sender}, return_when=asyncio.FIRST_COMPLETED)
            if self._signal is not None:
                return exit_codes.SIGNALLED + self._signal
            if sender.done():
                return exit_codes.OK
            return self._work.result()
        finally:
            loop.remove_reader(keyboard)
            for number in (signal.SIGWINCH, *_ENDING):
                loop.remove_signal_handler(number)
            for task in (self._work, sender, sizer):
                task.cancel()
            await asyncio.gather(self._work, sender, sizer, return_exceptions=True)
            os.write(sys.stdout.fileno(), _UNDO + b"\r\n")
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)

    def _on_signal(self, number: int) -> None:
        self._signal = number
        if self._work is not None:
            self._work.cancel()

    def _read(self, keyboard: int) -> None:
        if self._keys.full():  # what nobody reads on the other side is not read here either, but its way out is
            data = os.read(keyboard, 1)
            if data in (LEAVE, b""):
                self._keys.get_nowait()
                self._keys.put_nowait(data)
            return
        self._keys.put_nowait(os.read(keyboard, _READ_BYTES))

    async def _send(self) -> None:
        """Sends what is typed; returns when the user leaves."""
        while True:
            data = await self._keys.get()
            data, leave, _ = data.partition(LEAVE) if data else (b"", LEAVE, b"")
            if data and self._pty is not None:
                try:
                    await self._pty.type(data)
                except Unreachable:
                    pass  # whoever reads finds out as well
            if leave:
                return

    async def _follow_size(self) -> None:
        while True:
            await self._resized.wait()
            self._resized.clear()
            if self._pty is not None:
                await self._tell_size(self._pty)

    async def _tell_size(self, pty: Pty) -> None:
        try:
            rows, cols, _, _ = struct.unpack("HHHH", fcntl.ioctl(sys.stdout.fileno(), termios.TIOCGWINSZ, bytes(8)))
            await pty.resize(rows, cols)
        except (OSError, Unreachable):
            pass  # whoever reads finds out as well

    async def _do(self, session_id: str) -> int:
        """Shows the terminal until its shell ends, also over lost connections; returns the exit status."""
        waiting = patience(self._talk)
        first = True
        while True:
            try:
                async with self._client.pty(session_id) as pty:
                    self._pty = pty
                    if not first:
                        await _write(_AGAIN)
                    first = False
                    await self._tell_size(pty)
                    return await self._show(pty)
            except BaiTuiError as exc:
                if not is_loss(exc):
                    raise
                await waiting.restore(self._client, exc)
            finally:
                self._pty = None

    async def _show(self, pty: Pty) -> int:
        async for piece in pty:
            if isinstance(piece, bytes):
                await _write(piece)
            elif piece.exit_code is not None:
                return exit_codes.of_code(piece.exit_code)
            else:
                self._talk(piece.text)
        return exit_codes.FAILED

    def _talk(self, text: str) -> None:
        os.write(sys.stdout.fileno(), b"\r\n")
        say(text)
        os.write(sys.stdout.fileno(), b"\r")


async def _write(data: bytes) -> None:
    """Writes to the user's terminal, which may take its time."""
    left = memoryview(data)
    while left:
        left = left[await asyncio.to_thread(os.write, sys.stdout.fileno(), left) :]
