"""The images of the machine, for those who look at them, have them built, name them."""

from __future__ import annotations

import difflib
from collections.abc import AsyncGenerator, Mapping, Sequence

from ...model.errors import BaiTuiError, Forbidden, ImageNotFound, NotFound
from ...model.images import Image
from ...model.sessions import Session
from ..ports import Alias, ImageCatalogue, Keypair, Progress, Resolution, TaskNews, Tell
from .backgroundtasks import BackgroundTasks, Outcome
from .imagewatch import ImageWatch
from .imagework import ImageWork


class Shelf:
    """Fulfils `ports.ImageService`. A base of the service."""

    _catalogue: ImageCatalogue
    _image_work: ImageWork
    _image_watch: ImageWatch
    _background: BackgroundTasks

    # --- looking --------------------------------------------------------------------------------------------

    def images(self) -> Sequence[Image]:
        """Returns the images that are known now: none before the first look over the machine."""
        return self._catalogue.list()

    async def all_images(self) -> Sequence[Image]:
        """Returns the images of this machine; waits for the first look over it."""
        await self._catalogue.looked()
        return self._catalogue.list()

    async def resolve_image(self, reference: str, *, exact: bool = False, pull: bool = False) -> Resolution:
        """Returns what a reference leads to, see `ports.ImageService`."""
        if (image := _named(reference, await self.all_images(), aliases=False)) is not None:
            return Resolution(image)  # whether it can be had or not
        if pull:
            return Resolution(await self._catalogue.to_pull(reference))
        return await self._catalogue.resolve(reference, exact=exact)

    def image_aliases(self) -> Sequence[Alias]:
        """Returns the entries of the alias tables, the user's first."""
        return self._catalogue.alias_table()

    def building(self) -> Mapping[str, Progress]:
        """Returns what is being built or pulled now: canonical reference -> progress."""
        return self._catalogue.building()

    def image_gone(self, session: Session) -> str:
        """Returns why no other session could run in this one's image now; empty when it could, or is not known."""
        return self._image_watch.why(session)

    async def image_log(self, reference: str) -> str:
        """Returns what the newest building or pulling of an image has written.

        Raises:
            ImageNotFound: there is no such image.
            NotFound: it was never built or pulled here.
        """
        try:
            image = await self._image_of(reference)
        except ImageNotFound:
            if "/" not in reference:
                raise
            image = await self._catalogue.to_pull(reference)  # its pull has failed
        if text := await self._catalogue.log(image):
            return text
        raise NotFound(f"there is no log of {image.canonical}: this backend has neither built nor pulled it")

    async def _image_of(self, reference: str) -> Image:
        """Returns the image of that name or alias, and no other."""
        images = await self.all_images()
        if (image := _named(reference, images)) is not None:
            return image
        near = difflib.get_close_matches(reference, [image.canonical for image in images], 1)
        hint = f"; the nearest is {near[0]}" if near else ""
        raise ImageNotFound(f"there is no image {reference!r}{hint}; `bai-tui image list` shows all")

    # --- tasks ----------------------------------------------------------------------------------------------

    async def prepare_images(
        self, caller: Keypair, references: Sequence[str], *, anew: bool = False
    ) -> tuple[str, Sequence[str]]:
        """Begins to build or pull images; see `ports.ImageService`."""
        found = [await self.resolve_image(reference) for reference in dict.fromkeys(references)]
        images = list({one.image.canonical: one.image for one in found}.values())
        if not images:
            raise ImageNotFound("name at least one image")

        async def work(tell: Tell) -> Outcome:
            return await self._prepare(images, anew, tell)

        key = ("prepare", anew, *(image.canonical for image in images))
        return self._background.start(caller, key, work), [one.notice for one in found if one.notice]

    async def _prepare(self, images: Sequence[Image], anew: bool, tell: Tell) -> Outcome:
        """Makes one image ready after the other.

        Raises:
            ImageFailed: none of them could be.
        """
        ready: list[str] = []
        errors: list[str] = []
        for image in images:
            try:
                await self._image_work.make_ready(image, anew=anew, tell=tell)
                ready.append(image.canonical)
            except BaiTuiError as exc:
                if len(images) == 1:
                    raise
                errors.append(exc.message)
        what = f"{', '.join(ready)} {'is' if len(ready) == 1 else 'are'} ready" if ready else "no image is ready"
        return Outcome(what, tuple(errors))

    def rescan_images(self, caller: Keypair) -> str:
        """Begins to look over the machine anew; returns the id of the task."""
        return self._background.start(caller, ("rescan",), self._rescan)

    async def _rescan(self, tell: Tell) -> Outcome:
        tell(Progress(0, 0, "looking over the machine"))
        before = {image.canonical for image in self._catalogue.list()}
        await self._catalogue.refresh()
        await self._image_watch.look()
        after = {image.canonical for image in self._catalogue.list()}
        changes = [
            f"{len(names)} {what}" for names, what in ((after - before, "new"), (before - after, "gone")) if names
        ]
        return Outcome(f"{len(after)} images" + (f", {', '.join(changes)}" if changes else ""))

    def task_news(self, caller: Keypair, task_id: str) -> AsyncGenerator[TaskNews]:
        """Yields where a task stands, then what comes; see `ports.ImageService`."""
        return self._background.news(caller, task_id)

    async def cancel_task(self, caller: Keypair, task_id: str) -> None:
        """Stops a task; returns when it has ended."""
        await self._background.cancel(caller, task_id)

    # --- for administrators ---------------------------------------------------------------------------------

    async def remove_images(self, caller: Keypair, references: Sequence[str]) -> str:
        """Removes what was built or pulled; returns what that was."""
        _admin_only(caller, "remove images")
        images = [await self._image_of(reference) for reference in references]
        said = [await self._catalogue.remove(image) for image in images]
        await self._image_watch.look()
        return "; ".join(said)

    async def alias_image(self, caller: Keypair, alias: str, target: str) -> None:
        """Writes an alias, in place of an earlier one of that name."""
        _admin_only(caller, "write aliases")
        await self._catalogue.alias(alias, target)

    async def dealias_image(self, caller: Keypair, alias: str) -> None:
        """Takes an alias away."""
        _admin_only(caller, "take aliases away")
        await self._catalogue.dealias(alias)


def _named(reference: str, images: Sequence[Image], *, aliases: bool = True) -> Image | None:
    """Returns the image of that name or id, else the one of that alias."""
    for image in images:
        if reference in (image.canonical, f"{image.registry}/{image.canonical}", image.id):
            return image
    return next((image for image in images if aliases and reference in image.aliases), None)


def _admin_only(caller: Keypair, what: str) -> None:
    if not caller.is_admin:
        raise Forbidden(f"only an administrator may {what}: several users share this backend")
