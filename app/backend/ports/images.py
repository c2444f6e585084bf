"""What the service asks of the image catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ...model.images import Image


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reference leads to."""

    image: Image
    notice: str | None = None
    """One line when `image` is not literally what was asked for."""


class ImageCatalogue(Protocol):
    def list(self) -> Sequence[Image]:
        """Returns what is known now, newest runtime first within a language."""

    async def refresh(self) -> None:
        """Looks over the machine. Runs once after the daemon is ready; safe to cancel."""

    async def looked(self) -> None:
        """Returns when the machine was looked over, now or earlier; safe to cancel."""

    async def resolve(self, reference: str) -> Resolution:
        """Returns the image for `reference`; waits for the first look over the machine when there was none yet.

        Raises:
            ImageNotFound: nothing fits; the message names the nearest.
            BadRequest: no reference.
        """
