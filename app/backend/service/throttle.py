"""Lets through the newest of what is told, and not too often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Throttle(Generic[T]):
    """The first is told at once; of what follows within a while, the last one at its end. Belongs to an event loop."""

    def __init__(self, every_s: float, tell: Callable[[T], object]) -> None:
        self._every_s = every_s
        self._tell = tell
        self._held: list[T] = []
        self._timer: asyncio.TimerHandle | None = None

    def put(self, item: T) -> None:
        """Tells of `item` now or soon, unless another one comes before."""
        if self._timer is not None:
            self._held = [item]
            return
        self._timer = asyncio.get_running_loop().call_later(self._every_s, self._on_time)
        self._tell(item)

    def _on_time(self) -> None:
        self._timer = None
        held, self._held = self._held, []
        for item in held:
            self.put(item)

    def close(self) -> None:
        """Forgets what was not told yet."""
        self._held = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
