"""Images that disappear below sessions which run on them: an interpreter that was removed, an environment that was
damaged. Such a session goes on as long as it can; its owner is told."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from ...model.errors import BaiTuiError
from ...model.images import Image, ImageState
from ...model.sessions import HOLDING, Session
from ..ports import IMAGE_BACK, IMAGE_GONE, ImageCatalogue
from .entries import Register
from .states import States

log = logging.getLogger(__name__)
FIRST_S: Final = 5.0
"""After the start: what happened while no daemon ran is told soon, and does not hold up the first to come."""
EVERY_S: Final = 60.0


class ImageWatch:
    """Looks now and then, and is told by those who find out. Owned by the service, which cancels it."""

    def __init__(self, catalogue: ImageCatalogue, register: Register, states: States) -> None:
        self._catalogue = catalogue
        self._register = register
        self._states = states
        self._gone: dict[str, str] = {}
        """Canonical reference -> why, of images that sessions run on."""

    def why(self, session: Session) -> str:
        """Returns why no other session could run in this one's image now; empty when one could, or nobody knows."""
        return self._gone.get(session.image, "") if session.status in HOLDING else ""

    async def run(self) -> None:
        """Runs until it is cancelled."""
        pause_s = FIRST_S
        while True:
            await asyncio.sleep(pause_s)  # nothing tells of a file that is removed somewhere on the machine
            await self.look()
            pause_s = EVERY_S

    async def look(self) -> None:
        """Checks each image that sessions run on, and tells these what has changed."""
        await self._catalogue.looked()
        used = {entry.session.image for entry in self._register.started()}
        listed = {image.canonical: image for image in self._catalogue.list()}
        for canonical in used:
            if canonical not in self._catalogue.building():
                self.note(canonical, await self._check(listed.get(canonical)))
        for canonical in self._gone.keys() - used:
            del self._gone[canonical]

    async def _check(self, image: Image | None) -> str:
        if image is None:
            return "it is not found on this machine any more"
        if image.state is not ImageState.READY:
            return "it was removed or changed" + (f" ({image.reason})" if image.reason else "")
        try:
            return await self._catalogue.check(image)
        except BaiTuiError as exc:  # it cannot be asked: nothing is known against the image
            log.warning("the image %s cannot be checked: %s", image.canonical, exc.message)
            return ""

    def note(self, canonical: str, why: str) -> None:
        """Takes note of why an image is gone, empty = it is there; tells the sessions on it when that is new."""
        known = self._gone.pop(canonical, "")
        if why:
            self._gone[canonical] = why
        if bool(why) == bool(known):
            return
        name = IMAGE_GONE if why else IMAGE_BACK
        for entry in self._register.started():
            if entry.session.image == canonical:
                self._states.tell(entry.session, name, reason=why, extra={"image": canonical})
