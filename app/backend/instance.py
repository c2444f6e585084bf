"""One backend per user: the lock, what it writes down about itself, and its keypair."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import getpass
import json
import os
import time
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ..model.errors import ConfigError
from .ports import Keypair
from .runner.procs import start_time
from .service.keypairs import new_access_key, new_secret_key

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


class InstanceLock:
    """A lock that ends with its process, however that ends: nothing stale is ever left."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._fd = -1

    def acquire(self) -> bool:
        """Takes the lock; False when another process has it.

        Raises:
            ConfigError: the file cannot be made.
        """
        try:
            fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            raise ConfigError(f"the lock {self._path} cannot be made: {exc.strerror}") from None
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return False
        except OSError as exc:
            os.close(fd)
            raise ConfigError(f"{self._path} cannot be locked: {exc.strerror}; put it on a local file system") from None
        self._fd = fd
        return True

    def is_in_place(self) -> bool:
        """Whether the file that is locked is still the one that others look at."""
        try:
            return os.path.samestat(os.fstat(self._fd), self._path.stat())
        except OSError:
            return False

    def release(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def write_private(path: Path, value: dict[str, Any], *, may_tear: bool = False) -> None:
    """Replaces a JSON file at once and wholly, mode 0600.

    Args:
        may_tear: on a full disk, the file that is there is written over in its own room: whoever reads it in that very
            moment may read half of it.

    Raises:
        ConfigError: it cannot be written.
    """
    data = json.dumps(value).encode() + b"\n"
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        try:
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
            _write_new(fresh, data)
            fresh.replace(path)
        except OSError as exc:
            with contextlib.suppress(OSError):
                fresh.unlink(missing_ok=True)  # a full disk takes names, too
            if not may_tear or exc.errno not in _FULL:
                raise
            _write_over(path, data)
    except OSError as exc:
        told = "; free some, then try again" if exc.errno in _FULL else ""
        raise ConfigError(f"{path} cannot be written: {exc.strerror}{told}") from None


def _write_new(path: Path, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


def _write_over(path: Path, data: bytes) -> None:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from None
    try:
        if os.pwrite(fd, data, 0) != len(data):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(fd, len(data))
    finally:
        os.close(fd)


class ServeFile:
    """`serve.json`: where the clients of this user find their backend while it listens."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def write(self, *, endpoint: str, version: str, api_version: str, options: Sequence[str]) -> None:
        """Tells that this process listens at `endpoint`, and with which options of `bai-tui serve` it was started."""
        pid = os.getpid()
        write_private(
            self._path,
            {
                "pid": pid,
                "start_time": start_time(pid),
                "endpoint": endpoint,
                "version": version,
                "api_version": api_version,
                "options": list(options),
                "started_at": time.time(),
            },
            may_tear=True,  # without a backend nobody could remove sessions to make room
        )

    def remove(self) -> None:
        """Takes it back, unless another process has written it meanwhile."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            if json.loads(self._path.read_bytes())["pid"] == os.getpid():
                self._path.unlink()


def local_keypair(path: Path, stored: Sequence[Keypair]) -> Keypair:
    """Returns the keypair of this user: that of the file, else that of the store, else a new one.

    The file is written, mode 0600, when it is missing. The user of the machine administrates its backend: whatever the
    store says, this keypair is active and an administrator's, and its secret key is that of the file.

    Raises:
        ConfigError: the file is damaged or cannot be read or written.
    """
    try:
        said = json.loads(path.read_bytes())
        access_key, secret_key = said["access_key"], said["secret_key"]
        if not (isinstance(access_key, str) and isinstance(secret_key, str) and access_key and secret_key):
            raise ValueError
        path.chmod(0o600)
    except FileNotFoundError:
        pair = _oldest(stored) or _keypair(new_access_key(), new_secret_key())
        keep_keypair(path, pair)
        return pair
    except OSError as exc:
        raise ConfigError(f"the keypair {path} cannot be read: {exc.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(f"the keypair {path} is damaged: remove it to have a new one made") from None
    for pair in stored:
        if pair.access_key == access_key:
            return replace(pair, secret_key=secret_key, is_admin=True, is_active=True)
    return _keypair(access_key, secret_key)


def keep_keypair(path: Path, pair: Keypair) -> None:
    """Writes the keypair where the commands and the TUI of this user find it, at once and wholly, mode 0600.

    Raises:
        ConfigError: it cannot be written.
    """
    write_private(path, {"access_key": pair.access_key, "secret_key": pair.secret_key})


def _oldest(stored: Sequence[Keypair]) -> Keypair | None:
    """Returns the keypair that this user had: the first one of the store was made for the file."""
    user_id = _user_id()
    own = [pair for pair in stored if pair.is_admin and pair.is_active and pair.user_id == user_id]
    return min(own, key=lambda pair: pair.created_at or _LONG_AGO, default=None)


def _keypair(access_key: str, secret_key: str) -> Keypair:
    return Keypair(
        access_key=access_key,
        secret_key=secret_key,
        user_id=_user_id(),
        user_uuid=str(uuid.uuid5(uuid.NAMESPACE_OID, access_key)),
        is_admin=True,
        created_at=datetime.now(UTC),
    )


def _user_id() -> str:
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a user without a name, as in some containers
        user = f"uid{os.getuid()}"
    return f"{user}@localhost"
