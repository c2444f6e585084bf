"""Opening and saving the editor's file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

MAX_BYTES: Final = 8 * 1024 * 1024


class FileError(Exception):
    """What is wrong with a file, in one sentence for the user."""


def read_text(path: str) -> str:
    """Returns the text of a file.

    Raises:
        FileError: it is not there, no text, or too large for an editor.
    """
    file = Path(path).expanduser()
    try:
        if file.is_dir():
            raise FileError(f"{file} is a folder")
        if file.exists() and not file.is_file():
            raise FileError(f"{file} is no file")
        if file.stat().st_size > MAX_BYTES:
            raise FileError(f"{file} is larger than {MAX_BYTES // 1024**2}M")
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise FileError(f"{file} does not exist") from None
    except UnicodeDecodeError:
        raise FileError(f"{file} is no UTF-8 text") from None
    except OSError as error:
        raise FileError(f"{file} cannot be read: {error.strerror or error}") from None


def write_text(path: str, text: str) -> None:
    """Writes a file: whole, then swapped in, so that a failure leaves what was there.

    Raises:
        FileError: it cannot be written; nothing was changed.
    """
    file = Path(path).expanduser()
    if file.is_dir():
        raise FileError(f"{file} is a folder")
    target = file.resolve()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except (OSError, UnicodeEncodeError) as error:
        temporary.unlink(missing_ok=True)
        reason = (error.strerror or str(error)) if isinstance(error, OSError) else "the text is no Unicode"
        raise FileError(f"{file} cannot be written: {reason}") from None
