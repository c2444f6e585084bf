"""Things that come one after the other, the next of which may be waited for beside something else: an answer, say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Coroutine
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")
U = TypeVar("U")


class Ahead(Generic[T]):
    """Iterates over `items`. One that has been waited for beside something else is given by the next step."""

    def __init__(self, items: AsyncIterable[T]) -> None:
        self._iterator = aiter(items)
        self._next: asyncio.Task[T | None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._next is not None:
            self._next.cancel()
            await asyncio.gather(self._next, return_exceptions=True)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        begun, self._next = self._next, None
        item = await (self._step() if begun is None else begun)
        if item is None:
            raise StopAsyncIteration
        return item

    async def _step(self) -> T | None:
        return await anext(self._iterator, None)

    async def unless_one_comes(self, other: Coroutine[Any, Any, U]) -> tuple[bool, U | None]:
        """Returns (True, result of `other`), or (False, None) when an item, an error or the end comes first."""
        if self._next is None:
            self._next = asyncio.create_task(self._step(), name="next of a stream")
        task = asyncio.create_task(other, name="answer")
        try:
            await asyncio.wait({task, self._next}, return_when=asyncio.FIRST_COMPLETED)
            return (True, task.result()) if task.done() else (False, None)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
