"""Waiting for a server that was lost, and finding it again.

The client knows no local backend: where a server is found again, and whether one is started for that, is for the caller
to say.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from ..model.endpoint import Endpoint
from ..model.errors import BaiTuiError, ConfigError, RemoteError, Unreachable

if TYPE_CHECKING:
    from .api import ApiClient

T = TypeVar("T")
PAUSES_S: Final = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
"""Between attempts; the last one repeats."""
_NOT_NOW: Final = frozenset({502, 503, 504})
"""HTTP statuses of a server that stops or starts, and of what stands before one that is gone."""
REFUSED_S: Final = 5.0
"""How long one that answers may say that it cannot now, before that is taken for its answer."""
_CALM_S: Final = 10.0
"""A loss so long after the one before begins with short pauses again."""


def is_loss(error: BaseException) -> bool:
    """Whether an error means that the server is gone, perhaps not for long."""
    return isinstance(error, Unreachable) or (isinstance(error, RemoteError) and error.http_status in _NOT_NOW)


class Patience:
    """How long a lost server is waited for, and where it is looked for."""

    def __init__(
        self,
        find: Callable[[], Awaitable[Endpoint]],
        *,
        limit_s: float = 60.0,
        tell_after_s: float = 1.0,
        lost: Callable[[str], object] = lambda _: None,
        back: Callable[[], object] = lambda: None,
    ) -> None:
        """
        Args:
            find: returns where the server is now, starting one where that is the way; raises `BaiTuiError`.
            lost: is told why, once for each loss that is not healed within `tell_after_s`.
            back: is told when such a loss is healed.
        """
        self._find = find
        self._limit_s = limit_s
        self._tell_after_s = tell_after_s
        self._lost = lost
        self._back = back
        self._losses = 0
        self._last_s = float("-inf")

    async def restore(self, client: ApiClient, loss: BaiTuiError) -> None:
        """Returns when the server answers again; `client` goes there from now on. Safe to cancel.

        Raises:
            Unreachable: it does not within the time; the message is that of `loss`, and what came of the search.
            ConfigError: the local backend cannot be started.
        """
        started_s = time.monotonic()
        if started_s - self._last_s > _CALM_S:
            self._losses = 0
        told = False
        while True:
            await asyncio.sleep(PAUSES_S[min(self._losses, len(PAUSES_S) - 1)])  # longer each time
            self._losses += 1
            try:
                await client.move(await self._find())
                await client.handshake()
            except BaiTuiError as exc:
                if not told and time.monotonic() - started_s >= self._tell_after_s:
                    self._lost(loss.message)
                    told = True
                if time.monotonic() - started_s > self._limit_s:
                    if isinstance(exc, ConfigError):
                        raise
                    raise Unreachable(
                        f"{loss.message}; it was waited for {self._limit_s:.0f} s: {exc.message}"
                    ) from None
                continue
            self._last_s = time.monotonic()
            if told:
                self._back()
            return


async def persist(client: ApiClient, patience: Patience | None, work: Callable[[], Awaitable[T]]) -> T:
    """Returns what `work` returns, done again when the server was lost under it. For what may be done twice.

    A server that lives and refuses for seconds does not go away for another one: its refusal is raised.
    """
    refuses: tuple[str, float] | None = None
    while True:
        try:
            return await work()
        except BaiTuiError as exc:
            if patience is None or not is_loss(exc):
                raise
            if isinstance(exc, Unreachable):
                refuses = None
            elif refuses is None or refuses[0] != client.endpoint.url:
                refuses = client.endpoint.url, time.monotonic()
            elif time.monotonic() - refuses[1] >= REFUSED_S:
                raise
            await patience.restore(client, exc)
