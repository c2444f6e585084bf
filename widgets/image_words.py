"""What is said of an image: its state as a shape and a word, how far its building is, and all that is known. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from ..app.model.images import ImageKind, ImageState
from ..app.model.slots import CPU, CUDA_DEVICE, CUDA_SHARES, MEM
from .bars import bar
from .glyphs import Glyphs
from .rows import Detail, ImageProgress, ImageRow
from .text import count, duration, share, size

STALLED_S: Final = 15.0
"""A step of which nothing was heard for so long says so."""
BAR_CELLS: Final = 12
_DIGEST_CELLS: Final = 12
"""Hexadecimal digits, as other tools show them."""
_KINDS: Final[Mapping[ImageKind | None, str]] = {
    ImageKind.PYTHON: "an interpreter of the machine",
    ImageKind.RECIPE: "an environment built from a recipe",
    ImageKind.JUPYTER: "a Jupyter kernel of the machine",
    ImageKind.CONTAINER: "an image of the container engine",
}
_SLOTS: Final = {CPU: "cpu", MEM: "mem", CUDA_SHARES: "gpu", CUDA_DEVICE: "gpus"}


def image_glyph(image: ImageRow, glyphs: Glyphs) -> str:
    """Returns the shape of the state of an image; empty where the server does not tell it."""
    if image.progress is not None:
        return glyphs.busy
    match image.state:
        case ImageState.READY:
            return glyphs.ok
        case ImageState.BUILDABLE:
            return glyphs.preparing
        case ImageState.PULLABLE:
            return glyphs.left
        case ImageState.UNAVAILABLE:
            return glyphs.failed
        case None:
            return ""


def image_word(image: ImageRow) -> str:
    """Returns the word of the state of an image, with what it costs to have it; at most 12 cells."""
    if image.progress is not None:
        doing = "pulling" if image.kind is ImageKind.CONTAINER else "building"
        return doing if image.progress.fraction is None else f"{doing} {percent(image.progress.fraction):>3}"
    match image.state:
        case ImageState.READY:
            return "ready"
        case ImageState.BUILDABLE:
            return f"build ~{duration(image.prepare_s)}" if image.prepare_s else "build"
        case ImageState.PULLABLE:
            return f"pull {size(image.size_bytes)}" if image.size_bytes else "pull"
        case ImageState.UNAVAILABLE:
            return "unavailable"
        case None:
            return ""


def percent(fraction: float) -> str:
    """Returns a part of the whole as `42%`; all of it only when that is done."""
    return f"{min(99, int(fraction * 100)) if fraction < 1 else 100}%"


def progress_bar(fraction: float | None, width: int, glyphs: Glyphs) -> str:
    """Returns a bar of `width` cells with its ends; empty while nobody knows how far it is."""
    if fraction is None or width <= 2:
        return ""
    lit, track = bar(Decimal(fraction), Decimal(1), width - 2, glyphs)
    return f"{glyphs.bar_left}{lit}{track}{glyphs.bar_right}"


def progress_text(
    progress: ImageProgress, glyphs: Glyphs, now_s: float, *, width: int = BAR_CELLS, percents: bool = False
) -> str:
    """Returns bar and step of what is being built; of one that does not move, for how long.

    Args:
        now_s: clock time.
        width: cells of the bar; 0 = there is none.
        percents: tell the number as well.
    """
    silent_s = now_s - progress.since_s
    parts = (
        progress_bar(progress.fraction, width, glyphs),
        percent(progress.fraction) if percents and progress.fraction is not None else "",
        f"(no news for {duration(silent_s)})" if silent_s >= STALLED_S else "",
        progress.step,
    )
    return " ".join(part for part in parts if part)


def why_not(image: ImageRow) -> str:
    """Returns why no session can run in an image; empty when one can, be it after building."""
    if image.state is not ImageState.UNAVAILABLE:
        return ""
    return f"{image.reference} cannot run here: {image.reason or 'the server does not say why'}"


def what_first(image: ImageRow) -> str:
    """Returns what is done before a session starts in an image; empty when it starts at once."""
    if image.state not in (ImageState.BUILDABLE, ImageState.PULLABLE):
        return ""
    does = "is pulled" if image.state is ImageState.PULLABLE else "is built"
    about = f", which takes about {duration(image.prepare_s)}" if image.prepare_s else ""
    return f"the image {does} first{about}; then it starts"


def image_facts(image: ImageRow, glyphs: Glyphs, now_s: float) -> list[Detail]:
    """Returns all that is known of an image, a fact a line."""
    facts = [Detail("image", image.reference)] + ([Detail("", image.summary)] if image.summary else [])
    if image.progress is not None:
        facts.append(Detail("state", f"{image_word(image)} {progress_text(image.progress, glyphs, now_s, width=0)}"))
    elif image.state is not None:
        still = image.prepare_s and image.state is not ImageState.READY
        about = f", about {duration(image.prepare_s)}" if still else ""
        cannot = image.state is ImageState.UNAVAILABLE
        facts.append(Detail("state", f"{image.state}{about}", level="soon" if cannot else ""))
        if image.reason:
            facts.append(Detail("", image.reason, level="soon" if cannot else "", quiet=not cannot))
    elif not image.installed:
        facts.append(Detail("state", "must be fetched first"))
    lines = (
        ("runs", " ".join(part for part in (image.language, image.version) if part)),
        ("is", _KINDS.get(image.kind, "")),
        ("from", image.detail),
        ("aliases", ", ".join(image.aliases)),
        ("with", ", ".join(image.packages)),
        ("default", _amounts(image.default_slots)),
        ("least", _amounts(image.min_slots)),
        ("ports", ", ".join(image.service_ports)),
        ("size", size(image.size_bytes) if image.size_bytes else ""),
        ("arch", image.architecture),
        ("digest", image.digest.removeprefix("sha256:")[:_DIGEST_CELLS]),
    )
    return facts + [Detail(label, value, quiet=True) for label, value in lines if value]


def _amounts(slots: Mapping[str, Decimal]) -> str:
    return ", ".join(f"{_SLOTS.get(slot, slot)} {_amount(slot, amount)}" for slot, amount in slots.items() if amount)


def _amount(slot: str, amount: Decimal) -> str:
    return size(amount) if slot == MEM else share(amount) if slot == CUDA_SHARES else count(amount)
