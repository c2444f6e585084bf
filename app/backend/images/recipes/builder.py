"""Building the environment of a recipe, once, whoever asks for it at the same time."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ....model.errors import ImageFailed
from ...ports import Progress, Tell
from ..probe import Interpreter, ProbeFailed, probe
from .environments import Busy, Environment, Environments, disk_use_bytes
from .format import Recipe, kernelspec
from .indexes import Fetching, for_pip, for_uv
from .output import Understanding, reason
from .process import Log, end_build, run

_LOCK_AGAIN_S = 0.2
_REFUSED_BY_UV = "is not supported"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be built."""

    key: str
    reference: str
    """Names the image in errors."""
    recipe: Recipe
    base: str
    """The interpreter that the environment stands on."""


class Builder:
    """Builds environments, one at a time for each key, over all processes that share the cache."""

    def __init__(self, environments: Environments, environ: Mapping[str, str]) -> None:
        self._environments = environments
        self._environ = environ

    async def build(self, plan: Plan, tell: Tell, *, but: str = "") -> Environment:
        """Returns a whole environment: a new one, or the one that somebody else has built in the meantime.

        Cancelled, it ends what it has started; nothing half-made counts as whole.

        Args:
            but: the interpreter of the environment that will not do, because it is to be built anew.

        Raises:
            ImageFailed: with the step that failed, why, and where the log is.
        """
        log = ""
        try:
            async with self._locked(plan, tell):
                here = await asyncio.to_thread(self._environments.whole, plan.key)
                if here is not None and str(here.interpreter) != but and not await asyncio.to_thread(here.damage):
                    return here
                log = str(await asyncio.to_thread(self._environments.log_file, plan.key))
                return await self._build(plan, tell, Path(log))
        except OSError as exc:
            where = f" at {exc.filename}" if exc.filename else ""
            more = f"; the log is {log}" if log else "; the environments are kept in the cache folder of bai-tui"
            raise ImageFailed(f"{plan.reference} could not be built: {exc.strerror or exc}{where}{more}") from None

    @contextlib.asynccontextmanager
    async def _locked(self, plan: Plan, tell: Tell) -> AsyncIterator[None]:
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    stack.enter_context(self._environments.locked(plan.key))
                    break
                except Busy:
                    tell(Progress(0, 0, "another bai-tui builds it: waiting"))
                    await asyncio.sleep(_LOCK_AGAIN_S)  # a lock of files calls nobody when it is free
            yield

    async def _build(self, plan: Plan, tell: Tell, log_file: Path) -> Environment:
        started = time.monotonic()
        build = secrets.token_hex(6)
        tell(Progress(0, 0, "making the environment"))
        folder = await asyncio.to_thread(self._environments.begin, plan.key, build)
        log = await asyncio.to_thread(Log, log_file)
        work = _Work(plan, folder, log, tell, self._environ)
        try:
            await work.install()
            tell(Progress(work.packages, work.packages, "looking at what was installed"))
            about = await work.ask()
            environment = await asyncio.to_thread(_describe, plan.recipe, folder, about, time.monotonic() - started)
            await asyncio.to_thread(self._environments.finish, plan.key, environment)
        except ImageFailed as exc:
            raise ImageFailed(f"{plan.reference} could not be built: {exc.message}; the log is {log_file}") from None
        finally:
            log.close()
            await asyncio.shield(asyncio.to_thread(self._clear, plan.key, build))
        return environment

    def _clear(self, key: str, build: str) -> None:
        """Ends what is left of a build, and removes its folder if it did not become whole, as well as earlier ones."""
        end_build(build)
        self._environments.clear(key)


class _Work:
    """The steps of one build."""

    def __init__(self, plan: Plan, folder: Path, log: Log, tell: Tell, environ: Mapping[str, str]) -> None:
        self._plan = plan
        self._folder = folder
        self._log = log
        self._tell = tell
        self._environ = environ
        self._python = str(folder / "bin/python")
        self.packages = 0.0
        """How many were installed, as far as the installer has said."""

    async def install(self) -> None:
        """Makes the environment and installs the packages.

        Raises:
            ImageFailed: a step failed; the message says why.
            OSError: the cache cannot be written.
        """
        recipe = self._plan.recipe
        uv = await asyncio.to_thread(_find_uv, self._environ) if recipe.installer != "pip" else None
        if uv is None and recipe.installer == "uv":
            raise ImageFailed("its recipe asks for uv, and there is none beside bai-tui nor on PATH")
        if uv is not None and await self._made_with_uv(uv):
            fetching = await asyncio.to_thread(for_uv, recipe.indexes, self._environ)
            # compiled as pip does it: left to the first import, that takes seconds in the first session, and in a
            # sandbox, whose system is read-only, in each
            words = [uv, "pip", "install", "--color", "never", "--compile-bytecode", "--python", self._python]
            wanted = () if recipe.indexes.offline else ("pip",)  # what users type in a cell: %pip install
        else:
            fetching = await asyncio.to_thread(for_pip, recipe.indexes, self._environ)
            await self._step("making the environment", [self._plan.base, "-m", "venv", str(self._folder)], fetching)
            words = [self._python, "-m", "pip", "install", "--disable-pip-version-check", "--progress-bar", "off"]
            wanted = ()
        files = await asyncio.to_thread(self._write_lists, wanted)
        await self._step("installing the packages", [*words, *fetching.arguments, *files], fetching)

    async def _made_with_uv(self, uv: str) -> bool:
        """Makes the environment with uv; returns False when uv does not know how, for so old an interpreter."""
        words = [uv, "venv", "--color", "never", "--no-project", "--python", self._plan.base, str(self._folder)]
        fetching = Fetching({**self._environ, "UV_PYTHON_DOWNLOADS": "never"})
        code, said = await run(words, fetching.environ, self._folder.name, self._log, lambda line: None)
        if code and self._plan.recipe.installer != "uv" and any(_REFUSED_BY_UV in line for line in said):
            return False
        if code:
            raise ImageFailed(f"making the environment failed: {reason(said, code)}")
        return True

    async def _step(self, name: str, words: Sequence[str], fetching: Fetching) -> None:
        understanding = Understanding()

        def hear(line: str) -> None:
            if progress := understanding.hear(line):
                self.packages = progress.total
                self._tell(progress)

        self._tell(Progress(0, 0, name))
        code, said = await run(words, fetching.environ, self._folder.name, self._log, hear)
        if code:
            raise ImageFailed(f"{name} failed: {reason(said, code)}")

    def _write_lists(self, wanted: Sequence[str]) -> list[str]:
        """Writes what is to be installed; of `wanted`, what the recipe does not name itself."""
        recipe = self._plan.recipe
        named = {canonicalize_name(Requirement(text).name) for text in recipe.packages}
        packages = [*recipe.packages, *(name for name in wanted if name not in named)]
        words = []
        for option, lines in (("--requirement", packages), ("--constraint", recipe.constraints)):
            file = self._folder / f"{option.strip('-')}s.txt"
            file.touch(mode=0o600)  # an address may hold a password
            file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
            words += [option, str(file)]
        return words

    async def ask(self) -> Interpreter:
        """Starts the new interpreter once.

        Raises:
            ImageFailed: it does not start.
        """
        try:
            return await probe(Path(self._python), self._environ)
        except ProbeFailed as exc:
            raise ImageFailed(f"its new interpreter does not work: {exc}") from None


def _describe(recipe: Recipe, folder: Path, about: Interpreter, took_s: float) -> Environment:
    """Returns what was built, its kernelspec written."""
    site = next((Path(path) for path in about.path if Path(path).parts[-1:] == ("site-packages",)), folder)
    if not site.is_relative_to(folder):
        site = folder
    names = os.listdir(site)  # noqa: PTH208 - names only
    environment = Environment(
        folder=folder,
        recipe=recipe.name,
        origin=recipe.origin,
        ipython=about.ipython,
        site=str(site.relative_to(folder)),
        entries=tuple(sorted(name for name in names if not name.endswith((".dist-info", ".egg-info", "__pycache__")))),
        size_bytes=disk_use_bytes(folder),
        took_s=round(took_s, 1),
    )
    if recipe.kernel is not None:
        environment.kernelspec.mkdir(parents=True)
        text = json.dumps(kernelspec(recipe, folder), indent=1)
        (environment.kernelspec / "kernel.json").write_text(text, encoding="utf-8")
    return environment


def _find_uv(environ: Mapping[str, str]) -> str | None:
    """Returns the uv that came with this program, or else the one on PATH."""
    beside = Path(sys.executable).with_name("uv")
    if os.access(beside, os.X_OK):
        return str(beside)
    find: Callable[[], str] | None = None
    with contextlib.suppress(ImportError):
        from uv import find_uv_bin as find
    with contextlib.suppress(FileNotFoundError):
        if find is not None:
            return str(find())
    return shutil.which("uv", path=environ.get("PATH", os.defpath))
