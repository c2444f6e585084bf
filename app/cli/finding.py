"""Ended sessions by what a user writes: the commands that only look take them as they take live ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .talk import say

if TYPE_CHECKING:
    from ..client.api import ApiClient


async def find_ended(client: ApiClient, ref: str) -> str | None:
    """Returns the id of the newest of our own ended sessions of that name, which is said, else of the ended one whose
    id begins so; None when there is none.

    Raises:
        AmbiguousReference: several ids begin so.
    """
    ended = await client.newest_ended(ref)
    if ended is None:
        found = await client.ended_by_id(ref)
        return None if found is None else found.id
    from .tables import age

    when = f" {age(ended.terminated_at)} ago" if ended.terminated_at else ""
    say(f"no live session is called {ref}; this is the newest that was: {ended.id}, which ended{when}")
    return ended.id
