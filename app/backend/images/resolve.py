"""From a reference to an image. Pure: what is here is an argument.

In this order: the image of this very name, the user's aliases, the shipped aliases, the same name and version on any
platform; then all of it again without the registry and project that the reference may begin with. What is unavailable
leads on, what can be built or pulled does not; among images that fit equally well, those that are ready go first.

A reference may name an image that runs as a process and one of the container engine. The settings say which runs; if
they do not, the process.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final

from ...model.errors import BadRequest, ImageNotFound
from ...model.images import Image, ImageKind, ImageReference, ImageState
from ...policies import ImageSettings
from .aliases import AliasTable
from .naming import Named

_VERSION: Final = re.compile(r"[0-9]+(?:\.[0-9]+){0,2}[a-z]*")
_LATEST: Final = "latest"
_UNSAID: Final = ("docker.io/library/", "docker.io/", "localhost/")
"""What container engines put before names that have no registry."""
_KINDS: Final = (ImageKind.CONTAINER, ImageKind.JUPYTER, ImageKind.RECIPE, ImageKind.PYTHON)
"""The later the better, for one name and version."""
_DEEPEST: Final = 32
"""An alias that leads to an alias, and so on, is not followed any further."""
_MOST_REMEMBERED: Final = 1024


@dataclass(frozen=True, slots=True)
class Match:
    """An image, and in which words it is not what was asked for; empty when it is."""

    image: Image
    why: str = ""
    lacking: str = "is not here"
    """What is to be said of the reference that was asked for, when there is a `why`."""


@dataclass(slots=True)
class _Search:
    """One way from a reference through the alias tables. Each alias is followed once: that ends every circle."""

    trail: list[ImageReference] = field(default_factory=list)
    tried: set[str] = field(default_factory=set)
    circle: str = ""


class Resolver:
    """The catalogue at one moment, ready to be asked."""

    def __init__(
        self,
        images: Sequence[Named],
        user: AliasTable,
        shipped: AliasTable,
        settings: ImageSettings | None = None,
    ) -> None:
        self._user = user
        self._shipped = shipped
        self._settings = settings or ImageSettings()
        self._here = [one for one in images if one.image.state is not ImageState.UNAVAILABLE]
        self._exact: dict[str, list[Named]] = {}
        self._kin: dict[tuple[str, str], list[Named]] = {}
        for one in sorted(self._here, key=lambda one: one.image.state is not ImageState.READY):
            for name in _names(one.image):
                self._exact.setdefault(f"{name}:{one.image.reference.tag}", []).append(one)
            for name in dict.fromkeys([*_names(one.image), one.image.reference.language]):
                for version in _versions(one):
                    self._kin.setdefault((name, version), []).append(one)
        self._ids = {one.image.id: one.image for one in self._here}
        self._gone: dict[str, Image] = {}
        self._gone_kin: dict[str, Image] = {}
        for one in (one for one in images if one.image.state is ImageState.UNAVAILABLE):
            self._gone.setdefault(one.image.canonical, one.image)
            self._gone_kin.setdefault(one.image.reference.name, one.image)
        self._remembered: dict[tuple[str, bool], Match] = {}

    def find(self, text: str, *, exact: bool = False) -> Match:
        """Returns what a reference, or the id of an image, leads to.

        Args:
            exact: nothing but the image of this very name, or one that a short name means.

        Raises:
            ImageNotFound: nothing fits; the message names the nearest.
            BadRequest: no reference.
        """
        if match := self._remembered.get((text, exact)):
            return match
        asked = ImageReference.parse(text)
        if image := self._ids.get(text.strip()):
            return Match(image)
        match = self._find_exactly(asked) if exact else self._find(asked)
        if len(self._remembered) < _MOST_REMEMBERED:
            self._remembered[text, exact] = match
        return match

    def leads(self) -> Mapping[str, Image]:
        """Returns what the entries of the alias tables lead to; those that lead nowhere are left out."""
        return {alias: image for alias in dict.fromkeys([*self._user, *self._shipped]) if (image := self._to(alias))}

    def names(self, images: Sequence[Named]) -> list[tuple[str, ...]]:
        """Returns the other references that lead to each of `images`: short ones and those of the alias tables."""
        ways: dict[int, list[str]] = {}
        for alias, target in self.leads().items():
            ways.setdefault(id(target), []).append(alias)
        names: list[tuple[str, ...]] = []
        known: dict[str, Image | None] = {}
        for image in (one.image for one in images):
            short = _names(image)[-1]
            versions = [version for version in (image.reference.version, image.runtime_version) if version]
            shorts = [short, f"{short}:latest", *(f"{short}:{version}" for version in versions)]
            for name in shorts:
                if name not in known:
                    known[name] = self._to(name)
            found = [name for name in shorts if known[name] is image]
            found += ways.get(id(image), ())
            names.append(tuple(name for name in dict.fromkeys(found) if name != image.canonical))
        return names

    def _to(self, text: str) -> Image | None:
        if match := self._remembered.get((text, False)):
            return match.image
        try:
            match = self._any(ImageReference.parse(text), _Search())
        except BadRequest:
            return None
        return match.image if match else None

    def _find(self, asked: ImageReference) -> Match:
        search = _Search()
        match = self._any(asked, search)
        if match is None:
            raise ImageNotFound(self._missing(asked, search.circle))
        if match.why and (gone := self._gone.get(str(asked))):
            return replace(match, lacking=f"cannot be used ({_one_line(gone.reason)})")
        return match

    def _any(self, asked: ImageReference, search: _Search) -> Match | None:
        search.tried.add(str(asked))
        match = self._lookup(asked, search)
        if match is not None or "/" not in asked.name:
            return match
        short = ImageReference(asked.language, asked.tag)
        if str(short) in search.tried:
            return None
        search.tried.add(str(short))
        match = self._lookup(short, search)
        return Match(match.image, match.why or "without registry and project") if match else None

    def _find_exactly(self, asked: ImageReference) -> Match:
        match = self._named(asked, ()) or self._by_version(asked, ())
        if match is not None and not match.why:
            return match
        instead = self._any(asked, _Search())
        nearest = f"the nearest is {instead.image.canonical!r} ({instead.why})" if instead else self._nearest(asked)
        raise ImageNotFound(f"{self._lack(asked)}, and nothing else may run in its place (exact); {nearest}")

    def _lookup(self, asked: ImageReference, search: _Search) -> Match | None:
        search.trail.append(asked)
        try:
            return (
                self._named(asked, search.trail)
                or self._by_alias(asked, self._user, "an alias of yours", search)
                or self._by_alias(asked, self._shipped, "a shipped alias", search)
                or self._by_version(asked, search.trail)
            )
        finally:
            search.trail.pop()

    def _named(self, asked: ImageReference, trail: Sequence[ImageReference]) -> Match | None:
        there = [one for one in self._exact.get(str(asked), ()) if self._may_run(one.image, asked, trail)]
        if not there:
            return None
        for one in there:
            if not one.image.in_container:
                return Match(one.image)
        process = self._by_version(asked, trail)  # such as the Python that is meant by the python:3.11 of a registry
        if process is not None and not process.why and process.image.state is ImageState.READY:
            return process
        return Match(there[0].image)

    def _by_alias(self, asked: ImageReference, table: AliasTable, kind: str, search: _Search) -> Match | None:
        for target in table.get(str(asked), ()):
            if target in search.tried:
                if not search.circle and target in (way := [*map(str, search.trail), target])[:-1]:
                    search.circle = " -> ".join(way)
                continue
            search.tried.add(target)
            if len(search.trail) < _DEEPEST and (match := self._any(ImageReference.parse(target), search)):
                return Match(match.image, kind)
        return None

    def _by_version(self, asked: ImageReference, trail: Sequence[ImageReference]) -> Match | None:
        """Finds `python`, `python:3`, `python:3.11`, `python:3.11.7`, each with any platform."""
        if asked.tag != _LATEST and not _VERSION.fullmatch(asked.version):
            return None
        fitting = [
            one
            for one in self._kin.get((asked.name, _LATEST if asked.tag == _LATEST else asked.version), ())
            if self._may_run(one.image, asked, trail)
        ]
        if not fitting:
            return None
        best = max(fitting, key=lambda one: _fitness(asked, one))
        return Match(best.image, _difference(asked, best))

    def may_run(self, image: Image, asked: ImageReference) -> bool:
        """Whether the settings let an image run that is asked for by this name."""
        return self._may_run(image, asked, ())

    def _may_run(self, image: Image, asked: ImageReference, trail: Sequence[ImageReference]) -> bool:
        engine = self._engine(image, asked, trail)
        return engine == "auto" or (engine == "container") is image.in_container

    def _engine(self, image: Image, asked: ImageReference, trail: Sequence[ImageReference]) -> str:
        for reference in (*trail, asked, image.reference) if self._settings.engines else ():
            for name in (str(reference), reference.name):
                if engine := self._settings.engines.get(name):
                    return engine
        return self._settings.engine

    def _missing(self, asked: ImageReference, circle: str) -> str:
        if circle:
            return f"{self._lack(asked)}: its alias leads back to itself: {circle}; {self._nearest(asked)}"
        return f"{self._lack(asked)}; {self._nearest(asked)}"

    def _lack(self, asked: ImageReference) -> str:
        if gone := self._gone.get(str(asked)):
            return f"the image {asked} cannot be used: {_one_line(gone.reason)}"
        if asked.tag == _LATEST and (asked.name, _LATEST) not in self._kin and (gone := self._gone_kin.get(asked.name)):
            return f"the image {gone.canonical} cannot be used: {_one_line(gone.reason)}"
        there = self._exact.get(str(asked))
        if there:
            runs = "in a container" if there[0].image.in_container else "as a process"
            return f"the image {asked} runs {runs}, which images.engine or images.engines does not allow"
        return f"there is no image {str(asked)!r} here"

    def _nearest(self, asked: ImageReference) -> str:
        if not self._here:
            return "no Python 3.6 or newer was found on this machine: install one or put it on PATH"
        return f"the nearest is {self._nearest_name(asked)!r} ({len(self._here)} images are here)"

    def _nearest_name(self, asked: ImageReference) -> str:
        if asked.tag == _LATEST:
            names = [
                *(name for name, version in self._kin if version == _LATEST),
                *(name.removesuffix(":latest") for name in self._user),
            ]
            return _closest(asked.language, names)
        kin = self._kin.get((asked.language, _LATEST))
        wanted = _VERSION.fullmatch(asked.version) and [int(part) for part in re.findall("[0-9]+", asked.version)]
        if kin and wanted:
            major, minor = (*wanted, 0)[:2]
            return min(
                kin,
                key=lambda one: (abs(one.version[0] - major), abs(one.version[1] - minor), not one.plain),
            ).image.canonical
        return _closest(str(ImageReference(asked.language, asked.tag)), [*self._exact, *self._user, *self._shipped])


def _names(image: Image) -> Sequence[str]:
    """Returns all names of an image, the shortest last: container engines leave out some registries."""
    name = image.reference.name
    if not image.in_container:
        return (name,)
    short = next((name.removeprefix(unsaid) for unsaid in _UNSAID if name.startswith(unsaid)), name)
    host, slash, _ = name.partition("/")
    if slash and (set(".:") & set(host) or host == "localhost"):
        return tuple(dict.fromkeys([name, short]))
    return f"docker.io/{name if slash else f'library/{name}'}", name


def _closest(text: str, names: list[str]) -> str:
    return difflib.get_close_matches(text, names, n=1, cutoff=0.0)[0]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _versions(one: Named) -> Set[str]:
    """Returns the full, the short and the major version of an image, and what stands for any."""
    return {_LATEST, one.image.runtime_version, one.image.reference.version, str(one.version[0])} - {""}


def _fitness(asked: ImageReference, one: Named) -> tuple[object, ...]:
    """Returns how well an image of the right name and version fits: the greater the better."""
    silent = not _difference(asked, one)
    return (
        silent if asked.platform else True,
        # What is built on demand is as good as ready: a name means the same image before and after one was built.
        one.image.state is ImageState.READY or one.image.kind is ImageKind.RECIPE,
        _KINDS.index(one.image.kind),
        silent,
        one.stable,
        one.plain,
        one.version,
    )


def _difference(asked: ImageReference, found: Named) -> str:
    """Returns in which words an image of the right version is not what was asked for; empty when it is."""
    if asked.name not in _names(found.image):
        return "same version, other registry"
    if not asked.platform:
        return ""
    platform = found.image.labels.get("ai.backend.base-distro", found.image.reference.platform)
    if asked.platform != platform:
        ours = platform and asked.platform.startswith(f"{platform}-")
        return f"same version, other {'interpreter' if ours else 'platform'}"
    return "" if found.plain or asked.version == found.image.runtime_version else "same version, other interpreter"
