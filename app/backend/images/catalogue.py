"""The catalogue of all images behind the `ImageCatalogue` joint: made of sources, each of which has one kind."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...model.errors import BadRequest, ImageFailed, ImageNotFound
from ...model.images import Image, ImageKind, ImageReference, ImageState
from ...policies import ImageSettings
from ..ports import Alias, Progress, Resolution, Tell
from .aliases import shipped_aliases
from .builds import Builds
from .looks import Looks
from .naming import Named
from .resolve import Match
from .shelf import Shelf
from .source import ImageSource, Offers
from .usertable import UserTable

_log = logging.getLogger(__name__)
_CHECK_S = 5.0
"""How long a source may take to check one image."""
_CHECK_AGAIN_S = 1.0
"""For so long only the program of the image that is asked for is looked at, not those of all others."""
_LOOK_AGAIN_S = 5.0
"""An unknown reference makes the catalogue look again, but no more often than this."""


class Catalogue:
    """The images of some sources.

    The first source is looked at first, and what it has is known from then on; the others are given that, and are
    looked at all at once. One that fails, or takes too long, does not take the others along.
    """

    def __init__(
        self,
        sources: Sequence[ImageSource],
        user_aliases: Path | None = None,
        settings: ImageSettings | None = None,
    ) -> None:
        """Looks at nothing yet.

        Args:
            sources: one for each kind of image; at least one.
            user_aliases: the user's `aliases.toml`; it need not exist.
            settings: which images may run.
        """
        self._sources = sources
        self._settings = settings or ImageSettings()
        self._shelf = Shelf(len(sources), shipped_aliases(), self._settings)
        self._table = UserTable(user_aliases, self._shelf.shipped_aliases)
        self._looks = Looks(sources, self._shelf, self._table)
        self._builds = Builds()
        self._checked_at = self._healed_at = -math.inf

    def list(self) -> Sequence[Image]:
        """Returns what is known now, newest runtime first within a language, those that are gone included."""
        return self._shelf.images

    def aliases(self) -> Mapping[str, str]:
        """Returns what the entries of the user's and the shipped table lead to now: alias -> canonical reference."""
        return {alias: image.canonical for alias, image in self._shelf.leads().items()}

    def alias_table(self) -> Sequence[Alias]:
        """Returns the entries of both tables, the user's first. A shipped one that the user has replaced is left
        out."""
        leads = self.aliases()
        user, shipped = self._shelf.user_aliases, self._shelf.shipped_aliases
        entries = [Alias(alias, targets, leads.get(alias, ""), shipped=False) for alias, targets in user.items()]
        return [
            *entries,
            *(
                Alias(alias, targets, leads.get(alias, ""), shipped=True)
                for alias, targets in shipped.items()
                if alias not in user
            ),
        ]

    def warnings(self) -> Sequence[str]:
        """Returns what is wrong in what the user has written: aliases, environments, and what else sources read."""
        return self._looks.warnings()

    async def refresh(self) -> None:
        """Looks over the machine. One look runs at a time: a second caller waits for the first. Safe to cancel."""
        await self._looks.over()

    async def looked(self) -> None:
        """Returns when the machine was looked over, now or earlier; sources that are slow are waited for a moment
        only. What the user has written since then is read. Safe to cancel."""
        await self._looks.soon()
        await self._looks.edited()

    async def resolve(self, reference: str, *, exact: bool = False) -> Resolution:
        """Returns the image for `reference`; waits for the first look over the machine when there was none yet.

        Raises:
            ImageNotFound: nothing fits, or not exactly; the message names the nearest.
            BadRequest: no reference.
        """
        exact = exact or self._settings.exact
        await self._looks.first()
        await self._looks.edited()
        match = self._at_hand(reference, exact)
        if match is None or not self._is_final(match):
            try:
                match = await self._searched(reference, exact)
            except ImageNotFound:
                match = await self._offered(reference)
                if match is None:
                    raise
        if not match.why:
            return Resolution(match.image)
        return Resolution(
            match.image, f"{reference.strip()} {match.lacking}; running {match.image.canonical} ({match.why})"
        )

    async def to_pull(self, reference: str) -> Image:
        """Returns what is meant by whoever wants to pull `reference`: an image of a container engine, here or not, or
        one of a recipe; nothing that was found on the machine stands for it.

        Raises:
            ImageNotFound: it cannot be pulled, and why.
            BadRequest: no reference.
        """
        await self.looked()
        why = "no source of images has a registry"
        for target in self._shelf.user_aliases.get(str(ImageReference.parse(reference)), (reference,)):
            match = self._found(target, exact=True)
            if match is not None and match.image.kind in (ImageKind.CONTAINER, ImageKind.RECIPE):
                return match.image
            for place, named in await self._candidates(target):
                if named.image.state is not ImageState.UNAVAILABLE:
                    self._shelf.add(place, named)
                    return self._shelf.get(named.image) or named.image
                why = named.image.reason
        raise ImageNotFound(f"{reference.strip()} cannot be pulled: {why}")

    async def check(self, image: Image) -> str:
        """Returns why sessions cannot run in a READY image any more; else nothing. Marks it in the list."""
        source = self._source(image)
        if self._builds.runs(image):
            return ""  # whoever builds it tells what has become of it
        try:
            async with asyncio.timeout(_CHECK_S):
                reason = await source.check(image)
        except TimeoutError:
            reason = f"it could not be checked within {_CHECK_S:g} s"
        except Exception as exc:
            _log.exception("%s could not be checked", image.canonical)
            reason = f"it could not be checked: {exc}"
        if reason and not self._builds.runs(image):
            _log.warning("%s cannot be used any more: %s", image.canonical, reason)
            self._shelf.mark(image, reason)
        return reason

    async def make_ready(self, image: Image, tell: Tell, *, anew: bool = False) -> Image:
        """Builds or pulls an image, once for all who ask for it at the same time; returns it READY. Safe to cancel: it
        stops when nobody waits for it any more.

        Raises:
            ImageFailed: with the step that failed, why, and where its log is.
        """
        now = self._shelf.get(image) or image
        if now.state is ImageState.READY and not anew:
            return now
        if now.state is ImageState.UNAVAILABLE and not anew:
            raise ImageFailed(f"{now.canonical} cannot be had: {now.reason}")
        source = self._source(now)

        async def build(told: Tell) -> Image:
            try:
                ready = await source.make_ready(now, told)
            except ImageFailed:
                self._shelf.drop(now)
                raise
            self._shelf.exchange(ready)
            return self._shelf.get(ready) or ready

        return await self._builds.join(now, build, tell)

    def building(self) -> Mapping[str, Progress]:
        """Returns what is being built or pulled now: canonical reference -> progress."""
        return self._builds.progress

    async def log(self, image: Image) -> str:
        """Returns what the newest building or pulling of an image has written; empty when there is nothing."""
        return await self._source(image).log(image)

    async def remove(self, image: Image) -> str:
        """Removes what was built or pulled; returns what that was, in a sentence.

        Raises:
            ImageFailed: there is nothing that could be removed, or it cannot be, or it is being built.
        """
        source = self._source(image)
        said = await self._builds.alone(image, lambda: source.remove(image))
        self._shelf.drop(image)
        await self._looks.again(source)
        return said

    async def alias(self, alias: str, target: str) -> None:
        """Writes an alias into the user's table, in place of an earlier one of that name.

        Raises:
            BadRequest: no reference, or it would lead back to itself.
            ConfigError: the table cannot be written.
        """
        self._shelf.put_aliases(await self._table.write(alias, target))

    async def dealias(self, alias: str) -> None:
        """Takes an alias out of the user's table.

        Raises:
            ImageNotFound: it is not there; the message says so of shipped ones.
            BadRequest: no reference.
            ConfigError: the table cannot be written.
        """
        self._shelf.put_aliases(await self._table.remove(alias))

    # --- resolving ---------------------------------------------------------------------------------------------------

    def _at_hand(self, reference: str, exact: bool) -> Match | None:
        """Returns what a reference leads to if that can be said from one look at one file.

        All programs are looked at now and then, and always while one is gone: were it back, it might be the better
        answer.
        """
        if time.monotonic() - self._checked_at > _CHECK_AGAIN_S:
            return None
        try:
            match = self._shelf.find(reference, exact=exact)
        except ImageNotFound:
            return None
        return match if self._shelf.as_it_was(match.image) else None

    def _is_final(self, match: Match) -> bool:
        """Whether no source that was not looked at yet could know better, and none that is damaged be whole again."""
        if match.why:
            return self._looks.whole and not self._shelf.damaged
        return self._looks.whole or (
            match.image.kind is self._sources[0].kind
            and self._settings.engine != "container"
            and not self._settings.engines
        )

    async def _searched(self, reference: str, exact: bool) -> Match:
        self._checked_at = time.monotonic()
        if self._shelf.look_at_programs():
            await self.refresh()
        match = self._found(reference, exact)
        if match is not None and self._is_final(match):
            return match
        if not self._looks.whole:
            await self.refresh()
        await self._heal()
        match = self._found(reference, exact)
        if match is None and self._looks.age_s > _LOOK_AGAIN_S:
            await self.refresh()
        try:
            return self._shelf.find(reference, exact=exact)
        except ImageNotFound as exc:
            if self._table.error:
                raise ImageNotFound(f"{exc.message} ({self._table.error})") from None
            raise

    async def _offered(self, reference: str) -> Match | None:
        """Returns the image that a source could get though it is in no list. Asked for with its registry or project
        only: a short name that leads nowhere is rather a slip."""
        if "/" not in reference:
            return None
        for place, named in await self._candidates(reference):
            if named.image.state is not ImageState.UNAVAILABLE and self._shelf.may_run(named.image, reference):
                self._shelf.add(place, named)
                return Match(self._shelf.get(named.image) or named.image)
        return None

    async def _candidates(self, reference: str) -> Sequence[tuple[int, Named]]:
        """Returns what sources offer for a reference, with their places; one that fails is left out."""
        offers = []
        for place, source in enumerate(self._sources):
            if not isinstance(source, Offers):
                continue
            try:
                async with asyncio.timeout(_CHECK_S):
                    named = await source.candidate(reference)
            except BadRequest:
                raise
            except Exception as exc:  # a list without it is better than none
                _log.warning("%s could not be asked for: %r", reference, exc)
                continue
            offers.append((place, named))
        return offers

    def _found(self, reference: str, exact: bool) -> Match | None:
        try:
            return self._shelf.find(reference, exact=exact)
        except ImageNotFound:
            return None

    async def _heal(self) -> None:
        """Looks whether images that were marked are whole again."""
        if time.monotonic() - self._healed_at < _CHECK_AGAIN_S:
            return
        self._healed_at = time.monotonic()
        for image in self._shelf.damaged:
            await self._heal_one(image)

    async def _heal_one(self, image: Image) -> None:
        whole = replace(image, state=ImageState.READY, reason="")
        if not await self.check(whole):
            self._shelf.exchange(whole)

    def _source(self, image: Image) -> ImageSource:
        for source in self._sources:
            if source.kind is image.kind:
                return source
        raise ImageFailed(f"{image.canonical} is of the kind {image.kind.value!r}, of which there are none here")
