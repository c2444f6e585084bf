"""Finds an image by a few letters of its name, an alias or its detail."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.fuzzy import FuzzySearch
from textual.message import Message
from textual.widgets import Input, OptionList, Static
from textual.widgets.option_list import Option

from ..app.model.images import ImageState
from .glyphs import UNICODE, Glyphs
from .image_line import ImageLine
from .rows import ImageRow

WIDTH: Final = 90
"""Cells of a line before its place is known."""


def ranked(images: Iterable[ImageRow], query: str) -> list[tuple[ImageRow, Sequence[int]]]:
    """Returns the images that fit `query`, best first, with the offsets in their reference that matched.

    Without a query the order stays; with one, images that cannot run come last.
    """
    query = query.strip()
    if not query:
        return [(image, ()) for image in images]
    search = FuzzySearch()
    hits: list[tuple[bool, float, int, ImageRow, Sequence[int]]] = []
    for place, image in enumerate(images):
        score, offsets = search.match(query, image.reference)
        if query.lower() in image.reference.lower():
            score += 10
        for alias in image.aliases:
            alias_score = search.match(query, alias)[0] * 1.05
            if alias.lower() == query.lower():
                alias_score += 100
            if alias_score > score:
                score, offsets = alias_score, ()
        for word in (image.language, *image.packages):
            if word and word.lower().startswith(query.lower()):
                score = max(score, 50.0 if word.lower() == query.lower() else 2.0)
        if not score:
            score = search.match(query, f"{image.detail} {image.language} {' '.join(image.packages)}")[0] * 0.1
        if score > 0:
            hits.append((image.state is ImageState.UNAVAILABLE, -score, place, image, offsets))
    return [(image, offsets) for *_, image, offsets in sorted(hits, key=lambda hit: hit[:3])]


class ImagePicker(Vertical):
    """A search line over a list. The arrow keys move in the list while one types."""

    class Chosen(Message):
        """Another image is under the cursor, or none fits."""

        def __init__(self, picker: ImagePicker, image: ImageRow | None) -> None:
            super().__init__()
            self.picker = picker
            self.image = image

        @property
        def control(self) -> ImagePicker:
            return self.picker

    class Submitted(Message):
        """Enter was pressed on an image."""

        def __init__(self, picker: ImagePicker, image: ImageRow) -> None:
            super().__init__()
            self.picker = picker
            self.image = image

        @property
        def control(self) -> ImagePicker:
            return self.picker

    def __init__(
        self,
        images: Sequence[ImageRow] = (),
        *,
        pinned: Collection[str] = (),
        recent: Collection[str] = (),
        glyphs: Glyphs = UNICODE,
        clock: Callable[[], float] = time.time,
        id: str | None = None,
    ) -> None:
        super().__init__(id=id)
        self._images = tuple(images)
        self._pinned = frozenset(pinned)
        self._recent = frozenset(recent)
        self._glyphs = glyphs
        self._clock = clock
        self._shown: list[ImageRow] = []
        self._offsets: list[Sequence[int]] = []
        """Of each that is shown, what of its reference fits the search."""

    def compose(self) -> ComposeResult:
        yield Input(placeholder="search images: name, alias, language, package", id="image-search", compact=True)
        yield OptionList(id="image-list", compact=True)
        yield Static("", id="image-empty", markup=False)

    def on_mount(self) -> None:
        self._fill("")

    @property
    def image(self) -> ImageRow | None:
        """The image under the cursor."""
        place = self.query_one("#image-list", OptionList).highlighted
        return self._shown[place] if place is not None and place < len(self._shown) else None

    def set_images(self, images: Sequence[ImageRow]) -> None:
        """Offers other images; the search and, where it is still there, the chosen image stay."""
        before, chosen = self._images, self.image
        self._images = tuple(images)
        if [image.names for image in before] == [image.names for image in images]:
            # only what is told of them is new: nothing moves
            rows = {image.reference: image for image in images}
            self._shown = [rows[image.reference] for image in self._shown]
            self._paint()
            if self.image != chosen:
                self.post_message(self.Chosen(self, self.image))
        else:
            self._fill(self.query_one("#image-search", Input).value, keep=chosen)

    def set_pinned(self, pinned: Collection[str], images: Sequence[ImageRow]) -> None:
        """Shows which images are pinned, in an order that says so."""
        self._pinned = frozenset(pinned)
        self.set_images(images)

    def choose(self, reference: str) -> None:
        """Puts the cursor on an image, by reference or alias."""
        for place, image in enumerate(self._shown):
            if reference == image.reference or reference in image.aliases:
                self.query_one("#image-list", OptionList).highlighted = place
                return

    def move(self, step: int) -> None:
        """Moves the cursor; stops at the ends."""
        listing = self.query_one("#image-list", OptionList)
        if self._shown:
            place = 0 if listing.highlighted is None else listing.highlighted + step
            listing.highlighted = max(0, min(len(self._shown) - 1, place))

    def _fill(self, query: str, keep: ImageRow | None = None) -> None:
        listing = self.query_one("#image-list", OptionList)
        found = ranked(self._images, query)
        self._shown, self._offsets = [image for image, _ in found], [offsets for _, offsets in found]
        line = self._line(listing)
        listing.clear_options()
        listing.add_options([Option(line.text(image, offsets)) for image, offsets in found])
        place = next((at for at, image in enumerate(self._shown) if keep and image.reference == keep.reference), 0)
        listing.highlighted = place if self._shown else None
        empty = self.query_one("#image-empty", Static)
        empty.update("no image fits: escape clears the search" if self._images else "no images known yet")
        self.set_class(not self._shown, "-none")
        if not self._shown:
            self.post_message(self.Chosen(self, None))

    @on(Input.Changed, "#image-search")
    def _searched(self, event: Input.Changed) -> None:
        event.stop()
        self._fill(event.value)

    @on(Input.Submitted, "#image-search")
    @on(OptionList.OptionSelected, "#image-list")
    def _submitted(self, event: Message) -> None:
        event.stop()
        if self.image is not None:
            self.post_message(self.Submitted(self, self.image))

    @on(OptionList.OptionHighlighted, "#image-list")
    def _highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        self.post_message(self.Chosen(self, self.image))

    def on_resize(self) -> None:
        self._paint()

    @property
    def building(self) -> bool:
        """Whether an image that is offered is being built or pulled."""
        return any(image.progress is not None for image in self._images)

    def tick(self) -> None:
        """Shows what time changes: for how long a building has not moved."""
        for place, image in enumerate(self._shown):
            if image.progress is not None:
                self._paint(place)

    def _paint(self, only: int | None = None) -> None:
        """Writes the lines anew where they read differently now."""
        listing = self.query_one("#image-list", OptionList)
        line = self._line(listing)
        for place in range(len(self._shown)) if only is None else (only,):
            prompt = line.text(self._shown[place], self._offsets[place])
            if prompt != listing.get_option_at_index(place).prompt:
                listing.replace_option_prompt_at_index(place, prompt)

    def _line(self, listing: OptionList) -> ImageLine:
        return ImageLine(
            self._images,
            listing.scrollable_content_region.width or WIDTH,
            pinned=self._pinned,
            recent=self._recent,
            glyphs=self._glyphs,
            now_s=self._clock(),
        )
