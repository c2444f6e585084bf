"""The frames of a run, one of which may be waited for beside something else: an answer, say, from somebody slow."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, Self, TypeVar

from ..model.console import Frame

if TYPE_CHECKING:
    from ..client.api import ExecuteStream

T = TypeVar("T")


class Frames:
    """The frames of a run, one of which may be waited for beside something else."""

    def __init__(self, stream: ExecuteStream) -> None:
        self.stream = stream
        self._iterator = aiter(stream)
        self._next: asyncio.Task[Frame | None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Frame:
        begun, self._next = self._next, None
        frame = await (anext(self._iterator, None) if begun is None else begun)
        if frame is None:
            raise StopAsyncIteration
        return frame

    async def _begin(self) -> Frame | None:
        return await anext(self._iterator, None)

    async def unless_one_comes(self, other: Coroutine[Any, Any, T]) -> tuple[bool, T | None]:
        """Returns (True, result of `other`), or (False, None) when a frame, or the end, comes first."""
        if self._next is None:
            self._next = asyncio.create_task(self._begin(), name="next frame")
        task = asyncio.create_task(other, name="answer")
        try:
            await asyncio.wait({task, self._next}, return_when=asyncio.FIRST_COMPLETED)
            return (True, task.result()) if task.done() else (False, None)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
