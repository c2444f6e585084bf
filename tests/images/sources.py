"""A source of images for tests: it has what it is told, and waits where it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from bai_tui.app.backend.images.naming import Named
from bai_tui.app.backend.ports import Progress, Tell
from bai_tui.app.model.errors import ImageFailed
from bai_tui.app.model.images import Image, ImageKind, ImageReference, ImageState


def image(reference: str, state: ImageState = ImageState.READY, kind: ImageKind = ImageKind.PYTHON) -> Image:
    parsed = ImageReference.parse(reference)
    reason = "it is broken" if state is ImageState.UNAVAILABLE else ""
    return Image(
        id=f"{kind}-{reference}", reference=parsed, state=state, kind=kind, reason=reason,
        runtime_version=parsed.version, labels={"ai.backend.base-distro": parsed.platform},
    )  # fmt: skip


def named(one: Image) -> Named:
    parts = [int(part) if part.isdigit() else 0 for part in [*one.reference.version.split("."), "0", "0"][:3]]
    return Named(one, True, True, (parts[0], parts[1], parts[2]))


@dataclass
class FakeSource:
    kind: ImageKind
    images: list[Image] = field(default_factory=list)
    gate: asyncio.Event | None = None
    """Whatever takes long waits for it."""
    failure: BaseException | None = None
    reasons: dict[str, str] = field(default_factory=dict)
    """Canonical reference -> what is wrong with it."""
    looks: int = 0
    built: int = 0
    cancelled: int = 0
    at_once: int = 0
    most_at_once: int = 0
    found: Sequence[str] = ()

    async def look(self, found: Sequence[Named]) -> Sequence[Named]:
        self.looks += 1
        self.found = [one.image.canonical for one in found]
        await self._wait()
        return [named(one) for one in self.images]

    async def check(self, one: Image) -> str:
        if self.failure is not None:
            raise self.failure
        return self.reasons.get(one.canonical, "")

    async def make_ready(self, one: Image, tell: Tell) -> Image:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            tell(Progress(1, 2, "half of it"))
            await self._wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            await asyncio.sleep(0)  # it takes a while to leave nothing behind
            raise
        finally:
            self.at_once -= 1
        self.built += 1
        return replace(one, state=ImageState.READY, reason="", interpreter="/built")

    async def log(self, one: Image) -> str:
        return f"log of {one.canonical}"

    async def remove(self, one: Image) -> str:
        if one not in self.images:
            raise ImageFailed("it is not here")
        self.images.remove(one)
        return f"removed {one.canonical}"

    async def _wait(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        if self.failure is not None:
            raise self.failure


@dataclass
class FakeRegistry(FakeSource):
    """One that can be asked for what it does not list."""

    async def candidate(self, reference: str) -> Named:
        return named(image(reference, ImageState.PULLABLE, self.kind))
