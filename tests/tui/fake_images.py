"""The part of the fake client that deals with images: builds go on when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from bai_tui.app.client.views import EventView, ImageView, ProgressView, TaskView
from bai_tui.app.model.errors import ImageNotFound, NotFound
from bai_tui.app.model.images import ImageState

if TYPE_CHECKING:
    from bai_tui.tests.tui.fakes import FakeServer


class FakeBuild:
    """A building of an image, moved on by a test."""

    def __init__(self, server: FakeServer, reference: str) -> None:
        self._server = server
        self.reference = reference
        self.news = [TaskView(state="started")]
        self.grown = asyncio.Event()

    def _tell(self, view: TaskView) -> None:
        self.news.append(view)
        self.grown.set()
        self.grown = asyncio.Event()

    def step(self, current: float, total: float, message: str) -> None:
        """Tells of progress: to readers of the task, in the list of images, and as an event."""
        self._tell(TaskView(current, total, message, state="updated"))
        progress = ProgressView(current, total, message)
        self._server.change_image(self.reference, progress=progress)
        self._server.tell_image("bai_image_progress", self.reference, progress=progress)

    def finish(self, state: str = "done", message: str = "") -> None:
        """Ends it: `done`, `failed` or `cancelled`."""
        ready = {"state": ImageState.READY, "installed": True, "reason": ""} if state == "done" else {}
        self._server.change_image(self.reference, progress=None, **ready)
        self._tell(TaskView(message=message, state=state))


class FakeShelves:
    """The part of the fake server that has the images."""

    image_views: tuple[ImageView, ...]
    queues: list[asyncio.Queue[EventView | None]]

    def change_image(self, reference: str, **changes: Any) -> None:
        self.image_views = tuple(
            replace(view, **changes) if view.reference == reference else view for view in self.image_views
        )

    def tell_image(self, name: str, reference: str, *, reason: str = "", progress: ProgressView | None = None) -> None:
        """Pushes an event about an image."""
        for queue in self.queues:
            queue.put_nowait(EventView(name, None, None, reason, image=reference, progress=progress))


class FakeShelf:
    """Looks at the images of the fake server, builds and names them."""

    _server: FakeServer

    async def images(self, *, installed: bool | None = None) -> Sequence[ImageView]:
        self._server.check()
        return [view for view in self._server.image_views if installed in (None, view.installed)]

    async def image(self, reference: str, *, exact: bool = False) -> ImageView:
        self._server.check()
        for view in self._server.image_views:
            if reference in (view.reference, view.id, *view.aliases):
                return view
        raise ImageNotFound(f"there is no image {reference!r}")

    def _change(self, name: str, *told: Any) -> None:
        self._server.check()
        self._server.calls.append((name, told))
        if self._server.refuse_image is not None:
            raise self._server.refuse_image

    async def prepare_image(self, reference: str, *, anew: bool = False) -> str:
        self._change("prepare-image", reference, anew)
        view = await self.image(reference)
        task_id = f"build-{len(self._server.builds) + 1}"
        self._server.builds[task_id] = FakeBuild(self._server, view.reference)
        self._server.change_image(view.reference, progress=ProgressView())
        return task_id

    async def task_progress(self, task_id: str) -> AsyncIterator[TaskView]:
        self._server.check()
        build = self._server.builds.get(task_id)
        if build is None:
            raise NotFound(f"there is no background task {task_id!r}")
        told = 0
        while True:
            for view in build.news[told:]:
                told += 1
                yield view
                if view.is_over:
                    return
            await build.grown.wait()

    async def cancel_task(self, task_id: str) -> None:
        self._change("cancel-task", task_id)
        self._server.builds[task_id].finish("cancelled")

    async def image_log(self, reference: str) -> str:
        self._server.check()
        steps = [build.news for build in self._server.builds.values() if build.reference == reference]
        if not steps:
            raise NotFound(f"there is no log of {reference}")
        return "".join(f"{view.message}\n" for view in steps[-1] if view.message)

    async def remove_image(self, reference: str) -> str:
        self._change("remove-image", reference)
        self._server.change_image(reference, state=ImageState.BUILDABLE, installed=False)
        return f"removed {reference}"

    async def alias_image(self, alias: str, target: str) -> None:
        self._change("alias-image", alias, target)
        view = await self.image(target)
        self._server.change_image(view.reference, aliases=(*view.aliases, alias))

    async def dealias_image(self, alias: str) -> None:
        self._change("dealias-image", alias)
        view = await self.image(alias)
        self._server.change_image(view.reference, aliases=tuple(one for one in view.aliases if one != alias))

    async def rescan_images(self) -> str:
        self._change("rescan-images")
        task_id = f"build-{len(self._server.builds) + 1}"
        build = self._server.builds[task_id] = FakeBuild(self._server, "")
        build.finish(message=f"{len(self._server.image_views)} images")
        return task_id
