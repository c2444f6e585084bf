"""What the users of the backend should know of its state, and how lost records are made good."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from ...model.errors import ServiceUnavailable
from ..ports import Keypair, SessionStore
from .entries import Register
from .recorder import Recorder
from .tasks import Tasks

_LOW_BYTES: Final = 8 << 20
_TOLD_FOR_S: Final = 3600.0
"""How long what is over is told of."""


class Health:
    """Looks at the store and at the disk. Memory is the truth about whatever lives."""

    def __init__(
        self,
        *,
        store: SessionStore,
        register: Register,
        recorder: Recorder,
        keypairs: Mapping[str, Keypair],
        tasks: Tasks,
        folder: Path,
        clock: Callable[[], float],
    ) -> None:
        """Takes the folder of the sessions, whose disk must have room, and the keypairs as they are at any time."""
        self._store = store
        self._register = register
        self._recorder = recorder
        self._keypairs = keypairs
        self._tasks = tasks
        self._folder = folder
        self._clock = clock
        self._notice, self._noticed_s = "", 0.0
        self._probing: asyncio.Task[None] | None = None

    def watch(self) -> None:
        """Has lost records written again from now on."""
        self._store.on_loss(self.write_again)

    def write_again(self) -> None:
        """Writes all that lives, and who may come in."""
        if self._tasks.closed:
            return
        for entry in self._register:
            self._recorder.note(entry.session)
        self._tasks.spawn(self._write_keypairs(list(self._keypairs.values())), name="write keypairs again")

    def _probe(self) -> None:
        """Writes something that changes nothing: only a write that succeeds tells that the database can be written."""
        pairs = list(self._keypairs.values())[:1]
        if not self._tasks.closed and (self._probing is None or self._probing.done()):
            self._probing = self._tasks.spawn(self._write_keypairs(pairs), name="look whether the database is well")

    async def _write_keypairs(self, pairs: list[Keypair]) -> None:
        with contextlib.suppress(ServiceUnavailable):  # the store tells of it
            for pair in pairs:
                await self._store.add_keypair(pair)

    def notices(self) -> list[str]:
        """Returns one sentence for each thing that is wrong now, then for what was wrong within the last hour."""
        problem = self._store.problem or self._recorder.failure
        if problem and not self._recorder.failure:
            self._probe()
        found = [problem, self._disk()]
        now = self._clock()
        if self._store.notice != self._notice:
            self._notice, self._noticed_s = self._store.notice, now
        if abs(now - self._noticed_s) < _TOLD_FOR_S:
            found.append(self._notice)
        return [text for text in found if text]

    def _disk(self) -> str:
        try:
            disk = os.statvfs(self._folder)
        except OSError as exc:
            return f"the folder of the sessions {self._folder} cannot be used: {exc.strerror}"
        if disk.f_flag & os.ST_RDONLY:
            return f"the disk of {self._folder} is read-only: output of sessions waits, and none can start"
        if disk.f_bavail * disk.f_frsize < _LOW_BYTES:
            return f"the disk of {self._folder} is full: output of sessions waits until there is space"
        return ""
