"""Zygotes: warmed interpreters, one per image in use, from which runners are forked."""

from __future__ import annotations

import array
import asyncio
import contextlib
import hashlib
import json
import logging
import os
import re
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ...model.errors import LaunchFailed
from ..runner import procs
from ..runner.files import private
from .environment import base_environment, lent_modules, lent_python, make_bin_dir
from .groups import SessionGroup
from .hierarchies import SessionGroups
from .jupyter import pyzmq_folders
from .link import RunnerGone, RunnerLink

_log: Final = logging.getLogger(__name__)
_SCRIPT: Final = Path(__file__).parent.parent / "runner" / "zygote.py"
_START_S: Final = 60.0
"""How long an interpreter may take to come up on a busy machine."""


@dataclass(frozen=True, slots=True)
class ZygoteKey:
    """What a zygote is made for."""

    interpreter: str
    shell: str
    """`ipython` where it can be had, `plain`, or `jupyter` for what talks to kernels of Jupyter's."""
    early: tuple[tuple[str, str], ...] = ()
    """Environment variables that act at the start of a process only."""
    once: bool = False
    """It is made for one session, which wants such variables for itself: no other will ever ask for the same."""

    @property
    def name(self) -> str:
        digest = hashlib.sha256(repr(self).encode()).hexdigest()[:12]
        return f"{Path(self.interpreter).name}-{digest}"


@dataclass(slots=True)
class NewRunner:
    """A runner that was forked and has not been given a session yet."""

    link: RunnerLink
    identity: dict[str, Any]
    listeners: list[Callable[[dict[str, Any]], None]]
    """Who hears its state; the session's kernel adds itself."""
    group: SessionGroup | None = None
    """Holds the runner and its kernel."""

    async def discard(self) -> None:
        """Closes the connection, upon which the runner ends; returns when its group is removed."""
        await self.link.close()
        if self.group is not None:
            await asyncio.to_thread(self.group.remove)


class Zygote:
    """One zygote process. Ends when `close` is called or the daemon dies."""

    def __init__(self, key: ZygoteKey, state_dir: Path) -> None:
        self.key = key
        self.log_path = state_dir / f"{key.name}.log"
        self.bin_dir = state_dir / f"{key.name}.bin"
        self._ipython_dir = state_dir / f"{key.name}.{os.getpid()}.ipython"
        self._process: subprocess.Popen[bytes] | None = None
        self._sock: socket.socket | None = None
        self.has_forked = False
        """It came up once: when it fails now, something has ended it, and another will come up."""

    def start(self) -> None:
        """Starts the interpreter; it need not be up when this returns. Blocks for some milliseconds.

        Raises:
            LaunchFailed: the interpreter cannot be executed, or there is no room for its files.
        """
        try:
            self._start()
        except OSError as exc:
            raise LaunchFailed(
                f"the interpreter {self.key.interpreter} cannot be started: {exc.strerror or exc}"
            ) from None

    def _start(self) -> None:
        self.log_path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        make_bin_dir(self.bin_dir, self.key.interpreter)
        environ = base_environment(
            os.environ,
            programs=[str(self.bin_dir), str(Path(self.key.interpreter).parent)],
            work_dir=self.log_path.parent,
            session_id="0" * procs.MARKER_ROOM,
        )
        environ.update(self.key.early)
        settings = {
            "jupyter": pyzmq_folders() if self.key.shell == "jupyter" else None,
            "plain": self.key.shell == "plain",
            "lent": lent_modules(),
            "lent_python": lent_python(),
            "ipython_dir": str(self._ipython_dir),
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        ours.send(json.dumps(settings).encode())
        try:
            with open(self.log_path, "wb", opener=private) as log:
                self._process = subprocess.Popen(
                    [self.key.interpreter, "-s", str(_SCRIPT), str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environ,
                    cwd="/",
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,
                )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        self._sock = ours

    async def fork(self) -> NewRunner:
        """Returns a fresh runner; waits for the zygote where it is still warming up.

        Raises:
            LaunchFailed: the zygote has ended; the message holds the last line that it wrote.
        """
        assert self._sock is not None
        loop = asyncio.get_running_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        listeners: list[Callable[[dict[str, Any]], None]] = []

        def on_state(state: dict[str, Any]) -> None:
            for listener in listeners:
                listener(state)

        try:
            with theirs:
                while True:
                    try:
                        ancillary = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs.fileno()]))
                        self._sock.sendmsg([b"f"], [ancillary])
                        break
                    except BlockingIOError:
                        await _writable(loop, self._sock)
                    except OSError:
                        raise LaunchFailed(self._epitaph()) from None
            link = await RunnerLink.over(ours, on_state)
        except BaseException:
            ours.close()
            raise
        try:
            async with asyncio.timeout(_START_S):
                identity = await asyncio.shield(link.hello)
            self.has_forked = True
        except RunnerGone:
            await link.close()
            raise LaunchFailed(self._epitaph()) from None
        except TimeoutError:
            await link.close()
            raise LaunchFailed(
                f"the interpreter {self.key.interpreter} did not come up within {_START_S:g} s; see {self.log_path}"
            ) from None
        except BaseException:
            await link.close()
            raise
        return NewRunner(link, identity, listeners)

    def _epitaph(self) -> str:
        lines: list[str] = []
        with contextlib.suppress(OSError):
            lines = self.log_path.read_text(errors="replace").strip().splitlines()
        last = re.sub(r"[^\x20-\x7e]", "?", lines[-1])[:300] if lines else "it wrote nothing"
        return f"the interpreter {self.key.interpreter} does not come up as a kernel: {last} (log: {self.log_path})"

    async def close(self) -> None:
        """Ends the zygote; its runners live on."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None
        process = self._process
        if process is not None:
            await asyncio.to_thread(_reap, process)


def _reap(process: subprocess.Popen[bytes]) -> None:
    try:
        process.wait(2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


async def _writable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready = asyncio.Event()
    loop.add_writer(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(sock)


class ZygotePool:
    """The zygotes in use, and runners that were forked ahead of the need."""

    def __init__(self, state_dir: Path, groups: SessionGroups, *, spares: int = 2) -> None:
        """Takes the folder for logs and small files, made when needed, and the number of spare runners an image."""
        self._state_dir = state_dir
        self._groups = groups
        self._spares_wanted = spares
        self._zygotes: dict[ZygoteKey, Zygote] = {}
        self._spares: dict[ZygoteKey, list[NewRunner]] = {}
        self._refills: dict[ZygoteKey, asyncio.Task[None]] = {}
        self._closed = False

    def bin_dir(self, key: ZygoteKey) -> Path:
        """Returns the folder that holds `python` of the zygote's interpreter."""
        return self._zygote(key).bin_dir

    def _zygote(self, key: ZygoteKey) -> Zygote:
        zygote = self._zygotes.get(key)
        if zygote is None:
            zygote = Zygote(key, self._state_dir)
            zygote.start()
            self._zygotes[key] = zygote
        return zygote

    async def take(self, key: ZygoteKey) -> NewRunner:
        """Returns a runner for a session.

        Raises:
            LaunchFailed: the interpreter does not come up.
        """
        spares = self._spares.setdefault(key, [])
        while spares:
            spare = spares.pop()
            if not spare.link.is_closed:
                return spare
            await spare.discard()
        return await self._fork(key)

    async def _fork(self, key: ZygoteKey) -> NewRunner:
        """Returns a new runner, in a control group of its own where there are any."""
        runner = await self._fork_somehow(key)
        if not self._groups.problem:
            pid, kernel_pid = runner.identity["pid"], runner.identity["kernel_pid"]
            moving = asyncio.create_task(
                asyncio.to_thread(self._groups.make, pid, (pid, kernel_pid)), name=f"group-{pid}"
            )
            try:
                runner.group = await asyncio.shield(moving)
                if runner.group is not None:
                    tasks = runner.group.task_limit
                    await runner.link.call(
                        "hold",
                        groups=[str(place.path) for place in runner.group.places],
                        tasks=str(tasks) if tasks is not None else None,
                    )
            except BaseException as exc:
                runner.group = await moving
                await runner.discard()
                if isinstance(exc, RunnerGone):
                    raise LaunchFailed("the runner ended before it was given a session") from None
                raise
        return runner

    async def _fork_somehow(self, key: ZygoteKey) -> NewRunner:
        zygote = self._zygote(key)
        try:
            return await zygote.fork()
        except LaunchFailed as exc:
            if self._zygotes.get(key) is zygote:
                del self._zygotes[key]
            await zygote.close()
            if not zygote.has_forked:
                raise
            _log.warning("starting another zygote: %s", exc)
        return await self._zygote(key).fork()

    async def warm(self, key: ZygoteKey) -> None:
        """Returns when a spare runner stands ready. Failure is silent."""
        with contextlib.suppress(LaunchFailed):
            self.refill(key)
            task = self._refills.get(key)
            if task is not None:
                await asyncio.shield(task)

    def refill(self, key: ZygoteKey, *, delay_s: float = 0.0) -> None:
        """Forks spares in the background; sessions with variables of their own get none, they are one of a kind."""
        if self._closed or key.once or key in self._refills:
            return
        task = asyncio.create_task(self._refill(key, delay_s), name=f"spares-{key.name}")
        self._refills[key] = task
        task.add_done_callback(lambda _: self._refills.pop(key, None))

    async def _refill(self, key: ZygoteKey, delay_s: float) -> None:
        spares = self._spares.setdefault(key, [])
        await asyncio.sleep(delay_s)  # the session just started goes first
        try:
            while len(spares) < self._spares_wanted:
                spares.append(await self._fork(key))
        except LaunchFailed as exc:
            _log.info("no spare kernel: %s", exc)

    async def retire(self, key: ZygoteKey) -> None:
        """Ends a zygote that was made for one session."""
        if key.once and (zygote := self._zygotes.pop(key, None)) is not None:
            await zygote.close()

    async def close(self) -> None:
        """Ends zygotes and spares; sessions live on."""
        self._closed = True
        refills = list(self._refills.values())
        for task in refills:
            task.cancel()
        if refills:
            await asyncio.wait(refills)
        await asyncio.gather(*(spare.discard() for spares in self._spares.values() for spare in spares))
        self._spares.clear()
        await asyncio.gather(*(zygote.close() for zygote in self._zygotes.values()))
        self._zygotes.clear()
