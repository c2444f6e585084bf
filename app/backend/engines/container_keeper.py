"""The end of containers: why they have ended, and their removal, however long the engine needs to answer."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Final

from ..containers import ContainerClient, ContainerError, EngineGone

_log: Final = logging.getLogger(__name__)
_REMOVE_S: Final = 15.0
_WHY_S: Final = 5.0
_RETRY_S: Final = 10.0
ENDED: Final = "the session's container was ended from outside"


class ContainerKeeper:
    """Removes containers; what cannot be removed now is tried again until it can be."""

    def __init__(self, client: ContainerClient, *, retry_s: float = _RETRY_S) -> None:
        """Removes nothing yet."""
        self._client = client
        self._retry_s = retry_s
        self._owed: set[str] = set()
        self._retrying: asyncio.Task[None] | None = None

    async def why_ended(self, container: str, out_of_memory: str) -> str:
        """Returns why a container has ended that nobody here has ended, in some words; waits for seconds at most.

        Args:
            out_of_memory: what to say if that was the reason; empty = it has no limit of memory.
        """
        try:
            async with asyncio.timeout(_WHY_S):
                state = await self._client.inspect(container)
        except EngineGone:
            return "the session's container has ended, and its engine does not answer"
        except ContainerError as exc:
            return "the session's container was removed from outside" if exc.missing else f"{ENDED} ({exc.message})"
        except TimeoutError:
            return "the session's container has ended, and its engine does not say why"
        if state.oom_killed:
            return out_of_memory or "out of memory: the machine has none left"
        return f"{ENDED} (exit code {state.exit_code})"

    async def remove(self, container: str) -> bool:
        """Kills and removes a container; False when that has to wait, and is done later. Takes seconds at most."""
        try:
            async with asyncio.timeout(_REMOVE_S):
                try:
                    # by itself a removal may ask first, and wait for seconds
                    await self._client.kill(container)
                except EngineGone:
                    raise
                except ContainerError:
                    pass  # it does not run, or is not there
                await self._client.remove(container, force=True)
        except (ContainerError, TimeoutError) as exc:
            _log.warning("the container %s cannot be removed yet: %s", container, exc or "no answer")
            self._owed.add(container)
            if self._retrying is None or self._retrying.done():
                self._retrying = asyncio.create_task(self._retry(), name="remove containers")
            return False
        self._owed.discard(container)
        return True

    async def _retry(self) -> None:
        while self._owed:
            await asyncio.sleep(self._retry_s)  # an engine that comes back tells nobody
            for container in sorted(self._owed):
                with suppress(ContainerError, TimeoutError):
                    async with asyncio.timeout(_REMOVE_S):
                        await self._client.remove(container, force=True)
                    self._owed.discard(container)

    async def close(self) -> None:
        """Gives up what is owed: the next backend finds it by its labels."""
        if self._retrying is not None:
            self._retrying.cancel()
            await asyncio.wait([self._retrying])
