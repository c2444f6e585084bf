"""The owner of the service's tasks: none is lost, none fails in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


class Tasks:
    """A group of named tasks that ends with `close`."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()
        self.closed = False
        """Whether `close` was called: nothing may be spawned any more."""
        self.failed: asyncio.Future[BaseException] | None = None
        """Set to the error of the first task that the service cannot do without; see `spawn`."""

    def spawn(self, work: Coroutine[Any, Any, Any], *, name: str, vital: bool = False) -> asyncio.Task[Any]:
        """Starts `work`. Its failure is logged; that of a `vital` one is told to whoever awaits `failure`."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._ended(done, vital))
        return task

    def _ended(self, task: asyncio.Task[Any], vital: bool) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.error("the task %s failed", task.get_name(), exc_info=error)
        if vital and self.failed is not None and not self.failed.done():
            self.failed.set_result(error)

    async def failure(self) -> BaseException:
        """Returns the error of the first vital task that fails. Safe to cancel."""
        if self.failed is None:
            self.failed = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self.failed)

    async def close(self) -> None:
        """Cancels what runs and waits for it."""
        self.closed = True
        tasks = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
