"""How images of container engines are named. Pure."""

from __future__ import annotations

from ...model.errors import BadRequest
from ...model.images import ImageReference

HUB = "docker.io"
"""The registry that is meant where none is named."""
_HUB_NAMES = (HUB, "index.docker.io", "registry-1.docker.io")
_OFFICIAL = "library"


def familiar(text: str) -> ImageReference:
    """Returns a reference as one types it: `python:3.12` for `docker.io/library/python:3.12`.

    Raises:
        BadRequest: no reference, or one that our grammar does not know, such as by digest.
    """
    reference = ImageReference.parse(text)
    registry, slash, rest = reference.name.partition("/")
    if slash and registry in _HUB_NAMES:
        return ImageReference(rest.removeprefix(f"{_OFFICIAL}/"), reference.tag)
    return reference


def familiar_or_none(text: str) -> ImageReference | None:
    """The same, for what an engine says: None when nobody could ask for it."""
    try:
        return familiar(text)
    except BadRequest:
        return None


def registry_of(reference: ImageReference) -> str:
    """Returns the host that an image is from; `local` for what was made here."""
    registry, slash, _ = reference.name.partition("/")
    if not slash or not (set(".:") & set(registry) or registry == "localhost"):
        return HUB
    return "local" if registry == "localhost" else registry


def full(reference: ImageReference) -> ImageReference:
    """Returns the reference with everything that is left out when it is typed: what engines of both kinds understand
    in the same way."""
    registry, slash, _ = reference.name.partition("/")
    if slash and (set(".:") & set(registry) or registry == "localhost"):
        return reference
    return ImageReference(f"{HUB}/{reference.name if slash else f'{_OFFICIAL}/{reference.name}'}", reference.tag)
