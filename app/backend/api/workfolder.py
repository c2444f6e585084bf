"""Files in a session's work folder: blocking functions, to be called in a thread. Nothing here leaves the folder.

Names come from outside. Each is checked as text first and then against the folder as it really lies on disk, so that
neither `..` nor a symbolic link leads out of it.
"""

from __future__ import annotations

import os
import shutil
import stat
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final
from urllib.parse import unquote

from ...model.errors import BadRequest, NotFound
from ..ports import UPLOAD_PREFIX

HOME: Final = "/home/work"
"""Where sessions of a cluster have their work folder; such paths mean ours."""
_BLOCK: Final = 512
_CHUNK: Final = 256 * 1024


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


def inside(root: Path, asked: str) -> Path:
    """Returns the real path of `asked` in the folder `root`; `/home/work` means the folder itself.

    Raises:
        BadRequest: it lies outside, by its text or through a symbolic link.
    """
    if "\0" in asked:
        raise BadRequest("a path cannot hold a NUL")
    text = asked
    if text == HOME or text.startswith(HOME + "/"):
        text = text[len(HOME) :].lstrip("/")
    real_root = Path(os.path.realpath(root))
    # an absolute path replaces the root here and is then judged by where it leads
    real = Path(os.path.realpath(real_root / (text or ".")))
    if real != real_root and real_root not in real.parents:
        raise BadRequest(f"the path {asked!r} leads out of the session's work folder")
    return real


class Staging:
    """Uploaded files on their way: all of them arrive, or none does.

    Use as a context manager around `add`, writes and one `commit`; leaving it removes what was not committed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder: Path | None = None
        self._files: list[tuple[Path, PurePosixPath]] = []

    def open(self, token: str) -> None:
        """Makes the staging folder, on the same file system so that moving is atomic."""
        folder = self._root / f"{UPLOAD_PREFIX}{token}"
        folder.mkdir(mode=0o700)
        self._folder = folder

    def add(self, name: PurePosixPath) -> Path:
        """Returns where to write the file that will be called `name`."""
        assert self._folder is not None
        path = self._folder / str(len(self._files))
        self._files.append((path, name))
        return path

    def __len__(self) -> int:
        return len(self._files)

    def commit(self) -> None:
        """Moves every file to its place and makes the folders that lead there.

        Raises:
            BadRequest: a place is a folder, leads out of the work folder, or runs through a file.
        """
        targets = [self._target(name) for _, name in self._files]
        folders = {folder for target in targets for folder in target.parents}
        for (_, name), target in zip(self._files, targets, strict=True):
            if target in folders or any(folder.is_file() for folder in target.parents):
                raise BadRequest(f"{str(name)!r} cannot be put there: a file and a folder share a name")
        for (source, name), target in zip(self._files, targets, strict=True):
            try:
                target.parent.mkdir(parents=True, exist_ok=True)
                source.replace(target)
            except (FileExistsError, NotADirectoryError, IsADirectoryError):
                raise BadRequest(f"{str(name)!r} cannot be put there: a file and a folder share a name") from None

    def _target(self, name: PurePosixPath) -> Path:
        parent = inside(self._root, str(name.parent))
        target = parent / name.name
        if target.is_dir() and not target.is_symlink():
            raise BadRequest(f"{str(name)!r} is a folder in the work folder: remove or rename it first")
        return target

    def close(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None


def listing(root: Path, asked: str) -> tuple[list[dict[str, Any]], str, str]:
    """Returns (items, error, absolute path) of a folder; `error` is empty when it could be read.

    Raises:
        BadRequest: see `inside`.
    """
    path = inside(root, asked)
    items: list[dict[str, Any]] = []
    try:
        with os.scandir(path) as entries:
            for entry in sorted(entries, key=lambda e: e.name):
                if entry.name.startswith(UPLOAD_PREFIX) and path == Path(os.path.realpath(root)):
                    continue
                about = entry.stat(follow_symlinks=False)
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
        return [], f"{asked}: {exc.strerror}", str(path)
    return items, "", str(path)


def wanted_files(root: Path, asked: list[str]) -> list[Path]:
    """Returns the real paths of what is to be downloaded.

    Raises:
        BadRequest: nothing asked for, or a path that leads out.
        NotFound: there is no such file.
    """
    if not asked:
        raise BadRequest("name the files to download in 'files'")
    found = []
    for name in asked:
        path = inside(root, name)
        if not path.exists():
            raise NotFound(f"there is no file {name!r} in the session's work folder")
        found.append(path)
    return found


def tar_stream(path: Path) -> Iterator[bytes]:
    """Yields an uncompressed tar of a file or folder under its own name, in pieces of at most 256 KiB.

    What changes while it is read keeps the size that its header told. Sockets and pipes are left out; symbolic links
    go in as links.
    """
    yield from _members(path, path.name)
    yield b"\0" * (2 * _BLOCK)


def _members(path: Path, name: str) -> Iterator[bytes]:
    try:
        about = path.lstat()
    except OSError:
        return  # gone since the folder was listed
    member = tarfile.TarInfo(name)
    member.mode, member.mtime = stat.S_IMODE(about.st_mode), int(about.st_mtime)
    if stat.S_ISLNK(about.st_mode):
        member.type, member.linkname = tarfile.SYMTYPE, str(path.readlink())
        yield member.tobuf(tarfile.PAX_FORMAT)
    elif stat.S_ISDIR(about.st_mode):
        member.type = tarfile.DIRTYPE
        yield member.tobuf(tarfile.PAX_FORMAT)
        for child in sorted(path.iterdir()):
            yield from _members(child, f"{name}/{child.name}")
    elif stat.S_ISREG(about.st_mode):
        member.size = about.st_size
        yield member.tobuf(tarfile.PAX_FORMAT)
        yield from _content(path, about.st_size)


def _content(path: Path, size: int) -> Iterator[bytes]:
    left = size
    with path.open("rb") as file:
        while left:
            chunk = file.read(min(_CHUNK, left))
            # a file that has shrunk is filled up: the header has told its size already
            chunk = chunk or b"\0" * min(_CHUNK, left)
            left -= len(chunk)
            yield chunk
    if size % _BLOCK:
        yield b"\0" * (_BLOCK - size % _BLOCK)
