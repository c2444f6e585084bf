"""Work that several callers wait for and that is done once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flight(Generic[T]):
    """A piece of work that goes on as long as somebody waits for it. Whoever comes while it runs joins it."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[T] | None = None
        self._waiting = 0
        self._ending: set[asyncio.Task[T]] = set()
        """Nobody waits for them any more, and they have not ended yet."""

    async def join(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Returns what the work that runs returns, or raises what it raises; begins `work` when none runs.

        Safe to cancel: the work is cancelled with the last who waits, and has ended when this returns. It never runs
        twice at a time.
        """
        task = self._task
        if task is None or task.done():
            task = self._task = asyncio.create_task(self._alone(work), name=self._name)
            self._waiting = 0
        self._waiting += 1
        try:
            return await asyncio.shield(task)
        finally:
            await self._leave(task)

    async def _leave(self, task: asyncio.Task[T]) -> None:
        if self._task is not task:
            return  # it has ended, and somebody left before
        self._waiting -= 1
        if task.done():
            self._task = None
        elif not self._waiting:
            self._task = None
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # nobody is left who could be told

    async def _alone(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        while self._ending:
            await asyncio.wait(self._ending)
        return await work()
