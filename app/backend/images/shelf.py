"""What the catalogue knows: the images of each source, the alias tables, and what leads where."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from ...model.images import Image, ImageKind, ImageReference, ImageState
from ...policies import ImageSettings
from .aliases import AliasTable
from .naming import Named, file_mark
from .resolve import Match, Resolver

Key = tuple[ImageKind, str]
_MOST_MOREOVER = 32
"""Images that are kept though no source lists them."""


class Shelf:
    """The images of all sources, in the order of the sources. Asks nobody; looks at files where it says so."""

    def __init__(self, sources: int, shipped: AliasTable, settings: ImageSettings) -> None:
        """Begins empty, with places for the images of so many sources."""
        self._of: list[Sequence[Named]] = [()] * sources
        self.changes = 0
        """How many images have become something else, other than by a look."""
        self._changed: dict[Key, int] = {}
        self._moreover: dict[Key, tuple[int, Named]] = {}
        self._user: AliasTable = {}
        self._shipped = shipped
        self._settings = settings
        self._all: dict[tuple[ImageKind, str], Named] = {}
        self._resolver = Resolver([], {}, shipped, settings)
        self._lost: set[Key] = set()
        """Whose programs are gone."""
        self._damaged: set[Key] = set()
        """Which cannot run for another reason, as their sources say."""

    @property
    def images(self) -> Sequence[Image]:
        """Newest runtime first within a language, those that are gone included."""
        return [one.image for one in self._all.values()]

    @property
    def named(self) -> Sequence[Named]:
        return list(self._all.values())

    @property
    def user_aliases(self) -> AliasTable:
        return self._user

    @property
    def shipped_aliases(self) -> AliasTable:
        return self._shipped

    def put(self, place: int, named: Sequence[Named], since: int) -> None:
        """Takes what a source has now, in place of what it had.

        Args:
            since: `changes` when the source was asked. What images have become after that counts on: the source may
                have looked at them before.
        """
        named = [self._all.get(one.key, one) if self._changed.get(one.key, 0) > since else one for one in named]
        here = {one.key for one in named}
        self._moreover = {key: more for key, more in self._moreover.items() if key not in here}
        named = [*named, *(one for where, one in self._moreover.values() if where == place)]
        keys = {key for one in (*self._of[place], *named) if self._changed.get(key := one.key, 0) <= since}
        self._lost -= keys
        self._damaged -= keys
        if named != self._of[place]:  # most looks find what was there: with a thousand images that spares 0.1 s
            self._of[place] = named
            self._rebuild()

    def add(self, place: int, named: Named) -> None:
        """Takes an image that its source does not list, and keeps it until that does, or it is dropped."""
        if named.key in self._all:
            return
        for key in list(self._moreover)[: 1 - _MOST_MOREOVER]:
            self.drop(self._moreover[key][1].image)
        self._moreover[named.key] = place, named
        self._of[place] = [*self._of[place], named]
        self._rebuild()

    def drop(self, image: Image) -> None:
        """Forgets an image that was added."""
        if more := self._moreover.pop((image.kind, image.canonical), None):
            self._of[more[0]] = [one for one in self._of[more[0]] if one.key != more[1].key]
            self._rebuild()

    def put_aliases(self, user: AliasTable) -> None:
        """Takes the user's table, in place of the earlier one."""
        if user != self._user:
            self._user = user
            self._rebuild()

    def get(self, image: Image) -> Image | None:
        """Returns what is known now of the image of this kind and name."""
        one = self._all.get((image.kind, image.canonical))
        return one.image if one else None

    def exchange(self, image: Image) -> None:
        """Takes what has become of an image; one that is not here is not taken."""
        key = (image.kind, image.canonical)
        if key not in self._all:
            return
        self._lost.discard(key)
        self._damaged.discard(key)
        self.changes += 1
        self._changed[key] = self.changes
        for place, named in enumerate(self._of):
            self._of[place] = [
                replace(one, image=image, mark=file_mark(one.watched) if one.watched else None)
                if one.key == key
                else one
                for one in named
            ]
        if key in self._moreover:
            place, one = self._moreover[key]
            self._moreover[key] = place, replace(one, image=image)
        self._rebuild()

    @property
    def damaged(self) -> Sequence[Image]:
        """Those that were marked, and not found to be whole since."""
        return [self._all[key].image for key in self._damaged]

    def mark(self, image: Image, reason: str) -> None:
        """Marks an image that cannot run any more. One of a recipe can be built again."""
        state = ImageState.BUILDABLE if image.kind is ImageKind.RECIPE else ImageState.UNAVAILABLE
        self.exchange(replace(image, state=state, reason=reason))
        if (image.kind, image.canonical) in self._all:
            self._damaged.add((image.kind, image.canonical))

    def leads(self) -> Mapping[str, Image]:
        """Returns what the entries of the alias tables lead to."""
        return self._resolver.leads()

    def find(self, reference: str, *, exact: bool = False) -> Match:
        """As `Resolver.find`."""
        return self._resolver.find(reference, exact=exact)

    def may_run(self, image: Image, asked: str) -> bool:
        """As `Resolver.may_run`."""
        return self._resolver.may_run(image, ImageReference.parse(asked))

    def as_it_was(self, image: Image) -> bool:
        """Whether the program of an image is in its place, unchanged, and of all others none is known to be gone: were
        one back, it might be the better answer. Looks at one file."""
        one = self._all[image.kind, image.canonical]
        return not self._lost and (not one.watched or (one.mark is not None and file_mark(one.watched) == one.mark))

    def look_at_programs(self) -> bool:
        """Marks images whose programs have vanished since the last look, or come back; returns whether one was
        replaced. Looks at one file for each."""
        changed = replaced = False
        for place, named in enumerate(self._of):
            now = []
            for one in named:
                mark = file_mark(one.watched) if one.watched else None
                here = mark is not None
                replaced |= here and mark != one.mark
                if one.watched and not here and one.image.state is ImageState.READY:
                    self._lost.add(one.key)
                    one, changed = _without_program(one), True
                elif here and one.key in self._lost:
                    self._lost.discard(one.key)
                    one, changed = replace(one, image=replace(one.image, state=ImageState.READY, reason="")), True
                now.append(one)
            self._of[place] = now
        if changed:
            self._rebuild()
        return replaced

    def _rebuild(self) -> None:
        self._all = {}
        for one in (one for named in self._of for one in named):
            self._all.setdefault(one.key, one)
        named = list(self._all.values())
        names = Resolver(named, self._user, self._shipped, self._settings).names(named)
        for one, aliases in zip(named, names, strict=True):
            self._all[one.key] = replace(one, image=replace(one.image, aliases=aliases))
        self._lost &= self._all.keys()
        self._damaged &= self._all.keys()
        self._changed = {key: number for key, number in self._changed.items() if key in self._all}
        self._resolver = Resolver(list(self._all.values()), self._user, self._shipped, self._settings)


def _without_program(one: Named) -> Named:
    what = "interpreter" if one.watched == one.image.interpreter else "program"
    reason = f"its {what} {one.watched} is gone"
    return replace(one, image=replace(one.image, state=ImageState.UNAVAILABLE, reason=reason))
