"""A catalogue whose images are built when a test says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from bai_tui.app.backend.ports import Alias, Progress, Resolution, Tell
from bai_tui.app.model.errors import ImageFailed, ImageNotFound
from bai_tui.app.model.images import Image, ImageKind, ImageReference, ImageState
from bai_tui.app.model.slots import ResourceSlots

GIB = 1 << 30


def image(name: str = "python", tag: str = "3.11-debian12", **fields: Any) -> Image:
    return Image(
        id=f"id-{name}-{tag}",
        reference=ImageReference(name, tag),
        min_slots=ResourceSlots({"cpu": 1, "mem": 64 << 20}),
        default_slots=ResourceSlots({"cpu": 1, "mem": GIB}),
        **fields,
    )


class FakeCatalogue:
    """Images in a table. One that can be built is built when a test says so: `step`, then `finish` or `fail`."""

    def __init__(self) -> None:
        self.known = {"python:3.11-debian12": image(), "python:3.6-ubuntu18.04": image(tag="3.6-ubuntu18.04")}
        self.notices: dict[str, str] = {}
        self.stands_for: dict[str, str] = {}
        """Reference -> what runs in its place."""
        self.exact: list[str] = []
        """References that were asked for exactly."""
        self.damage: dict[str, str] = {}
        """Canonical reference -> what a check finds."""
        self.builds: dict[str, FakeBuild] = {}
        self.written: list[tuple[str, ...]] = []
        self.begun = asyncio.Event()

    def add(self, reference: str, state: ImageState = ImageState.BUILDABLE, **fields: Any) -> None:
        parsed = ImageReference.parse(reference)
        self.known[reference] = Image(
            id=f"id-{reference}", reference=parsed, state=state, kind=ImageKind.RECIPE, **fields
        )

    def list(self) -> Sequence[Image]:
        return list(self.known.values())

    def aliases(self) -> Mapping[str, str]:
        return {one.name: one.leads_to for one in self.alias_table()}

    def alias_table(self) -> Sequence[Alias]:
        return [Alias("python:latest", ("python:3.11-debian12",), "python:3.11-debian12", shipped=True)]

    def warnings(self) -> Sequence[str]:
        return []

    async def refresh(self) -> None:
        pass

    async def looked(self) -> None:
        await self.refresh()

    async def to_pull(self, reference: str) -> Image:
        return (await self.resolve(reference, exact=True)).image

    async def resolve(self, reference: str, *, exact: bool = False) -> Resolution:
        await asyncio.sleep(0)  # others come between, as with the real one; so below
        if exact:
            self.exact.append(reference)
        if reference in self.stands_for and not exact:
            return Resolution(self.known[self.stands_for[reference]], f"{reference} is not here")
        name = "python:3.11-debian12" if reference == "python" else reference
        if name not in self.known:
            raise ImageNotFound(f"there is no image {reference!r}; the nearest is python:3.11-debian12")
        return Resolution(self.known[name], self.notices.get(reference))

    async def check(self, image: Image) -> str:
        return self.damage.get(image.canonical, "")

    def building(self) -> Mapping[str, Progress]:
        return {name: build.last for name, build in self.builds.items()}

    async def make_ready(self, image: Image, tell: Tell, *, anew: bool = False) -> Image:
        if self.known[image.canonical].state is ImageState.READY and not anew:
            return self.known[image.canonical]
        build = self.builds.setdefault(image.canonical, FakeBuild())
        build.hearers.append(tell)
        self.begun.set()
        try:
            await asyncio.shield(build.over)
        finally:
            build.hearers.remove(tell)
            if not build.hearers:
                self.builds.pop(image.canonical, None)
        ready = self.known[image.canonical] = replace(self.known[image.canonical], state=ImageState.READY)
        return ready

    async def log(self, image: Image) -> str:
        return f"built {image.canonical}\n" if image.kind is ImageKind.RECIPE else ""

    async def remove(self, image: Image) -> str:
        if image.kind is not ImageKind.RECIPE:
            raise ImageFailed(f"there is nothing of {image.canonical} to remove")
        self.known[image.canonical] = replace(image, state=ImageState.BUILDABLE, reason="not built")
        return f"removed {image.canonical}"

    async def alias(self, alias: str, target: str) -> None:
        self.written.append((alias, target))

    async def dealias(self, alias: str) -> None:
        self.written.append((alias,))


class FakeBuild:
    """A building that goes on as a test says."""

    def __init__(self) -> None:
        self.hearers: list[Tell] = []
        self.last = Progress(0, 0, "")
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def step(self, current: float, total: float, message: str) -> None:
        self.last = Progress(current, total, message)
        for tell in list(self.hearers):
            tell(self.last)

    def finish(self) -> None:
        self.over.set_result(None)

    def fail(self, message: str) -> None:
        self.over.set_exception(ImageFailed(message))
