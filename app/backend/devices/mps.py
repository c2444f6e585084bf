"""One daemon of CUDA's Multi-Process Service (MPS), so that sessions on the same GPU get limits of their own.

It is the user's own: started when the first session needs it, in folders of mode 0700, ended when the last one has
gone. It outlives this process, as sessions do: which of them are its clients is kept in files.

Sources: NVIDIA Multi-Process Service, https://docs.nvidia.com/deploy/mps/ (environment variables, control commands).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Final

from ...model.sessions import Session
from ...model.shares import gpu_shares, share_mem_bytes
from ..ports import Device

log = logging.getLogger(__name__)
CONTROL: Final = "nvidia-cuda-mps-control"
_MIB: Final = 1 << 20
_LONGEST_SOCKET: Final = 107
"""`sun_path` of a unix socket, less its end."""
_LONGEST_NAME: Final = "control_privileged"
"""The longest name of a socket that the control daemon makes in its pipe folder."""
_PID_FILE: Final = f"{CONTROL}.pid"
"""The control daemon writes it into its pipe folder."""
_NOT_STARTED: Final = "no limits by MPS: "


class Mps:
    """The MPS daemon of this user."""

    def __init__(
        self,
        folder: Path,
        gpus: Sequence[Device],
        *,
        control: str = CONTROL,
        timeout_s: float = 5.0,
        retry_s: float = 300.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Does nothing yet.

        Args:
            folder: of its sockets, its log and the list of its clients; made when needed.
            gpus: real GPUs that it may serve (Volta or newer), in the machine's order.
            timeout_s: for each answer of the control program.
            retry_s: a daemon that could not be started is not tried again for so long: a launch waits for it.
        """
        self._pipe = folder / "pipe"
        self._log = folder / "log"
        self._clients = folder / "sessions"
        self._gpus = {gpu.id: gpu for gpu in gpus}
        self._control = control
        self._timeout_s = timeout_s
        self._retry_s = retry_s
        self._clock = clock
        self._lock = asyncio.Lock()
        self._failed_at: float | None = None
        self._sessions = {file.name for file in self._clients.iterdir()} if self._clients.is_dir() else set[str]()

    def wanted(self, session: Session) -> bool:
        """Whether MPS has anything to limit: a part of a GPU, and no GPU that it cannot serve."""
        shares = gpu_shares(session.allocation)
        return bool(shares) and set(shares) <= set(self._gpus) and any(share < 1 for share in shares.values())

    def serves(self, session_id: str) -> bool:
        """Whether a session is a client of a daemon that lives: CUDA goes on without limits where none answers."""
        return session_id in self._sessions and self._lives()

    def _lives(self) -> bool:
        """Whether the process of the daemon's own pid file is there; True where there is no such file to go by."""
        try:
            return Path(f"/proc/{int((self._pipe / _PID_FILE).read_text())}").exists()
        except (OSError, ValueError):
            return True

    async def take(self, session: Session) -> None:
        """Makes a session a client; starts the daemon if it does not run. Never raises: without it there is no limit.

        Safe to cancel.
        """
        async with self._lock:
            if session.id in self._sessions or not self.wanted(session):
                return
            if self._failed_at is not None and self._clock() - self._failed_at < self._retry_s:
                return
            if problem := await self._problem() or self._write_down(session.id):
                self._failed_at = self._clock()
                log.warning("%s%s", _NOT_STARTED, problem)
                return
            self._failed_at = None
            self._sessions.add(session.id)

    async def drop(self, session_id: str) -> None:
        """Takes a session off the list; ends the daemon with the last one."""
        async with self._lock:
            if session_id not in self._sessions:
                return
            self._sessions.discard(session_id)
            with contextlib.suppress(OSError):
                (self._clients / session_id).unlink()
            if not self._sessions:
                await self._end()

    async def close(self) -> None:
        """Ends a daemon without clients; with some it goes on, as they do, and the next backend finds both."""
        async with self._lock:
            if self._sessions:
                log.info("the MPS daemon goes on for %d sessions", len(self._sessions))
            elif self._pipe.is_dir():
                await self._end()

    def environment(self, session: Session, visible: Sequence[tuple[Device, Decimal]]) -> Mapping[str, str]:
        """Returns the variables of a client; empty for a session that is none.

        Args:
            visible: its GPUs with its part of each, in the order of its CUDA_VISIBLE_DEVICES, by which CUDA counts.
        """
        if session.id not in self._sessions:
            return {}
        limits = ",".join(
            f"{number}={max(share_mem_bytes(gpu.mem_bytes, share) // _MIB, 1)}M"
            for number, (gpu, share) in enumerate(visible)
            if share < 1 and gpu.mem_bytes
        )
        # one number for all devices of a client: the largest, so that nobody gets less than he was promised
        percentage = math.ceil(max(share for _, share in visible) * 100)
        environ = {"CUDA_MPS_PIPE_DIRECTORY": str(self._pipe), "CUDA_MPS_LOG_DIRECTORY": str(self._log)}
        if limits:
            environ["CUDA_MPS_PINNED_DEVICE_MEM_LIMIT"] = limits
        if percentage < 100:
            environ["CUDA_MPS_ACTIVE_THREAD_PERCENTAGE"] = str(percentage)
        return environ

    async def _problem(self) -> str:
        """Returns why the daemon does not run and cannot be started; empty when it runs now."""
        program = shutil.which(self._control)
        if program is None:
            return f"{self._control} is not installed; it comes with the NVIDIA driver"
        socket_length = len(os.fsencode(self._pipe / _LONGEST_NAME))
        if socket_length > _LONGEST_SOCKET:
            return f"the path {self._pipe} is too long for its sockets: set XDG_STATE_HOME to a shorter one"
        try:
            for folder in (self._pipe, self._log, self._clients):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)
        except OSError as exc:
            return f"the folder {self._pipe.parent} cannot be made: {exc.strerror}"
        if await self._ask("get_server_list"):
            return ""
        return await self._start(program)

    def _write_down(self, session_id: str) -> str:
        """Lets the next backend know of a client; returns why it cannot, else nothing."""
        try:
            (self._clients / session_id).touch(mode=0o600)
        except OSError as exc:
            return f"{self._clients / session_id} cannot be written: {exc.strerror}"
        return ""

    async def _start(self, program: str) -> str:
        said = self._log / "start.txt"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._timeout_s
        try:
            # a file, no pipe: the daemon keeps what it inherits, and a pipe would never come to its end
            with said.open("wb") as output:
                process = await asyncio.create_subprocess_exec(
                    program,
                    "-d",
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=self._environ(),
                    start_new_session=True,
                )
            code = await self._finish(process)
        except OSError as exc:
            return f"{program} cannot be started: {exc.strerror}"
        while code == 0:
            if await self._ask("get_server_list"):
                log.info("the MPS daemon runs; its log is in %s", self._log)
                return ""
            if loop.time() >= deadline:
                break
            await asyncio.sleep(0.05)  # the control program tells nobody when it is up
        text = " ".join(said.read_text(errors="replace").split())[:200]
        how = "does not answer" if code in (0, None) else f"ends with {code}"
        return f"{program} -d {how}{': ' + text if text else ''}; its log is in {self._log}"

    async def _end(self) -> None:
        if await self._ask("quit"):
            log.info("the MPS daemon was ended: no session needs it")

    async def _ask(self, command: str) -> bool:
        """Gives a command to the control daemon of our folders; whether it took it."""
        program = shutil.which(self._control)
        if program is None:
            return False
        try:
            process = await asyncio.create_subprocess_exec(
                program,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self._environ(),
            )
        except OSError:
            return False
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.write(f"{command}\n".encode())
            process.stdin.close()
        return await self._finish(process) == 0

    async def _finish(self, process: asyncio.subprocess.Process) -> int | None:
        """Returns the exit status; None, and the process is killed, when it does not end in time."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return await process.wait()
        except TimeoutError:
            return None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()

    def _environ(self) -> dict[str, str]:
        """Returns the environment of the control program: our folders, our GPUs by UUID, nothing of another daemon."""
        environ = {name: value for name, value in os.environ.items() if not name.startswith("CUDA_MPS_")}
        return environ | {
            "CUDA_MPS_PIPE_DIRECTORY": str(self._pipe),
            "CUDA_MPS_LOG_DIRECTORY": str(self._log),
            "CUDA_VISIBLE_DEVICES": ",".join(gpu.uuid for gpu in self._gpus.values()),
        }
