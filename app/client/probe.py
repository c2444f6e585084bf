"""Asks servers whether they are there, for lists of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from ..model.endpoint import Endpoint
from ..model.errors import BaiTuiError
from ..model.sessions import LIVE


@dataclass(frozen=True, slots=True)
class Probe:
    """What became of asking."""

    sessions: int | None
    """Live ones that our keypair sees; None = no answer."""
    problem: str = ""
    """Why there is none: a sentence, of which the address stands beside it."""


async def probe(endpoint: Endpoint, timeout_s: float) -> Probe:
    """Returns whether a server answers our keypair. Never raises; nothing is lost when cancelled."""
    from .api import ApiClient

    try:
        async with asyncio.timeout(timeout_s), ApiClient(endpoint) as client:
            return Probe((await client.list_sessions(statuses=sorted(LIVE), limit=1))[1])
    except TimeoutError:
        return Probe(None, f"no answer within {timeout_s:g} s")
    except BaiTuiError as exc:
        return Probe(None, exc.message.removeprefix(f"{endpoint.url} "))
