"""Walks below a folder that somebody else may be changing meanwhile: no step of it ever leaves the folder.

The code of a session can put a symbolic link in the place of anything between a look and a use. So nothing is looked at
by its whole path: each folder is opened within the one above it, without following links, and held; links are read and
walked by the same rules. What `openat2(RESOLVE_BENEATH)` does, on every kernel and with a reason in the error.
"""

from __future__ import annotations

import os
import stat
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ...model.errors import BadRequest

HOME: Final = "/home/work"
"""Where sessions of a cluster have their work folder; such paths mean ours."""
_HELD: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MOST_LINKS: Final = 40


class Place:
    """Where a walk has led: a folder that is held open, and what of the path is not a folder in it."""

    def __init__(self, root: Path) -> None:
        self._root = Path(os.path.realpath(root))
        self._fds = [os.open(self._root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)]
        self.names: list[str] = []
        """Of the folders from the root to the one that is held."""
        self.rest: list[str] = []
        """Empty: the path is that folder. One name: a file, a link that is not followed, or nothing yet. More: the
        first is no folder, or is not there."""

    @property
    def fd(self) -> int:
        """Of the folder; for calls that take a `dir_fd`."""
        return self._fds[-1]

    @property
    def path(self) -> Path:
        """Where it lies, for showing."""
        return self._root.joinpath(*self.names, *self.rest)

    def close(self) -> None:
        while self._fds:
            os.close(self._fds.pop())

    def enter(self, name: str) -> None:
        """Goes into a folder in this one (OSError where it is none, or a link)."""
        self._fds.append(os.open(name, _HELD, dir_fd=self.fd))
        self.names.append(name)

    def make(self, name: str) -> None:
        """Makes a folder in this one unless it is there, and goes into it."""
        try:
            os.mkdir(name, dir_fd=self.fd)
        except FileExistsError:
            pass
        self.enter(name)

    def _leave(self, asked: str) -> None:
        if not self.names:
            raise _outside(asked)
        os.close(self._fds.pop())
        self.names.pop()

    def _restart(self) -> None:
        while self.names:
            os.close(self._fds.pop())
            self.names.pop()

    def _within(self, text: str, asked: str) -> str:
        """Returns an absolute path as one from the root."""
        for start in (HOME, str(self._root)):
            if text == start or text.startswith(start + "/"):
                return text[len(start) :]
        raise _outside(asked)

    def walk(self, asked: str, *, follow: bool) -> None:
        text = self._within(asked, asked) if asked.startswith("/") else asked
        todo = deque(text.split("/"))
        links = 0
        while todo:
            name = todo.popleft()
            if name in ("", "."):
                continue
            if name == "..":
                self._leave(asked)
                continue
            try:
                mode = os.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode
            except FileNotFoundError:
                mode = 0
            last = not any(part not in ("", ".") for part in todo)
            if stat.S_ISDIR(mode):
                self.enter(name)
            elif stat.S_ISLNK(mode) and (follow or not last):
                links += 1
                if links > _MOST_LINKS:
                    raise BadRequest(f"the path {asked!r} runs through too many symbolic links")
                target = os.readlink(name, dir_fd=self.fd)
                if target.startswith("/"):
                    target = self._within(target, asked)
                    self._restart()
                todo.extendleft(reversed(target.split("/")))
            else:
                self.rest = [name, *(part for part in todo if part not in ("", "."))]
                if ".." in self.rest:
                    raise BadRequest(f"the path {asked!r} climbs out of something that is no folder")
                return


def _outside(asked: str) -> BadRequest:
    return BadRequest(f"the path {asked!r} leads out of the session's work folder")


@contextmanager
def find(root: Path, asked: str, *, follow: bool = True) -> Iterator[Place]:
    """Gives the place that a path from `root` leads to; `/home/work` and the path of `root` mean `root` itself.

    Args:
        follow: a link at the end is followed as those on the way are.

    Raises:
        BadRequest: it leads out of `root`, by its text or through links, or is no path at all.
    """
    if "\0" in asked:
        raise BadRequest("a path cannot hold a NUL")
    place = Place(root)
    try:
        try:
            place.walk(asked, follow=follow)
        except OSError as exc:
            raise BadRequest(f"the path {asked[:256]!r} cannot be walked: {exc.strerror}") from None
        except UnicodeEncodeError:
            raise BadRequest(f"the path {asked[:256]!r} is no name of a file") from None
        yield place
    finally:
        place.close()
