"""Files that are written whole and swapped in: a crash leaves the old or the new one."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from ..model.errors import ConfigError


def read_text(file: Path) -> str:
    """Returns the text of a file; empty when there is none.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{file} is no text in UTF-8") from None


def swap_in(file: Path, text: str, *, before: str) -> None:
    """Writes `text` in place of what is in `file`, whose mode it keeps; where that is a link, the file it leads to.

    Args:
        before: What is in the file as far as the caller knows.

    Raises:
        ConfigError: something else is in it meanwhile, or it cannot be written.
    """
    if read_text(file) != before:
        raise ConfigError(f"{file} was changed by somebody else meanwhile: try again")
    target = Path(os.path.realpath(file))
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else 0o600
    _write(target, text, mode)


def write_private(file: Path, text: str) -> None:
    """Writes a file of mode 0600.

    Raises:
        ConfigError: it cannot be written.
    """
    _write(file, text, 0o600)


def _write(file: Path, text: str, mode: int) -> None:
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(text.encode())
            os.fchmod(descriptor, mode)
        temporary.replace(file)
    except OSError as exc:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise ConfigError(f"{file} cannot be written: {exc.strerror}") from None
