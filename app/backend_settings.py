"""What `config.toml` says to the local backend.

Apart from `config`, which every command and the screen pass through: its many settings take a while to import.
"""

from __future__ import annotations

from .config import Paths, placed, read_table
from .policies import BackendSettings


class Settings(BackendSettings):
    """What `config.toml` says to the backend, defaults filled in."""

    __slots__ = ()

    @classmethod
    def load(cls, paths: Paths) -> Settings:
        """Reads `config.toml`; a missing file means all defaults.

        Raises:
            ConfigError: unreadable, no TOML, or see `settings.file.read_settings`.
        """
        table = read_table(paths)
        if not table:
            return cls()
        from .settings.file import read_settings

        with placed(paths):
            return cls(**read_settings(table))
