"""Runs in live sessions, for those who may see them. Whose session it is is checked here; the rest does `inside`."""

from __future__ import annotations

import uuid
from contextlib import AbstractAsyncContextManager, AbstractContextManager, nullcontext

from ...model.console import ExecuteRequest
from ...model.inspection import Completions, Inspection
from ..ports import Keypair
from .entries import Register
from .finder import Finder
from .inside import Inside
from .runs import WatchedRun
from .terminals import WatchedTerminal


class Running:
    """Runs code, and asks the kernels of sessions. A base of the service."""

    _finder: Finder
    _register: Register
    _inside: Inside

    def run(
        self, caller: Keypair, ref: str, request: ExecuteRequest, run_id: str | None = None
    ) -> AbstractAsyncContextManager[WatchedRun]:
        """Starts a run and keeps its session from idling while the context is open.

        A kernel that has died is replaced first, which the run's first record says (stderr). Leaving the context
        does not end the run.

        Raises:
            BadRequest: a run id of other characters than letters, digits, `_`, `.`, `:`, `-`.
            KernelNotReady: the session does not run.
            IllegalState: another run is going on, or there was one of this id.
        """
        return self._inside.run(self._finder.live(caller, ref), request, run_id or uuid.uuid4().hex)

    def attached(self, session_id: str) -> AbstractContextManager[None]:
        """Keeps a session from idling while the context is open; one that has ended is not minded."""
        entry = self._register.get(session_id)
        return nullcontext() if entry is None else self._inside.attached(entry)

    def terminal(self, caller: Keypair, ref: str) -> AbstractAsyncContextManager[WatchedTerminal]:
        """Attaches to the session's terminal. Leaving the context does not end its shell.

        Raises:
            KernelNotReady: the session does not run.
            LaunchFailed: there is no starting a shell, and why.
        """
        return self._inside.terminal(self._finder.live(caller, ref))

    async def find_run(self, caller: Keypair, ref: str, run_id: str) -> WatchedRun:
        """Returns a run that was begun before, also under an earlier daemon.

        Raises:
            NotFound: the journal has no such run.
        """
        return await self._inside.find_run(self._finder.live(caller, ref), run_id)

    async def interrupt(self, caller: Keypair, ref: str) -> None:
        """Interrupts the run that is going on."""
        await self._inside.interrupt(self._finder.live(caller, ref))

    async def complete(self, caller: Keypair, ref: str, code: str, cursor: int) -> Completions:
        """Returns completions for `code` at character `cursor`; `busy`, at once, while a run is going on."""
        return await self._inside.complete(self._finder.live(caller, ref), code, cursor)

    async def inspect(self, caller: Keypair, ref: str, code: str, cursor: int, detail: int) -> Inspection:
        """Returns what the name at character `cursor` stands for; `busy`, at once, while a run is going on."""
        return await self._inside.inspect(self._finder.live(caller, ref), code, cursor, detail)
