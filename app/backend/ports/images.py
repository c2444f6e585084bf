"""What the service asks of the image catalogue, and the catalogue of where images come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ...model.images import Image


@dataclass(frozen=True, slots=True)
class Resolution:
    """What a reference leads to."""

    image: Image
    notice: str | None = None
    """One line when `image` is not literally what was asked for."""


@dataclass(frozen=True, slots=True)
class Alias:
    """An entry of the alias tables."""

    name: str
    """Canonical: with its tag."""
    targets: tuple[str, ...]
    """The references that it may lead to: the first that is here wins."""
    leads_to: str
    """Canonical reference of the image that it leads to now; empty = none is here."""
    shipped: bool
    """Whether it came with the program; else it is the user's."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the building or pulling of an image is."""

    current: float
    total: float
    """In the same unit, whatever it is: packages, layers, bytes. 0 = nobody knows yet."""
    message: str
    """One line: the step that is being taken. Untrusted: it may quote an installer."""


Tell = Callable[[Progress], None]
"""Hears of progress, in the event loop; cheap, never raises."""


class ImageCatalogue(Protocol):
    def list(self) -> Sequence[Image]:
        """Returns what is known now, ready or not, newest runtime first within a language."""

    def aliases(self) -> Mapping[str, str]:
        """Returns what the entries of the alias tables lead to now: alias -> canonical reference."""

    def alias_table(self) -> Sequence[Alias]:
        """Returns the entries of the alias tables, the user's first, without shipped ones that the user's replace."""

    def warnings(self) -> Sequence[str]:
        """Returns what the user should know, a sentence each, such as of a virtual environment that is none."""

    async def refresh(self) -> None:
        """Looks over the machine. Runs once after the daemon is ready; safe to cancel."""

    async def looked(self) -> None:
        """Returns when the machine was looked over, now or earlier; what is slow to answer, such as a container
        engine, is waited for a moment only. Safe to cancel."""

    async def resolve(self, reference: str, *, exact: bool = False) -> Resolution:
        """Returns the image for `reference`, which may have to be built or pulled yet; waits for the first look over
        the machine when there was none yet.

        Args:
            exact: nothing but the very image will do.

        Raises:
            ImageNotFound: nothing fits, or not exactly; the message names the nearest.
            BadRequest: no reference.
        """

    async def to_pull(self, reference: str) -> Image:
        """Returns what is meant by whoever wants to pull `reference`: an image of a container engine, here or not, or
        one of a recipe; nothing that was found on the machine stands for it.

        Raises:
            ImageNotFound: it cannot be pulled, and why.
            BadRequest: no reference.
        """

    async def check(self, image: Image) -> str:
        """Returns why sessions cannot run in a READY image any more, such as that its interpreter is gone; else
        nothing. Marks it in the list."""

    async def make_ready(self, image: Image, tell: Tell, *, anew: bool = False) -> Image:
        """Builds or pulls an image; returns it READY. At once when it is. Asked for twice at the same time, it is done
        once, and both hear of it. Safe to cancel: it stops when nobody waits for it any more.

        Args:
            anew: also when it is ready: built once more, or looked for at its registry.

        Raises:
            ImageFailed: with the step that failed, why, and where its log is.
        """

    def building(self) -> Mapping[str, Progress]:
        """Returns what is being built or pulled now: canonical reference -> progress."""

    async def log(self, image: Image) -> str:
        """Returns what the newest building or pulling of an image has written, the end of it when that is much;
        empty when there is nothing. Untrusted."""

    async def remove(self, image: Image) -> str:
        """Removes what was built or pulled; sessions that run are not minded. Returns what that was, in a sentence.

        Raises:
            ImageFailed: there is nothing that could be removed, or it cannot be.
        """

    async def alias(self, alias: str, target: str) -> None:
        """Writes an alias into the user's table, in place of an earlier one of that name.

        Raises:
            BadRequest: no reference, or it would lead back to itself.
            ConfigError: the table cannot be written.
        """

    async def dealias(self, alias: str) -> None:
        """Takes an alias out of the user's table.

        Raises:
            ImageNotFound: it is not there; the message says so of shipped ones.
            ConfigError: the table cannot be written.
        """
