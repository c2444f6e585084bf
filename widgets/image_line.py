"""One line of the image picker: shape, name, state, size, and what else has room."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from rich.cells import cell_len
from textual.content import Content

from ..app.model.images import ImageState
from .glyphs import Glyphs
from .image_words import BAR_CELLS, image_glyph, image_word, progress_text
from .rows import ImageRow
from .text import fit, one_line, size

ALIASES_SHOWN: Final = 3
PACKAGES_SHOWN: Final = 4
_WORD_CELLS: Final = 13
_SIZE_CELLS: Final = 4
_NAME_LEAST: Final = 16
_NARROW_BELOW: Final = 80
"""Cells below which sizes are left to the details."""
_QUIET: Final = "$foreground 65%"
_FAINT: Final = "$foreground 45%"


class ImageLine:
    """How the lines of several images are written, so that their columns stand below each other.

    Args:
        width: cells of a line.
        pinned: References or aliases.
        recent: The same.
        now_s: clock time.
    """

    def __init__(
        self,
        images: Collection[ImageRow],
        width: int,
        *,
        pinned: Collection[str],
        recent: Collection[str],
        glyphs: Glyphs,
        now_s: float,
    ) -> None:
        self._told = any(image.state is not None for image in images)
        """Whether the server tells states: then each line has columns."""
        self._width = width
        self._pinned, self._recent = pinned, recent
        self._glyphs = glyphs
        self._now_s = now_s
        longest = max((cell_len(image.reference) for image in images), default=0)
        self._name_cells = min(longest, max(_NAME_LEAST, width * 2 // 5))

    def text(self, image: ImageRow, offsets: Sequence[int]) -> Content:
        """Returns the line of an image.

        Args:
            offsets: characters of its reference that fit a search.
        """
        glyphs = self._glyphs
        mark = glyphs.pinned if any(name in self._pinned for name in image.names) else " "
        reference = one_line(image.reference)
        cannot = image.state is ImageState.UNAVAILABLE
        name = Content(fit(reference, self._name_cells, ellipsis=glyphs.ellipsis) if self._told else reference)
        for offset in offsets:
            if offset < len(name.plain):
                name = name.stylize("bold underline", offset, offset + 1)
        if cannot:
            name = name.stylize(_FAINT)
        line = Content.assemble(f"{mark} ", (f"{image_glyph(image, glyphs)} " if self._told else ""), name)
        if self._told:
            word = fit(image_word(image), _WORD_CELLS, ellipsis=glyphs.ellipsis)
            style = _FAINT if cannot else "$accent" if image.progress is not None else _QUIET
            line = Content.assemble(line, " ", (word, "$success" if image.rank == 0 else style))
            if self._width >= _NARROW_BELOW:
                held = size(image.size_bytes) if image.size_bytes and image.rank == 0 else ""
                line = Content.assemble(line, (fit(held, _SIZE_CELLS, right=True), _QUIET), " ")
        about = one_line(self._about(image))
        gap = "" if self._told or not about else "  "
        line = Content.assemble(line, (gap + about, _QUIET), self._missing(image))
        return line.truncate(self._width, ellipsis=True) if self._told else line

    def _about(self, image: ImageRow) -> str:
        glyphs = self._glyphs
        if image.progress is not None:
            return progress_text(image.progress, glyphs, self._now_s, width=BAR_CELLS)
        if image.state is ImageState.UNAVAILABLE:
            return image.reason
        aliases = [alias for alias in image.aliases if not self._told or not _is_plain(alias, image)]
        short = sorted(aliases, key=len)[:ALIASES_SHOWN]
        more = f" {glyphs.ellipsis}" if len(aliases) > ALIASES_SHOWN else ""
        about = ["= " + ", ".join(short) + more] if short else []
        runs = image.language if image.language not in image.reference else ""
        about += [part for part in (f"{runs} {image.version}".strip(), image.detail) if part]
        about += [", ".join(image.packages[:PACKAGES_SHOWN])] if image.packages else []
        if any(name in self._recent for name in image.names):
            about.append("used lately")
        return f" {glyphs.dot} ".join(about)

    def _missing(self, image: ImageRow) -> tuple[str, str]:
        """Returns what must happen before it can run, where the server tells no more than that."""
        if image.installed or image.state is not None:
            return "", ""
        what = f" ({size(image.size_bytes)})" if image.size_bytes else ""
        return f"  must be fetched first{what}", "$warning"


def _is_plain(alias: str, image: ImageRow) -> bool:
    """Whether an alias says nothing new: the name with the version or its beginning, or with `latest`."""
    reference = image.reference
    exactly = f"{reference.rpartition(':')[0]}:{image.version}"
    return alias.endswith(":latest") or (":" in alias and (reference.startswith(alias) or alias == exactly))
