"""Where a command goes, and the event loop that it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..client.api import ApiClient, Endpoint

T = TypeVar("T")


def endpoint() -> Endpoint:
    """Returns the endpoint of the environment, else the local backend, which is started when none runs."""
    from ..config import Paths
    from ..local import current_endpoint
    from .talk import say

    return current_endpoint(Paths.of_user(), say)


def with_client(work: Callable[[ApiClient], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with a client and returns what it returns. ctrl+c raises KeyboardInterrupt."""

    async def go() -> T:
        async with ApiClient(where) as client:
            return await work(client)

    where = endpoint()
    return asyncio.run(go())
