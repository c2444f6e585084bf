"""The event bus: what happens to sessions, handed to any number of readers, none of whom can hold up the service."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from collections.abc import Callable
from typing import Final, Self

from ..ports import SessionEvent

LAGGED: Final = "bai_lagged"
QUEUE_LIMIT: Final = 1024


class Subscription:
    """Events from its making on. Iterate it from one task; `aclose` when done (dropping it does too)."""

    def __init__(self, wants: Callable[[SessionEvent], bool], limit: int = QUEUE_LIMIT) -> None:
        self._wants = wants
        self._limit = limit
        self._queue: deque[SessionEvent] = deque()
        self._lost = 0
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, event: SessionEvent) -> None:
        if not self._wants(event):
            return
        if len(self._queue) >= self._limit:
            self._queue.popleft()
            self._lost += 1
        self._queue.append(event)
        self._wake.set()

    def close(self) -> None:
        """Ends the iteration once what is queued was read."""
        self._closed = True
        self._wake.set()

    async def aclose(self) -> None:
        """Ends the iteration at once."""
        self._queue.clear()
        self._lost = 0
        self.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> SessionEvent:
        while True:
            if self._lost:
                lost, self._lost = self._lost, 0
                return SessionEvent(LAGGED, "", "", "", reason=f"{lost} events were lost", extra={"lost": lost})
            if self._queue:
                return self._queue.popleft()
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()


class EventBus:
    """Hands every event to every subscription that wants it."""

    def __init__(self) -> None:
        # weak: a reader that was dropped without aclose must not collect events for ever
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._closed = False

    def subscribe(self, wants: Callable[[SessionEvent], bool], limit: int = QUEUE_LIMIT) -> Subscription:
        subscription = Subscription(wants, limit)
        self._subscriptions.add(subscription)
        if self._closed:
            subscription.close()
        return subscription

    def publish(self, event: SessionEvent) -> None:
        for subscription in list(self._subscriptions):
            subscription.put(event)

    def close(self) -> None:
        """Ends every iteration after what it has still to read."""
        self._closed = True
        for subscription in list(self._subscriptions):
            subscription.close()
