"""What the streams over websockets have in common: two tasks share one, and the first that ends ends the other."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from aiohttp import WSMsgType

GONE: Final = (WSMsgType.CLOSE, WSMsgType.CLOSING, WSMsgType.CLOSED, WSMsgType.ERROR)
"""Types of messages after which nobody is there any more."""


async def until_first(work: Mapping[str, Coroutine[Any, Any, None]]) -> None:
    """Does all of `work`, by its name, until the first has ended; the others are cut off then, and waited for.

    Cancelled, nothing of it goes on. Raises what one of them has raised.
    """
    tasks = [asyncio.create_task(coroutine, name=name) for name, coroutine in work.items()]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in tasks:
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
