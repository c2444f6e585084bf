"""Recipes as images behind the `ImageSource` joint."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ....model.images import Image, ImageKind
from ....model.slots import ResourceSlots
from ...ports import Tell
from ..naming import Named

if TYPE_CHECKING:
    from .kitchen import Kitchen


class RecipeSource:
    """The recipes of this program and of the user, ready where their environment is in the cache."""

    kind = ImageKind.RECIPE

    def __init__(
        self,
        cache_dir: Path,
        user_recipes: Path | None = None,
        environ: Mapping[str, str] = os.environ,
        *,
        offered: ResourceSlots | None = None,
    ) -> None:
        """Reads nothing yet.

        Args:
            cache_dir: where environments and logs are kept; made when needed.
            user_recipes: the user's folder; it need not exist.
            environ: of installers: HOME, PATH, proxies, what pip and uv are told there.
            offered: what sessions can have here; images do not ask for more by default.
        """
        self._cache_dir = cache_dir
        self._user_recipes = user_recipes
        self._environ = environ
        self._offered = offered or ResourceSlots()
        self._kitchen: Kitchen | None = None

    async def look(self, found: Sequence[Named]) -> Sequence[Named]:
        """Returns an image for each recipe, buildable or not; one for each broken file of the user's says what is
        wrong with it. Safe to cancel."""
        kitchen = await self._opened()
        return await asyncio.to_thread(kitchen.look, found)

    def edited(self) -> bool:
        """Whether the user has written, changed or removed recipes since the last look. Lists a folder."""
        return self._kitchen is not None and self._kitchen.written.changed

    def warnings(self) -> Sequence[str]:
        """Returns a sentence for each of the user's files that is no recipe."""
        return self._kitchen.warnings if self._kitchen is not None else ()

    async def check(self, image: Image) -> str:
        """Returns what is wrong with the environment or the interpreter of a READY image; else nothing."""
        kitchen = await self._opened()
        return await asyncio.to_thread(kitchen.check, image)

    async def make_ready(self, image: Image, tell: Tell) -> Image:
        """Builds an environment, also when there is one; returns the image READY. Sessions that run in the earlier
        environment keep it. Cancelled, nothing half-made is left that could be taken for whole.

        Raises:
            ImageFailed: with the step that failed, why, and where the log is.
        """
        return await (await self._opened()).build(image, tell)

    async def log(self, image: Image) -> str:
        """Returns the end of what the installers of the latest build have said; empty when there was none."""
        kitchen = await self._opened()
        return await asyncio.to_thread(kitchen.log, image)

    async def remove(self, image: Image) -> str:
        """Frees the environment of an image, and those of earlier versions of its recipe.

        Raises:
            ImageFailed: there is none, it is being built, or it cannot be removed.
        """
        kitchen = await self._opened()
        return await asyncio.to_thread(kitchen.remove, image)

    async def _opened(self) -> Kitchen:
        if self._kitchen is None:
            kitchen = await asyncio.to_thread(self._open)
            self._kitchen = self._kitchen or kitchen  # two callers may have waited
        return self._kitchen

    def _open(self) -> Kitchen:
        from .kitchen import Kitchen  # reads versions and requirements: a tenth of a second that a start does not have

        return Kitchen(self._cache_dir, self._user_recipes, self._environ, self._offered)
