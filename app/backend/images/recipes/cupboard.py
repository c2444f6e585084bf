"""All recipes that there are: the shipped ones and those of the user's folder, which win by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ....model.errors import BadRequest, ConfigError
from ....model.images import ImageReference
from .format import SHIPPED, Recipe, parse_recipe, read_recipe


@dataclass(frozen=True, slots=True)
class Broken:
    """A file of the user's that is no recipe."""

    name: str
    """Of the file, without its suffix."""
    reason: str


@dataclass(frozen=True, slots=True)
class Cupboard:
    recipes: Sequence[Recipe]
    broken: Sequence[Broken] = ()


def shipped() -> Sequence[Recipe]:
    """Returns the recipes that come with the program."""
    files = sorted(resources.files(__package__).iterdir(), key=lambda file: file.name)
    texts = [file.read_text(encoding="utf-8") for file in files if file.name.endswith(".toml")]
    return [parse_recipe(text, SHIPPED) for text in texts]


def read_cupboard(folder: Path | None) -> Cupboard:
    """Reads all recipes; `folder` is the user's and need not exist. Of two with one name and tag the later file, in
    alphabetical order, wins. Reads files: use it in a thread."""
    own: list[Recipe] = []
    broken: list[Broken] = []
    for file in sorted(folder.glob("*.toml")) if folder is not None else ():
        try:
            own.append(read_recipe(file))
        except ConfigError as exc:
            broken.append(Broken(_name_of(file), exc.message))
    # A user's recipe takes the place of all shipped ones of its name, whose tags may be made of other versions; where a
    # name is shipped with several fixed tags, each is replaced by itself.
    hidden = {name for recipe in own for name in (recipe.name, f"{recipe.name}:{recipe.tag}")}
    hidden |= {one.name for one in broken}
    kept = [one for one in shipped() if not _is_hidden(one, hidden)]
    recipes = {(one.name, one.tag): one for one in (*kept, *own)}
    return Cupboard(list(recipes.values()), broken)


def _is_hidden(recipe: Recipe, hidden: set[str]) -> bool:
    fixed = "{" not in recipe.tag
    return f"{recipe.name}:{recipe.tag}" in hidden if fixed else recipe.name in hidden


def _name_of(file: Path) -> str:
    try:
        return str(ImageReference.parse(f"{file.stem}:latest").name)
    except BadRequest:
        return ""
