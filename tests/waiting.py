"""How tests wait: for what is to come, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def until(condition: Callable[[], T | None], *, within_s: float = 30.0, pause_s: float = 0.001) -> T:
    """Returns what `condition` says, once that is true; for what announces itself to nobody.

    `pause_s` is more where to look is dear.

    Raises:
        AssertionError: it does not come.
    """
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it never came: {condition}"
        await asyncio.sleep(pause_s)  # not 0: those who are waited for need the processor as well
    return found


def until_here(condition: Callable[[], T | None], *, within_s: float = 30.0) -> T:
    """The same without a loop, for what other processes do."""
    deadline = time.monotonic() + within_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"it never came: {condition}"
        time.sleep(0.02)  # as above
    return found


async def turns(count: int = 5) -> None:
    """Lets the loop go round: for what must not come there is nothing to wait for."""
    for _ in range(count):
        await asyncio.sleep(0)
