"""A session in a container, seen from the backend: its runner is the container's first process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

from ..ports import Exit
from ..runner import procs
from .container_keeper import ContainerKeeper
from .container_notes import ContainerNote
from .container_room import clear_room
from .kernel import ProcessKernel
from .leftovers import read_end
from .limits import Limits, out_of_memory


class ContainerKernel(ProcessKernel):
    """Implements `ports.Kernel` over a runner in a container. Only the end needs the engine."""

    def __init__(
        self,
        session_id: str,
        session_dir: Path,
        interpreter: str,
        limits: Limits,
        grace_s: float = 2.0,
        *,
        note: ContainerNote,
        keeper: ContainerKeeper,
    ) -> None:
        super().__init__(session_id, session_dir, interpreter, limits, grace_s)
        self.note = note
        self._keeper = keeper

    def when_ended(self, call: Callable[[], object]) -> None:
        """Has `call` called when nothing of the session is left, or it is let go."""
        self._exit.add_done_callback(lambda _: call())

    async def _cleared(self) -> Exit:
        """Removes the container, whose processes have all ended with the runner."""
        ended = await asyncio.to_thread(read_end, self.session_dir)
        if ended is None:
            memory = out_of_memory(self.limits.mem_bytes) if "memory" in self.limits.held else ""
            ended = Exit(None, await self._keeper.why_ended(self.note.name, memory))
        if await self._keeper.remove(self.note.name):
            await asyncio.to_thread(clear_room, self.session_dir)
        return ended

    async def _kill(self) -> None:
        """Kills a runner that does not end, by the system where that may be done and else by the engine."""
        if procs.is_alive(self._pid, self.start_time):
            procs.send_signal(self._pid, signal.SIGKILL)
        if procs.is_alive(self._pid, self.start_time):
            await self._keeper.remove(self.note.name)
