"""Finds the local backend, or starts it: what lets `bai-tui` work with no set-up at all.

Knows the backend only by its files (`config.Paths.state`) and by the command `bai-tui serve`. On the way of every
command and of the TUI, so it imports little and touches no network.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from .config import Paths, private_folder
from .contexts import chosen_endpoint
from .model.endpoint import Endpoint
from .model.errors import ConfigError
from .model.secrets import names_a_secret

Tell = Callable[[str], object]
_READY_S: Final = 30.0
"""How long a backend may take from its start until it answers."""
_LOOK_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class RunningBackend:
    """What `serve.json` says of a backend that runs."""

    pid: int
    start_time: int
    """Clock ticks since boot: a pid alone may have been given to somebody else."""
    endpoint: str
    version: str
    started_at: float
    """Unix time."""


def read_running(paths: Paths) -> RunningBackend | None:
    """Returns the backend of this user, None when none runs; a file that a killed one left counts for nothing."""
    try:
        said: Mapping[str, Any] = json.loads((paths.state / "serve.json").read_bytes())
        found = RunningBackend(
            pid=int(said["pid"]),
            start_time=int(said["start_time"]),
            endpoint=str(said["endpoint"]),
            version=str(said["version"]),
            started_at=float(said["started_at"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if is_alive(found.pid, found.start_time) else None


def was_killed(paths: Paths) -> bool:
    """Whether the last backend of this user ended without a word: one that stops in order takes its file away."""
    return (paths.state / "serve.json").exists() and read_running(paths) is None


def is_alive(pid: int, start_time: int) -> bool:
    """Whether the process `pid` that started at `start_time` (clock ticks since boot) still runs."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return False
    return len(fields) > 19 and fields[0] not in (b"Z", b"X") and int(fields[19]) == start_time


def running_backend(paths: Paths) -> Endpoint | None:
    """Returns the endpoint of the backend of this user, None when none runs. Reads `serve.json` and the keypair only.

    Raises:
        ConfigError: it runs, but its keypair cannot be read.
    """
    found = read_running(paths)
    return _endpoint(paths, found) if found is not None else None


def _endpoint(paths: Paths, backend: RunningBackend) -> Endpoint:
    file = paths.data / "keypair.json"
    try:
        pair = json.loads(file.read_bytes())
        return Endpoint(
            backend.endpoint,
            str(pair["access_key"]),
            str(pair["secret_key"]),
            name="local",
            renew=partial(running_backend, paths),
        )
    except OSError as exc:
        raise ConfigError(
            f"the keypair {file} cannot be read: {exc.strerror}; `bai-tui serve --stop`, then try again"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"the keypair {file} is damaged: `bai-tui serve --stop`, remove the file, then try again"
        ) from None


def ensure_backend(paths: Paths, tell: Tell | None = None) -> Endpoint:
    """Returns the endpoint of the local backend; starts one, detached, when none runs. Blocks until it is ready.

    Any number of clients may do so at once: one backend starts, all get its endpoint.

    Args:
        tell: gets the sentence that the user should hear, such as of a damaged database, if there is one.

    Raises:
        ConfigError: it could not be started; the message holds the reason and the path of its log.
    """
    found = read_running(paths)
    if found is None:
        found, _ = start_detached(paths, _options_of_the_killed(paths), tell)
    return _endpoint(paths, found)


def _options_of_the_killed(paths: Paths) -> list[str]:
    """Returns how the last backend was started if it was killed: its sessions count on the same devices and limits.

    One that stopped in order has taken its file away; whoever starts the next one begins anew.
    """
    try:
        options = json.loads((paths.state / "serve.json").read_bytes())["options"]
        return [str(option) for option in options if str(option).startswith("--")]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def start_detached(paths: Paths, options: Sequence[str] = (), tell: Tell | None = None) -> tuple[RunningBackend, bool]:
    """Starts a backend that outlives us, with `options` of `bai-tui serve`, and waits until it is ready.

    Args:
        tell: see `ensure_backend`.

    Returns:
        The backend that runs now, and whether it is the one that was started: another may have been faster.

    Raises:
        ConfigError: it could not be started; the message holds the reason and the path of its log.
    """
    private_folder(paths.state)
    deadline = time.monotonic() + _READY_S
    while True:
        said = _spawn(paths, options, deadline)
        if "error" in said:
            raise ConfigError(str(said["error"]))
        if said.get("notice") and tell is not None:
            tell(str(said["notice"]))
        found = _wait_for_file(paths, 0.0 if said.get("ready") else 1.0)
        if found is not None:
            return found, bool(said.get("ready"))
        if time.monotonic() > deadline:
            raise ConfigError(
                f"another backend holds {paths.state / 'serve.lock'} but does not become ready; see {_log(paths)}"
            )
        # The one that held the lock has ended meanwhile, or is ending: try again.


def _wait_for_file(paths: Paths, wait_s: float) -> RunningBackend | None:
    deadline = time.monotonic() + wait_s
    while (found := read_running(paths)) is None and time.monotonic() < deadline:
        time.sleep(_LOOK_S)  # a file that appears tells nobody without inotify
    return found


def _log(paths: Paths) -> Path:
    return paths.state / "serve.log"


def _spawn(paths: Paths, options: Sequence[str], deadline: float) -> Mapping[str, Any]:
    """Starts the process; returns what it says through its pipe: `ready`, `busy` (another runs) or `error`."""
    import select
    import subprocess

    read_fd, write_fd = os.pipe()
    try:
        log = os.open(_log(paths), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        os.close(read_fd)
        os.close(write_fd)
        raise ConfigError(f"the log {_log(paths)} cannot be written: {exc.strerror}") from None
    try:
        # -P: a file of the folder in which the user happens to be must not stand in for a module of ours
        command = [sys.executable, "-P", "-m", "bai_tui", "serve", "--ready-fd", str(write_fd), *options]
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[write_fd],
            start_new_session=True,
            cwd="/",
            # Its environment can be read by whatever it starts, and it needs no secret of ours.
            env={name: value for name, value in os.environ.items() if not names_a_secret(name)},
        )
    except OSError as exc:
        os.close(read_fd)
        raise ConfigError(f"the backend cannot be started with {sys.executable}: {exc.strerror}") from None
    finally:
        os.close(write_fd)
        os.close(log)
    # It is meant to outlive us: no warning about that, and no zombie of one that ends early while we live.
    answer = b""
    with os.fdopen(read_fd, "rb", buffering=0) as pipe:
        while not answer.endswith(b"\n"):
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                process.returncode = 0
                raise ConfigError(f"the backend (pid {process.pid}) does not become ready; see {_log(paths)}")
            data = pipe.read(65536)
            if not data:
                break
            answer += data
    if not answer.endswith(b"\n"):
        raise ConfigError(f"the backend ended before it was ready (status {process.wait()}); see {_log(paths)}")
    said: Mapping[str, Any] = json.loads(answer)
    if said.get("ready"):
        process.returncode = 0
    else:
        process.wait()
    return said


def current_endpoint(paths: Paths, tell: Tell | None = None) -> Endpoint:
    """Returns where commands and TUI go: the server of the context in force, or what `ensure_backend` returns."""
    return chosen_endpoint(paths) or ensure_backend(paths, tell)
