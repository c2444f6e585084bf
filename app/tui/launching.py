"""Launches: a row that is there at once, and the session that the server gives for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from textual.message import Message

from ...widgets.transcript import Transcript
from ..model.errors import BaiTuiError, SessionExists
from ..model.slots import ResourceSlots
from .messages import Launched, LaunchFailed, SessionsChanged
from .store import LaunchRequest, SessionStore, default_image, free_name
from .sync import Sync

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import CreatedSession, SessionView

_NAMES_TRIED: Final = 20
"""Free names that may turn out to be taken before a launch gives up."""


class Launching:
    """Asks for sessions.

    Args:
        connected: Waits for the connection.
        news: Wakes the runs that wait for their session.
        welcome: Where a failure is told of that has no session.
    """

    def __init__(
        self,
        store: SessionStore,
        sync: Sync,
        post: Callable[[Message], object],
        spawn: Callable[[Coroutine[Any, Any, None], str], object],
        clock: Callable[[], float],
        connected: Callable[[], Awaitable[ApiClient]],
        news: Callable[[], Awaitable[None]],
        welcome: Transcript,
    ) -> None:
        self._store = store
        self._sync = sync
        self._post = post
        self._spawn = spawn
        self._clock = clock
        self._connected = connected
        self._news = news
        self._welcome = welcome

    @property
    def default_image(self) -> str:
        return default_image([(image.reference, image.aliases) for image in self._sync.connection.images])

    def launch(self, request: LaunchRequest) -> str:
        """Asks for a session; returns the passing id of its row, which is there at once."""
        slots = ResourceSlots.parse(request.resources)
        now = datetime.fromtimestamp(self._clock(), UTC)
        passing_id = self._store.launching(request.name, request.image, slots, now)
        self._post(SessionsChanged())
        self._spawn(self._launch(passing_id, request), f"launch {request.name}")
        return passing_id

    def default(self, image: str = "") -> str:
        """Asks for a session with default slots, of the default image unless another one is given."""
        image = image or self.default_image
        return self.launch(LaunchRequest(image, free_name(image, self._store.names()), {}, any_name=True))

    def like(self, view: SessionView) -> str:
        """Asks for another session with the image and the slots of one; returns the passing id of its row."""
        resources = {slot: str(amount) for slot, amount in view.requested_slots.items()}
        name = free_name(view.image, self._store.names())
        return self.launch(LaunchRequest(view.image, name, resources, any_name=True))

    async def _launch(self, passing_id: str, request: LaunchRequest) -> None:
        try:
            created = await self._create(passing_id, await self._connected(), request)
        except BaiTuiError as error:
            self._store.launch_failed(passing_id)
            self._welcome.note(f"{request.image} could not be started: {error.message}", "error")
            self._post(LaunchFailed(error.message))
        else:
            self._store.launched(passing_id, created.id, created.name)
            self._post(SessionsChanged())
            self._post(Launched(created.id))
        finally:
            await self._news()
            self._post(SessionsChanged())
            self._sync.poke()

    async def _create(self, passing_id: str, client: ApiClient, request: LaunchRequest) -> CreatedSession:
        """Creates a session; where we chose the name, somebody who was faster only costs us another one."""
        taken = self._store.names()
        for _ in range(_NAMES_TRIED):
            try:
                return await client.create_session(
                    request.image,
                    name=request.name,
                    resources=request.resources or None,
                    enqueue_only=True,
                    reuse=False,
                )
            except SessionExists:
                if not request.any_name:
                    raise
                taken.add(request.name)
                request = replace(request, name=free_name(request.image, taken))
                self._store.launching_as(passing_id, request.name)
                self._post(SessionsChanged())
        raise BaiTuiError(f"{_NAMES_TRIED} names were taken: give one, with n")
