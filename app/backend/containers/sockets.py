"""Where a container engine may listen on this machine."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator, Mapping
from pathlib import Path

from .errors import EngineGone

_PROMPT_S = 1.0
"""A listener that does not take a connection within this is no engine that works."""


def find_socket(setting: str = "", environ: Mapping[str, str] = os.environ) -> Path:
    """Returns the first socket at which something listens. Blocks for moments: use it in a thread.

    `setting`, else DOCKER_HOST or CONTAINER_HOST, says where to look and nowhere else; without them, the usual places
    of Podman and Docker, those of the user first.

    Args:
        setting: `[containers] socket`: an absolute path or `unix://` and one; empty = not set.

    Raises:
        EngineGone: there is none, or none that may be used; the message says which and what to do.
    """
    if setting:
        return _told(setting, "the setting [containers] socket")
    for name in ("DOCKER_HOST", "CONTAINER_HOST"):
        if environ.get(name):
            return _told(environ[name], name)
    refused = ""
    for path in dict.fromkeys(_usual(environ)):
        error = _try(path)
        if error is None:
            return path
        forbidden = error.errno in (errno.EACCES, errno.EPERM)
        absent = error.errno in (errno.ENOENT, errno.ENOTDIR)
        if not absent and (not forbidden or _is_socket(path)):
            refused = refused or _words(path, error)
    if refused:
        raise EngineGone(refused)
    raise EngineGone(
        "no container engine listens here: start Docker, or Podman's service with"
        " `systemctl --user start podman.socket`, or name its socket with [containers] socket"
    )


def _usual(environ: Mapping[str, str]) -> Iterator[Path]:
    if runtime := environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime, "podman/podman.sock")
        yield Path(runtime, "docker.sock")
    if os.getuid():
        yield Path(f"/run/user/{os.getuid()}/podman/podman.sock")
        yield Path(f"/run/user/{os.getuid()}/docker.sock")
    if home := environ.get("HOME"):
        yield from (Path(home, ".docker", folder, "docker.sock") for folder in ("run", "desktop"))
    yield Path("/run/podman/podman.sock")
    yield Path("/var/run/docker.sock")
    yield Path("/run/docker.sock")


def _told(text: str, who: str) -> Path:
    """Returns the socket that somebody named, if something listens there."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme != "unix":
        raise EngineGone(
            f"{who} is {text!r}: only engines on a unix socket of this machine are supported (unix:///path)"
        )
    path = Path(rest if separator else text).expanduser()
    if not path.is_absolute():
        raise EngineGone(f"{who} is {text!r}, which is no absolute path of a socket")
    if (error := _try(path)) is not None:
        raise EngineGone(f"{_words(path, error)} ({who} names it)")
    return path


def _try(path: Path) -> OSError | None:
    """Returns why nothing can be said to a listener at `path`; None if it can."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROMPT_S)
        try:
            probe.connect(os.fspath(path))
        except OSError as exc:
            return exc
    return None


def _is_socket(path: Path) -> bool:
    try:
        return path.is_socket()
    except OSError:  # in a folder that may not be looked into: another user's engine
        return False


def _words(path: Path, error: OSError) -> str:
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"the container engine's socket {path} may not be used by this user: join its group (often `docker`)"
    if error.errno == errno.ENOENT:
        return f"there is no container engine's socket {path}"
    if isinstance(error, TimeoutError) or error.errno == errno.EAGAIN:
        return f"the container engine at {path} takes no connections"
    if error.errno == errno.ECONNREFUSED:
        return f"nothing listens at the container engine's socket {path}: is the engine started?"
    return f"the container engine's socket {path} cannot be used: {error.strerror or error}"
