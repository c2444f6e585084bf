"""What a client does with the images of a server: looks at them, has them built or pulled, names them.

Apart from `ApiClient`, of which it is a part, since most programs never need it: what it leans on is loaded at its
first use.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence

from .transport import Transport
from .views import AliasView, ImageView, TaskView


class Shelf:
    """The part of a client that deals with images.

    On our backend (capability `images`) an administrator alone may remove images and write aliases; anybody may have
    them built. A cluster pulls images by itself and has no such request: `NotImplementedHere` says so.
    """

    transport: Transport

    async def images(self, *, installed: bool | None = None) -> Sequence[ImageView]:
        """Returns the images that sessions can be started with, those too that must be built or pulled first, and
        those that cannot be had, with the reason.

        Args:
            installed: only those that are ready, or only the others; None = all.
        """
        from . import images

        return await images.images(self.transport, installed)

    async def image(self, reference: str, *, exact: bool = False, pull: bool = False) -> ImageView:
        """Returns the image that a reference, an alias or an id leads to. The substitute for one that is not here is
        another one: compare `ImageView.reference`.

        Args:
            exact: no substitute (capability `images`; a cluster has none anyway).
            pull: what is meant by whoever wants to pull it (the same): it need not be in any list.

        Raises: ImageNotFound.
        """
        from . import images

        return await images.image(self.transport, reference, exact, pull)

    async def prepare_image(self, reference: str, *, anew: bool = False) -> str:
        """Has an image built or pulled; returns the id of the task, for `task_progress`, that does so in the server,
        whether we stay or not. Asked for again meanwhile, it is the same task.

        Args:
            anew: also when it is ready: built once more, or looked for at its registry.

        Raises: ImageNotFound, ImageFailed (there is nothing to build or pull), NotImplementedHere (a cluster).
        """
        from . import images

        return await images.prepare(self.transport, reference, anew)

    def task_progress(self, task_id: str) -> AsyncGenerator[TaskView]:
        """Yields how far a background task is: where it stands, then what comes, at last how it ended.

        A connection that is lost is made again for some seconds. Whoever leaves it early closes it (`aclose`); the
        task goes on.

        Raises:
            NotFound: the server knows no such task (any more): it keeps them for minutes, and forgets them when it
                ends, as the task does.
            Unreachable: the server was lost.
        """
        from . import images

        return images.task_progress(self.transport, task_id)

    async def cancel_task(self, task_id: str) -> None:
        """Stops a background task of ours; nothing half-made is left. No matter when it has ended already.

        Raises: NotFound, NotImplementedHere (a cluster).
        """
        from . import images

        await images.cancel_task(self.transport, task_id)

    async def image_log(self, reference: str) -> str:
        """Returns the log of the newest building or pulling of an image; untrusted text.

        Raises: ImageNotFound, NotFound (there is none), NotImplementedHere (a cluster).
        """
        from . import images

        return await images.log(self.transport, reference)

    async def remove_image(self, reference: str) -> str:
        """Removes what was built or pulled; returns what that was, in a sentence. A cluster forgets the image.

        Raises: ImageNotFound, ImageFailed (there is nothing to remove), Forbidden (we are no administrator).
        """
        from . import images

        return await images.remove(self.transport, reference)

    async def image_aliases(self) -> Sequence[AliasView]:
        """Returns the alias tables, the user's first; of a cluster what its images tell of themselves."""
        from . import images

        return await images.aliases(self.transport)

    async def alias_image(self, alias: str, target: str) -> None:
        """Makes an alias, in place of an earlier one of that name.

        Raises: BadRequest (it would lead back to itself, ...), Forbidden (we are no administrator).
        """
        from . import images

        await images.alias(self.transport, alias, target)

    async def dealias_image(self, alias: str) -> None:
        """Takes an alias away.

        Raises: ImageNotFound (there is none, or it is a shipped one), Forbidden (we are no administrator).
        """
        from . import images

        await images.dealias(self.transport, alias)

    async def rescan_images(self) -> str:
        """Has the server look for images anew; returns the id of the task, for `task_progress`.

        Raises: Forbidden (a cluster lets its administrators alone).
        """
        from . import images

        return await images.rescan(self.transport)
