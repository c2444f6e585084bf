"""Built environments on disk, by what is in them.

    environments/<key>.lock         held while somebody builds or removes <key>; it goes with its holder
    environments/<key>/whole.json   written last: which build is whole, and what it holds
    environments/<key>/<build>/     a virtual environment, built at the very place where it stays: the scripts in it
                                    hold its path
    logs/<key>.log                  of the latest build

A build without `whole.json` that names it is half-made, or an earlier one; it is cleared at the next build, unless a
session still runs in it. Everything here reads and writes files: use it in a thread.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .format import SHIPPED
from .process import end_build, runs_in

_VERSION = 1
_MARKER = "whole.json"
_FOLDER_MODE = 0o700
_SHOWN_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Environment:
    """A whole one."""

    folder: Path
    recipe: str
    """Name of the recipe that it was built from."""
    origin: str
    """File of that recipe."""
    ipython: bool
    """Whether IPython is in it."""
    site: str
    """The folder of its packages, below `folder`."""
    entries: tuple[str, ...]
    """What was in `site` when it was built."""
    size_bytes: int
    took_s: float
    """How long it took to build."""

    @property
    def interpreter(self) -> Path:
        return self.folder / "bin/python"

    @property
    def kernelspec(self) -> Path:
        """Where the kernelspec is, if its recipe has one."""
        return self.folder / "share/jupyter/kernels/bai-tui"

    def damage(self) -> str:
        """Returns what is wrong with it now; nothing when it looks whole. Takes milliseconds: it looks at names, not
        into files."""
        if not self.folder.is_dir():
            return f"its environment {self.folder} is gone"
        if not os.access(self.interpreter, os.X_OK):
            return f"the interpreter of its environment, {os.path.realpath(self.interpreter)}, is gone"
        try:
            here = set(os.listdir(self.folder / self.site))  # noqa: PTH208 - names only
        except OSError as exc:
            return f"its packages in {self.folder / self.site} cannot be read: {exc.strerror}"
        # A package that a user has updated since then has another *.dist-info; what can be imported counts.
        lost = sorted(set(self.entries) - here)
        if lost:
            more = f" and {len(lost) - 2} more" if len(lost) > 2 else ""
            return f"its environment {self.folder} has lost {', '.join(lost[:2])}{more}"
        return ""


class Busy(Exception):
    """Somebody else holds the lock."""


class Environments:
    """All of them in one cache folder."""

    def __init__(self, cache_dir: Path) -> None:
        self._folder = cache_dir.absolute() / "environments"  # installers run in another folder than this program
        self._logs = cache_dir.absolute() / "logs"

    def whole(self, key: str) -> Environment | None:
        """Returns the environment that is whole, damaged since then or not."""
        try:
            data = json.loads((self._folder / key / _MARKER).read_bytes())
            if data.pop("version") != _VERSION:
                return None
            data["folder"] = self._folder / key / _plain_name(data.pop("build"))
            data["entries"] = tuple(map(str, data["entries"]))
            return Environment(**data)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def key_of(self, path: str) -> str:
        """Returns the key of the environment that a path is in; empty when it is in none."""
        with contextlib.suppress(ValueError, IndexError):
            return Path(path).relative_to(self._folder).parts[0]
        return ""

    def log_file(self, key: str) -> Path:
        """Returns where the log of a build goes; the folder is made.

        Raises:
            OSError: it cannot be made.
        """
        self._logs.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        return self._logs / f"{key}.log"

    def log(self, key: str) -> str:
        """Returns the end of the log of the latest build; empty when there is none."""
        try:
            with (self._logs / f"{key}.log").open("rb") as stream:
                stream.seek(max(0, os.fstat(stream.fileno()).st_size - _SHOWN_BYTES))
                return stream.read().decode(errors="replace")
        except OSError:
            return ""

    @contextlib.contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Holds the lock of one environment.

        Raises:
            Busy: somebody else does.
            OSError: the cache cannot be written.
        """
        self._folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        handle = os.open(self._folder / f"{key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy from None
            yield
        finally:
            os.close(handle)

    def begin(self, key: str, build: str) -> Path:
        """Clears what earlier builds left and returns the folder to build in, empty. Under the lock.

        Raises:
            OSError: the cache cannot be written.
        """
        self.clear(key)
        (self._folder / key).mkdir(mode=_FOLDER_MODE, exist_ok=True)
        folder = self._folder / key / build
        folder.mkdir(mode=_FOLDER_MODE)  # from now on its name tells the next one whose processes to end
        return folder

    def finish(self, key: str, environment: Environment) -> None:
        """Makes an environment the whole one, after all of it is on disk. Under the lock.

        Raises:
            OSError: the cache cannot be written.
        """
        data: dict[str, Any] = {"version": _VERSION, "build": environment.folder.name, **asdict(environment)}
        del data["folder"]
        part = self._folder / key / f"{_MARKER}.part"
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as stream:
            json.dump(data, stream)
            stream.flush()
            os.fsync(stream.fileno())
        part.replace(self._folder / key / _MARKER)

    def clear(self, key: str) -> None:
        """Removes every build of `key` but the whole one and those that sessions run in, and ends what still works on
        them. What cannot be removed is left to the next time. Under the lock."""
        whole = self.whole(key)
        for folder in _folders(self._folder / key):
            if whole is not None and folder == whole.folder:
                continue
            end_build(folder.name)
            if not runs_in(folder):
                shutil.rmtree(folder, ignore_errors=True)

    def drop_unused(self, key: str) -> bool:
        """Removes an environment unless a session runs in it; returns whether it did. Takes the lock itself.

        Raises:
            Busy: somebody works on it.
            OSError: some of it cannot be removed.
        """
        with self.locked(key):
            return not runs_in(self._folder / key) and self.remove(key)

    def remove(self, key: str) -> bool:
        """Removes an environment, whoever runs in it; returns whether there was anything. Under the lock.

        Raises:
            OSError: some of it cannot be removed; it is not whole any more.
        """
        folder = self._folder / key
        if not folder.is_dir():
            return False
        with contextlib.suppress(FileNotFoundError):
            (folder / _MARKER).unlink()
        for build in _folders(folder):
            end_build(build.name)
        shutil.rmtree(folder)
        return True

    def outlived(self, recipe: str, origin: str, key: str) -> dict[str, Environment]:
        """Returns the environments that nobody asks for any more: those that a recipe had before it, or the interpreter
        below it, was changed to `key`, and those of recipes whose files are gone."""
        found = {}
        for folder in _folders(self._folder):
            environment = self.whole(folder.name) if folder.name != key else None
            if environment is None:
                continue
            same = (environment.recipe, environment.origin) == (recipe, origin)
            if same or (environment.origin != SHIPPED and not Path(environment.origin).exists()):
                found[folder.name] = environment
        return found


def disk_use_bytes(folder: Path) -> int:
    """Returns the size of all files below a folder, each once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                status = os.lstat(os.path.join(place, name))  # noqa: PTH118 - many of them
                if (status.st_dev, status.st_ino) not in seen:
                    seen.add((status.st_dev, status.st_ino))
                    total += status.st_size
    return total


def _folders(folder: Path) -> list[Path]:
    try:
        return [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]
    except OSError:
        return []


def _plain_name(text: object) -> str:
    if not isinstance(text, str) or not text.isalnum():
        raise ValueError("no name of a build")
    return text
