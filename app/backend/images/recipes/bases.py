"""Which interpreter a recipe stands on, and what that makes of it: key, digest, tag."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from ....model.images import ImageKind, ImageReference, ImageState
from ..naming import Named
from .format import Recipe, fill

_KEY_LENGTH = 24
_FORM = 1
"""Raised when environments are built in another way than before."""


def choose(recipe: Recipe, found: Sequence[Named]) -> Named | None:
    """Returns the interpreter for a recipe: releases before others, then the newest, then the one with the plain name;
    None when none fits."""
    specifier = SpecifierSet(recipe.interpreter, prereleases=True)
    fitting = [one for one in _bases(found) if _version(one) in specifier]
    return max(fitting, key=lambda one: (one.stable, one.version, one.plain), default=None)


def missing(recipe: Recipe, found: Sequence[Named]) -> str:
    """Returns why no interpreter fits, in a sentence that names the version that is needed."""
    versions = sorted({_version(one) for one in _bases(found)})
    here = ", ".join(dict.fromkeys(f"{one.major}.{one.minor}" for one in versions)) or "none at all"
    return f"it needs Python {recipe.interpreter or '3'}, and here is {here}: install one, with pyenv for example"


def _bases(found: Sequence[Named]) -> Sequence[Named]:
    """Returns the interpreters that environments can stand on; those of other environments are theirs alone."""
    return [
        one
        for one in found
        if one.image.kind is ImageKind.PYTHON
        and one.image.state is ImageState.READY
        and one.image.language == "python"
        and one.image.labels.get("bai-tui.source") != "venv"
    ]


def _version(one: Named) -> Version:
    return Version(one.image.runtime_version.removesuffix("t").replace("rc", "rc0"))


def key_of(recipe: Recipe, base: Named) -> str:
    """Returns what an environment is kept under: all that decides what is installed in it, and nothing else. A change
    of variables, start-up code or slots needs no new one."""
    content = {
        "form": _FORM,
        "packages": sorted(recipe.packages),
        "constraints": sorted(recipe.constraints),
        "installer": recipe.installer,
        "indexes": asdict(recipe.indexes),
        "kernel": None if recipe.kernel is None else asdict(recipe.kernel),
        "interpreter": [base.image.interpreter, base.image.runtime_version, base.image.architecture],
    }
    return _hash(content)[:_KEY_LENGTH]


def digest_of(recipe: Recipe, base: Named) -> str:
    """Returns the digest of an image: of everything that its sessions may notice."""
    content = {
        "key": key_of(recipe, base),
        "environ": dict(recipe.environ),
        "startup": recipe.startup,
        "service_ports": recipe.service_ports,
    }
    return f"sha256:{_hash(content)}"


def reference_of(recipe: Recipe, base: Named | None) -> ImageReference:
    """Returns the name of the image; without an interpreter, parts of the tag that need one are left out."""
    if base is not None:
        tag = fill(
            recipe.tag, python=base.image.reference.version, platform=base.image.labels["ai.backend.base-distro"]
        )
    else:
        tag = fill(recipe.tag, python="", platform="").strip("-._") or "latest"
    return ImageReference(recipe.name, tag)


def _hash(content: object) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
