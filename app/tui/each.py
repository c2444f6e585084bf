"""Does one thing to each of several sessions, a few at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from ..model.errors import BaiTuiError

T = TypeVar("T")

AT_ONCE: Final = 8
"""Requests under way at a time."""


async def each(
    ids: Sequence[str], act: Callable[[str], Awaitable[T]]
) -> tuple[list[tuple[str, T]], list[tuple[str, BaiTuiError]]]:
    """Returns what `act` gave for each id, and what it refused, both in the order of `ids`.

    Cancelled, those that were not begun are not done.
    """
    free = asyncio.Semaphore(AT_ONCE)
    done: dict[str, T] = {}
    refused: dict[str, BaiTuiError] = {}

    async def one(session_id: str) -> None:
        async with free:
            try:
                done[session_id] = await act(session_id)
            except BaiTuiError as error:
                refused[session_id] = error

    async with asyncio.TaskGroup() as group:
        for session_id in ids:
            group.create_task(one(session_id), name=f"each {session_id}")
    return (
        [(session_id, done[session_id]) for session_id in ids if session_id in done],
        [(session_id, refused[session_id]) for session_id in ids if session_id in refused],
    )


def of(names: Sequence[str]) -> str:
    """Returns who is meant: `py-1`, `py-1 and job-2`, `3 sessions`."""
    return " and ".join(names) if len(names) <= 2 else f"{len(names):,} sessions"


def is_or_are(names: Sequence[str]) -> str:
    """Returns `is` for one, `are` for several."""
    return "is" if len(names) == 1 else "are"
