"""How the container of one session comes up: made, started, met at the door, and handed the session."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import struct
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from ...model.errors import LaunchFailed
from ...policies import ContainerSettings
from ..containers import (
    ContainerClient,
    ContainerError,
    ContainerState,
    EngineGone,
    EngineImage,
    EngineInfo,
    own_ulimits,
)
from ..ports import LaunchSpec
from ..runner import procs
from ..runner.caps.finder import FRACTIONS
from ..runner.files import private
from ..runner.first import DOOR, START
from ..runner.wire import Folder
from . import container_environ, container_notes, devicefiles
from .adoption import kept
from .box import Box, Mount, lesser, said_to_docker, said_to_podman
from .container_environ import HOME
from .container_keeper import ContainerKeeper
from .container_kernel import ContainerKernel
from .container_layers import limits_of, tasks_of, told_inside
from .container_notes import ContainerNote
from .container_room import last_line, last_line_of, make_room, mounts_of, room_of
from .environment import add_caps, early_variables, lent_modules, lent_python, make_caps_dir
from .kernel import wait_for_end
from .launching import BOOTSTRAP_S, READY_S, launch_problem
from .link import RunnerLink
from .sandbox import named_folders

SESSION: Final = "bai-tui.session"
INSTANCE: Final = "bai-tui.instance"
"""Labels: the id of the session, and which backend has made the container."""
_RUNNER: Final = Path(__file__).parent.parent / "runner"
_INSIDE: Final = "/.bai-tui"
_COME_UP_S: Final = 60.0
"""How long the image's Python may take to come up on a busy machine."""
_RUNTIME_PATH: Final = "ai.backend.runtime-path"
_RUNTIME_TYPE: Final = "ai.backend.runtime-type"
_NO_PROGRAM: Final = re.compile(r"not found in \$?PATH|command that was not found|no such file or directory", re.I)
_SYSTEM_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")


class Launch:
    """One launch."""

    def __init__(
        self,
        spec: LaunchSpec,
        client: ContainerClient,
        about: Callable[[], Awaitable[EngineInfo]],
        settings: ContainerSettings,
        keeper: ContainerKeeper,
        instance: str,
        caps_dir: Path,
    ) -> None:
        self.name = f"bai-tui-{spec.session_id}"
        self._spec = spec
        self._client = client
        self._about = about
        self._settings = settings
        self._keeper = keeper
        self._instance = instance
        self._caps_dir = caps_dir
        self._link: RunnerLink | None = None

    async def run(self) -> ContainerKernel:
        """Returns the kernel when it answers. Cancelled or failed, nothing is left of it.

        Raises:
            LaunchFailed: with the reason.
        """
        try:
            return await self._run()
        except BaseException as exc:
            await asyncio.shield(self._undo())
            if isinstance(exc, ContainerError):
                raise LaunchFailed(self._failure(exc.message)) from None
            if isinstance(exc, OSError) and not isinstance(exc, TimeoutError):
                raise LaunchFailed(f"the session's folder cannot be used: {exc.strerror or exc}") from None
            if (problem := launch_problem(exc, self._spec.session_dir)) is not None:
                raise problem from None
            raise

    async def _undo(self) -> None:
        if self._link is not None:
            await self._link.close()
        await self._keeper.remove(self.name)

    async def _run(self) -> ContainerKernel:
        spec = self._spec
        info = await self._about()
        image = await self._image()
        note = self._note()
        await asyncio.to_thread(container_notes.write, spec.session_dir, note.stored())
        door = await asyncio.to_thread(self._open_door)
        try:
            interpreter = await self._start(await asyncio.to_thread(self._box, info, image), image.labels, info)
            state = await self._client.inspect(self.name)
            sock = await self._meet(door, state)
        finally:
            door.close()
            (room_of(spec.session_dir) / DOOR).unlink(missing_ok=True)
        return await self._hand_over(sock, state, note, interpreter)

    # --- what it is made of

    async def _image(self) -> EngineImage:
        wanted = self._spec.image
        for name in (wanted.digest, wanted.canonical):
            if name:
                try:
                    return await self._client.image(name)
                except ContainerError as exc:
                    if not exc.missing:
                        raise
        raise LaunchFailed(
            f"the container engine has no image {wanted.canonical} any more: fetch it with "
            f"`bai-tui image pull {wanted.canonical}`"
        )

    def _gpus(self) -> tuple[str, ...]:
        return tuple(filter(None, self._spec.granted.get("CUDA_VISIBLE_DEVICES", "").split(",")))

    def _note(self) -> ContainerNote:
        spec = self._spec
        return ContainerNote(
            name=self.name,
            network=self._settings.network if spec.network else "none",
            gpus=len(self._gpus()),
            hides_gpus=devicefiles.are_there_gpus(),
            isolation=spec.isolation,
        )

    def _open_door(self) -> socket.socket:
        """Writes what the runner begins with and listens for it."""
        folder = make_room(self._spec.session_dir)
        plain = self._spec.image.kernel == "plain"
        lent = {} if plain else {name: _inside(at) for name, at in lent_modules().items()}
        settings = {
            "plain": plain,
            "lent": lent,
            "lent_python": lent_python(),
            "ipython_dir": str(self._spec.session_dir / ".ipython"),
        }
        with open(folder / START, "w", opener=private) as file:
            json.dump(settings, file)
        (folder / DOOR).unlink(missing_ok=True)
        door = socket.socket(socket.AF_UNIX)
        place = Folder(str(folder))
        try:
            door.bind(place.address(DOOR))
            door.listen(1)
            door.setblocking(False)
        except BaseException:
            door.close()
            raise
        finally:
            place.close()
        return door

    def _box(self, info: EngineInfo, image: EngineImage) -> Box:
        spec = self._spec
        podman = info.name == "Podman"
        own = f"{os.geteuid()}:{os.getegid()}"
        mounts = [
            Mount(str(_RUNNER), f"{_INSIDE}/runner"),
            *mounts_of(spec.session_dir),
            Mount(str(spec.work_dir), HOME, writable=True),
        ]
        if spec.image.kernel != "plain":
            mounts += [Mount(at, _inside(at)) for at in dict.fromkeys(lent_modules().values())]
        if FRACTIONS in spec.granted:
            make_caps_dir(self._caps_dir)
            mounts.append(Mount(str(self._caps_dir), str(self._caps_dir)))
        shared = [str(path) for path in named_folders(spec.granted)]
        mounts += [Mount(path, path, writable=True) for path in shared]
        environ = container_environ.passed(os.environ, session_id=spec.session_id)
        for name, (path, inside) in container_environ.certificates(os.environ, f"{_INSIDE}/certificates").items():
            mounts.append(Mount(path, inside))
            environ[name] = inside
        environ |= early_variables(spec.environ) | dict(spec.granted)
        return Box(
            name=self.name,
            image=image.id,
            command=("-s", f"{_INSIDE}/runner/contained.py", str(spec.session_dir)),
            environ=environ,
            labels={SESSION: spec.session_id, INSTANCE: self._instance},
            mounts=tuple(mounts),
            work_dir=HOME,
            # what an engine without rights of root's calls root is who has started it
            user="0:0" if info.rootless and not podman else own,
            keep_id=info.rootless and podman,
            network=self._settings.network if spec.network else "none",
            runtime=self._runtime(info),
            mem_bytes=spec.mem_limit_bytes,
            cpu_cores=spec.cpu_limit_cores,
            max_tasks=tasks_of(spec),
            cores=spec.cores,
            gpus=self._gpus(),
            shares_ipc="CUDA_MPS_PIPE_DIRECTORY" in spec.granted,
            shm_bytes=spec.mem_limit_bytes,
            ulimits=own_ulimits(),
        )

    def _runtime(self, info: EngineInfo) -> str:
        """Returns the runtime that is set, or runc where the engine's own is one that needs version 2 of the groups."""
        if self._settings.runtime or Path(info.default_runtime).name != "crun" or info.cgroup_version != 1:
            return self._settings.runtime
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), *_SYSTEM_FOLDERS))
        return "runc" if shutil.which("runc", path=path) else ""

    # --- coming up

    async def _start(self, box: Box, labels: Mapping[str, str], info: EngineInfo) -> str:
        """Makes and starts the container; returns the interpreter that it runs."""
        told = labels.get(_RUNTIME_PATH, "") if labels.get(_RUNTIME_TYPE) == "python" else ""
        for interpreter in dict.fromkeys(filter(None, (self._spec.image.interpreter, told, "python3", "python"))):
            try:
                await self._bring_up(replace(box, command=(interpreter, *box.command)), info)
                return interpreter
            except ContainerError as exc:
                # of nothing else than the program it runs is so said while its mounts are there
                if isinstance(exc, EngineGone) or not (_NO_PROGRAM.search(exc.message) and interpreter in exc.message):
                    raise
                await self._keeper.remove(self.name)
        raise LaunchFailed(
            f"the image {self._spec.image.canonical} has no Python: sessions in containers need Python 3.6 or later in "
            "the image, as python3 on its PATH; take another image, or put Python into this one"
        )

    async def _bring_up(self, box: Box, info: EngineInfo) -> None:
        """Makes and starts the container, without those limits that the engine cannot set: `layers` tells of that."""
        while True:
            try:
                return await self._make_and_start(box, info)
            except ContainerError as exc:
                if (less := lesser(box, exc.message)) is None:
                    raise
                await self._keeper.remove(self.name)
                box = less

    async def _make_and_start(self, box: Box, info: EngineInfo) -> None:
        if info.name == "Podman":
            await _uncut(self._client.create_by_podman(said_to_podman(box)))
        else:
            await _uncut(self._client.create(said_to_docker(box), self.name))
        await _uncut(self._client.start(self.name))

    async def _meet(self, door: socket.socket, state: ContainerState) -> socket.socket:
        """Returns the connection of the runner.

        Raises:
            LaunchFailed: it has ended instead; the message holds its last words.
        """
        loop = asyncio.get_running_loop()
        accepting = asyncio.create_task(loop.sock_accept(door), name=f"door-{self.name}")
        ending = asyncio.create_task(wait_for_end(state.pid, procs.start_time(state.pid)), name=f"end-{self.name}")
        tasks: set[asyncio.Task[Any]] = {accepting, ending}
        try:
            await asyncio.wait(tasks, timeout=_COME_UP_S, return_when=asyncio.FIRST_COMPLETED)
            if accepting.done():
                return accepting.result()[0]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if not ending.cancelled():
            raise LaunchFailed(self._failure(await self._last_words()))
        raise LaunchFailed(f"the container of the session did not come up within {_COME_UP_S:g} s")

    async def _last_words(self) -> str:
        """Returns the end of what a container has written that has ended before it was met."""
        with suppress(ContainerError):
            if (await self._client.inspect(self.name)).running:
                return "its processes cannot be seen from here: the engine runs on another machine, or a virtual one"
        said = await asyncio.to_thread(last_line, self._spec.session_dir)
        if not said:
            with suppress(ContainerError):
                said = last_line_of(await self._client.output(self.name, 4096))
        return said or "it ended and wrote nothing"

    def _failure(self, why: str) -> str:
        return f"the image {self._spec.image.canonical} does not come up as a session: {why}{_advice(why)}"

    # --- the session

    async def _hand_over(
        self, sock: socket.socket, state: ContainerState, note: ContainerNote, interpreter: str
    ) -> ContainerKernel:
        spec = self._spec
        pid = _peer(sock) or state.pid
        kernels: list[ContainerKernel] = []

        def on_state(state: dict[str, Any]) -> None:
            for kernel in kernels:
                kernel.take_state(state)

        self._link = link = await RunnerLink.over(sock, on_state)
        async with asyncio.timeout(READY_S):
            hello = await asyncio.shield(link.hello)
        identity = {**hello, "pid": pid, "start_time": procs.start_time(pid)}
        if not identity["start_time"]:
            raise LaunchFailed(self._failure("its processes cannot be seen from here: the backend runs in a container"))
        limits = await asyncio.to_thread(limits_of, spec, pid)
        kernel = ContainerKernel(
            spec.session_id, spec.session_dir, interpreter, limits, spec.grace_s, note=note, keeper=self._keeper
        )
        environ = container_environ.of_container(state.raw.get("Config", {}).get("Env") or ())
        environ |= {**spec.image.environ, **spec.environ, **spec.granted}
        if FRACTIONS in spec.granted:
            add_caps(environ, self._caps_dir)
        known = {
            "pid": pid,
            "start_time": identity["start_time"],
            "boot": procs.boot(),
            **kept(kernel),
            **note.stored(),
        }
        await asyncio.to_thread(container_notes.write, spec.session_dir, known)
        async with asyncio.timeout(BOOTSTRAP_S if spec.bootstrap_script else READY_S):
            answer = await link.call(
                "launch",
                session_id=spec.session_id,
                session_dir=str(spec.session_dir),
                work_dir=HOME,
                environ=environ,
                bootstrap=spec.bootstrap_script,
                startup=spec.image.startup,
                grace_s=spec.grace_s,
                **told_inside(limits),
                held=limits.fences.held,
                sandbox=None,
                journal_bytes=spec.journal_max_bytes,
                slow_down=spec.journal_overflow == "slow-down",
                kept={},
            )
        kernels.append(kernel)
        kernel.attach(link, identity, answer)
        return kernel


def _inside(folder: str) -> str:
    """Returns where a folder of lent modules is inside."""
    return f"{_INSIDE}/lent/{sorted(set(lent_modules().values())).index(folder)}"


def _peer(sock: socket.socket) -> int:
    """Returns the process at the other end as this machine counts them; 0 when it cannot be seen from here."""
    said = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return int(struct.unpack("3i", said)[0])


def _advice(why: str) -> str:
    """Returns what helps where an engine has no way to GPUs, or a runtime that cannot work here."""
    if "hybrid mode not supported" in why:  # by crun; Podman lets us choose another one from version 6 on only
        return '; let Podman take runc: install it and write runtime = "runc" below [engine] in containers.conf'
    if "could not select device driver" in why:
        return "; install the NVIDIA Container Toolkit and register it with Docker (nvidia-ctk runtime configure)"
    if "CDI" in why:
        return "; tell Podman of the GPUs by their UUIDs: nvidia-ctk cdi generate --device-name-strategy=uuid"
    return ""


async def _uncut(asked: Coroutine[Any, Any, object]) -> None:
    """Waits for an answer even when cancelled, so that what the engine makes is there when it is to be removed."""
    task = asyncio.create_task(asked)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody is told any more
        raise
