"""Images of the container engine as a source of the catalogue: found, looked into, pulled, removed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from pathlib import Path

from ...model.errors import ImageFailed
from ...model.images import Image, ImageKind, ImageReference, ImageState
from ...model.slots import ResourceSlots
from ..containers import ContainerClient, ContainerError, EngineGone, EngineImage, Inspector, NoPython
from ..ports import Progress, Tell
from .container_entries import entry_of, entry_to_pull, gone
from .container_names import familiar, familiar_or_none, full, registry_of
from .container_pull import PullProgress, why_not_pulled
from .credentials import credentials_for
from .naming import Named

_log = logging.getLogger(__name__)
_AT_ONCE = 4
"""Images that are asked about at the same time."""
_CHECK_S = 3.0
_TELL_EACH_S = 0.1
_LOG_LINES = 2000


class ContainerSource:
    """The images of the container engine of this machine, and those that it could pull.

    While the engine is gone, what it had is unavailable; when it is back, the next look finds it again.
    """

    kind = ImageKind.CONTAINER

    def __init__(
        self,
        client: ContainerClient,
        inspector: Inspector,
        cache_dir: Path,
        *,
        offered: ResourceSlots | None = None,
        named: Sequence[str] = (),
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        """Looks at nothing yet.

        Args:
            cache_dir: where logs of pulls are kept; made when needed.
            offered: what sessions can have here; images do not ask for more by default.
            named: references that the user speaks of: listed also when they are not here.
            environ: says where this user's logins at registries are.
        """
        self._client = client
        self._inspector = inspector
        self._logs = cache_dir / "pulls"
        self._offered = offered or ResourceSlots()
        self._wanted = [reference for text in named if (reference := familiar_or_none(text))]
        self._environ = environ
        self._details: dict[str, EngineImage] = {}
        self._entries: dict[ImageReference, Named] = {}

    async def look(self, found: Sequence[Named] = ()) -> Sequence[Named]:
        """Returns the images that are here, and those that the user speaks of. Without an engine, what was here at the
        last look is unavailable. Safe to cancel."""
        try:
            await self._read()
        except ContainerError as exc:
            if self._entries:
                _log.warning("images of the container engine cannot be used: %s", exc.message)
            else:
                _log.info("no images of a container engine: %s", exc.message)
            missing = [self._to_pull(one, exc.message) for one in self._wanted if one not in self._entries]
            return [*(gone(one, exc.message) for one in self._entries.values()), *missing]
        return [*self._entries.values(), *(self._to_pull(one) for one in self._wanted if one not in self._entries)]

    async def candidate(self, reference: str) -> Named:
        """Returns the image of any reference: ready when it is here, else such as can be pulled; unavailable when no
        engine answers. Nobody asks its registry. Safe to cancel.

        Raises:
            BadRequest: no reference.
        """
        asked = familiar(reference)
        try:
            async with asyncio.timeout(_CHECK_S):
                return await self._entry(asked, await self._client.image(str(full(asked))))
        except TimeoutError:
            return self._to_pull(asked, "the container engine does not answer")
        except ContainerError as exc:
            return self._to_pull(asked, "" if exc.missing else exc.message)

    async def check(self, image: Image) -> str:
        """Returns why sessions cannot run in an image any more: it was removed, or the engine is gone; else nothing."""
        try:
            async with asyncio.timeout(_CHECK_S):
                here = await self._client.image(str(full(image.reference)))
                inside = await self._inspector.known(here.id)
        except TimeoutError:
            return "the container engine does not answer"
        except ContainerError as exc:
            return "the container engine does not have it any more: pull it again" if exc.missing else exc.message
        return inside if isinstance(inside, str) else ""

    async def make_ready(self, image: Image, tell: Tell) -> Image:
        """Pulls an image, also when it is here, and looks into it; returns it READY. Cancelled, the pull stops; what
        the engine has of it then is no image.

        Raises:
            ImageFailed: it cannot be pulled, or no session can run in it.
        """
        reference = image.reference
        if registry_of(reference) == "local":
            raise ImageFailed(
                f"{reference} was made on this machine: there is no registry that it could be pulled from"
            )
        lines: deque[str] = deque([f"pull {full(reference)}"], maxlen=_LOG_LINES)
        try:
            progress = await self._pull(reference, tell, lines)
            tell(Progress(progress.current, progress.total, "looking for its Python"))
            entry = await self._looked_into(reference)
        except ContainerError as exc:
            lines.append(exc.message)
            raise ImageFailed(why_not_pulled(reference, exc)) from None
        except (ImageFailed, asyncio.CancelledError) as exc:
            lines.append(str(exc) or "stopped")
            raise
        finally:
            # a thread would be awaited, which a cancelled task should not do; it is one small file
            self._write_log(reference, lines)
        return entry.image

    async def log(self, image: Image) -> str:
        """Returns what the engine said at the newest pull, the end of it when that is much; else nothing."""
        file = self._log_file(image.reference)

        def read() -> str:
            with suppress(OSError):
                return file.read_text(encoding="utf-8", errors="replace")
            return ""

        return await asyncio.to_thread(read)

    async def remove(self, image: Image) -> str:
        """Removes an image from the engine; returns what that was, in a sentence.

        Raises:
            ImageFailed: it is not there, a container uses it, or the engine refuses.
        """
        name = str(full(image.reference))
        try:
            here = await self._client.image(name)
            await self._client.remove_image(name)
        except ContainerError as exc:
            raise ImageFailed(_why_not_removed(image, exc)) from None
        self._entries.pop(image.reference, None)
        others = [str(other) for tag in here.tags if (other := familiar_or_none(tag)) and other != image.reference]
        if others:
            return f"{image.canonical} was taken off an image that is kept: it is {', '.join(others)} as well"
        return f"{image.canonical} was removed from the container engine"

    # --- looking -----------------------------------------------------------------------------------------------------

    async def _read(self) -> None:
        """Finds out what is here now.

        Raises:
            ContainerError: nobody answers.
        """
        await self._client.ping(_CHECK_S)
        listed = await self._client.images()
        gate = asyncio.Semaphore(_AT_ONCE)

        async def detail(image_id: str) -> None:
            async with gate:
                with suppress(EngineGone, ContainerError):  # removed meanwhile
                    self._details[image_id] = await self._client.image(image_id)

        async with asyncio.TaskGroup() as group:
            for one in listed:
                if one.tags and one.id not in self._details:
                    group.create_task(detail(one.id), name=f"look at the image {one.id}")
        here = {one.id for one in listed}
        self._details = {image_id: one for image_id, one in self._details.items() if image_id in here}
        self._entries = {
            reference: await self._entry(reference, self._details[one.id])
            for one in listed
            if one.id in self._details
            for tag in one.tags
            if (reference := familiar_or_none(tag))
        }
        with suppress(ContainerError):
            await self._inspector.forget_all_but(here)

    async def _entry(self, reference: ImageReference, image: EngineImage) -> Named:
        return entry_of(reference, image, await self._inspector.known(image.id), self._offered)

    def _to_pull(self, reference: ImageReference, why_not: str = "") -> Named:
        if not why_not and registry_of(reference) == "local":
            why_not = "it is not on this machine, where its name says it was made"
        return entry_to_pull(reference, os.uname().machine, self._offered, why_not)

    # --- pulling -----------------------------------------------------------------------------------------------------

    async def _pull(self, reference: ImageReference, tell: Tell, lines: deque[str]) -> Progress:
        """Pulls an image; returns the last progress."""
        tell(Progress(0, 0, f"asking {registry_of(reference)} for {reference}"))
        login = await credentials_for(registry_of(reference), self._environ)
        whole = full(reference)
        progress, clock, told_at = PullProgress(), asyncio.get_running_loop().time, 0.0
        steps = self._client.pull(whole.name, whole.tag, login)
        async with aclosing(steps):
            async for step in steps:
                if step.status and not step.total_bytes:
                    lines.append(f"{step.layer}: {step.status}" if step.layer else step.status)
                if progress.take(step) and clock() - told_at >= _TELL_EACH_S:
                    told_at = clock()
                    tell(progress.progress)
        return progress.progress

    async def _looked_into(self, reference: ImageReference) -> Named:
        """Returns the entry of an image that is here now.

        Raises:
            ImageFailed: no session can run in it.
        """
        here = await self._client.image(str(full(reference)))
        self._details[here.id] = here
        try:
            await self._inspector.python(here)
        except NoPython as exc:
            raise ImageFailed(f"{reference} is here now, but no session can run in it: {exc.message}") from None
        entry = self._entries[reference] = await self._entry(reference, here)
        assert entry.image.state is ImageState.READY
        return entry

    def _log_file(self, reference: ImageReference) -> Path:
        return self._logs / f"{hashlib.sha256(str(reference).encode()).hexdigest()[:16]}.log"

    def _write_log(self, reference: ImageReference, lines: Sequence[str] | deque[str]) -> None:
        file = self._log_file(reference)
        with suppress(OSError):
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.touch(mode=0o600)
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", errors="replace")


def _why_not_removed(image: Image, error: ContainerError) -> str:
    if error.missing:
        return f"{image.canonical} is not in the container engine"
    if error.conflict:
        return f"{image.canonical} is in use by a container: remove that first ({error.message})"
    return f"{image.canonical} could not be removed: {error.message}"
