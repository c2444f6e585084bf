"""What the API asks of the service about images, and about the tasks that build them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ...model.images import Image
from ...model.sessions import Session
from .images import Alias, Progress, Resolution
from .keypairs import Keypair

IMAGE_PROGRESS: Final = "bai_image_progress"
"""An event of no session: `extra` has `image`, `state` (`updated`, or how it ended), `current`, `total`, `message`."""
IMAGE_GONE: Final = "bai_image_gone"
"""An event of a session that runs on an image on which no other could start now; `extra` has `image`."""
IMAGE_BACK: Final = "bai_image_back"
"""An event of such a session when its image is there again."""


@dataclass(frozen=True, slots=True)
class TaskNews:
    """Where a background task stands."""

    task_id: str
    state: str
    """`started`, `updated`, or how it ended: `done`, `partial_success`, `failed`, `cancelled`."""
    current: float = 0.0
    total: float = 0.0
    """0 = nobody knows yet."""
    message: str = ""
    """One line; untrusted while it is going on."""
    errors: tuple[str, ...] = ()

    @property
    def is_over(self) -> bool:
        """Whether nothing comes after it."""
        return self.state not in ("started", "updated")


class ImageService(Protocol):
    """Everybody may have images built and pulled; an administrator alone removes them and writes aliases. A task is
    seen by who began it, and by administrators."""

    def images(self) -> Sequence[Image]:
        """Returns the images that are known now: none before the first look over the machine."""

    async def all_images(self) -> Sequence[Image]:
        """Returns the images of this machine; waits for the first look over it."""

    async def resolve_image(self, reference: str, *, exact: bool = False, pull: bool = False) -> Resolution:
        """Returns what a reference leads to.

        Args:
            exact: no substitute.
            pull: what is meant by whoever wants to pull it: what no list has is looked for at registries later.

        Raises: ImageNotFound, BadRequest.
        """

    def image_aliases(self) -> Sequence[Alias]:
        """Returns the entries of the alias tables, the user's first, without shipped ones that the user's replace."""

    def building(self) -> Mapping[str, Progress]:
        """Returns what is being built or pulled now: canonical reference -> progress."""

    def image_gone(self, session: Session) -> str:
        """Returns why no other session could run in this one's image now; empty when it could, or is not known."""

    async def prepare_images(
        self, caller: Keypair, references: Sequence[str], *, anew: bool = False
    ) -> tuple[str, Sequence[str]]:
        """Begins to build or pull images; returns the id of the task and what there is to be said of substitutes.

        The same caller that asks for the same again gets the task that is under way.

        Raises: ImageNotFound, BadRequest, QuotaExceeded.
        """

    async def remove_images(self, caller: Keypair, references: Sequence[str]) -> str:
        """Removes what was built or pulled; returns what that was, in a sentence or several.

        Raises: Forbidden, ImageNotFound, ImageFailed.
        """

    async def alias_image(self, caller: Keypair, alias: str, target: str) -> None:
        """Writes an alias, in place of an earlier one of that name.

        Raises: Forbidden, BadRequest, ImageNotFound, ConfigError.
        """

    async def dealias_image(self, caller: Keypair, alias: str) -> None:
        """Takes an alias away.

        Raises: Forbidden, ImageNotFound, ConfigError.
        """

    def rescan_images(self, caller: Keypair) -> str:
        """Begins to look over the machine anew; returns the id of the task."""

    async def image_log(self, reference: str) -> str:
        """Returns what the newest building or pulling of an image has written.

        Raises: ImageNotFound, NotFound (there is nothing).
        """

    def task_news(self, caller: Keypair, task_id: str) -> AsyncGenerator[TaskNews]:
        """Yields where a task stands, then what comes, its end last; of much in a short time the newest. To be closed.

        Raises:
            NotFound: at once: there is none that the caller may see, or not any more.
        """

    async def cancel_task(self, caller: Keypair, task_id: str) -> None:
        """Stops a task; returns when it has ended. No matter when it has already.

        Raises: NotFound.
        """
