"""Where a command goes, and the event loop that it runs in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Final, TypeVar

from ..client.api import ApiClient, Endpoint

if TYPE_CHECKING:
    from ..client.patience import Patience

T = TypeVar("T")
WAIT_S: Final = 60.0
"""How long a server that was lost is waited for."""


def endpoint() -> Endpoint:
    """Returns the endpoint of the context in force; a local backend is started when none runs."""
    from ..config import Paths
    from ..local import current_endpoint
    from .talk import say

    return current_endpoint(Paths.of_user(), say)


async def found_again() -> Endpoint:
    """Returns where a server that was lost is now. A local backend that was killed is started; one that was stopped
    was meant to be.

    Raises:
        Unreachable: it is not there now.
        ConfigError: the local backend cannot be started.
    """
    from ..config import Paths
    from ..contexts import chosen_endpoint
    from ..local import ensure_backend, running_backend, was_killed
    from ..model.errors import Unreachable
    from .talk import say

    paths = Paths.of_user()
    remote = chosen_endpoint(paths)
    if remote is not None:
        return remote
    running = await asyncio.to_thread(running_backend, paths)
    if running is not None:
        return running
    if not await asyncio.to_thread(was_killed, paths):
        raise Unreachable("the local backend was stopped; `bai-tui serve --detach` starts it again")
    return await asyncio.to_thread(ensure_backend, paths, say)


def patience(talk: Callable[[str], object]) -> Patience:
    """Returns how commands wait for a server that was lost.

    Args:
        talk: says to the user what is waited for.
    """
    from ..client.patience import Patience

    def lost(why: str) -> None:
        talk(f"{why}; waiting {WAIT_S:.0f} s for it to come back")

    return Patience(found_again, limit_s=WAIT_S, lost=lost, back=lambda: talk("connected again"))


def with_client(work: Callable[[ApiClient], Coroutine[Any, Any, T]]) -> T:
    """Runs `work` with a client and returns what it returns. ctrl+c raises KeyboardInterrupt.

    Raises:
        NobodyReads: what it wrote to had no reader any more.
    """
    from .talk import NobodyReads

    async def go() -> T:
        async with ApiClient(where) as client:
            return await work(client)

    where = endpoint()
    try:
        return asyncio.run(go())
    except BrokenPipeError:
        raise NobodyReads from None
