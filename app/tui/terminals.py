"""The terminals of sessions while the TUI lives: opened when they are first looked at, opened again when the server
comes back. What they show is kept by emulators, seen or not."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from ...widgets.text import one_line
from ..model.errors import BaiTuiError, Unreachable
from ..model.sessions import ANSWERING, TERMINAL

if TYPE_CHECKING:
    from ...widgets.terminal_emulator import TerminalEmulator
    from ..client.api import ApiClient
    from ..client.pty import Pty, PtyNotice
    from .reading import Spawn
    from .store import SessionStore

_AGAIN_S: Final = 0.5
"""Before a server that was lost is asked again: the connection of the TUI heals meanwhile."""


class SessionTerminal:
    """The terminal of one session.

    Args:
        changed: Is called when it stands differently.
    """

    def __init__(self, session_id: str, changed: Callable[[SessionTerminal], None]) -> None:
        self.session_id = session_id
        self.emulator: TerminalEmulator | None = None
        """None before anything came."""
        self.note = "opening a terminal"
        """Why nothing can be typed; empty while it can."""
        self.has_ended = False
        """Its shell has: `restart` starts another."""
        self.is_over = False
        """Its session has ended."""
        self._changed = changed
        self._pty: Pty | None = None
        self._size: tuple[int, int] | None = None

    @property
    def holds_keys(self) -> bool:
        """Whether keys are for it and for nothing else, also while it is being opened again: what was meant for a
        program must not end sessions."""
        return self.emulator is not None and not self.has_ended and not self.is_over

    def _stands(self, note: str) -> None:
        self.note = note
        self._changed(self)

    async def serve(self, connected: Callable[[], Awaitable[ApiClient]], status: Callable[[], str]) -> None:
        """Keeps it open until its session has ended. Safe to cancel.

        Args:
            status: Returns the session's status; empty where it is not known.
        """
        while not self.is_over:
            now = status()
            if now in TERMINAL:
                self.is_over = True
                self._stands("the session has ended")
                return
            if now and now not in ANSWERING:
                self._stands(f"the session is {now.lower()}: its terminal opens when it runs")
            else:
                try:
                    await self._attend(await connected())
                    continue
                except Unreachable as exc:
                    self._stands(one_line(exc.message))
                except BaiTuiError as exc:
                    self._stands(one_line(exc.message))
            await asyncio.sleep(_AGAIN_S)  # nobody tells us alone of a status or of a server

    async def _attend(self, client: ApiClient) -> None:
        from ...widgets.terminal_emulator import TerminalEmulator

        async with client.pty(self.session_id) as pty:
            if self.emulator is None:
                self.emulator = TerminalEmulator()
            else:
                self.emulator.begin()  # what there was is sent again
            self._pty, self.has_ended = pty, False
            try:
                if self._size is not None:
                    await pty.resize(*self._size)
                self._stands("")
                async for piece in pty:
                    if isinstance(piece, bytes):
                        self._began_again()
                        if answers := await self.emulator.write(piece):
                            await pty.type(answers)
                    else:
                        self._hear(piece)
            finally:
                self._pty = None
                self._changed(self)

    def _began_again(self) -> None:
        if self.has_ended:
            self.has_ended = False
            self._stands("")

    def _hear(self, notice: PtyNotice) -> None:
        assert self.emulator is not None
        if notice.ended:
            self.is_over = True
            self.emulator.say(notice.text)
            self._stands(notice.text)
        elif notice.exit_code is not None:
            self.has_ended = True
            self.emulator.say(f"{notice.text}: enter starts another")
            self._stands("enter starts another shell")
        else:
            self.emulator.say(notice.text)

    async def type(self, data: bytes) -> None:
        """Types; nothing happens while it is not open."""
        if self._pty is not None and not self.has_ended:
            await self._sent(self._pty.type(data))

    async def resize(self, rows: int, columns: int) -> None:
        """Tells the size, now and whenever it is opened again."""
        if (rows, columns) != self._size:
            self._size = (rows, columns)
            if self._pty is not None:
                await self._sent(self._pty.resize(rows, columns))

    async def restart(self) -> None:
        """Starts another shell."""
        if self._pty is not None:
            await self._sent(self._pty.restart())

    @staticmethod
    async def _sent(sending: Awaitable[None]) -> None:
        try:
            await sending
        except Unreachable:
            pass  # whoever reads finds out as well


class Terminals:
    """All of them.

    Args:
        spawn: Runs a coroutine under an owner, by name.
    """

    def __init__(
        self,
        store: SessionStore,
        connected: Callable[[], Awaitable[ApiClient]],
        spawn: Spawn,
        changed: Callable[[SessionTerminal], None],
    ) -> None:
        self._store = store
        self._connected = connected
        self._spawn = spawn
        self._changed = changed
        self._terminals: dict[str, SessionTerminal] = {}

    def of(self, session_id: str) -> SessionTerminal:
        """Returns the terminal of a session, opening it at first."""
        terminal = self._terminals.get(session_id)
        if terminal is None:
            terminal = self._terminals[session_id] = SessionTerminal(session_id, self._changed)
            self._spawn(terminal.serve(self._connected, lambda: self._status(session_id)), f"terminal {session_id}")
        return terminal

    def _status(self, session_id: str) -> str:
        view = self._store.view(session_id)
        return "" if view is None or view.status is None else str(view.status)
