"""What the user does to images: has them built or pulled, stops that, removes them, has the server look for them."""

from __future__ import annotations

import logging
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from ..model.errors import BaiTuiError, NotFound
from ..model.images import ImageKind, ImageState
from .acting import Acting, Means
from .image_rows import progress_of
from .messages import Complained, Told

if TYPE_CHECKING:
    from ...widgets.rows import ImageRow
    from ..client.views import TaskView

log = logging.getLogger(__name__)

_NOT_HERE: Final = "this server prepares images by itself when a session needs one"
_READY: Final = frozenset({ImageState.READY, None})


class ImageWork(Acting):
    """Calls about images, and how far those are that were asked for here."""

    def __init__(self, means: Means) -> None:
        super().__init__(means)
        self._tasks: dict[str, str] = {}
        """Reference -> id of the task that builds or pulls it for us; empty until the server has told it."""

    # -- building --------------------------------------------------------------------------------------------------

    def build(self, image: ImageRow, *, anew: bool = False) -> str | None:
        """Has an image built or pulled; returns why that cannot be, else None.

        Args:
            anew: also when it is ready.
        """
        if not self._sync.connection.tells_images:
            return _NOT_HERE
        reference = image.reference
        if image.progress is not None or reference in self._tasks:
            return f"{reference} is being {_done(image)} already"
        if image.state is ImageState.UNAVAILABLE:
            return image.reason or f"{reference} cannot be had here"
        if image.state in _READY and not anew:
            return f"{reference} is ready"
        self._tasks[reference] = ""
        self._sync.connection.failures.pop(reference, None)
        self._spawn(self._build(image, anew), f"build {reference}")
        return None

    async def _build(self, image: ImageRow, anew: bool) -> None:
        reference, last, failure = image.reference, None, ""
        try:
            client = await self._connected()
            task_id = self._tasks[reference] = await client.prepare_image(reference, anew=anew)
            verb = "pull" if image.kind is ImageKind.CONTAINER else "build"
            self._did("image", verb, *(("--anew",) if anew else ()), reference)
            async with aclosing(client.task_progress(task_id)) as news:
                async for last in news:
                    self._show(reference, last)
            if last is not None and last.state == "cancelled":
                self._post(Told(f"{reference}: stopped, nothing half-made is left"))
            elif last is not None and last.has_failed:
                failure = last.message or "the server does not say why"
            else:
                self._post(Told(f"{reference} is ready"))
        except BaiTuiError as error:
            failure = error.message
        finally:
            self._tasks.pop(reference, None)
            self._sync.image_over(reference, failure, ready=last is not None and last.state == "done")
        if failure:
            said = failure.startswith(reference)  # our backend does, in full sentences
            self._post(Complained(failure if said else f"{reference} could not be {_done(image)}: {failure}"))

    def _show(self, reference: str, view: TaskView) -> None:
        image = self._sync.connection.image(reference)
        if image is not None and not view.is_over:
            progress = progress_of(view, image.progress, self._clock())
            if progress is not image.progress:
                self._sync.image_progress(reference, progress)

    def stop(self, image: ImageRow) -> str | None:
        """Stops the building or pulling of an image that was asked for here; returns why that cannot be, else None."""
        task_id = self._tasks.get(image.reference)
        if task_id:
            self._spawn(self._stop(image.reference, task_id), f"stop {image.reference}")
            return None
        if image.progress is not None:
            return f"{image.reference} is {_done(image)} for a session, or by somebody else: it ends with its sessions"
        return f"{image.reference} is not being {_done(image)}"

    async def _stop(self, reference: str, task_id: str) -> None:
        try:
            await (await self._connected()).cancel_task(task_id)
        except NotFound:
            log.info("the building of %s had ended", reference)
        except BaiTuiError as error:
            self._post(Complained(f"{reference} cannot be stopped: {error.message}"))

    # -- the rest --------------------------------------------------------------------------------------------------

    def removable(self, image: ImageRow) -> str | None:
        """Returns why nothing of an image can be removed; None when something can."""
        if not self._sync.connection.tells_images:
            return "images of a cluster are removed by its administrators"
        if image.kind in (ImageKind.PYTHON, ImageKind.JUPYTER):
            return (
                f"{image.reference} was found on the machine, not built: bai-tui removes nothing that it did not make"
            )
        if image.state is not ImageState.READY:
            return f"nothing of {image.reference} is here"
        return None

    def remove(self, image: ImageRow) -> None:
        """Removes what was built or pulled."""
        self._spawn(self._remove(image.reference), f"remove {image.reference}")

    async def _remove(self, reference: str) -> None:
        try:
            told = await (await self._connected()).remove_image(reference)
        except BaiTuiError as error:
            self._post(Complained(f"{reference} cannot be removed: {error.message}"))
            return
        self._did("image", "rm", reference)
        self._post(Told(told or f"{reference} is removed"))
        self._sync.refresh_images()

    def rescan(self) -> str | None:
        """Has the server look for images anew; returns why that cannot be, else None."""
        if not self._sync.connection.tells_images:
            self._sync.refresh_images()
            return "this server looks for images by itself: its list is asked for anew"
        self._spawn(self._rescan(), "rescan")
        return None

    async def _rescan(self) -> None:
        try:
            client = await self._connected()
            task_id = await client.rescan_images()
            self._did("image", "rescan")
            async with aclosing(client.task_progress(task_id)) as news:
                async for view in news:
                    if view.has_failed:
                        self._post(Complained(f"the server could not look for images: {view.message}"))
        except BaiTuiError as error:
            self._post(Complained(f"the server cannot look for images: {error.message}"))
        self._sync.refresh_images()

    async def log(self, reference: str) -> str:
        """Returns the log of how an image was built or pulled last; untrusted text.

        Raises:
            BaiTuiError: there is none, or the server does not answer.
        """
        return await (await self._connected()).image_log(reference)


def _done(image: ImageRow) -> str:
    return "pulled" if image.kind is ImageKind.CONTAINER else "built"
