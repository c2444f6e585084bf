"""What stands behind `RecipeSource`: recipes read, interpreters chosen, environments looked at. Everything here but
`build` reads and writes files: use it in a thread. Importing it takes a while, too: nobody does before the first look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ....model.errors import ImageFailed
from ....model.images import Image, ImageKind, ImageReference, ImageState
from ....model.slots import ResourceSlots
from ...ports import Tell
from ..naming import LENT_IPYTHON, MIN_SLOTS, Named, default_slots, file_mark, image_id
from ..written import Written
from . import bases
from .builder import Builder, Plan
from .cupboard import Broken, read_cupboard
from .environments import Busy, Environment, Environments
from .format import Recipe
from .output import without_passwords


@dataclass(frozen=True, slots=True)
class _Entry:
    """A recipe with what it stands on."""

    recipe: Recipe
    base: Named | None


class Kitchen:
    """The recipes of one moment and the environments of one cache."""

    def __init__(
        self, cache_dir: Path, user_recipes: Path | None, environ: Mapping[str, str], offered: ResourceSlots
    ) -> None:
        self._user_recipes = user_recipes
        self.written = Written(user_recipes)
        self._offered = offered
        self._environments = Environments(cache_dir)
        self._builder = Builder(self._environments, environ)
        self._entries: Mapping[str, _Entry] = {}
        self.warnings: Sequence[str] = ()
        """What the last look has found wrong in the user's files."""

    def look(self, found: Sequence[Named]) -> Sequence[Named]:
        """Returns an image for each recipe, and one for each broken file that says what is wrong with it."""
        self.written.note()
        cupboard = read_cupboard(self._user_recipes)
        named = [_broken(one) for one in cupboard.broken if one.name]
        entries = {}
        for recipe in cupboard.recipes:
            base = bases.choose(recipe, found)
            entry = _Entry(recipe, base)
            image = self._image(entry, found)
            entries[image.id] = entry
            named.append(_named(image, base))
        self._entries = entries
        self.warnings = [one.reason for one in cupboard.broken]
        return named

    def _image(self, entry: _Entry, found: Sequence[Named]) -> Image:
        recipe, base = entry.recipe, entry.base
        reference = bases.reference_of(recipe, base)
        image = Image(
            id=_id(reference),
            reference=reference,
            labels=_labels(recipe, base),
            language=recipe.language,
            kind=ImageKind.RECIPE,
            packages=tuple(map(without_passwords, recipe.packages)),
            summary=recipe.summary,
            service_ports=recipe.service_ports,
            environ=dict(recipe.environ),
            startup=recipe.startup,
            min_slots=MIN_SLOTS if recipe.min_slots is None else recipe.min_slots,
            default_slots=self._default_slots(recipe),
        )
        if base is None:
            return replace(image, state=ImageState.UNAVAILABLE, reason=bases.missing(recipe, found))
        image = replace(
            image,
            architecture=base.image.architecture,
            digest=bases.digest_of(recipe, base),
            runtime_version=base.image.runtime_version if recipe.kernel is None else recipe.kernel.version,
            kernel=base.image.kernel,
        )
        if not recipe.packages:
            return _on(image, base.image.interpreter)
        environment = self._environments.whole(bases.key_of(recipe, base))
        damage = environment.damage() if environment is not None else ""
        if environment is not None and not damage:
            return _ready(image, environment, entry)
        return replace(
            image,
            state=ImageState.BUILDABLE,
            reason=f"{damage}; it is to be built again" if damage else "its environment has not been built yet",
            size_bytes=recipe.size_bytes,
            prepare_s=recipe.prepare_s,
        )

    def _default_slots(self, recipe: Recipe) -> ResourceSlots:
        wanted = recipe.default_slots
        if wanted is None:
            return default_slots(self._offered)
        return ResourceSlots({slot: min(amount, self._offered.get(slot, amount)) for slot, amount in wanted.items()})

    def check(self, image: Image) -> str:
        """Returns what is wrong with the environment or the interpreter of a READY image; else nothing."""
        key = self._environments.key_of(image.interpreter)
        if not key:
            return "" if file_mark(image.interpreter) else f"its interpreter {image.interpreter} is gone"
        environment = self._environments.whole(key)
        if environment is None or str(environment.interpreter) != image.interpreter:
            return f"its environment {Path(image.interpreter).parent.parent} is gone, or has been built anew"
        return environment.damage()

    async def build(self, image: Image, tell: Tell) -> Image:
        """Builds an environment, also when there is one. See `RecipeSource.make_ready`."""
        entry = self._entry(image)
        if entry.base is None:
            raise ImageFailed(f"{image.canonical} cannot be built: {image.reason}")
        if not entry.recipe.packages:
            if reason := await asyncio.to_thread(self.check, image):
                raise ImageFailed(f"{image.canonical} cannot be used: {reason}")
            return image
        key = bases.key_of(entry.recipe, entry.base)
        plan = Plan(key, image.canonical, entry.recipe, entry.base.image.interpreter)
        environment = await self._builder.build(plan, tell, but=image.interpreter)
        await asyncio.to_thread(self._remove_outlived, entry.recipe, key)
        return _ready(image, environment, entry)

    def log(self, image: Image) -> str:
        """Returns the end of what the installers of the latest build have said; empty when there was none."""
        entry = self._entries.get(image.id)
        if entry is None or entry.base is None:
            return ""
        return self._environments.log(bases.key_of(entry.recipe, entry.base))

    def _remove_outlived(self, recipe: Recipe, key: str) -> int:
        """Frees what earlier versions of a recipe, and recipes that are gone, left where nothing runs in it; returns
        how many bytes."""
        freed = 0
        for old, environment in self._environments.outlived(recipe.name, recipe.origin, key).items():
            if any(bases.key_of(one.recipe, one.base) == old for one in self._entries.values() if one.base):
                continue
            try:
                if self._environments.drop_unused(old):
                    freed += environment.size_bytes
            except (Busy, OSError):
                continue  # the next build tries again
        return freed

    def remove(self, image: Image) -> str:
        """Frees the environment of an image, and those of earlier versions of its recipe."""
        entry = self._entry(image)
        if entry.base is None or not entry.recipe.packages:
            raise ImageFailed(f"there is nothing to remove of {image.canonical}: nothing was built for it")
        return self._remove(image.canonical, entry.recipe, entry.base)

    def _remove(self, canonical: str, recipe: Recipe, base: Named) -> str:
        key = bases.key_of(recipe, base)
        environment = self._environments.whole(key)
        freed = environment.size_bytes if environment is not None else 0
        try:
            with self._environments.locked(key):
                there = self._environments.remove(key)
            freed += self._remove_outlived(recipe, key)
        except Busy:
            raise ImageFailed(f"{canonical} is being built just now: cancel that, or wait for it") from None
        except OSError as exc:
            where = exc.filename or "the cache folder"
            raise ImageFailed(f"the environment of {canonical} cannot be removed: {exc.strerror} at {where}") from None
        if not there and not freed:
            raise ImageFailed(f"there is nothing to remove of {canonical}: its environment is not built")
        return f"removed the environment of {canonical} ({freed / (1 << 20):.0f} MiB)"

    def _entry(self, image: Image) -> _Entry:
        try:
            return self._entries[image.id]
        except KeyError:
            raise ImageFailed(f"the recipe of {image.canonical} is gone: look for images again") from None


def _id(reference: ImageReference) -> str:
    return image_id("recipe", str(reference))


def _on(image: Image, interpreter: str) -> Image:
    labels = {**image.labels, "ai.backend.runtime-path": interpreter}
    return replace(image, interpreter=interpreter, labels=labels, state=ImageState.READY, reason="")


def _ready(image: Image, environment: Environment, entry: _Entry) -> Image:
    assert entry.base is not None
    lent = entry.base.version >= LENT_IPYTHON
    return replace(
        _on(image, str(environment.interpreter)),
        kernel="ipython" if environment.ipython or lent else "plain",
        kernelspec="" if entry.recipe.kernel is None else str(environment.kernelspec),
        size_bytes=environment.size_bytes,
        prepare_s=environment.took_s,
    )


def _labels(recipe: Recipe, base: Named | None) -> dict[str, str]:
    labels = dict(base.image.labels) if base is not None else {}
    labels.pop("bai-tui.environment", None)
    return {
        "ai.backend.base-distro": "",
        **labels,
        "ai.backend.runtime-type": recipe.language,
        "ai.backend.runtime-path": "",
        "ai.backend.service-ports": ",".join(recipe.service_ports),
        "bai-tui.source": "recipe",
        "bai-tui.recipe": recipe.origin,
    }


def _named(image: Image, base: Named | None) -> Named:
    # The interpreter of a built environment has another path when it is built anew: `check` looks at that one.
    watched = "" if image.packages else image.interpreter
    return Named(
        image=image,
        plain=bool(image.packages),  # else it is an interpreter with a second name, and the first one has precedence
        stable=base.stable if base is not None else True,
        version=base.version if base is not None else (0, 0, 0),
        mark=file_mark(watched) if watched else None,
        watched=watched,
    )


def _broken(one: Broken) -> Named:
    reference = ImageReference(one.name)
    image = Image(
        id=_id(reference),
        reference=reference,
        kind=ImageKind.RECIPE,
        state=ImageState.UNAVAILABLE,
        reason=one.reason,
        labels={"ai.backend.base-distro": "", "bai-tui.source": "recipe"},
    )
    return Named(image, plain=False, stable=True, version=(0, 0, 0))
