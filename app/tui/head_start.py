"""Asks for the first list in a thread while Textual is still being imported. Must not import Textual.

A start is nothing but imports for two thirds of its time; the answer of a backend that runs is there before the first
frame then, and the frame shows it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from ..model.endpoint import Endpoint
from ..model.errors import BaiTuiError

if TYPE_CHECKING:
    from ..client.views import SessionView

LIMIT_S: Final = 3.0
"""After which the start goes on without the list."""
_PAGE: Final = 100

FirstList = Future["Sequence[SessionView] | None"]
"""The sessions that live; None = not to be had at once, which whoever connects will find out and tell."""


def begin(endpoint: Endpoint | None) -> FirstList:
    """Asks for the list of `endpoint`; None = that of the context in force; the local backend only if one runs."""
    first: FirstList = Future()

    def work() -> None:
        try:
            found = endpoint or _at_once()
            first.set_result(None if found is None else asyncio.run(_ask(found)))
        except (BaiTuiError, TimeoutError):
            first.set_result(None)
        except BaseException as error:
            first.set_exception(error)

    threading.Thread(target=work, name="first list", daemon=True).start()
    return first


def _at_once() -> Endpoint | None:
    from ..config import Paths
    from ..contexts import LOCAL, chosen, endpoint_of
    from ..local import running_backend

    paths = Paths.of_user()
    choice = chosen(paths)
    return running_backend(paths) if choice.name == LOCAL else endpoint_of(paths, choice.name)


async def _ask(endpoint: Endpoint) -> Sequence[SessionView] | None:
    from ..client.api import ApiClient
    from ..model.sessions import LIVE

    async with asyncio.timeout(LIMIT_S), ApiClient(endpoint) as client:
        views, total = await client.list_sessions(statuses=sorted(LIVE), limit=_PAGE)
        return views if len(views) == total else None
