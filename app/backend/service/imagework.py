"""From the image that was asked for to one that runs: resolved, checked, built or pulled, with progress for everybody
who wants to know."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final

from ...model.errors import ImageFailed, ImageNotFound
from ...model.images import Image, ImageKind, ImageState
from ...model.sessions import SessionStatus
from ..ports import IMAGE_PROGRESS, ImageCatalogue, Progress, Resolution, SessionEvent, Tell
from .admission import is_exact
from .entries import Entry
from .events import EventBus
from .imagewatch import ImageWatch
from .states import States
from .throttle import Throttle

S = SessionStatus
TOLD_EVERY_S: Final = 0.25
_LONGEST: Final = 200
"""Characters of a step that are told: it may quote an installer."""


def one_line(text: str) -> str:
    """Returns what an installer says as one short line without control characters."""
    line = " ".join(text.split())
    line = "".join(character for character in line if character.isprintable())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 3]}..."


def described(progress: Progress) -> str:
    """Returns the step and how far it all is, in one line."""
    if progress.total <= 0:
        return progress.message
    percent = min(100, max(0, int(progress.current / progress.total * 100)))
    return f"{progress.message} ({percent} %)" if progress.message else f"{percent} %"


def remedy(image: Image) -> str:
    """Returns what to do about an image that has gone."""
    match image.kind:
        case ImageKind.RECIPE:
            return f"`bai-tui image build {image.canonical}` builds it anew"
        case ImageKind.CONTAINER:
            return f"`bai-tui image pull {image.canonical}` fetches it again"
        case _:
            return "install it again, or take another one: `bai-tui image list` shows what there is"


@dataclass(slots=True)
class _Building:
    """An image that is being built or pulled, by one or several who want it."""

    throttle: Throttle[Progress]
    wanted: int = 0
    last: Progress | None = None


class ImageWork:
    """Has images made ready, and tells of it."""

    def __init__(self, catalogue: ImageCatalogue, states: States, bus: EventBus, watch: ImageWatch) -> None:
        self._catalogue = catalogue
        self._states = states
        self._bus = bus
        self._watch = watch
        self._under_way: dict[str, _Building] = {}

    async def resolve(self, reference: str, *, exact: bool) -> Resolution:
        """Returns the image that a session of this request would run in.

        Raises:
            ImageNotFound: there is none, or it cannot be had here, and why.
            BadRequest: no reference.
        """
        resolution = await self._catalogue.resolve(reference, exact=exact)
        image = resolution.image
        if image.state is ImageState.UNAVAILABLE:
            raise ImageNotFound(f"the image {image.canonical} cannot be had here: {image.reason or 'nobody knows why'}")
        return resolution

    async def make_ready(self, image: Image, *, anew: bool = False, tell: Tell | None = None) -> Image:
        """Builds or pulls an image; returns it READY. See `ImageCatalogue.make_ready`."""
        name = image.canonical
        building = self._under_way.get(name)
        if building is None:
            building = _Building(Throttle(TOLD_EVERY_S, lambda progress: self._publish(name, "updated", progress)))
            self._under_way[name] = building
        building.wanted += 1

        def hear(progress: Progress) -> None:
            if building.last != progress:  # several who wait for the same hear the same
                building.last = progress
                building.throttle.put(_cleaned(progress))
            if tell is not None:
                tell(_cleaned(progress))

        state, why = "cancelled", ""
        try:
            ready = await self._catalogue.make_ready(image, hear, anew=anew)
            state = "done"
        except Exception as exc:
            state, why = "failed", exc.message if isinstance(exc, ImageFailed) else str(exc)
            raise
        finally:
            building.wanted -= 1
            if not building.wanted and self._under_way.get(name) is building:
                del self._under_way[name]
                building.throttle.close()
                if building.last is not None or state != "done":  # nothing was to be done: nobody needs to know
                    self._publish(name, state, Progress(0, 0, one_line(why)))
        self._watch.note(name, "")
        return ready

    def _publish(self, name: str, state: str, progress: Progress) -> None:
        extra = {
            "image": name,
            "state": state,
            "current": progress.current,
            "total": progress.total,
            "message": progress.message,
        }
        self._bus.publish(SessionEvent(IMAGE_PROGRESS, "", "", "", extra=extra))

    # --- for sessions ---------------------------------------------------------------------------------------

    async def prepare(self, entry: Entry) -> Image | None:
        """Returns the image that a session which is PREPARING starts in, READY; None when it is ended meanwhile.

        One that must be built or pulled takes the session through PULLING to PREPARED. Not to be cancelled by who
        ends the session: `give_up` is for that.

        Raises:
            ImageFailed, ImageNotFound: there is no such image, or not any more.
        """
        session = entry.session
        image = entry.image
        if image is None:  # it was queued by an earlier daemon
            resolution = await self.resolve(session.image, exact=is_exact(session))
            image = resolution.image
            if image.canonical != session.image:
                session.image, session.image_notice = image.canonical, resolution.notice
                session.architecture = image.architecture
        else:
            image = self._newest(image)
        if image.state is ImageState.UNAVAILABLE:
            raise ImageFailed(f"the image {image.canonical} cannot be had here any more: {image.reason}")
        if image.state is not ImageState.READY:
            return await self._pull(entry, image)
        if why := await self._catalogue.check(image):
            self._watch.note(image.canonical, why)
            raise ImageFailed(f"the image {image.canonical} cannot run any more: {why}; {remedy(image)}")
        return image

    def _newest(self, image: Image) -> Image:
        """Returns what the catalogue knows of an image now: it may have been built while the session waited."""
        return next((one for one in self._catalogue.list() if one.id == image.id), image)

    async def _pull(self, entry: Entry, image: Image) -> Image | None:
        session = entry.session
        if session.status is S.TERMINATING:
            return None
        self._states.move(session, S.PULLING, f"making {image.canonical} ready")

        def tell(progress: Progress) -> None:
            if session.status is S.PULLING:
                session.status_info = described(progress)

        entry.pull = pull = asyncio.create_task(
            self.make_ready(image, tell=tell), name=f"make {image.canonical} ready for {session.id}"
        )
        try:
            await asyncio.wait([pull])
        except asyncio.CancelledError:  # the daemon stops
            pull.cancel()
            await asyncio.wait([pull])
            raise
        if session.status is not S.PULLING:
            if not pull.cancelled():
                pull.exception()  # nobody is left who wants to know
            return None
        if pull.cancelled():
            raise ImageFailed(f"the image {image.canonical} was not made ready: that was broken off")
        ready = pull.result()
        self._states.move(session, S.PREPARED)
        return ready

    @staticmethod
    def give_up(entry: Entry) -> None:
        """Stops building for a session that is ended."""
        if entry.pull is not None:
            entry.pull.cancel()


def _cleaned(progress: Progress) -> Progress:
    return Progress(progress.current, progress.total, one_line(progress.message))
