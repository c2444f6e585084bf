"""Pulling an image: what the engine says as one progress and, when it fails, as one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from ...model.images import ImageReference
from ..containers import ContainerError, EngineGone, PullStep
from ..ports import Progress
from .container_names import registry_of

_DONE = ("pull complete", "already exists")
_HERE = (*_DONE, "download complete", "verifying checksum", "extracting")
_LAYER = ("pulling fs layer", "waiting", "downloading", *_HERE)
_MB = 1e6
_LONGEST = 120


@dataclass(slots=True)
class _Layer:
    current_bytes: int = 0
    total_bytes: int = 0
    """0 = nobody said it yet."""
    known: bool = False
    here: bool = False


class PullProgress:
    """The layers of an image on their way."""

    def __init__(self) -> None:
        self._layers: dict[str, _Layer] = {}

    def take(self, step: PullStep) -> bool:
        """Takes what the engine says; returns whether something about a layer is new."""
        status = step.status.lower()
        if not step.layer or not status.startswith(_LAYER):
            return False
        layer = self._layers.setdefault(step.layer, _Layer())
        if status.startswith("downloading"):
            layer.current_bytes = max(layer.current_bytes, step.current_bytes)
            layer.total_bytes = max(layer.total_bytes, step.total_bytes, layer.current_bytes)
            layer.known = layer.known or step.total_bytes > 0
        elif status.startswith(_HERE):
            layer.here = layer.known = True
            layer.current_bytes = layer.total_bytes
        return True

    @property
    def progress(self) -> Progress:
        """Bytes that are here, of all; the whole is known once the size of each layer is."""
        layers = self._layers.values()
        current, total = sum(one.current_bytes for one in layers), sum(one.total_bytes for one in layers)
        here = sum(one.here for one in layers)
        known = all(one.known for one in layers)
        parts = f"{here} of {len(layers)} parts"
        if here == len(layers):
            message = f"unpacking ({_size(total)})" if total else "unpacking"
        elif total:
            message = f"pulling {parts}, {_size(current)} of {'' if known else 'at least '}{_size(total)}"
        else:
            message = f"pulling {parts}"
        return Progress(current, total if known else 0, message)


def why_not_pulled(reference: ImageReference, error: ContainerError) -> str:
    """Returns a sentence about a pull that failed: what, where and what next."""
    registry = registry_of(reference)
    if isinstance(error, EngineGone):
        return f"{reference} could not be pulled: {error.message}"
    for pattern, sentence in _REASONS.items():
        if re.search(pattern, error.message, re.IGNORECASE):
            return sentence.format(reference=reference, registry=registry, said=_tail(error.message))
    return f"{reference} could not be pulled from {registry}: {_tail(error.message)}"


# In this order: what registries say of images that one may not see is often that there are none.
_REASONS: Mapping[str, str] = {
    r"toomanyrequests|rate limit": (
        "{registry} lets nobody pull {reference} for now (its limit of pulls is reached): log in there, or wait"
    ),
    r"no matching manifest|no image found in (manifest|image) (list|index)|choosing .*image": (
        "{registry} has {reference}, but not for machines like this one"
    ),
    r"may require 'docker login'|insufficient_scope": (
        "{registry} has no image {reference}, or does not show it without `docker login` or `podman login`"
    ),
    r"unauthorized|authentication required|denied|forbidden|\b40[13]\b": (
        "{registry} does not let this user have {reference}: use `docker login {registry}` or `podman login {registry}`"
    ),
    r"manifest unknown|name unknown|not found|no such image|\b404\b": "{registry} has no image {reference}",
    r"no space left": "there is no space left on the disk for {reference}",
    r"no such host|server misbehaving|dial tcp|connection refused|i/o timeout|network is unreachable|"
    r"tls handshake|context deadline|no route to host|connection reset": (
        "{registry} cannot be reached to pull {reference}: {said}"
    ),
    r"server gave http response to https": (
        "{registry} speaks HTTP only: the container engine pulls from it when its settings call it insecure"
    ),
}


def _tail(said: str) -> str:
    """Returns the end of a chain of errors, which names the cause."""
    text = " ".join(said.split())
    parts = text.split(": ")
    while len(parts) > 1 and len(": ".join(parts)) > _LONGEST:
        parts.pop(0)
    return ": ".join(parts)[-_LONGEST:]


def _size(size_bytes: int) -> str:
    return f"{size_bytes / _MB:.0f} MB" if size_bytes >= 10 * _MB else f"{size_bytes / _MB:.1f} MB"
