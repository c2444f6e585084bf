"""The composition root of the backend and its life cycle: the one place where its rooms are wired together.

Leaving is not killing: when the daemon ends, sessions and their runners live on, and the next one takes them over.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import ipaddress
import json
import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

from aiohttp import web

from ... import __version__
from ..backend_settings import Settings
from ..config import Paths, private_folder
from ..model.errors import BaiTuiError, ConfigError
from ..model.images import ImageState
from .api import ConnectionLimits, Replays, create_app, create_runner, metrics_token
from .containers import ContainerClient, Inspector
from .devices import LocalDevices, discover
from .engines.container import ContainerEngine
from .engines.dispatch import Engines
from .engines.hierarchies import SessionGroups
from .engines.process import ProcessEngine
from .images import Catalogue, ContainerSource, KernelspecSource, PythonSource, RecipeSource
from .instance import InstanceLock, ServeFile, keep_keypair, local_keypair
from .metrics import ProcSampler
from .scheduler import DeviceSpec, Distribution, Scheduler, Strategy
from .seldom import Seldom
from .service import Defaults, LocalService, OwnKeypair, Policies, rules_of
from .store import SqliteStore

log = logging.getLogger(__name__)
API_VERSION: Final = "v9.20250722"
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
KILL_ALL_SIGNAL: Final = signal.SIGUSR2
"""Ends every session, then the daemon."""
_STEP_S: Final = 10.0
"""How long each step of the shutdown may take."""
_WATCH_S: Final = 2.0
_MOST_FILES: Final = 65536
_LOG_BYTES: Final = 5 << 20


class Readiness:
    """Tells whoever started the daemon how that went: one line of JSON into a pipe."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is not None:
            os.set_inheritable(fd, False)  # else a zygote would hold it open

    def tell(self, **said: object) -> None:
        """Writes the first thing that is told; later ones are dropped."""
        if self._fd is None:
            return
        with contextlib.suppress(OSError):  # it has left
            os.write(self._fd, json.dumps(said).encode() + b"\n")
        os.close(self._fd)
        self._fd = None


@dataclass(slots=True)
class Parts:
    """What the daemon is made of."""

    store: SqliteStore
    engine: Engines
    catalogue: Catalogue
    devices: LocalDevices
    service: LocalService


def serve(paths: Paths, settings: Settings, *, options: Sequence[str] = (), ready_fd: int | None = None) -> int:
    """Runs the backend until SIGTERM, SIGINT, SIGHUP or SIGUSR2 (which ends the sessions too); returns the exit status.

    Args:
        options: what the command line said, for whoever starts the next backend should this one be killed.
        ready_fd: a pipe to tell `{"ready": true}`, `{"busy": true}` (another backend runs) or `{"error": sentence}`.

    Raises:
        ConfigError: it cannot be started; told through `ready_fd` as well.
    """
    readiness = Readiness(ready_fd)
    lock = InstanceLock(private_folder(paths.state) / "serve.lock")
    try:
        if not lock.acquire():
            readiness.tell(busy=True)
            if ready_fd is not None:
                return 1  # whoever asked goes on with the other one
            raise ConfigError(f"another backend of yours runs already ({paths.state / 'serve.lock'} is locked)")
        _log_to(paths, echo=ready_fd is None)
        _raise_file_limit()
        return asyncio.run(_run(paths, settings, options, readiness, lock))
    except BaiTuiError as exc:
        readiness.tell(error=exc.message)
        raise
    except Exception as exc:
        log.exception("the backend has failed")
        readiness.tell(error=f"the backend failed ({type(exc).__name__}: {exc}); see {paths.state / 'serve.log'}")
        raise
    finally:
        lock.release()


def check_host(host: str) -> str:
    """Returns the address to listen on.

    Raises:
        ConfigError: it is not of this machine's loopback.
    """
    if host == "localhost":
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        raise ConfigError(f"the host {host!r} is no address: write 127.0.0.1, ::1 or localhost") from None
    if not address.is_loopback:
        raise ConfigError(
            f"the backend does not listen on {host}: whoever reaches it can run code as you; "
            "use 127.0.0.1 and reach it from elsewhere through ssh"
        )
    return str(address)


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket at `port`, or at a free port where that one is taken.

    Raises:
        ConfigError: there is no such address on this machine, or no port at all.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for attempt in (port, 0):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, attempt))
            sock.listen(1024)
        except OSError as exc:
            sock.close()
            if attempt == 0:
                raise ConfigError(f"the backend cannot listen on {host}: {exc.strerror}") from None
            log.warning("port %d of %s cannot be used (%s): taking a free one", port, host, exc.strerror)
        else:
            return sock
    raise AssertionError("unreachable")


async def _run(
    paths: Paths, settings: Settings, options: Sequence[str], readiness: Readiness, lock: InstanceLock
) -> int:
    host = check_host(settings.host)
    stop = asyncio.Event()
    kill_all = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, stop.set)

    def end_all() -> None:
        kill_all.set()
        stop.set()

    loop.add_signal_handler(KILL_ALL_SIGNAL, end_all)
    serve_file = ServeFile(paths.state / "serve.json")
    async with contextlib.AsyncExitStack() as stack:
        parts = await _build(paths, settings, stack)
        token = metrics_token(paths.data / "metrics.token")
        replays = Replays(private_folder(paths.state))
        stack.callback(replays.close)
        app = create_app(parts.service, version=__version__, metrics_token=token, replays=replays)
        limits = ConnectionLimits.for_files(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        runner = create_runner(app, limits=limits)
        await runner.setup()
        stack.push_async_callback(_bounded, "the API", runner.cleanup)
        sock = listen(host, settings.port)
        await web.SockSite(runner, sock).start()
        port = sock.getsockname()[1]
        endpoint = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        stack.callback(parts.service.close_events)
        stack.callback(serve_file.remove)
        serve_file.write(endpoint=endpoint, version=__version__, api_version=API_VERSION, options=options)
        log.info("bai-tui %s listens on %s, pid %d", __version__, endpoint, os.getpid())
        readiness.tell(ready=True, endpoint=endpoint, notice=parts.store.notice)
        look = asyncio.create_task(_look_around(parts), name="look over the machine")
        stack.push_async_callback(_cancelled, look)
        watch = asyncio.create_task(_watch_folder(paths, lock, stop, kill_all), name="watch the state folder")
        stack.push_async_callback(_cancelled, watch)
        gc.collect()
        gc.freeze()  # what is here now stays: no need to look through it again
        failed = await _until_stopped(parts.service, stop)
        serve_file.remove()
        if kill_all.is_set():
            log.info("ending all sessions")
            await parts.service.end_all()
        log.info("stopping%s", "" if kill_all.is_set() else "; sessions go on")
    return 1 if failed else 0


async def _build(paths: Paths, settings: Settings, stack: contextlib.AsyncExitStack) -> Parts:
    """Makes the parts in the order of their needs; `stack` lets go of them in the opposite one."""
    state = private_folder(paths.state)
    devices = discover(cpu=settings.cpu, mem=settings.mem, mock_gpus=settings.mock_gpus, gpu=settings.gpu, state=state)
    stack.push_async_callback(_bounded, "the devices", devices.close)
    store = SqliteStore(private_folder(paths.data) / "bai-tui.db")
    stack.push_async_callback(_bounded, "the store", store.close)
    keypair_file = paths.data / "keypair.json"
    keypair = local_keypair(keypair_file, await store.keypairs())
    await store.add_keypair(keypair)
    folder = private_folder(state / "engine")
    processes = ProcessEngine(
        folder,
        groups=await asyncio.to_thread(SessionGroups.find, folder),
        hide=(paths.state, paths.data, paths.config, paths.cache),
    )
    containers = ContainerClient(settings.containers.socket)
    engine = Engines(processes, ContainerEngine(folder, containers, settings.containers))
    stack.push_async_callback(_bounded, "the engine", engine.close)
    scheduler = Scheduler(
        [DeviceSpec(item.id, item.slot, item.capacity) for item in devices.list()],
        quantum=settings.scheduler.quantum,
        strategy=Strategy(settings.scheduler.gpu_strategy),
        distribution=Distribution(settings.scheduler.distribution),
        rules=rules_of(settings.scheduler, settings.limits),
    )
    offered, cache = scheduler.available(), _cache_folder(paths) / "images"
    catalogue = Catalogue(
        [
            PythonSource(cache, offered=offered, venvs=settings.images.venvs),
            RecipeSource(cache, paths.config / "recipes", offered=offered),
            KernelspecSource(offered=offered),
            ContainerSource(
                containers,
                Inspector(containers, cache),
                cache,
                offered=offered,
                named=[name for name, engine in settings.images.engines.items() if engine == "container"],
            ),
        ],
        paths.config / "aliases.toml",
        settings.images,
    )
    service = LocalService(
        scheduler=scheduler,
        engine=engine,
        catalogue=catalogue,
        devices=devices,
        sampler=ProcSampler(devices),
        store=store,
        keypairs=await store.keypairs(),
        own=OwnKeypair(keypair.access_key, functools.partial(keep_keypair, keypair_file)),
        sessions_dir=private_folder(state / "sessions"),
        policies=Policies(
            defaults=Defaults(
                idle_timeout_s=settings.idle_timeout_s, pending_timeout_s=settings.scheduler.pending_timeout_s
            ),
            limits=settings.limits,
            idle=settings.idle,
            gpu=settings.gpu,
            memory=settings.memory,
            sandbox=settings.sandbox,
            journal=settings.journal,
        ),
    )
    stack.push_async_callback(_bounded, "the service", service.stop)
    await service.start()
    return Parts(store, engine, catalogue, devices, service)


def _cache_folder(paths: Paths) -> Path:
    """Returns the folder for what can be made again; it need not be writable."""
    with contextlib.suppress(ConfigError):
        private_folder(paths.cache)
    return paths.cache


async def _look_around(parts: Parts) -> None:
    """Finds the images and makes the next launch of the default one fast. After readiness: nobody waits for it."""

    async def warm() -> None:
        image = (await parts.catalogue.resolve("python")).image
        if image.state is ImageState.READY:
            await parts.engine.warm(image)

    async def each(what: str, work: Coroutine[Any, Any, object]) -> None:
        try:
            await work
        except BaiTuiError as exc:
            log.warning("%s: %s", what, exc.message)
        except Exception:
            log.exception("%s", what)

    async with asyncio.TaskGroup() as group:
        group.create_task(each("what an earlier backend left cannot be tidied up", parts.engine.tidy()), name="tidy up")
        group.create_task(each("the machine cannot be looked over", parts.catalogue.refresh()), name="look for images")
        # waits for what it needs only, not for slow sources of other images
        group.create_task(each("the default image cannot be prepared", warm()), name="warm the default image")


async def _watch_folder(paths: Paths, lock: InstanceLock, stop: asyncio.Event, kill_all: asyncio.Event) -> None:
    """Asks for the end when somebody removes the state folder: no client would ever find this backend again.

    Sessions whose folders are gone with it are ended; others are left to the next backend.
    """
    while lock.is_in_place():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(_WATCH_S)
    log.error("%s was removed: this backend cannot be found any more", paths.state / "serve.lock")
    if not (paths.state / "sessions").is_dir():
        kill_all.set()
    stop.set()


async def _until_stopped(service: LocalService, stop: asyncio.Event) -> BaseException | None:
    """Returns when a signal came, or the error of the service when it failed."""
    stopped = asyncio.create_task(stop.wait(), name="wait for a signal")
    failed = asyncio.create_task(service.failure(), name="wait for a failure")
    try:
        await asyncio.wait([stopped, failed], return_when=asyncio.FIRST_COMPLETED)
        if failed.done() and not stopped.done():
            log.critical("the service has failed; stopping")
            return failed.result()
        return None
    finally:
        await _cancelled(stopped)
        await _cancelled(failed)


async def _cancelled(task: asyncio.Task[object]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _bounded(what: str, step: Callable[[], Awaitable[object]]) -> None:
    """Takes one step of the shutdown; one that hangs or fails does not keep the others from being taken."""
    try:
        async with asyncio.timeout(_STEP_S):
            await step()
    except TimeoutError:
        log.error("%s did not stop within %g s", what, _STEP_S)
    except Exception:
        log.exception("%s could not be stopped in order", what)


def _log_to(paths: Paths, *, echo: bool) -> None:
    """Sends the log to `serve.log`, mode 0600, and to stderr when `echo`."""
    file = paths.state / "serve.log"
    try:
        os.close(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
        handler = RotatingFileHandler(file, maxBytes=_LOG_BYTES, backupCount=3, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(f"the log {file} cannot be written: {exc.strerror}") from None
    handlers: list[logging.Handler] = [handler]
    if echo:
        handlers.append(logging.StreamHandler(sys.stderr))
    logging.basicConfig(
        level=logging.INFO, handlers=handlers, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    logging.captureWarnings(True)
    logging.getLogger("asyncio").addFilter(Seldom())
    # asyncio's own complaints name tasks; aiohttp's access log would name every poll
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def _raise_file_limit() -> None:
    """Lets this process open what it may: each session costs a few descriptors."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
