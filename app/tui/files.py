"""Reading and writing the editor's files."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 8 * 1024 * 1024
_LOOKED_AT_BYTES: Final = 8_192
_BOM: Final = "\ufeff"

Stamp = tuple[int, int, int]
"""(nanoseconds of the last change, bytes, inode): another one means that somebody else wrote the file."""


class FileError(Exception):
    """What is wrong with a file, in one sentence for the user."""


@dataclass(frozen=True, slots=True)
class FileText:
    """A file as it was read."""

    path: str
    """Absolute."""
    text: str
    """Its text with the line ends that it has, without a byte order mark."""
    bom: bool
    """It begins with a byte order mark."""
    stamp: Stamp
    writable: bool


def absolute(path: str) -> str:
    """Returns a path as it is remembered: absolute, `~` filled in, links as they are."""
    return str(Path(path).expanduser().absolute())


def stamp_of(path: str) -> Stamp | None:
    """Returns what tells whether a file was written since; None where there is none."""
    try:
        found = Path(path).expanduser().stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def read_file(path: str) -> FileText:
    """Reads a file.

    Raises:
        FileError: it is not there, no text in UTF-8, or too large for an editor.
    """
    try:
        file = Path(path).expanduser()
        if file.is_dir():
            raise FileError(f"{file} is a folder")
        if file.exists() and not file.is_file():
            raise FileError(f"{file} is no file")
        found = file.stat()
        if found.st_size > MAX_BYTES:
            raise FileError(f"{file} is larger than {MAX_BYTES // 1024**2}M")
        raw = file.read_bytes()
    except FileNotFoundError:
        raise FileError(f"{file} does not exist") from None
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        raise FileError(f"{path} cannot be read: {reason or error}") from None
    if b"\0" in raw[:_LOOKED_AT_BYTES]:
        raise FileError(f"{file} is no text: it holds zero bytes")
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise FileError(f"{file} is no UTF-8 text: see line {line}") from None
    writable = os.access(file, os.W_OK) and bool(stat.S_IMODE(found.st_mode) & 0o222)
    stamp = found.st_mtime_ns, found.st_size, found.st_ino
    return FileText(absolute(path), text.removeprefix(_BOM), text.startswith(_BOM), stamp, writable)


def write_text(path: str, text: str, *, bom: bool = False) -> Stamp:
    """Writes a file: whole, then swapped in, so that a failure leaves what was there. Returns its stamp.

    A link is followed, permissions stay.

    Raises:
        FileError: it cannot be written; nothing was changed.
    """
    try:
        file = Path(path).expanduser()
        if file.is_dir():
            raise FileError(f"{file} is a folder")
        target = file.resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise FileError(f"{path} cannot be written: {error}") from None
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.exists() and not target.is_file():
            raise FileError(f"{file} is no file")
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            stream.write(_BOM * bom + text)
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
        found = target.stat()
    except (OSError, UnicodeEncodeError) as error:
        temporary.unlink(missing_ok=True)
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "the text is no Unicode"
        raise FileError(f"{file} cannot be written: {reason}") from None
    return found.st_mtime_ns, found.st_size, found.st_ino
