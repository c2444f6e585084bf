"""What those stand on that do for the user what takes a server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from textual.message import Message

from .store import SessionStore
from .sync import Sync

if TYPE_CHECKING:
    from ..client.api import ApiClient


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """What there is to act with."""

    store: SessionStore
    sync: Sync
    post: Callable[[Message], object]
    """Takes messages for the app."""
    spawn: Callable[[Coroutine[Any, Any, None], str], object]
    """Runs a coroutine as a worker, by name."""
    clock: Callable[[], float]
    connected: Callable[[], Awaitable[ApiClient]]
    """Waits for the connection."""
    did: Callable[..., None]
    """Notes in the log which command does the same."""


class Acting:
    """Does one kind of thing; a base."""

    def __init__(self, means: Means) -> None:
        self._store = means.store
        self._sync = means.sync
        self._post = means.post
        self._spawn = means.spawn
        self._clock = means.clock
        self._connected = means.connected
        self._did = means.did
