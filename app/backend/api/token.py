"""The token with which Prometheus may read `GET /metrics`, and nothing else: it cannot sign requests."""

from __future__ import annotations

import hmac
import os
import re
import secrets
from pathlib import Path
from typing import Final

from ...model.errors import AuthFailed, ConfigError

_TOKEN: Final = re.compile(r"[A-Za-z0-9_.~+/=-]{16,256}")
"""What may stand behind `Bearer`, and no less than nobody can guess."""


def metrics_token(path: Path) -> str:
    """Returns the token in a file, mode 0600; makes one when there is no file.

    Raises:
        ConfigError: the file is damaged, or cannot be read or written.
    """
    try:
        path.chmod(0o600)
        text = path.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return _new(path)
    except OSError as exc:
        raise ConfigError(f"the token {path} cannot be read: {exc.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if not _TOKEN.fullmatch(text):
        raise ConfigError(f"the token {path} is damaged: remove it to have a new one made")
    return text


def _new(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(token + "\n")
    except OSError as exc:
        raise ConfigError(f"the token {path} cannot be written: {exc.strerror}") from None
    return token


def is_bearer(header: str) -> bool:
    """Whether an Authorization header has a token and no signature."""
    return header[:7].lower() == "bearer "


def check_token(header: str, token: str | None) -> None:
    """Refuses an Authorization header `Bearer ...` that does not bear the token.

    Raises:
        AuthFailed: another token, or there is none to know.
    """
    given = header[7:].strip()
    if token is None or not hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode()):
        raise AuthFailed("the token is not that of the file metrics.token in the data folder of the backend")
