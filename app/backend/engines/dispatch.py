"""Sends what is asked of the engine to the one that has the session: as processes of the machine, or in a container."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ...model.images import Image
from ..ports import Exit, Kernel, LaunchSpec, Layer
from .container import ContainerEngine, is_contained
from .container_kernel import ContainerKernel
from .process import ProcessEngine


class Engines:
    """Implements `ports.Engine` over both; each method raises what theirs does."""

    def __init__(self, process: ProcessEngine, container: ContainerEngine) -> None:
        """Owns both from now on."""
        self._process = process
        self._container = container

    async def warm(self, image: Image) -> None:
        """Makes the next `start` of `image` fast, where that can be done."""
        await self._by_image(image).warm(image)

    async def start(self, spec: LaunchSpec) -> Kernel:
        """Starts a session where its image belongs."""
        return await self._by_image(spec.image).start(spec)

    async def adopt(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> Kernel | Exit:
        """Takes over a session of an earlier daemon."""
        return await self._by_folder(session_dir, runner).adopt(session_id, session_dir, runner)

    async def sweep(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> None:
        """Ends what a session has left behind that was not adopted."""
        await self._by_folder(session_dir, runner).sweep(session_id, session_dir, runner)

    async def tidy(self) -> None:
        """Removes what no session has any more; to be run in the background, when sessions were adopted."""
        await self._container.tidy()

    def runner_info(self, kernel: Kernel) -> dict[str, Any]:
        """Returns what `adopt` needs, to be stored."""
        return self._by_kernel(kernel).runner_info(kernel)

    def layers(self, kernel: Kernel) -> Sequence[Layer]:
        """Returns what holds the session at this moment, as far as its engine goes."""
        return self._by_kernel(kernel).layers(kernel)

    async def close(self) -> None:
        """Lets go of everything without ending sessions."""
        await self._process.close()
        await self._container.close()

    def _by_image(self, image: Image) -> ProcessEngine | ContainerEngine:
        return self._container if image.in_container else self._process

    def _by_folder(self, session_dir: Path, runner: Mapping[str, Any]) -> ProcessEngine | ContainerEngine:
        return self._container if is_contained(session_dir, runner) else self._process

    def _by_kernel(self, kernel: Kernel) -> ProcessEngine | ContainerEngine:
        return self._container if isinstance(kernel, ContainerKernel) else self._process
