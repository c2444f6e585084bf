"""What is being built, pulled or removed now."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ...model.errors import ImageFailed
from ...model.images import Image, ImageKind
from ..ports import Progress, Tell
from .flight import Flight

T = TypeVar("T")
Work = Callable[[Tell], Coroutine[Any, Any, Image]]


@dataclass(slots=True)
class _Build:
    flight: Flight[Image]
    hearers: list[Tell] = field(default_factory=list)
    last: Progress = field(default_factory=lambda: Progress(0, 0, ""))

    def tell(self, progress: Progress) -> None:
        self.last = progress
        for hearer in list(self.hearers):
            hearer(progress)


class Builds:
    """One thing at a time is done to an image; who asks for the same joins."""

    def __init__(self) -> None:
        self._builds: dict[tuple[ImageKind, str], _Build] = {}
        self._locks: defaultdict[tuple[ImageKind, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    @property
    def progress(self) -> Mapping[str, Progress]:
        """How far each is: canonical reference -> progress."""
        return {canonical: build.last for (_, canonical), build in self._builds.items()}

    def runs(self, image: Image) -> bool:
        """Whether something is done to an image now."""
        key = (image.kind, image.canonical)
        return key in self._builds or (key in self._locks and self._locks[key].locked())

    async def join(self, image: Image, work: Work, tell: Tell) -> Image:
        """Returns what `work`, or the one that somebody has begun for this image, returns; `tell` hears of it from now
        on, first of how far it is. Cancelled, the work ends when nobody else waits for it."""
        key = (image.kind, image.canonical)
        build = self._builds.get(key)
        if build is None:
            build = self._builds[key] = _Build(Flight(f"make {image.canonical} ready"))
        elif build.last.message:
            tell(build.last)
        build.hearers.append(tell)

        async def alone() -> Image:
            async with self._locks[key]:
                return await work(build.tell)

        try:
            return await build.flight.join(alone)
        finally:
            build.hearers.remove(tell)
            if not build.hearers:
                del self._builds[key]

    async def alone(self, image: Image, work: Callable[[], Awaitable[T]]) -> T:
        """Does something else to an image.

        Raises:
            ImageFailed: it is being built.
        """
        if self.runs(image):
            raise ImageFailed(f"{image.canonical} is being built or removed: wait for its end, or cancel it")
        async with self._locks[image.kind, image.canonical]:
            return await work()
