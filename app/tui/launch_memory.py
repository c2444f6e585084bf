"""What is remembered of launches: which images come first, and what was asked for lately."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar, Final

from ...widgets.rows import ImageRow
from .store import LaunchRequest

KEPT_LAUNCHES: Final = 10
KEPT_IMAGES: Final = 20


@dataclass(slots=True)
class LaunchMemory:
    """Recent launches and pinned images of one endpoint."""

    SECTION: ClassVar[str] = "launches"

    recent: list[str] = field(default_factory=list)
    """References of images, the newest first."""
    pinned: list[str] = field(default_factory=list)
    launches: list[dict[str, Any]] = field(default_factory=list)
    """The newest first, as `LaunchRequest`."""

    def launched(self, request: LaunchRequest) -> None:
        """Remembers a launch."""
        self.recent = [request.image, *(image for image in self.recent if image != request.image)][:KEPT_IMAGES]
        entry = asdict(request)
        # a name is taken once
        entry["name"] = ""
        self.launches = [entry, *(old for old in self.launches if old != entry)][:KEPT_LAUNCHES]

    def pin(self, reference: str) -> bool:
        """Pins an image, or takes the pin away; returns whether it is pinned now."""
        if reference in self.pinned:
            self.pinned = [image for image in self.pinned if image != reference]
            return False
        self.pinned = [*self.pinned, reference]
        return True

    def newest(self, image: str | None = None) -> LaunchRequest | None:
        """Returns the newest launch, of an image if one is given, without its name; None when there was none."""
        for entry in self.launches:
            if isinstance(entry, dict) and image in (None, entry.get("image")) and (found := _request(entry)):
                return found
        return None

    def ordered(self, images: Sequence[ImageRow]) -> list[ImageRow]:
        """Returns images with the pinned ones first, then those that were used lately, then those that run at once,
        then those that must be made ready, at last what cannot run; within that as they come."""
        places = {image: place for place, image in enumerate([*self.pinned, *self.recent])}
        last = len(places)

        def place(image: ImageRow) -> tuple[int, int]:
            known = min(places.get(name, last) for name in image.names)
            return known, image.rank if known == last else 0

        return sorted(images, key=place)

    def in_order(self, shown: Sequence[ImageRow], images: Sequence[ImageRow]) -> list[ImageRow]:
        """Returns images in the order in which they are shown already, new ones behind them."""
        places = {image.reference: place for place, image in enumerate(shown)}
        return sorted(self.ordered(images), key=lambda image: places.get(image.reference, len(places)))


def _request(entry: dict[str, Any]) -> LaunchRequest | None:
    """Returns a launch as it was written down; None where somebody changed that."""
    image, resources, environ = entry.get("image"), entry.get("resources"), entry.get("environ")
    mounts, count = entry.get("mounts"), entry.get("count")
    if not isinstance(image, str) or not image:
        return None
    return LaunchRequest(
        image,
        "",
        _texts(resources),
        any_name=True,
        environ=_texts(environ),
        mounts=tuple(str(mount) for mount in mounts) if isinstance(mounts, list | tuple) else (),
        count=count if isinstance(count, int) and 1 <= count <= MOST_AT_ONCE else 1,
    )


MOST_AT_ONCE: Final = 64
"""Sessions of one launch."""


def _texts(value: object) -> dict[str, str]:
    return {str(key): str(text) for key, text in value.items()} if isinstance(value, dict) else {}
