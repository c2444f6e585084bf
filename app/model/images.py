"""Image references and catalogue entries."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum

from .errors import BadRequest
from .slots import ResourceSlots

_TAG = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
_NAME = re.compile(
    r"(?:[a-zA-Z0-9][a-zA-Z0-9._-]*(?::[0-9]+)?/)?(?:[a-zA-Z0-9][a-zA-Z0-9._-]*/)*[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?"
)
_LONGEST = 255


@dataclass(frozen=True, slots=True)
class ImageReference:
    """`[registry/][project/]name:tag` (wire contract 9)."""

    name: str
    """Everything before the tag, registry and project included."""
    tag: str = "latest"

    @classmethod
    def parse(cls, text: str) -> ImageReference:
        """Reads a reference; the tag defaults to `latest`.

        Raises:
            BadRequest: empty, with a scheme, or with characters that a reference cannot hold.
        """
        text = text.strip()
        if len(text) > _LONGEST:
            raise BadRequest(f"the image reference {text[:40]!r}... is longer than {_LONGEST} characters")
        if "://" in text:
            raise BadRequest(f"the image {text!r} is written as a URL: leave out the scheme")
        name, colon, tag = text.rpartition(":")
        if not colon or "/" in tag:
            name, tag = text, "latest"
        if not _NAME.fullmatch(name) or not _TAG.fullmatch(tag):
            raise BadRequest(f"{text!r} is no image reference: write name:tag, for example python:3.11-debian12")
        return cls(name, tag)

    @property
    def language(self) -> str:
        """The last part of the name, e.g. `python-tensorflow`."""
        return self.name.rpartition("/")[2]

    @property
    def version(self) -> str:
        """The first part of the tag, e.g. `3.6` of `3.6-ubuntu18.04`."""
        return self.tag.partition("-")[0]

    @property
    def platform(self) -> str:
        """The rest of the tag, e.g. `ubuntu18.04`; empty when there is none."""
        return self.tag.partition("-")[2]

    def __str__(self) -> str:
        return f"{self.name}:{self.tag}"


class ImageState(StrEnum):
    READY = "ready"
    BUILDABLE = "can be built"
    PULLABLE = "can be pulled"
    UNAVAILABLE = "unavailable"


class ImageKind(StrEnum):
    """What an image is made of."""

    PYTHON = "python"
    """An interpreter that was found on the machine."""
    RECIPE = "recipe"
    """An environment that is built from a recipe, kept apart from everything else."""
    JUPYTER = "jupyter"
    """An installed Jupyter kernelspec."""
    CONTAINER = "container"
    """An image of the container engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A catalogue entry: something real that a session can run in."""

    id: str
    """UUID text, derived from what the image is, so that it stays the same from start to start."""
    reference: ImageReference
    registry: str = "local"
    architecture: str = "x86_64"
    digest: str = ""
    """`sha256:<hex>` of what identifies the content."""
    size_bytes: int = 0
    """0 = not counted."""
    aliases: tuple[str, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    language: str = "python"
    runtime_version: str = ""
    """Full version of the language runtime, e.g. `3.11.7`."""
    interpreter: str = ""
    """Absolute path of the interpreter that runs sessions of this image."""
    kernel: str = "ipython"
    """`ipython`; `plain` when cells run with the rules of the standard library's `code` module; `jupyter` when the
    kernel of `kernelspec` runs them, whatever that is."""
    min_slots: ResourceSlots = field(default_factory=ResourceSlots)
    default_slots: ResourceSlots = field(default_factory=ResourceSlots)
    state: ImageState = ImageState.READY
    reason: str = ""
    """Why the image is not ready; empty when it is."""
    kind: ImageKind = ImageKind.PYTHON
    packages: tuple[str, ...] = ()
    """What a recipe installs, as requirements: `numpy>=2`."""
    summary: str = ""
    """What it is, in one line."""
    service_ports: tuple[str, ...] = ()
    """As in the label of Backend.AI: `jupyter:http:8081`."""
    environ: dict[str, str] = field(default_factory=dict)
    """Variables of every session of this image; those of the session win."""
    startup: str = ""
    """Python code that runs in each new kernel before anything of the user's; empty = none."""
    kernelspec: str = ""
    """Absolute path of the folder with `kernel.json`; set when a Jupyter kernel runs the cells, whatever the kind."""
    prepare_s: float = 0.0
    """About how long building or pulling takes; 0 = nobody knows, or nothing is to be done."""

    @property
    def in_container(self) -> bool:
        """Whether sessions of it run in containers."""
        return self.kind is ImageKind.CONTAINER

    @property
    def canonical(self) -> str:
        return str(self.reference)
