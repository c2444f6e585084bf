"""Paths, settings and contexts of this user.

All state lives in the XDG folders: another HOME is another world. Nothing here starts or contacts anything, and
nothing here imports much: every command and the TUI pass through it before they paint.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from .model.endpoint import Endpoint
from .model.errors import ConfigError
from .tui_settings import TuiSettings, of_environment

_APP: Final = "bai-tui"
_YES: Final = ("y", "yes", "t", "true", "1")
"""What the Backend.AI client takes for a yes in the environment."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Where things are kept. Folders are made with mode 0700 by whoever writes into them first."""

    config: Path
    """`config.toml`, user aliases and recipes."""
    data: Path
    """`bai-tui.db`, `keypair.json`."""
    state: Path
    """`serve.lock`, `serve.json`, `serve.log`, `sessions/<id>/`; TUI state."""
    cache: Path
    """Things that can be made again."""

    @classmethod
    def of_user(cls) -> Paths:
        """Returns the folders of the environment: XDG_* where set and absolute, else the defaults under HOME.

        Raises:
            ConfigError: the user has no home folder.
        """
        return cls(
            config=_folder("XDG_CONFIG_HOME", ".config"),
            data=_folder("XDG_DATA_HOME", ".local/share"),
            state=_folder("XDG_STATE_HOME", ".local/state"),
            cache=_folder("XDG_CACHE_HOME", ".cache"),
        )


def _folder(variable: str, default: str) -> Path:
    value = os.environ.get(variable, "")
    # The XDG specification: a relative path is invalid and must be ignored.
    if value and Path(value).is_absolute():
        return Path(value) / _APP
    try:
        home = Path.home()
    except RuntimeError:
        raise ConfigError(f"there is no home folder to keep {_APP}'s files in: set HOME or {variable}") from None
    if not home.is_absolute():
        raise ConfigError(f"HOME is {str(home)!r}, which means another folder everywhere: set it to an absolute path")
    return home / default / _APP


def private_folder(path: Path) -> Path:
    """Makes `path` with mode 0700, and what is missing above it; closes one of ours that is open to others.

    Raises:
        ConfigError: it cannot be made, is no folder, is somebody else's, or cannot be written.
    """
    try:
        # mkdir(parents=True) would give those above whatever the umask lets through; the XDG specification wants 0700
        for folder in reversed([path, *path.parents]):
            if not folder.is_dir():
                folder.mkdir(exist_ok=True, mode=0o700)
        status = path.stat()
        if status.st_uid != os.geteuid():
            raise ConfigError(
                f"the folder {path} belongs to another user, who could read and change all in it: "
                f"set HOME or XDG_* to folders of your own"
            )
        if status.st_mode & 0o077:
            path.chmod(0o700)
    except OSError as exc:
        reason = "there is a file of that name" if isinstance(exc, FileExistsError) else (exc.strerror or str(exc))
        raise ConfigError(f"the folder {path} cannot be made: {reason}; give {_APP} a folder it may write to") from None
    if not os.access(path, os.W_OK | os.X_OK):
        raise ConfigError(f"the folder {path} cannot be written: check its owner and mode, or set XDG_* to another")
    return path


def tui_settings(paths: Paths) -> TuiSettings:
    """Returns what environment and `config.toml` say about the screen. What the latter says to the backend is not
    looked at.

    Raises:
        ConfigError: unreadable, no TOML, or see `settings.file.read_tui_settings`.
    """
    table = read_table(paths)
    settings = TuiSettings()
    if table:
        from .settings.file import read_tui_settings

        with placed(paths):
            settings = read_tui_settings(table)
    return replace(settings, **{field: value for field, (_, value) in of_environment().items()})


def settings_path(paths: Paths) -> Path:
    """Returns where `config.toml` is, or would be."""
    return paths.config / "config.toml"


def read_table(paths: Paths) -> Mapping[str, Any]:
    """Returns `config.toml` as it is written; empty when there is none.

    Raises:
        ConfigError: unreadable, or no TOML.
    """
    file = settings_path(paths)
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read: {exc.strerror}") from None
    import tomllib

    try:
        return tomllib.loads(raw.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file} is not valid TOML: {exc}") from None


@contextmanager
def placed(paths: Paths) -> Iterator[None]:
    """Puts the file in front of what is wrong in it."""
    try:
        yield
    except ConfigError as exc:
        raise ConfigError(f"{settings_path(paths)}: {exc.message}") from None


def remote_endpoint() -> Endpoint | None:
    """Returns the endpoint of BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY, None when not set.

    Of several comma-separated endpoints the first is taken. BACKEND_DOMAIN, BACKEND_GROUP and
    BACKEND_SKIP_SSLCERT_VALIDATION mean what they mean to the Backend.AI client.

    Raises:
        ConfigError: an endpoint without keys, no URL, or BACKEND_ENDPOINT_TYPE=session.
    """
    url = os.environ.get("BACKEND_ENDPOINT", "").split(",")[0].strip().rstrip("/")
    if not url:
        return None
    kind = os.environ.get("BACKEND_ENDPOINT_TYPE", "api") or "api"
    if kind != "api":
        raise ConfigError(
            f"BACKEND_ENDPOINT_TYPE={kind} is not spoken by {_APP}: set it to 'api' and give a keypair of the manager"
        )
    if not url.startswith(("http://", "https://")):
        raise ConfigError(f"BACKEND_ENDPOINT={url} is no URL: write it as http://host:port or https://host")
    access, secret = os.environ.get("BACKEND_ACCESS_KEY", ""), os.environ.get("BACKEND_SECRET_KEY", "")
    if not access or not secret:
        missing = "BACKEND_ACCESS_KEY" if not access else "BACKEND_SECRET_KEY"
        raise ConfigError(f"BACKEND_ENDPOINT is set but {missing} is not: set it, or unset BACKEND_ENDPOINT")
    return Endpoint(
        url,
        access,
        secret,
        name=url.partition("://")[2],
        domain=os.environ.get("BACKEND_DOMAIN") or "default",
        group=os.environ.get("BACKEND_GROUP") or "default",
        verify_tls=os.environ.get("BACKEND_SKIP_SSLCERT_VALIDATION", "").lower() not in _YES,
    )
