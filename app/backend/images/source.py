"""The joint between the catalogue and the places where images come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from ...model.images import Image, ImageKind
from ..ports import Tell
from .naming import Named


class ImageSource(Protocol):
    """One kind of image: what there is of it, and what can be done with it. The catalogue asks no two things of a
    source at the same time for one image."""

    kind: ImageKind

    async def look(self, found: Sequence[Named]) -> Sequence[Named]:
        """Returns what there is now, ready or not; what cannot be looked at is logged and left out. Safe to cancel.

        Args:
            found: what the sources before this one have, such as the interpreters that recipes build upon.
        """

    async def check(self, image: Image) -> str:
        """Returns why sessions cannot run in a READY image any more; else nothing. Takes milliseconds."""

    async def make_ready(self, image: Image, tell: Tell) -> Image:
        """Builds or pulls an image, also when it is ready; returns it READY. Cancelled, nothing half-made is left that
        could be taken for whole.

        Raises:
            ImageFailed: with the step that failed, why, and where its log is.
        """

    async def log(self, image: Image) -> str:
        """Returns what the newest building or pulling has written, the end of it when that is much; else nothing."""

    async def remove(self, image: Image) -> str:
        """Removes what was built or pulled; returns what that was, in a sentence.

        Raises:
            ImageFailed: there is nothing that could be removed, or it cannot be.
        """


@runtime_checkable
class Warns(Protocol):
    """What a source may be able to do moreover."""

    def warnings(self) -> Sequence[str]:
        """Returns what the last look has found wrong in what the user has written, a sentence each."""


@runtime_checkable
class Edited(Protocol):
    """The same, for what is made of files that the user writes."""

    def edited(self) -> bool:
        """Whether these files are other than the last look saw them. Takes less than a millisecond."""


@runtime_checkable
class Offers(Protocol):
    """The same, for images that nobody could list, such as all of a registry."""

    async def candidate(self, reference: str) -> Named:
        """Returns the image of any reference: ready when it is here, else such as can be pulled, or unavailable and
        why. Nobody makes sure that there is one. Safe to cancel.

        Raises:
            BadRequest: no reference.
        """
