"""From a reference to an image. Pure: what is here is an argument.

In this order: the exact reference, the user's aliases, the same language and version on another platform, the shipped
aliases; then all of it again without the registry and project that the reference may begin with.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...model.errors import ImageNotFound
from ...model.images import Image, ImageReference, ImageState
from .aliases import AliasTable
from .naming import Named

_VERSION = re.compile(r"[0-9]+(?:\.[0-9]+){0,2}[a-z]*")


@dataclass(frozen=True, slots=True)
class Match:
    """An image, and in which words it is not what was asked for; empty when it is."""

    image: Image
    why: str = ""


class Resolver:
    """The catalogue at one moment, ready to be asked."""

    def __init__(self, images: Sequence[Named], user: AliasTable, shipped: AliasTable) -> None:
        self._ready = [one for one in images if one.image.state is ImageState.READY]
        self._exact = {one.image.canonical: one.image for one in self._ready}
        self._gone = {one.image.canonical: one.image for one in images if one.image.state is not ImageState.READY}
        self._user = user
        self._shipped = shipped

    def find(self, text: str) -> Match:
        """Returns what a reference leads to.

        Raises:
            ImageNotFound: nothing fits; the message names the nearest.
            BadRequest: no reference.
        """
        asked = ImageReference.parse(text)
        match = self._lookup(asked, ())
        if match is None and "/" in asked.name:
            match = self._lookup(ImageReference(asked.language, asked.tag), ())
            if match is not None:
                match = Match(match.image, match.why or "without registry and project")
        if match is None:
            raise ImageNotFound(self._missing(asked))
        return match

    def names_of(self, image: Image) -> tuple[str, ...]:
        """Returns the other references that lead to `image`: short ones and those of the alias tables."""
        shorts = [image.language, f"{image.language}:latest", f"{image.language}:{image.reference.version}"]
        shorts.append(f"{image.language}:{image.runtime_version}")
        names = []
        for name in dict.fromkeys([*shorts, *self._user, *self._shipped]):
            try:
                if name != image.canonical and self.find(name).image.canonical == image.canonical:
                    names.append(name)
            except ImageNotFound:
                continue
        return tuple(names)

    def _lookup(self, asked: ImageReference, trail: tuple[str, ...]) -> Match | None:
        if image := self._exact.get(str(asked)):
            return Match(image)
        return (
            self._by_alias(asked, self._user, "an alias of yours", trail)
            or self._by_version(asked)
            or self._by_alias(asked, self._shipped, "a shipped alias", trail)
        )

    def _by_alias(self, asked: ImageReference, table: AliasTable, kind: str, trail: tuple[str, ...]) -> Match | None:
        name = str(asked)
        targets = table.get(name, ())
        if targets and name in trail:
            raise ImageNotFound(f"the image alias {name!r} leads back to itself: {' -> '.join((*trail, name))}")
        for target in targets:
            if match := self._lookup(ImageReference.parse(target), (*trail, name)):
                return Match(match.image, kind)
        return None

    def _by_version(self, asked: ImageReference) -> Match | None:
        """Finds `python`, `python:3`, `python:3.11`, `python:3.11.7`, each with any platform."""
        kin = [one for one in self._ready if one.image.language == asked.name]
        if asked.tag == "latest":
            fitting = kin
        elif _VERSION.fullmatch(asked.version):
            fitting = [one for one in kin if _is_version(one, asked.version)]
        else:
            return None
        if not fitting:
            return None
        best = max(fitting, key=lambda one: (one.stable, one.plain, one.version))
        return Match(best.image, _difference(asked, best))

    def _missing(self, asked: ImageReference) -> str:
        if gone := self._gone.get(str(asked)):
            return f"the image {asked} cannot be used: {gone.reason}; {self._nearest(asked)}"
        return f"there is no image {str(asked)!r} here; {self._nearest(asked)}"

    def _nearest(self, asked: ImageReference) -> str:
        if not self._ready:
            return "no Python 3.6 or newer was found on this machine: install one or put it on PATH"
        return f"the nearest is {self._nearest_name(asked)!r} ({len(self._ready)} images are here)"

    def _nearest_name(self, asked: ImageReference) -> str:
        languages = dict.fromkeys(one.image.language for one in self._ready)
        if asked.tag == "latest":
            names = [*languages, *(name.removesuffix(":latest") for name in self._user)]
            return _closest(asked.language, names)
        kin = [one for one in self._ready if one.image.language == asked.language]
        wanted = _VERSION.fullmatch(asked.version) and [int(part) for part in re.findall("[0-9]+", asked.version)]
        if kin and wanted:
            major, minor = (*wanted, 0)[:2]
            return min(
                kin,
                key=lambda one: (abs(one.version[0] - major), abs(one.version[1] - minor), not one.plain),
            ).image.canonical
        return _closest(str(ImageReference(asked.language, asked.tag)), [*self._exact, *self._user, *self._shipped])


def _closest(text: str, names: list[str]) -> str:
    return difflib.get_close_matches(text, names, n=1, cutoff=0.0)[0]


def _is_version(one: Named, version: str) -> bool:
    """Whether `version` is the full, the short or the major version of an image."""
    return version in (one.image.runtime_version, one.image.reference.version, str(one.version[0]))


def _difference(asked: ImageReference, found: Named) -> str:
    """Returns in which words an image of the right version is not what was asked for; empty when it is."""
    if not asked.platform:
        return ""
    if asked.platform != found.image.labels["ai.backend.base-distro"]:
        return "same version, other platform"
    return "" if found.plain or asked.version == found.image.runtime_version else "same version, other interpreter"
