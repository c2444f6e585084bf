"""The process engine: sessions as processes of this machine."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ...model.errors import LaunchFailed
from ...model.images import Image
from ..ports import Exit, Kernel, LaunchSpec, Layer
from ..runner import procs
from . import adoption, jupyter
from .environment import add_caps, base_environment, early_variables
from .fences import Fences
from .groups import SessionGroup
from .hierarchies import SessionGroups
from .kernel import ProcessKernel, wait_for_end
from .launching import BOOTSTRAP_S, READY_S, launch_problem
from .leftovers import end_leftovers
from .limits import Limits
from .sandbox import Sandboxes, named_folders
from .zygotes import NewRunner, ZygoteKey, ZygotePool

_log: Final = logging.getLogger(__name__)
_REFILL_S: Final = 0.05
"""How long the next spare waits, so that it does not compete with the first cell of the session just started."""
_SWEEPS: Final = 4
"""Sessions that are swept up after at the same time: each looks at every process of the machine."""


class ProcessEngine:
    """Implements `ports.Engine` with a runner and a native kernel per session, forked from zygotes.

    Everything runs in the event loop of the daemon; `close` lets the sessions live on.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        spares: int = 2,
        groups: SessionGroups | None = None,
        hide: Sequence[Path] = (),
        bwrap: str | None = None,
    ) -> None:
        """Finds out how sessions can be limited here.

        Args:
            state_dir: for logs and small files; made when needed.
            spares: so many runners an image are kept ready.
            groups: where sessions get control groups; None = look for it, which may block (`SessionGroups.find`).
            hide: folders of the backend that no isolated session is to see.
            bwrap: path of bubblewrap; None = the one on PATH, looked for when a session is to be isolated.
        """
        self._groups = groups if groups is not None else SessionGroups.find(state_dir)
        if self._groups.problem:
            _log.info("sessions get no control groups, what they use is only watched: %s", self._groups.problem)
        elif self._groups.missing:
            _log.info("control groups do not limit everything: %s", self._groups.missing)
        self._state_dir = state_dir
        self._caps_dir = state_dir / "caps"
        self._sandboxes = Sandboxes(state_dir, hide, which=bwrap)
        self._pool = ZygotePool(state_dir, self._groups, spares=spares)
        self._kernels: set[ProcessKernel] = set()
        self._sweeps = asyncio.Semaphore(_SWEEPS)

    def _key(self, image: Image, environ: Mapping[str, str]) -> ZygoteKey:
        if jupyter.is_jupyter(image):  # its kernel is executed, and finds there what acts then
            return ZygoteKey(jupyter.INTERPRETER, "jupyter")
        common = early_variables(image.environ)
        early = {**common, **early_variables(environ)}
        shell = "plain" if image.kernel == "plain" else "ipython"
        return ZygoteKey(image.interpreter, shell, tuple(sorted(early.items())), once=early != common)

    async def warm(self, image: Image) -> None:
        """Makes the next `start` of `image` fast; returns when it is. Failure is silent: `start` will tell."""
        await self._pool.warm(self._key(image, {}))

    async def start(self, spec: LaunchSpec) -> Kernel:
        """Starts runner and kernel; returns when the kernel answers. Cancelled, nothing is left running.

        Raises:
            LaunchFailed: with the reason; nothing is left running.
        """
        if not spec.image.interpreter and not jupyter.is_jupyter(spec.image):
            raise LaunchFailed(f"the image {spec.image.canonical} names no interpreter to run sessions with")
        if spec.isolation:
            await self._sandboxes.check(network=spec.network)
        # The runner stays outside of a sandbox, where no variable of the user's is to act; inside, the kernel's
        # interpreter is started anew, and finds them there.
        key = self._key(spec.image, {} if spec.isolation else {**spec.environ, **spec.granted})
        try:
            environ, keep = self._environ(spec, key)
            fresh = await self._pool.take(key)
            kernel = await self._launch(spec, fresh, environ, keep)
        finally:
            await self._pool.retire(key)
        self._kernels.add(kernel)
        self._pool.refill(key, delay_s=_REFILL_S)
        return kernel

    def _environ(self, spec: LaunchSpec, key: ZygoteKey) -> tuple[dict[str, str], list[Path]]:
        """Returns the environment of the session's processes, and what it names that lies outside of the system."""
        if jupyter.is_jupyter(spec.image):
            programs = jupyter.make_programs(self._state_dir, spec.image)
        else:
            programs = [str(self._pool.bin_dir(key)), str(Path(spec.image.interpreter).parent)]
        environ = base_environment(os.environ, programs=programs, work_dir=spec.work_dir, session_id=spec.session_id)
        keep = [*map(Path, programs[:1]), self._caps_dir, *named_folders({**environ, **spec.granted})]
        environ.update(spec.image.environ)
        environ.update(spec.environ)
        environ.update(spec.granted)
        add_caps(environ, self._caps_dir)
        return environ, keep

    async def _launch(
        self, spec: LaunchSpec, fresh: NewRunner, environ: dict[str, str], keep: Sequence[Path]
    ) -> ProcessKernel:
        limits = await self._limits(spec, fresh.group)
        kernel = ProcessKernel(spec.session_id, spec.session_dir, spec.image.interpreter, limits, spec.grace_s)
        limits.fences = Fences.put(spec, memory_in_group="memory" in limits.held)
        pid, started = fresh.identity["pid"], fresh.identity["start_time"]
        ready_s = jupyter.READY_S if jupyter.is_jupyter(spec.image) else READY_S
        try:
            async with asyncio.timeout(BOOTSTRAP_S if spec.bootstrap_script else ready_s):
                state = await fresh.link.call(
                    "launch",
                    session_id=spec.session_id,
                    session_dir=str(spec.session_dir),
                    work_dir=str(spec.work_dir),
                    environ=environ,
                    bootstrap=spec.bootstrap_script,
                    startup=spec.image.startup,
                    jupyter=jupyter.told(spec.image, {*spec.environ, *spec.granted}),
                    grace_s=spec.grace_s,
                    **limits.told(),
                    held=limits.fences.held,
                    sandbox=await self._sandboxes.spec(spec, keep),
                    journal_bytes=spec.journal_max_bytes,
                    slow_down=spec.journal_overflow == "slow-down",
                    kept=adoption.kept(kernel),
                )
        except BaseException as exc:
            # The runner ends itself when this connection closes before it has answered.
            await fresh.link.close()
            await self._make_sure(spec, pid, started, fresh.group)
            if (problem := launch_problem(exc, spec.session_dir)) is not None:
                raise problem from None
            raise
        fresh.listeners.append(kernel.take_state)
        kernel.attach(fresh.link, fresh.identity, state)
        return kernel

    @staticmethod
    async def _limits(spec: LaunchSpec, group: SessionGroup | None) -> Limits:
        if group is None:
            return await asyncio.to_thread(Limits.put, spec, None)  # looks at the processes of the machine
        return Limits.put(spec, group)

    @staticmethod
    async def _make_sure(spec: LaunchSpec, pid: int, started: int, group: SessionGroup | None) -> None:
        """Waits until nothing of a failed launch is left."""
        try:
            async with asyncio.timeout(2.0):
                await wait_for_end(pid, started)
        except TimeoutError:
            procs.send_signal(pid, 9)
            await asyncio.to_thread(end_leftovers, spec.session_id, spec.session_dir, group)
        if group is not None:
            await asyncio.to_thread(group.remove)

    async def adopt(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> Kernel | Exit:
        """Takes over a session of an earlier daemon; see `adoption.adopt`."""
        kernel = await adoption.adopt(session_id, session_dir, runner)
        if isinstance(kernel, ProcessKernel):
            self._kernels.add(kernel)
        return kernel

    async def sweep(self, session_id: str, session_dir: Path, runner: Mapping[str, Any]) -> None:
        """Ends every process that a session has left behind which was not adopted; returns when none is left."""
        known = adoption.known_of(session_dir, runner)
        group = Limits.restored(known.get("limits") or {}).group if adoption.is_of_this_boot(known) else None
        async with self._sweeps:
            await asyncio.to_thread(end_leftovers, session_id, session_dir, group)
            if group:
                await asyncio.to_thread(group.remove)

    def runner_info(self, kernel: Kernel) -> dict[str, Any]:
        """Returns what `adopt` needs, to be stored: pid, start time, start of the machine, interpreter, limits."""
        assert isinstance(kernel, ProcessKernel)
        return adoption.runner_info(kernel)

    def layers(self, kernel: Kernel) -> Sequence[Layer]:
        """Returns what holds the session at this moment, as far as processes go; the devices tell of the rest."""
        assert isinstance(kernel, ProcessKernel)
        return kernel.limits.layers(kernel.pid)

    async def close(self) -> None:
        """Lets go of everything without ending sessions. Idempotent."""
        kernels, self._kernels = self._kernels, set()
        await asyncio.gather(*(kernel.close() for kernel in kernels))
        await self._pool.close()
