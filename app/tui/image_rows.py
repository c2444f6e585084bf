"""What the server tells of images, as lines of the picker, and how far each is that is being built. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from ...widgets.rows import ImageProgress, ImageRow
from ..client.views import ImageView, ProgressView
from ..model.images import ImageKind, ImageState

IMAGES: Final = "images"
"""Capability of a server that tells states of images, and builds and pulls them when it is asked to."""
PROGRESS: Final = "bai_image_progress"
GONE: Final = "bai_image_gone"
BACK: Final = "bai_image_back"


def image_row(view: ImageView, *, told: bool, before: ImageRow | None, now_s: float) -> ImageRow:
    """Returns a server's image as a line of the picker.

    Args:
        told: the server tells states.
        before: what was known of it.
        now_s: clock time.
    """
    labels = view.labels
    environment = labels.get("bai-tui.environment", "")
    packages = labels.get("bai-tui.packages", "").split(",")
    return ImageRow(
        view.reference,
        view.aliases,
        environment,
        view.installed,
        language=view.language or labels.get("ai.backend.runtime-type", ""),
        packages=view.packages or tuple(part.strip() for part in packages if part.strip()),
        size_bytes=view.size_bytes,
        state=view.state if told else None,
        reason=view.reason,
        kind=_kind(view.kind),
        version=view.runtime_version
        or labels.get("ai.backend.runtime-version", "")
        or labels.get("runtime_version", ""),
        summary=view.summary,
        digest=view.digest,
        architecture=view.architecture,
        service_ports=view.service_ports,
        min_slots=view.min_slots,
        default_slots=view.default_slots,
        prepare_s=view.prepare_s,
        progress=progress_of(view.progress, None if before is None else before.progress, now_s),
    )


def progress_of(view: ProgressView | None, before: ImageProgress | None, now_s: float) -> ImageProgress | None:
    """Returns how far an image is; the same as before where nothing is new, so that one sees what does not move."""
    if view is None:
        return None
    fraction = None if view.total <= 0 else min(1.0, max(0.0, view.current / view.total))
    if before is not None and (before.fraction, before.step) == (fraction, view.message):
        return before
    return ImageProgress(fraction, view.message, now_s)


def with_progress(images: Sequence[ImageRow], reference: str, progress: ImageProgress | None) -> list[ImageRow]:
    """Returns images of which one is so far."""
    return [replace(image, progress=progress) if image.reference == reference else image for image in images]


def with_ready(images: Sequence[ImageRow], reference: str) -> list[ImageRow]:
    """Returns images of which one was made ready."""
    return [
        replace(image, state=ImageState.READY, reason="", installed=True) if image.reference == reference else image
        for image in images
    ]


def found(images: Sequence[ImageRow], name: str) -> ImageRow | None:
    """Returns the image with a reference or an alias."""
    exact = next((image for image in images if image.reference == name), None)
    return exact or next((image for image in images if name in image.aliases), None)


def _kind(text: str) -> ImageKind | None:
    try:
        return ImageKind(text)
    except ValueError:
        return None
