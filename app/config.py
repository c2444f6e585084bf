"""Paths, settings and contexts of this user.

All state lives in the XDG folders: another HOME is another world. Nothing here starts or contacts anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .client.api import Endpoint


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
        """Returns the folders of the environment: XDG_* where set and absolute, else the defaults under HOME."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Settings:
    """`config.toml`, defaults filled in."""

    host: str = "127.0.0.1"
    port: int = 8091
    """0 = any free port."""
    idle_timeout_s: float = 1800.0
    """0 = never."""
    mock_gpus: str = ""
    """`N` or `N:MEMORY`, e.g. `2:16g`; empty = none."""
    cpu: int = 0
    """cpu slots to offer; 0 = as many as this process may use."""
    mem: str = ""
    """mem to offer, e.g. `8g`; empty = all but a reserve for the system."""

    @classmethod
    def load(cls, paths: Paths) -> Settings:
        """Reads `config.toml`; a missing file means all defaults.

        Raises:
            ConfigError: unreadable, no TOML, an unknown key (the nearest valid one is named), a wrong type.
        """
        raise NotImplementedError


def remote_endpoint() -> Endpoint | None:
    """Returns the endpoint of BACKEND_ENDPOINT, BACKEND_ACCESS_KEY and BACKEND_SECRET_KEY, None when not set.

    Raises:
        ConfigError: an endpoint without keys, or BACKEND_ENDPOINT_TYPE=session.
    """
    raise NotImplementedError
