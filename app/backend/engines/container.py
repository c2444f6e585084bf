"""The container engine: sessions in containers of Docker or Podman.

The first process of a container is the session's runner, in the image's own interpreter. It is spoken with as every
other: through the session's folder, of which its own part is mounted (see `container_room`). The engine of the machine
is needed to begin and to clear up, and for nothing in between: a session goes on without it, and is taken over without
it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from ...model.images import Image
from ...policies import ContainerSettings
from ..containers import ContainerClient, ContainerError, EngineInfo
from ..ports import Exit, Kernel, LaunchSpec, Layer
from ..runner.files import SOCKET
from . import adoption, container_notes
from .container_keeper import ENDED, ContainerKeeper
from .container_kernel import ContainerKernel
from .container_launch import INSTANCE, Launch
from .container_layers import layers_of
from .container_notes import ContainerNote
from .container_room import clear_room
from .kernel import KILLED, ProcessKernel
from .leftovers import end_leftovers
from .limits import Limits

_log: Final = logging.getLogger(__name__)


class ContainerEngine:
    """Implements `ports.Engine` with a container per session. Looks for no engine before one is needed."""

    def __init__(self, state_dir: Path, client: ContainerClient, settings: ContainerSettings) -> None:
        """Does nothing yet.

        Args:
            state_dir: of the backend; tells its containers from those of others, and holds small files for them.
            client: the engine of the machine.
        """
        self._state_dir = state_dir
        self._client = client
        self._settings = settings
        self._instance = hashlib.sha256(str(state_dir.absolute()).encode()).hexdigest()[:16]
        self._keeper = ContainerKeeper(client)
        self._info: EngineInfo | None = None
        self._asking = asyncio.Lock()
        self._kernels: set[ContainerKernel] = set()
        self._ours: set[str] = set()
        """Names of the containers of sessions that are being started or go on."""

    async def warm(self, image: Image) -> None:
        """Does nothing: a container that waits for a session could not be given its folders any more."""

    async def _about(self) -> EngineInfo:
        """Returns what the engine is; asked once, since Podman takes seconds, and anew when a launch has failed."""
        async with self._asking:
            if self._info is None:
                self._info = await self._client.info()
            return self._info

    async def start(self, spec: LaunchSpec) -> Kernel:
        """Makes and starts a container; returns when the kernel in it answers. Cancelled, nothing is left.

        Raises:
            LaunchFailed: with the reason; nothing is left running.
        """
        caps = self._state_dir / "caps"
        launch = Launch(spec, self._client, self._about, self._settings, self._keeper, self._instance, caps)
        self._ours.add(launch.name)
        try:
            kernel = await launch.run()
        except BaseException:
            self._ours.discard(launch.name)
            self._info = None
            raise
        self._keep(kernel)
        return kernel

    def _keep(self, kernel: ContainerKernel) -> None:
        name = kernel.note.name
        self._ours.add(name)
        self._kernels.add(kernel)

        def forget() -> None:
            self._ours.discard(name)
            self._kernels.discard(kernel)

        kernel.when_ended(forget)

    async def adopt(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> Kernel | Exit:
        """Takes over a session of an earlier daemon, with or without the engine; see `adoption.take_over`.

        Raises:
            ServiceUnavailable: this process lacks file descriptors or memory; the session goes on.
        """
        known = container_notes.known_of(session_dir, runner)
        note = ContainerNote.restored(known)
        if note is None:
            return adoption.how_it_ended(session_dir, known)

        def make(interpreter: str, limits: Limits) -> ProcessKernel:
            return ContainerKernel(session_id, session_dir, interpreter, limits, note=note, keeper=self._keeper)

        kernel = await adoption.take_over(session_dir, known, make)
        if isinstance(kernel, ContainerKernel):
            self._keep(kernel)
            return kernel
        assert isinstance(kernel, Exit)
        return Exit(None, ENDED) if kernel == KILLED else kernel

    async def sweep(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> None:
        """Ends what a session has left behind that was not adopted: its container, or its processes alone where the
        engine does not answer; the container is then removed when it does."""
        note = ContainerNote.restored(container_notes.known_of(session_dir, runner))
        if note is None:
            return
        if await self._keeper.remove(note.name):
            await asyncio.to_thread(clear_room, session_dir)
        else:
            await asyncio.to_thread(end_leftovers, session_id, session_dir)
        (session_dir / SOCKET).unlink(missing_ok=True)

    async def tidy(self) -> None:
        """Removes containers that earlier backends of this state folder have left and no session has any more.

        To be run in the background when sessions were adopted. Where there is no engine there is nothing to remove.
        """
        try:
            found = await self._client.containers({INSTANCE: self._instance})
        except ContainerError as exc:
            _log.debug("no containers are looked for: %s", exc)
            return
        for container in found:
            if container.name not in self._ours:
                _log.warning("removing the container %s, which an earlier backend has left", container.name)
                await self._keeper.remove(container.name)
        with suppress(ContainerError):
            await self._about()  # so that the first launch need not ask

    def runner_info(self, kernel: Kernel) -> dict[str, Any]:
        """Returns what `adopt` needs, to be stored: pid and start time as the machine sees them, and the container."""
        assert isinstance(kernel, ContainerKernel)
        return {**adoption.runner_info(kernel), **kernel.note.stored()}

    def layers(self, kernel: Kernel) -> Sequence[Layer]:
        """Returns what holds the session at this moment, as far as the container goes."""
        assert isinstance(kernel, ContainerKernel)
        return [*kernel.limits.layers(kernel.pid), *layers_of(kernel.note)]

    async def close(self) -> None:
        """Lets go of everything without ending sessions. Idempotent."""
        kernels, self._kernels = self._kernels, set()
        await asyncio.gather(*(kernel.close() for kernel in kernels))
        await self._keeper.close()


def is_contained(session_dir: Path, runner: Mapping[str, Any]) -> bool:
    """Whether a session of an earlier daemon is one in a container. Reads a small file."""
    return bool(container_notes.known_of(session_dir, runner))
