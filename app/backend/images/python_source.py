"""The Python interpreters of this machine as images."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

from ...model.errors import ImageFailed
from ...model.images import Image, ImageKind, ImageState
from ...model.slots import ResourceSlots
from ..ports import Tell
from .cache import ProbeCache
from .interpreters import Candidate, Machine, candidates, why_no_environment
from .naming import OLDEST, Found, Named, file_mark, name_all
from .probe import Interpreter, ProbeFailed, probe

_log = logging.getLogger(__name__)
_AT_ONCE = 4
"""Interpreters that are asked at the same time."""


class PythonSource:
    """Finds interpreters, and asks each what it is, or knows it from last time.

    The first look takes as long as starting each of them once; later ones take milliseconds.
    """

    kind = ImageKind.PYTHON

    def __init__(
        self,
        cache_dir: Path,
        environ: Mapping[str, str] = os.environ,
        *,
        offered: ResourceSlots | None = None,
        machine: Machine | None = None,
        venvs: Sequence[str] = (),
    ) -> None:
        """Looks at nothing yet.

        Args:
            cache_dir: where answers are kept; made when needed.
            environ: PATH, HOME, PYENV_ROOT, XDG_DATA_HOME, ... are read from here.
            offered: what sessions can have here; images do not ask for more by default.
            machine: where to look; everywhere that `environ` says unless given.
            venvs: environments that are images, too; `~` stands for HOME.
        """
        self._cache_dir = cache_dir
        machine = machine or Machine(environ)
        self._machine = replace(machine, venvs=[machine.place(text) for text in venvs])
        self._warnings: Sequence[str] = ()
        self._offered = offered or ResourceSlots()

    async def look(self, found: Sequence[Named]) -> Sequence[Named]:
        """Returns the interpreters as images, newest first. Safe to cancel: those that are being asked are ended."""
        cache = ProbeCache(self._cache_dir)
        seen, known, platform = await asyncio.to_thread(self._read_machine, cache)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def ask(candidate: Candidate) -> Interpreter | None:
            async with gate:
                return await self._ask(candidate, cache)

        async with asyncio.TaskGroup() as group:
            asked = {
                candidate: group.create_task(ask(candidate), name=f"probe {candidate.path}")
                for candidate in seen
                if candidate not in known
            }
        answers = {**known, **{candidate: task.result() for candidate, task in asked.items()}}
        return await asyncio.to_thread(self._name, cache, {one: answers[one] for one in seen}, platform)

    async def check(self, image: Image) -> str:
        return "" if file_mark(image.interpreter) else f"its interpreter {image.interpreter} is gone"

    async def make_ready(self, image: Image, tell: Tell) -> Image:
        if reason := await self.check(image):
            raise ImageFailed(f"{image.canonical} cannot be built: {reason}; install that Python again")
        return replace(image, state=ImageState.READY, reason="")

    async def log(self, image: Image) -> str:
        return ""  # nothing is ever built

    async def remove(self, image: Image) -> str:
        raise ImageFailed(
            f"{image.canonical} is the interpreter {image.interpreter}, which bai-tui has not built: uninstall it with "
            "what installed it"
        )

    def warnings(self) -> Sequence[str]:
        """Returns a sentence for each environment of the configuration that is none."""
        return self._warnings

    def _read_machine(
        self, cache: ProbeCache
    ) -> tuple[Sequence[Candidate], Mapping[Candidate, Interpreter | str], str]:
        """Returns what looks like an interpreter, what is known of it from last time, and the platform."""
        cache.load()
        seen = candidates(self._machine)
        known = {one: answer for one in seen if (answer := cache.get(one)) is not None}
        return seen, known, self._machine.platform()

    async def _ask(self, candidate: Candidate, cache: ProbeCache) -> Interpreter | None:
        try:
            answer = await probe(candidate.path, self._machine.environ)
        except ProbeFailed as exc:
            _log.info("no image: %s", exc)
            if exc.lasting:
                cache.put(candidate, str(exc))
            return None
        if not _is_wrapper(candidate, answer):  # what a wrapper leads to can change without a trace in its file
            cache.put(candidate, answer)
        return answer

    def _name(
        self, cache: ProbeCache, answers: Mapping[Candidate, Interpreter | str | None], platform: str
    ) -> Sequence[Named]:
        cache.save(list(answers))
        found = [
            Found(candidate, answer)
            for candidate, answer in answers.items()
            if isinstance(answer, Interpreter) and answer.version[:2] >= OLDEST
        ]
        self._warnings = list(self._missing({one.candidate.venv or one.candidate.path.parent.parent for one in found}))
        return name_all(_distinct(found), platform, self._offered)

    def _missing(self, found: Set[Path]) -> Iterator[str]:
        for folder in self._machine.venvs:
            if Path(os.path.realpath(folder)) not in found:
                why = why_no_environment(folder) or "its Python does not run, or is older than 3.6"
                yield f"{folder} in images.venvs is no virtual environment that sessions could run in: {why}"


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
