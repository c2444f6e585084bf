"""Whose requests are under way: when a keypair is switched off or gets another secret key, what it opened is closed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from aiohttp import WSCloseCode, web

from ...model.errors import AuthFailed
from ..ports import Keypair

_GOODBYE_S: Final = 1.0
"""How long a websocket may take to say that it has heard."""
_WHY: Final = "the keypair of this request was changed meanwhile: sign with what it is now"


@dataclass(slots=True, eq=False)
class _Visit:
    """A request that is being answered."""

    task: asyncio.Task[object]
    response: web.StreamResponse | None = None
    """Once its answer has begun."""
    turned_out: bool = False


_VISIT = web.RequestKey("visit", _Visit)


class Callers:
    """Requests under way by the access key that signed them."""

    def __init__(self) -> None:
        self._visits: dict[str, set[_Visit]] = {}

    @contextlib.contextmanager
    def inside(self, request: web.Request, caller: Keypair) -> Iterator[None]:
        """Knows a request of `caller` while it is answered by this task.

        Raises:
            AuthFailed: the caller was turned out before the answer began.
        """
        task = asyncio.current_task()
        assert task is not None
        visit = request[_VISIT] = _Visit(task)
        of_key = self._visits.setdefault(caller.access_key, set())
        of_key.add(visit)
        try:
            yield
        except asyncio.CancelledError:
            if not visit.turned_out or visit.response is not None:
                raise
            task.uncancel()
            raise AuthFailed(_WHY) from None
        finally:
            of_key.discard(visit)
            if not of_key and self._visits.get(caller.access_key) is of_key:
                del self._visits[caller.access_key]

    async def turn_out(self, access_key: str) -> None:
        """Ends every request that this access key has signed, but the one that asks for it: streams, long waits."""
        visits = [visit for visit in self._visits.get(access_key, ()) if visit.task is not asyncio.current_task()]
        sockets = [visit for visit in visits if isinstance(visit.response, web.WebSocketResponse)]
        for visit in visits:
            if visit not in sockets:
                _cut(visit)
        goodbyes = [_goodbye(visit.response) for visit in sockets if isinstance(visit.response, web.WebSocketResponse)]
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await asyncio.gather(*goodbyes)
        for visit in sockets:
            if not visit.task.done():
                _cut(visit)


def _cut(visit: _Visit) -> None:
    visit.turned_out = True
    visit.task.cancel()


async def _goodbye(ws: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError, RuntimeError):  # it has gone, or is going
        await ws.close(code=WSCloseCode.POLICY_VIOLATION, message=_WHY.encode())


async def note_response(request: web.Request, response: web.StreamResponse) -> None:
    """Signal of the application: an answer begins."""
    if (visit := request.get(_VISIT)) is not None:
        visit.response = response
