"""The user's alias table, as the catalogue uses it: files are read and written in threads, one change at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from ...model.errors import ConfigError
from .alias_file import remove_alias, write_alias
from .aliases import AliasTable, user_aliases
from .written import Written


class UserTable:
    """The table in a file, which need not exist; without a file it is empty and cannot be written."""

    def __init__(self, file: Path | None, shipped: AliasTable) -> None:
        self._file = file
        self._shipped = shipped
        self._written = Written(file)
        self._writing = asyncio.Lock()
        self.error = ""
        """Why the file could not be read the last time; empty when it could."""

    async def read(self) -> AliasTable:
        """Returns the table; empty when it cannot be read."""
        try:
            table = await asyncio.to_thread(self._read)
        except ConfigError as exc:
            self.error = exc.message
            return {}
        self.error = ""
        return table

    async def write(self, alias: str, target: str) -> AliasTable:
        """Writes an entry, as `write_alias`; returns the table."""
        async with self._writing:
            await asyncio.to_thread(write_alias, self._there(), alias, target, self._shipped)
            return await self.read()

    async def remove(self, alias: str) -> AliasTable:
        """Takes an entry out, as `remove_alias`; returns the table."""
        async with self._writing:
            await asyncio.to_thread(remove_alias, self._there(), alias, self._shipped)
            return await self.read()

    @property
    def edited(self) -> bool:
        """Whether the file is other than it was when it was read. Looks at it."""
        return self._written.changed

    def _read(self) -> AliasTable:
        self._written.note()
        return user_aliases(self._file)

    def _there(self) -> Path:
        if self._file is None:
            raise ConfigError("there is no file for aliases of images here")
        return self._file
