"""Files in a session's work folder: blocking functions, to be called in a thread. Nothing here leaves the folder.

Names come from outside, and what they lead to may change at any moment: see `beneath`. Pipes, sockets and devices are
never opened: one that nobody writes to would hold the thread for ever.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final
from urllib.parse import unquote

from ...model.errors import BadRequest, NotFound
from ..ports import UPLOAD_PREFIX
from .beneath import HOME, Place, find

MAX_DEPTH: Final = 100
"""Of folders in one download: each that is being packed is held open."""
_BLOCK: Final = 512
_CHUNK: Final = 256 * 1024
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC


def upload_name(raw: str) -> PurePosixPath:
    """Returns the relative path that an uploaded part names; clients percent-encode it.

    Raises:
        BadRequest: empty, absolute, climbing, or with a NUL.
    """
    name = unquote(raw)
    path = PurePosixPath(name)
    if not name.strip() or "\0" in name or name.endswith("/") or path == PurePosixPath("."):
        raise BadRequest(f"the upload name {name!r} names no file: give a path relative to the work folder")
    if path.is_absolute():
        raise BadRequest(f"the upload name {name!r} is absolute: give a path relative to the work folder")
    if ".." in path.parts:
        raise BadRequest(f"the upload name {name!r} climbs out of the work folder: leave out '..'")
    if path.parts[0].startswith(UPLOAD_PREFIX):
        raise BadRequest(f"the upload name {name!r} begins with {UPLOAD_PREFIX!r}, which is kept for uploads under way")
    return path


class Staging:
    """Uploaded files on their way: all of them arrive, or none does.

    `open`, then `create` for each file, then `commit`; `close` removes what was not committed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._name = ""
        self._fd = -1
        self._root_fd = -1
        self._files: list[PurePosixPath] = []

    def open(self, token: str) -> None:
        """Makes the staging folder, on the same file system so that moving is atomic."""
        self._root_fd = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._name = f"{UPLOAD_PREFIX}{token}"
        os.mkdir(self._name, mode=0o700, dir_fd=self._root_fd)
        self._fd = os.open(self._name, _FOLDER, dir_fd=self._root_fd)

    def create(self, name: PurePosixPath) -> BinaryIO:
        """Returns the file, open for writing, that will be called `name`."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(str(len(self._files)), flags, 0o666, dir_fd=self._fd)
        self._files.append(name)
        return os.fdopen(fd, "wb")

    def __len__(self) -> int:
        return len(self._files)

    def commit(self) -> None:
        """Moves every file to its place and makes the folders that lead there.

        Raises:
            BadRequest: a place is a folder, leads out of the work folder, or runs through a file.
        """
        targets = [self._target(name) for name in self._files]
        folders = {target[:length] for target in targets for length in range(len(target))}
        for name, target in zip(self._files, targets, strict=True):
            if target in folders:
                raise _shared_name(name)
        for number, name in enumerate(self._files):
            with find(self._root, str(name.parent)) as place:
                try:
                    for folder in place.rest:
                        place.make(folder)
                    os.rename(str(number), name.name, src_dir_fd=self._fd, dst_dir_fd=place.fd)
                except (FileExistsError, NotADirectoryError, IsADirectoryError):
                    raise _shared_name(name) from None
                except OSError as exc:
                    raise BadRequest(f"{str(name)!r} cannot be put there: {exc.strerror}") from None

    def _target(self, name: PurePosixPath) -> tuple[str, ...]:
        """Returns the names that lead from the work folder to where a file would lie, links followed."""
        with find(self._root, str(name.parent)) as place:
            if place.rest:
                if _mode(place, place.rest[0]):
                    raise _shared_name(name)
            elif stat.S_ISDIR(_mode(place, name.name)):
                raise BadRequest(f"{str(name)!r} is a folder in the work folder: remove or rename it first")
            return (*place.names, *place.rest, name.name)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._root_fd >= 0:
            shutil.rmtree(self._name, ignore_errors=True, dir_fd=self._root_fd)
            os.close(self._root_fd)
            self._root_fd = -1


def _shared_name(name: PurePosixPath) -> BadRequest:
    return BadRequest(f"{str(name)!r} cannot be put there: a file and a folder share a name")


def _mode(place: Place, name: str) -> int:
    """Returns the mode of an entry, 0 when there is none."""
    try:
        return os.stat(name, dir_fd=place.fd, follow_symlinks=False).st_mode
    except FileNotFoundError:
        return 0
    except OSError as exc:
        raise BadRequest(f"{name[:256]!r} cannot be a name of a file: {exc.strerror}") from None


def listing(root: Path, asked: str) -> tuple[list[dict[str, Any]], str, str]:
    """Returns (items, error, absolute path) of a folder; `error` is empty when it could be read.

    Raises:
        BadRequest: see `find`.
    """
    items: list[dict[str, Any]] = []
    with find(root, asked) as place:
        shown = str(place.path)
        try:
            fd = os.open(place.rest[0] if place.rest else ".", _FOLDER, dir_fd=place.fd)
        except OSError as exc:
            return [], f"{asked}: {exc.strerror}", shown
        try:
            with os.scandir(fd) as entries:
                for entry in sorted(entries, key=lambda e: e.name):
                    if entry.name.startswith(UPLOAD_PREFIX) and not place.names:
                        continue
                    try:
                        about = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # gone meanwhile
                    items.append(
                        {
                            "mode": stat.filemode(about.st_mode),
                            "size": about.st_size,
                            "ctime": about.st_ctime,
                            "mtime": about.st_mtime,
                            "atime": about.st_atime,
                            "filename": entry.name,
                        }
                    )
        except OSError as exc:
            return [], f"{asked}: {exc.strerror}", shown
        finally:
            os.close(fd)
    return items, "", shown


def check_wanted(root: Path, asked: list[str]) -> None:
    """Checks what is to be downloaded, before the answer begins.

    Raises:
        BadRequest: nothing asked for, a path that leads out, or something that is neither a file nor a folder.
        NotFound: there is no such file.
    """
    if not asked:
        raise BadRequest("name the files to download in 'files'")
    for name in asked:
        with find(root, name) as place:
            mode = _mode(place, place.rest[0]) if place.rest else stat.S_IFDIR
            if not mode or len(place.rest) > 1:
                raise NotFound(f"there is no file {name!r} in the session's work folder")
            if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise BadRequest(f"{name!r} is neither a file nor a folder, but {stat.filemode(mode)}")


def remove(root: Path, asked: list[str]) -> None:
    """Removes files, and folders with all that is in them; a link goes, not what it leads to.

    Raises:
        BadRequest: nothing asked for, the work folder itself, a path that leads out, or what cannot be removed.
        NotFound: there is no such file; those that stand before it are gone then.
    """
    if not asked:
        raise BadRequest("name the files to remove in 'files'")
    for name in asked:
        path = PurePosixPath(name)
        if path.name in ("", "..") or str(path) == HOME or "\0" in name:
            raise BadRequest(f"{name!r} names no file in the work folder")
        with find(root, str(path.parent)) as place:
            mode = 0 if place.rest else _mode(place, path.name)
            if not mode or (path.name.startswith(UPLOAD_PREFIX) and not place.names):
                raise NotFound(f"there is no file {name!r} in the session's work folder")
            try:
                if stat.S_ISDIR(mode):
                    shutil.rmtree(path.name, dir_fd=place.fd)
                else:
                    os.unlink(path.name, dir_fd=place.fd)
            except FileNotFoundError:
                raise NotFound(f"{name!r} was removed by somebody else meanwhile") from None
            except OSError as exc:
                raise BadRequest(f"{name!r} cannot be removed: {exc.strerror}") from None


def tar_stream(root: Path, asked: str) -> Iterator[bytes]:
    """Yields an uncompressed tar of a file or folder under its own name, in pieces of at most 256 KiB.

    What changes while it is read keeps the size that its header told, so a file that grows for ever ends. Sockets and
    pipes are left out; symbolic links go in as links.

    Raises:
        OSError: something cannot be read, or folders are nested more than `MAX_DEPTH` deep.
        BadRequest: the path leads out by now.
    """
    with find(root, asked) as place:
        if place.rest:
            yield from _member(place.fd, place.rest[0], place.rest[0], 0)
        else:
            yield from _member(place.fd, ".", place.path.name, 0)
    yield b"\0" * (2 * _BLOCK)


def _member(folder: int, name: str, shown: str, depth: int) -> Iterator[bytes]:
    try:
        about = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return  # gone since the folder was listed
    if stat.S_ISLNK(about.st_mode):
        member = _header(shown, about)
        member.type, member.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=folder)
        yield member.tobuf(tarfile.PAX_FORMAT)
    elif stat.S_ISDIR(about.st_mode):
        yield from _folder(folder, name, shown, depth)
    elif stat.S_ISREG(about.st_mode):
        fd = os.open(name, _FILE, dir_fd=folder)
        try:
            about = os.fstat(fd)
            if stat.S_ISREG(about.st_mode):  # not something else that was put there since
                member = _header(shown, about)
                member.size = about.st_size
                yield member.tobuf(tarfile.PAX_FORMAT)
                yield from _content(fd, about.st_size)
        finally:
            os.close(fd)


def _folder(folder: int, name: str, shown: str, depth: int) -> Iterator[bytes]:
    if depth >= MAX_DEPTH:
        raise OSError(f"{shown[:256]!r} lies deeper than {MAX_DEPTH} folders")
    fd = os.open(name, _FOLDER, dir_fd=folder)
    try:
        member = _header(shown, os.fstat(fd))
        member.type = tarfile.DIRTYPE
        yield member.tobuf(tarfile.PAX_FORMAT)
        for child in sorted(os.listdir(fd)):  # noqa: PTH208 - a descriptor has no path
            yield from _member(fd, child, f"{shown}/{child}", depth + 1)
    finally:
        os.close(fd)


def _header(shown: str, about: os.stat_result) -> tarfile.TarInfo:
    member = tarfile.TarInfo(shown)
    member.mode, member.mtime = stat.S_IMODE(about.st_mode), int(about.st_mtime)
    return member


def _content(fd: int, size: int) -> Iterator[bytes]:
    left = size
    while left:
        chunk = os.read(fd, min(_CHUNK, left))
        # a file that has shrunk is filled up: the header has told its size already
        chunk = chunk or b"\0" * min(_CHUNK, left)
        left -= len(chunk)
        yield chunk
    if size % _BLOCK:
        yield b"\0" * (_BLOCK - size % _BLOCK)
