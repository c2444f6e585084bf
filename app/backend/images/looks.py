"""Looking over the machine: the sources one after the other where they depend, else at once."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Sequence

from .flight import Flight
from .naming import Named
from .shelf import Shelf
from .source import Edited, ImageSource, Warns
from .usertable import UserTable

_log = logging.getLogger(__name__)
_FIRST_LOOK_S = 120.0
"""How long the first source may look: interpreters are started for it."""
_LOOK_S = 20.0
"""How long each of the others may look; what it had before counts on when it takes longer."""
_GRACE_S = 1.0
"""How long a list is held back for sources that are slow, once those that are not have answered."""


class Looks:
    """Puts what sources have, and the user's aliases, on the shelf. One look runs at a time; whoever asks for another
    meanwhile waits for that."""

    def __init__(self, sources: Sequence[ImageSource], shelf: Shelf, table: UserTable) -> None:
        self._sources = sources
        self._shelf = shelf
        self._table = table
        self._first = Flight[None]("look for interpreters")
        self._edited = Flight[None]("look at what was edited")
        self._over = Flight[None]("look over the machine")
        self._begun = self._whole = False
        self._ended_at = -math.inf
        self._warned: Sequence[str] = ()

    @property
    def whole(self) -> bool:
        """Whether all sources were looked at, now or earlier."""
        return self._whole

    @property
    def age_s(self) -> float:
        """How long ago that was."""
        return time.monotonic() - self._ended_at

    def warnings(self) -> Sequence[str]:
        """Returns what is wrong in what the user has written: aliases, environments, and what else sources read."""
        wrong = [self._table.error] if self._table.error else []
        return wrong + [line for source in self._sources if isinstance(source, Warns) for line in source.warnings()]

    async def first(self) -> None:
        """Returns when the first source and the aliases were looked at, now or earlier. Safe to cancel."""
        if not self._begun:
            await self._first.join(self._look_at_first)

    async def soon(self) -> None:
        """Returns when all sources were looked at, now or earlier; those that are slow are waited for a moment only.
        Safe to cancel."""
        if self._whole:
            return
        await self.first()
        try:
            async with asyncio.timeout(_GRACE_S):
                if not self._whole:
                    await self.over()
        except TimeoutError:
            _log.info("some images are not known yet: their sources are slow")

    async def over(self) -> None:
        """Looks at all sources, the first one first. Safe to cancel."""
        await self._over.join(self._look_over)

    async def edited(self) -> None:
        """Looks again at what the user has written since the last look: recipes and aliases. Safe to cancel."""
        if self._whole:
            await self._edited.join(self._look_at_edited)

    async def again(self, source: ImageSource) -> None:
        """Looks at one source. Safe to cancel."""
        await self._look_at(self._sources.index(source))

    async def _look_over(self) -> None:
        began = time.monotonic()
        await self._first.join(self._look_at_first)
        first_s = time.monotonic() - began
        async with asyncio.TaskGroup() as group:
            for place, source in enumerate(self._sources[1:], start=1):
                group.create_task(self._look_at(place), name=f"look for images: {source.kind}")
        self._whole = True
        self._ended_at = time.monotonic()
        warnings = self.warnings()
        for line in warnings:
            if line not in self._warned:
                _log.warning("%s", line)
        self._warned = warnings
        _log.info(
            "looked over the machine: %d images in %.0f ms (interpreters: %.0f ms)",
            len(self._shelf.images),
            (self._ended_at - began) * 1000,
            first_s * 1000,
        )

    async def _look_at_edited(self) -> None:
        table, places = await asyncio.to_thread(self._find_edited)
        if table:
            self._shelf.put_aliases(await self._table.read())
        for place in places:
            await self._look_at(place)

    def _find_edited(self) -> tuple[bool, Sequence[int]]:
        sources = [place for place, one in enumerate(self._sources) if isinstance(one, Edited) and one.edited()]
        return self._table.edited, sources

    async def _look_at_first(self) -> None:
        _, user = await asyncio.gather(self._look_at(0), self._table.read())
        self._shelf.put_aliases(user)
        self._begun = True

    async def _look_at(self, place: int) -> None:
        """Looks at one source; one that fails, or takes too long, keeps what it had."""
        source = self._sources[place]
        limit_s = _LOOK_S if place else _FIRST_LOOK_S
        since = self._shelf.changes
        try:
            async with asyncio.timeout(limit_s):
                named = await source.look(self._before(place))
        except TimeoutError:
            _log.warning("images of the kind %r could not be looked for within %g s", source.kind.value, limit_s)
        except Exception:
            _log.exception("images of the kind %r could not be looked for", source.kind.value)
        else:
            self._shelf.put(place, named, since)

    def _before(self, place: int) -> Sequence[Named]:
        """Returns what a source may build upon: what the first one has."""
        first = self._sources[0].kind
        return [one for one in self._shelf.named if one.image.kind is first] if place else ()
