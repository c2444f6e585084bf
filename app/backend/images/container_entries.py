"""From an image of a container engine to an entry of the catalogue. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from ...model.errors import BaiTuiError
from ...model.images import Image, ImageKind, ImageReference, ImageState
from ...model.slots import KNOWN_SLOTS, ResourceSlots, parse_amount
from ..containers import EngineImage, PythonInside
from .container_names import registry_of
from .naming import LENT_IPYTHON, MIN_SLOTS, Named, default_slots, image_id

_MINIMUM = "ai.backend.resource.min."
_VERSION = re.compile(r"[0-9]+(\.[0-9]+)+")
_TITLES = ("org.opencontainers.image.title", "org.opencontainers.image.description", "description")
_LONGEST_TITLE = 80


def entry_of(
    reference: ImageReference, image: EngineImage, inside: PythonInside | str | None, offered: ResourceSlots
) -> Named:
    """Returns the entry of an image that is here.

    Args:
        inside: its Python, why there is none, or None when nobody looked yet.
        offered: what the machine offers; defaults are cut to it.
    """
    python = inside if isinstance(inside, PythonInside) else None
    version = python.version if python else image.environ.get("PYTHON_VERSION", "")
    minimum = _minimum(image.labels)
    entry = Image(
        id=image_id(ImageKind.CONTAINER, str(reference)),
        reference=reference,
        registry=registry_of(reference),
        architecture=image.architecture,
        digest=image.id,
        size_bytes=image.size_bytes,
        labels=dict(image.labels),
        language=_language(reference, python, version),
        runtime_version=version,
        interpreter=python.executable if python else "",
        kernel=_kernel(python),
        min_slots=minimum,
        default_slots=_at_least(default_slots(offered), minimum),
        state=ImageState.UNAVAILABLE if isinstance(inside, str) else ImageState.READY,
        reason=inside if isinstance(inside, str) else "",
        kind=ImageKind.CONTAINER,
        summary=_summary(image, python),
        service_ports=tuple(filter(None, image.labels.get("ai.backend.service-ports", "").split(","))),
    )
    return _named(entry)


def _kernel(python: PythonInside | None) -> str:
    """Returns which cells it can run; of a Python that nobody looked at yet, those of most."""
    if python is None or python.ipython:
        return "ipython"
    version = tuple(int(part) for part in re.findall(r"\d+", python.version))
    return "ipython" if python.implementation == "cpython" and version >= LENT_IPYTHON else "plain"


def entry_to_pull(reference: ImageReference, architecture: str, offered: ResourceSlots, why_not: str = "") -> Named:
    """Returns the entry of an image that is not here.

    Args:
        why_not: why it cannot be pulled either.
    """
    entry = Image(
        id=image_id(ImageKind.CONTAINER, str(reference)),
        reference=reference,
        registry=registry_of(reference),
        architecture=architecture,
        language=_language(reference, None, ""),
        kernel="plain",
        min_slots=MIN_SLOTS,
        default_slots=default_slots(offered),
        state=ImageState.UNAVAILABLE if why_not else ImageState.PULLABLE,
        reason=why_not or f"it is not here yet, {registry_of(reference)} may have it",
        kind=ImageKind.CONTAINER,
        summary="A container image that is not here",
    )
    return _named(entry)


def gone(one: Named, reason: str) -> Named:
    """Returns an entry that cannot be used for now."""
    return replace(one, image=replace(one.image, state=ImageState.UNAVAILABLE, reason=reason))


def _named(image: Image) -> Named:
    numbers = [int(part) for part in image.runtime_version.split(".") if part.isdigit()]
    major, minor, micro = (*numbers, 0, 0, 0)[:3]
    return Named(image, plain=False, stable=True, version=(major, minor, micro))


def _language(reference: ImageReference, python: PythonInside | None, version: str) -> str:
    """What sessions speak is the runner's Python; what it is made for is all that is known before somebody looked."""
    if python:
        return "python" if python.implementation == "cpython" else python.implementation
    return "python" if version else reference.language


def _summary(image: EngineImage, python: PythonInside | None) -> str:
    title = next((image.labels[name] for name in _TITLES if image.labels.get(name)), "")
    title = " ".join(title.split())[:_LONGEST_TITLE]
    runs = f"Python {python.version} in a container" if python else "A container image, not looked into yet"
    return f"{runs}: {title}" if title else runs


def _minimum(labels: Mapping[str, str]) -> ResourceSlots:
    """Returns what the labels of Backend.AI ask for at least; what cannot be read is left out."""
    amounts: dict[str, Decimal] = dict(MIN_SLOTS)
    for name, text in labels.items():
        slot = name.removeprefix(_MINIMUM)
        if slot not in KNOWN_SLOTS:
            continue
        try:
            amount = parse_amount(slot, text)
        except BaiTuiError:
            continue
        if amount:
            amounts[slot] = amount
    return ResourceSlots(amounts)


def _at_least(slots: ResourceSlots, minimum: ResourceSlots) -> ResourceSlots:
    return ResourceSlots({name: max(slots.amount(name), minimum.amount(name)) for name in {**slots, **minimum}})
