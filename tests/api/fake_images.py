"""The images of the fake backend: what the service does with them is real, the catalogue below it is not."""

from __future__ import annotations

import asyncio
from typing import Any, cast

from bai_tui.app.backend.ports import Keypair, SessionEvent
from bai_tui.app.backend.service.backgroundtasks import BackgroundTasks
from bai_tui.app.backend.service.imagewatch import ImageWatch
from bai_tui.app.backend.service.imagework import ImageWork
from bai_tui.app.backend.service.shelf import Shelf
from bai_tui.app.backend.service.tasks import Tasks
from bai_tui.app.model.images import Image, ImageReference, ImageState
from bai_tui.app.model.sessions import Session
from bai_tui.app.model.slots import ResourceSlots
from bai_tui.tests.service.fake_catalogue import FakeCatalogue

PYTHON = Image(
    id="33333333-3333-4333-8333-333333333333",
    reference=ImageReference.parse("python:3.11-debian12"),
    aliases=("python",),
    digest="sha256:00",
    size_bytes=1234,
    min_slots=ResourceSlots({"cpu": 1, "mem": 67108864}),
)
DATA = "python-data:3.11"


class FakeImages(Shelf):
    """The part of the `Service` of `ports` that is about images."""

    listeners: list[asyncio.Queue[SessionEvent | None]]

    def __init__(self) -> None:
        self.catalogue = FakeCatalogue()
        self.catalogue.known = {PYTHON.canonical: PYTHON}
        self.gone: dict[str, str] = {}
        """Session id -> why its image is gone."""
        self.tasks = Tasks()
        self._catalogue = self.catalogue
        self._image_watch = cast(ImageWatch, _Blind())
        self._image_work = ImageWork(self.catalogue, cast(Any, None), cast(Any, self), self._image_watch)
        self._background = BackgroundTasks(self.tasks)

    def shelve(self, reference: str = DATA, state: ImageState = ImageState.BUILDABLE, **fields: Any) -> None:
        """Puts another image into the catalogue."""
        self.catalogue.add(reference, state, **fields)

    def image_gone(self, session: Session) -> str:
        return self.gone.get(session.id, "")

    def publish(self, event: SessionEvent) -> None:
        """Is the bus of events to which the work on images tells its progress."""
        for queue in self.listeners:
            queue.put_nowait(event)

    def seen(self, caller: Keypair, event: SessionEvent, progress: bool) -> bool:
        if event.name == "bai_image_progress":
            return progress
        return caller.is_admin or event.access_key == caller.access_key


class _Blind:
    """A watch that sees nothing."""

    def note(self, canonical: str, why: str) -> None:
        pass

    async def look(self) -> None:
        pass
