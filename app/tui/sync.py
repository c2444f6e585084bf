"""Keeps the session store like the server's: full lists, pushed events between them, a slow poll that heals.

One worker runs `Sync.run` for the life of the app. It finds the endpoint, connects, and when the connection is lost
says so and tries again with growing pauses. It never touches a widget: it writes to the store and posts facts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

from textual.message import Message

from ...widgets.image_words import STALLED_S
from ...widgets.rows import Gauge, GpuGauge, ImageProgress, ImageRow, Machine
from ..model.endpoint import Endpoint
from ..model.errors import BaiTuiError, ConfigError, NotFound, RemoteError, Unreachable
from ..model.images import ImageState
from ..model.sessions import LIVE
from ..model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM, is_bytes
from .head_start import FirstList
from .image_rows import BACK, GONE, IMAGES, PROGRESS, found, image_row, progress_of, with_progress, with_ready
from .live import LiveStats
from .messages import (
    Complained,
    ConnectionChanged,
    ImagesChanged,
    MachineChanged,
    NoticesCame,
    SessionsChanged,
    StatsChanged,
    Told,
)
from .notices import Notices
from .store import SessionStore

if TYPE_CHECKING:
    from ..client.api import ApiClient
    from ..client.views import DeviceView, EventView, ImageView, MachineView, SessionView

T = TypeVar("T")
log = logging.getLogger(__name__)

HEAL_EVERY_S: Final = 10.0
"""Between the lists that heal what a lost event missed."""
LAGGED: Final = "bai_lagged"
CONNECTED: Final = "bai_connected"
PAUSES_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
"""Between attempts to connect; the last one repeats."""
_STATS_AGAIN_S: Final = 2.0
"""Pause before rounds of measuring are asked for again where only their stream broke."""
_ANNOUNCED_S: Final = 2.0
"""Within so many seconds nobody asks again what the server tells everybody."""
_IMAGES_REST_S: Final = 0.1
_ENDS_A_BUILD: Final = frozenset({"session_creating", "session_started", "session_terminated", "session_cancelled"})
"""Events after which an image may not be built any more that was built for a session."""
_GOES_ON: Final = "updated"
_PAGE: Final = 100
_REST: Final = 4.0
"""Where a list takes several pages, the pause after it is so many times what it took: events say meanwhile what
becomes of whom, and thousands of sessions are not asked for all over again at each."""
_LIVE: Final = sorted(LIVE)


class Locator(Protocol):
    """Finds the endpoint; may block for seconds, so it is called in a thread."""

    @property
    def place(self) -> str:
        """What to call it before it is found."""

    def locate(self, attempt: int, tell: Callable[[str], object]) -> Endpoint:
        """Returns the endpoint for the attempt 0, 1, 2, ...; starts the local backend where that is the way.

        Args:
            tell: gets what the user should hear of a backend that was started, such as of a damaged database.

        Raises:
            BaiTuiError: with what to do about it.
        """


@dataclass(slots=True)
class Connection:
    """How we stand with the server."""

    place: str = "local"
    client: ApiClient | None = None
    """None while not connected."""
    capabilities: frozenset[str] = frozenset()
    trouble: str = ""
    """Why there is no connection; empty when there is one, or at the first attempt."""
    retry_at_s: float | None = None
    """Clock time of the next attempt; None while one is going on."""
    since_s: float = 0.0
    """Clock time of the beginning of this attempt."""
    generation: int = 0
    """Counts connections."""
    announced: str = ""
    """What the server tells everybody, a sentence a line: such as that its disk is full. Empty when it is silent."""
    images: list[ImageRow] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    """Reference of an image -> why the last try to build or pull it failed."""
    machine: Machine = field(default_factory=Machine)

    @property
    def tells_images(self) -> bool:
        """Whether the server tells states of images, and builds them when it is asked to."""
        return IMAGES in self.capabilities

    def image(self, name: str) -> ImageRow | None:
        """Returns an image by its reference or an alias; None when there is none, or it is not known yet."""
        return found(self.images, name)

    def language_of(self, reference: str) -> str:
        """Returns the language of an image as the server tells it; empty = it does not."""
        image = found(self.images, reference)
        return "" if image is None else image.language

    @property
    def is_ours(self) -> bool:
        """Whether it is with a backend of bai-tui, not with a cluster."""
        return "devices" in self.capabilities

    def said(self, now_s: float) -> str:
        """Returns the state in a few words; empty when all is well."""
        if self.client is not None:
            return ""
        if self.retry_at_s is not None:
            return f"reconnecting in {max(1, round(self.retry_at_s - now_s))} s: {self.trouble}"
        waited = now_s - self.since_s
        return ("reconnecting" if self.trouble else "starting") + (f" ({waited:.0f} s)" if waited >= 2 else "")


class Sync:
    """The worker's state.

    Args:
        locator: Where to go.
        store: What is kept.
        post: Takes messages, from any task.
        clock: Unix time.
        connect: Makes a client of an endpoint; entered and left here.
    """

    def __init__(
        self,
        locator: Locator,
        store: SessionStore,
        post: Callable[[Message], object],
        clock: Callable[[], float],
        connect: Callable[[Endpoint], ApiClient] | None = None,
    ) -> None:
        self.connection = Connection(place=locator.place, since_s=clock())
        self._locator = locator
        self._store = store
        self._post = post
        self._clock = clock
        self._connect = connect or api_client
        self._wanted = asyncio.Event()
        self._retry_now = asyncio.Event()
        self._images_wanted = asyncio.Event()
        self.live = LiveStats()
        self.notices = Notices()
        self.heard: Callable[[EventView], object] = lambda event: None
        """Is told of every event."""
        self._heard_s = float("-inf")
        self.begun = asyncio.Event()
        """The first frame is there: everything but the first list waits for that."""
        self.first: FirstList | None = None
        """The first list, where it was asked for before we began."""

    def poke(self) -> None:
        """Asks for a fresh list soon, and for an attempt to connect now where one is being waited for."""
        self._wanted.set()
        self._retry_now.set()

    async def run(self) -> None:
        """Connects, keeps up to date, connects again. Ends only by being cancelled."""
        await self._take_first()
        attempt = 0
        while True:
            connection = self.connection
            connection.retry_at_s, connection.since_s = None, self._clock()
            self._post(ConnectionChanged())
            try:
                endpoint = await asyncio.to_thread(self._locator.locate, attempt, self._tell)
                connection.place = endpoint.name
                async with await asyncio.to_thread(self._connect, endpoint) as client:
                    info = await client.handshake()
                    connection.capabilities = info.capabilities
                    await self._list(client)
                    await self.begun.wait()
                    connection.client, connection.trouble = client, ""
                    connection.announced, self._heard_s = "", float("-inf")
                    connection.generation += 1
                    attempt = 0
                    self._post(ConnectionChanged())
                    await self._keep(client)
            except* BaiTuiError as group:
                error = _first(group)
                log.info("connection to %s: %s", connection.place, error)
                connection.trouble = _short(error)
            except* Exception as group:
                log.exception("connection to %s", connection.place)
                connection.trouble = f"unexpected {type(_first(group)).__name__}: see the log"
            finally:
                connection.client = None
                self._no_stats()
            pause = PAUSES_S[min(attempt, len(PAUSES_S) - 1)]
            attempt += 1
            connection.retry_at_s = self._clock() + pause
            self._post(ConnectionChanged())
            self._retry_now.clear()
            try:
                await asyncio.wait_for(self._retry_now.wait(), pause)
            except TimeoutError:
                pass

    def _tell(self, text: str) -> None:
        self._post(Complained(text))

    async def _take_first(self) -> None:
        if self.first is None:
            return
        try:
            views = await asyncio.wrap_future(self.first)
        except Exception:
            # the connection that follows meets it again, and tells
            log.exception("the first list")
            return
        if views is not None:
            self._store.listed(views, self._store.now(), self._clock())
            self._post(SessionsChanged())
            await self.begun.wait()

    async def _keep(self, client: ApiClient) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._events(client), name="sync events")
            group.create_task(self._lists(client), name="sync lists")
            group.create_task(self._images(client), name="sync images")
            group.create_task(self._stats(client), name="sync stats")

    async def _events(self, client: ApiClient) -> None:
        async for event in client.events(progress=self.connection.tells_images):
            if event.name == PROGRESS:
                self._take_progress(event)
                continue
            if self.notices.take(event):
                self._post(NoticesCame())
            self.heard(event)
            if event.name in (GONE, BACK) or (event.name in _ENDS_A_BUILD and self._builds):
                self._images_wanted.set()
            if event.name in (CONNECTED, LAGGED) or self._store.event(event):
                self._wanted.set()
            self._post(SessionsChanged())
        raise Unreachable("the backend closed the connection")

    async def _lists(self, client: ApiClient) -> None:
        """Asks for lists: when something happened, and now and then; never two at a time."""
        await self._machine(client)
        await self._hear(client)
        while True:
            try:
                await asyncio.wait_for(self._wanted.wait(), HEAL_EVERY_S)
                # what comes in a burst is answered by one list
                await asyncio.sleep(0.02)
            except TimeoutError:
                pass
            self._wanted.clear()
            if any(self._clock() - progress.since_s >= STALLED_S for progress in self._builds):
                # its end may have been missed
                self._images_wanted.set()
            began_s = time.monotonic()
            several = await self._list(client) > _PAGE
            took_s = time.monotonic() - began_s
            await self._machine(client)
            await self._hear(client)
            if several:
                await asyncio.sleep(min(HEAL_EVERY_S, _REST * took_s))  # rests longer than it works

    async def _list(self, client: ApiClient) -> int:
        """Takes a full list; returns how many sessions were in it."""
        asked_at = self._store.now()
        views: list[SessionView] = []
        while True:
            page, total = await client.list_sessions(statuses=_LIVE, limit=_PAGE, offset=len(views))
            views.extend(page)
            if not page or len(views) >= total:
                break
        for session_id in self._store.listed(views, asked_at, self._clock()):
            try:
                self._store.learned(await client.session(session_id))
            except Unreachable:
                raise
            except (NotFound, RemoteError) as error:
                log.info("what became of %s: %s", session_id, error)
                self._store.lost(session_id)
        self._post(SessionsChanged())
        return len(views)

    async def _hear(self, client: ApiClient) -> None:
        """Asks what the server tells everybody: our backend says what is wrong with it, a cluster what it likes to."""
        now_s = self._clock()
        if 0 <= now_s - self._heard_s < _ANNOUNCED_S:
            return
        self._heard_s = now_s
        connection = self.connection
        text = (await client.announcement()).strip()
        if text == connection.announced:
            return
        connection.announced = text
        if text:
            self._post(Complained(text) if connection.is_ours else Told(text))
        self._post(ConnectionChanged())

    async def _stats(self, client: ApiClient) -> None:
        """Takes rounds of measuring; where their stream breaks and the connection does not, asks for them again."""
        while True:
            try:
                async for view in client.stats():
                    self.live.take(view)
                    self._take_gpus(view.gpus)
                    self._post(StatsChanged())
            except Unreachable as error:
                log.info("what sessions use: %s", error)
            except BaiTuiError as error:
                log.warning("what sessions use: %s", error)
                return
            finally:
                self._no_stats()
            await asyncio.sleep(_STATS_AGAIN_S)  # the server is asked again, not hammered

    def _no_stats(self) -> None:
        if self.live.fresh:
            self.live.lost()
            self._post(StatsChanged())

    def _take_gpus(self, views: Sequence[DeviceView]) -> None:
        """Takes what of the GPUs is promised, and which are lost, from a round: it is newer than any list."""
        if views and (gpus := tuple(gpu_of(view) for view in views)) != self.connection.machine.gpus:
            self.connection.machine = replace(self.connection.machine, gpus=gpus)
            self._post(MachineChanged())

    async def _machine(self, client: ApiClient) -> None:
        await self._optional(client.machine, self._take_machine, "slots")

    async def _images(self, client: ApiClient) -> None:
        """Asks for the images: now, and when one may have become another."""
        while True:
            self._images_wanted.clear()
            await self._optional(client.images, self._take_images, "images")
            self._post(ImagesChanged())
            await self._images_wanted.wait()
            await asyncio.sleep(_IMAGES_REST_S)  # what comes in a burst is answered by one list

    async def _optional(self, ask: Callable[[], Awaitable[T]], take: Callable[[T], None], what: str) -> None:
        """Asks for something that the app can live without; only a lost connection is passed on."""
        try:
            take(await ask())
        except Unreachable:
            raise
        except BaiTuiError as error:
            log.warning("the %s: %s", what, error)
            self._post(Complained(f"the {what} of {self.connection.place} are not known: {error.message}"))
        self._post(MachineChanged())

    def _take_machine(self, view: MachineView) -> None:
        self.connection.machine = machine_of(view)
        if not self.live.fresh:
            self.live.polled(view.gpus)
            self._post(StatsChanged())

    def _take_images(self, views: Sequence[ImageView]) -> None:
        told, now_s = self.connection.tells_images, self._clock()
        before = {image.reference: image for image in self.connection.images}
        self.connection.images = images = [
            image_row(view, told=told, before=before.get(view.reference), now_s=now_s) for view in views
        ]
        for image in images:
            if image.state is ImageState.READY:
                self.connection.failures.pop(image.reference, None)
        self._store.images_told({image.reference: image.progress for image in images if image.progress is not None})
        self._post(SessionsChanged())

    @property
    def _builds(self) -> list[ImageProgress]:
        return [image.progress for image in self.connection.images if image.progress is not None]

    def _take_progress(self, event: EventView) -> None:
        """Takes how far an image is; of one that is not known yet the list tells."""
        connection = self.connection
        image = connection.image(event.image)
        if image is None:
            self._images_wanted.set()
            return
        state = event.data.get("state", _GOES_ON)
        if state != _GOES_ON:
            failure = event.progress.message if event.progress and state == "failed" else ""
            self.image_over(image.reference, failure, ready=state == "done")
            return
        progress = progress_of(event.progress, image.progress, self._clock())
        if progress is not image.progress:
            self.image_progress(image.reference, progress)

    def image_over(self, reference: str, failure: str = "", *, ready: bool = False) -> None:
        """Takes that an image is not being built or pulled any more, and asks how it is now.

        Args:
            failure: why it could not be; empty = it could, or was stopped.
            ready: sessions can run in it now: that is shown before the server's list says so.
        """
        if ready:
            self.connection.images = with_ready(self.connection.images, reference)
        self.image_progress(reference, None)
        if failure:
            self.connection.failures[reference] = failure
        self._images_wanted.set()

    def image_progress(self, reference: str, progress: ImageProgress | None) -> None:
        """Shows how far an image is; None = it is not being built or pulled any more."""
        connection = self.connection
        connection.images = with_progress(connection.images, reference, progress)
        self._store.image_told(reference, progress)
        self._post(ImagesChanged())
        self._post(SessionsChanged())

    def refresh_images(self) -> None:
        """Asks for the images anew, for the picker; for who is not connected they come with the connection."""
        self._images_wanted.set()


def machine_of(view: MachineView) -> Machine:
    """Returns a server's answer as gauges."""
    gauges = [
        Gauge(slot, view.occupied.amount(slot), view.available.amount(slot), is_bytes(slot))
        for slot in (CPU, MEM)
        if slot in view.available
    ]
    if not view.gpus:
        gauges[:0] = [
            Gauge("gpu", view.occupied.amount(slot), view.available.amount(slot))
            for slot in (CUDA_SHARES, CUDA_DEVICE)
            if view.available.amount(slot) > 0
        ][:1]
    return Machine(tuple(gauges), tuple(gpu_of(gpu) for gpu in view.gpus))


def gpu_of(view: DeviceView) -> GpuGauge:
    """Returns a server's GPU as a gauge."""
    return GpuGauge(view.id, view.kind, view.model, view.mem_bytes, view.capacity, dict(view.promised), lost=view.lost)


def api_client(endpoint: Endpoint) -> ApiClient:
    """Returns the client of an endpoint, to be entered."""
    from ..client.api import ApiClient

    return ApiClient(endpoint)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _short(error: BaseException) -> str:
    text = error.message if isinstance(error, BaiTuiError) else str(error)
    return text if isinstance(error, ConfigError) else text.partition("\n")[0]
