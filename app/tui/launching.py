"""Launches: a row that is there at once, and the session that the server gives for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from ...widgets.transcript import Transcript
from ..model.errors import BaiTuiError, NotFound, SessionExists
from ..model.slots import ResourceSlots, typed_amount
from .acting import Acting, Means
from .launch_memory import LaunchMemory
from .messages import Launched, LaunchFailed, SessionsChanged
from .store import LaunchRequest, default_image, free_name

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import CreatedSession, SessionView

_NAMES_TRIED: Final = 20
"""Free names that may turn out to be taken before a launch gives up."""


class Launching(Acting):
    """Asks for sessions.

    Args:
        news: Wakes the runs that wait for their session.
        welcome: Where a failure is told of that has no session.
    """

    def __init__(
        self, means: Means, news: Callable[[], Awaitable[None]], welcome: Transcript, memory: LaunchMemory
    ) -> None:
        super().__init__(means)
        self._news = news
        self._welcome = welcome
        self._memory = memory

    @property
    def default_image(self) -> str:
        return default_image([(image.reference, image.aliases) for image in self._sync.connection.images])

    def launch(self, request: LaunchRequest) -> str:
        """Asks for as many sessions as the request says; returns the passing id of the first, whose rows are there
        at once."""
        first, *others = _each(request, self._store.names())
        self._memory.launched(request)
        passing_id = self._begin(first)
        for other in others:
            self._begin(other)
        self._post(SessionsChanged())
        return passing_id

    def again(self) -> str | None:
        """Asks for what was launched last once more; returns the passing id, None when nothing was launched yet."""
        request = self._memory.newest()
        if request is None:
            return None
        return self.launch(replace(request, name=free_name(request.image, self._store.names())))

    def _begin(self, request: LaunchRequest, *, like: str = "") -> str:
        slots = ResourceSlots.parse(request.resources)
        now = datetime.fromtimestamp(self._clock(), UTC)
        passing_id = self._store.launching(request.name, request.image, slots, now)
        self._spawn(self._launch(passing_id, request, like), f"launch {request.name}")
        return passing_id

    def default(self, image: str = "") -> str:
        """Asks for a session with default slots, of the default image unless another one is given."""
        image = image or self.default_image
        return self.launch(LaunchRequest(image, free_name(image, self._store.names()), {}, any_name=True))

    def like(self, view: SessionView) -> str:
        """Asks for another session with the image and the slots of one, and with its environment and folders where
        the server tells them (of live ones); returns the passing id of its row."""
        resources = {slot: str(amount) for slot, amount in view.requested_slots.items()}
        name = free_name(view.image, self._store.names())
        passing_id = self._begin(LaunchRequest(view.image, name, resources, any_name=True), like=view.id)
        self._post(SessionsChanged())
        return passing_id

    async def _launch(self, passing_id: str, request: LaunchRequest, like: str) -> None:
        try:
            client = await self._connected()
            if like:
                request = await _completed(client, request, like)
                self._memory.launched(request)
            created = await self._create(passing_id, client, request)
        except BaiTuiError as error:
            self._store.launch_failed(passing_id)
            self._welcome.note(f"{request.image} could not be started: {error.message}", "error")
            self._post(LaunchFailed(error.message))
        else:
            self._store.launched(passing_id, created.id, created.name)
            self._did(*command_of(request, created.name), session_id=created.id)
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
                    environ=request.environ or None,
                    mounts=request.mounts,
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


async def _completed(client: ApiClient, request: LaunchRequest, like: str) -> LaunchRequest:
    """Returns a request with environment and folders of a session, where the server tells them."""
    try:
        about = await client.about(like)
    except NotFound:
        # it has ended
        return request
    return replace(request, environ=dict(about.environ), mounts=about.mounts)


def command_of(request: LaunchRequest, name: str) -> list[str]:
    """Returns the arguments of `bai-tui` that make such a session."""
    argv = ["create", "-t", name]
    for slot, amount in request.resources.items():
        argv += ["-r", f"{slot}={typed_amount(slot, amount)}"]
    for key in request.environ:
        # its value may be a secret: the command takes it from where it is typed
        argv += ["-e", key]
    return [*argv, request.image]


def _each(request: LaunchRequest, taken: set[str]) -> list[LaunchRequest]:
    """Returns a request for each session that is wanted; those after the first are numbered."""
    found = [replace(request, count=1)]
    taken = taken | {request.name}
    number = 2
    while len(found) < request.count:
        name = f"{request.name[:60]}-{number}"
        number += 1
        if name not in taken:
            found.append(replace(request, count=1, name=name, any_name=True))
    return found
