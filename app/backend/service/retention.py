"""Removes what is left of sessions that ended long ago, while the daemon runs for weeks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from .entries import Register
from .folders import Folders

EVERY_S: Final = 3600.0


class Retention:
    """Looks once an hour. Owned by the service, which cancels it."""

    def __init__(self, folders: Folders, register: Register, clock: Callable[[], float]) -> None:
        self._folders = folders
        self._register = register
        self._clock = clock

    async def run(self) -> None:
        """Runs until it is cancelled; what is being removed then is removed to the end."""
        while True:
            await asyncio.sleep(EVERY_S)  # a round now and then, no awaited event
            await self.look()

    async def look(self) -> None:
        """Removes the folders of sessions that ended longer ago than journals are kept."""
        # Listed first, then asked for: a session is registered before it has a folder, so that none that begins
        # meanwhile can be taken for one that has ended.
        found = await asyncio.to_thread(self._folders.ended, ())
        ended = [folder for folder in found if self._register.get(folder.name) is None]
        await asyncio.to_thread(self._folders.remove_expired, ended, self._clock())
