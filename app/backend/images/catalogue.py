"""The catalogue of Python interpreters behind the `ImageCatalogue` joint."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ...model.errors import ConfigError, ImageNotFound
from ...model.images import Image, ImageState
from ...model.slots import ResourceSlots
from ..ports import Resolution
from .aliases import AliasTable, shipped_aliases, user_aliases
from .cache import ProbeCache
from .interpreters import Candidate, Machine, candidates
from .naming import OLDEST, Found, Named, file_mark, name_all
from .probe import Interpreter, ProbeFailed, probe
from .resolve import Match, Resolver

_log = logging.getLogger(__name__)
_AT_ONCE = 4
"""Interpreters that are asked at the same time."""
_CHECK_AGAIN_S = 1.0
"""For so long only the file of the interpreter that is asked for is looked at, not those of all others."""
_LOOK_AGAIN_S = 5.0
"""An unknown reference makes the catalogue look again, but no more often than this."""


class PythonCatalogue:
    """The Python interpreters of this machine as images.

    What they are was either asked of them now or is known from last time. The first look takes as long as starting
    each of them once; later ones take milliseconds.
    """

    def __init__(
        self,
        cache_dir: Path,
        user_aliases: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        *,
        offered: ResourceSlots | None = None,
        machine: Machine | None = None,
    ) -> None:
        """Looks at nothing yet.

        Args:
            cache_dir: where answers are kept; made when needed.
            user_aliases: the user's `aliases.toml`; it need not exist.
            environ: PATH, HOME, PYENV_ROOT, XDG_DATA_HOME, ... are read from here.
            offered: what sessions can have here; images do not ask for more by default.
            machine: where to look; everywhere that `environ` says unless given.
        """
        self._cache_dir = cache_dir
        self._alias_file = user_aliases
        self._machine = machine or Machine(environ)
        self._offered = offered or ResourceSlots()
        self._lock = asyncio.Lock()
        self._looks = 0
        self._looked_at = 0.0
        self._checked_at = -math.inf
        self._gone = False
        self._marks: Mapping[str, tuple[int, int] | None] = {}
        self._named: list[Named] = []
        self._user: AliasTable = {}
        self._alias_error = ""
        self._shipped = shipped_aliases()
        self._resolver = Resolver([], {}, self._shipped)

    def list(self) -> Sequence[Image]:
        """Returns what is known now, newest runtime first within a language, those that are gone included."""
        return [one.image for one in self._named]

    def aliases(self) -> Mapping[str, str]:
        """Returns what the entries of the user's and the shipped table lead to now: alias -> canonical reference."""
        leads = {}
        for alias in dict.fromkeys([*self._user, *self._shipped]):
            try:
                leads[alias] = self._resolver.find(alias).image.canonical
            except ImageNotFound:
                continue
        return leads

    async def refresh(self) -> None:
        """Looks over the machine. One look runs at a time: a second caller waits for the first. Safe to cancel."""
        looks = self._looks
        async with self._lock:
            if self._looks == looks:  # else somebody else's look ended while this one waited
                await self._look()
                self._looks += 1
                self._looked_at = time.monotonic()

    async def looked(self) -> None:
        """Returns when the machine was looked over, now or earlier; safe to cancel."""
        if not self._looks:
            await self.refresh()

    async def resolve(self, reference: str) -> Resolution:
        """Returns the image for `reference`; waits for the first look over the machine when there was none yet.

        Raises:
            ImageNotFound: nothing fits, or the interpreter is gone; the message names the nearest.
            BadRequest: no reference.
        """
        if not self._looks:
            await self.refresh()
        match = self._at_hand(reference)
        if match is None and self._check_files():
            await self.refresh()
        try:
            match = match or self._resolver.find(reference)
        except ImageNotFound as exc:
            if time.monotonic() - self._looked_at > _LOOK_AGAIN_S:
                await self.refresh()
                return await self.resolve(reference)
            if self._alias_error:
                raise ImageNotFound(f"{exc.message} ({self._alias_error})") from None
            raise
        if not match.why:
            return Resolution(match.image)
        return Resolution(
            match.image, f"{reference.strip()} is not here; running {match.image.canonical} ({match.why})"
        )

    def _at_hand(self, reference: str) -> Match | None:
        """Returns what a reference leads to if that can be said from one look at one file.

        All are looked at now and then, and always while one is gone: were it back, it might be the better answer.
        """
        if self._gone or time.monotonic() - self._checked_at > _CHECK_AGAIN_S:
            return None
        try:
            match = self._resolver.find(reference)
        except ImageNotFound:
            return None
        mark = file_mark(match.image.interpreter)
        return match if mark is not None and mark == self._marks.get(match.image.canonical) else None

    async def _look(self) -> None:
        cache = ProbeCache(self._cache_dir)
        seen, platform = await asyncio.to_thread(self._read_machine, cache)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(candidate: Candidate) -> Found | None:
            async with gate:
                return await self._ask(candidate, cache)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(candidate), name=f"probe {candidate.path}") for candidate in seen]
        found = _distinct([one for task in tasks if (one := task.result()) is not None])
        await asyncio.to_thread(cache.save, seen)
        self._named = name_all(found, platform, self._offered)
        self._rebuild()

    def _read_machine(self, cache: ProbeCache) -> tuple[Sequence[Candidate], str]:
        cache.load()
        try:
            self._user, self._alias_error = user_aliases(self._alias_file), ""
        except ConfigError as exc:
            _log.warning("%s", exc)
            self._user, self._alias_error = {}, exc.message
        return candidates(self._machine), self._machine.platform()

    async def _ask(self, candidate: Candidate, cache: ProbeCache) -> Found | None:
        answer = cache.get(candidate)
        if answer is None:
            try:
                answer = await probe(candidate.path, self._machine.environ)
            except ProbeFailed as exc:
                _log.info("no image: %s", exc)
                if exc.lasting:
                    cache.put(candidate, str(exc))
                return None
            if not _is_wrapper(candidate, answer):  # what a wrapper leads to can change without a trace in its file
                cache.put(candidate, answer)
        if isinstance(answer, str) or answer.version[:2] < OLDEST:
            return None
        return Found(candidate, answer)

    def _check_files(self) -> bool:
        """Marks interpreters that have vanished since the last look, or come back. Whether one has been replaced."""
        self._checked_at = time.monotonic()
        changed = replaced = False
        for place, one in enumerate(self._named):
            mark = file_mark(one.image.interpreter)
            here = mark is not None
            replaced |= here and mark != one.mark
            if here is (one.image.state is ImageState.READY):
                continue
            changed = True
            state = ImageState.READY if here else ImageState.UNAVAILABLE
            reason = "" if here else f"its interpreter {one.image.interpreter} is gone"
            self._named[place] = replace(one, image=replace(one.image, state=state, reason=reason))
        if changed:
            self._rebuild()
        return replaced

    def _rebuild(self) -> None:
        self._marks = {one.image.canonical: one.mark for one in self._named}
        self._gone = any(one.image.state is not ImageState.READY for one in self._named)
        self._resolver = Resolver(self._named, self._user, self._shipped)
        self._named = [
            replace(one, image=replace(one.image, aliases=self._resolver.names_of(one.image))) for one in self._named
        ]
        self._resolver = Resolver(self._named, self._user, self._shipped)


def _is_wrapper(candidate: Candidate, answer: Interpreter) -> bool:
    """Whether the file is a script that starts an interpreter somewhere else."""
    if candidate.venv is not None or not answer.executable:
        return False
    return os.path.realpath(answer.executable) != os.path.realpath(candidate.path)


def _distinct(found: Sequence[Found]) -> Sequence[Found]:
    """Returns `found` with wrappers replaced by what they lead to, each interpreter once."""
    distinct: dict[tuple[str, str], Found] = {}
    for one in found:
        if _is_wrapper(one.candidate, one.about):
            path = Path(os.path.realpath(one.about.executable))
            if not os.access(path, os.X_OK):
                continue
            one = replace(one, candidate=replace(one.candidate, path=path))
        distinct.setdefault((os.path.realpath(one.candidate.path), str(one.candidate.venv or "")), one)
    return list(distinct.values())
