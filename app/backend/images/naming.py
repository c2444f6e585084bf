"""From interpreters to named images.

`<language>:<major.minor>-<platform>` where language is `python` for CPython and the implementation's name otherwise,
and platform is `<os id><os version>`. A free-threaded build has its `t` behind the version: `python:3.13t-debian12`.

Of several interpreters of one language and minor version, the first on PATH has the plain name; where none is on
PATH, those of the system go before uv's, pyenv's and conda's, and the newer before the older. The others have a
suffix that says where they are from: `-pyenv3.11.7`, `-uv3.11.9`, `-system3.11.2`, `-conda-<environment>`; a virtual
environment always has one: `-venv-<folder>`. What is still the same gets `-2`, `-3`, ...
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from ...model.images import Image, ImageKind, ImageReference
from ...model.slots import CPU, MEM, ResourceSlots
from .interpreters import Candidate, Source, tag_part
from .probe import Interpreter

OLDEST = (3, 6)
"""What the runner can work with."""
LENT_IPYTHON = (3, 11)
"""From this version on, the IPython that this program brings along works for an interpreter without its own."""
MIN_SLOTS = ResourceSlots({CPU: 1, MEM: 64 << 20})
DEFAULT_SLOTS = ResourceSlots({CPU: 1, MEM: 1 << 30})
_PLACES = {
    Source.SYSTEM: "of the system",
    Source.UV: "installed by uv",
    Source.PYENV: "installed by pyenv",
    Source.CONDA: "of the conda environment {label}",
    Source.PATH: "found on PATH",
    Source.VENV: "of the virtual environment {label}",
}
_NAMESPACE = uuid.UUID("0f5b2a3c-63c5-5f4e-8f4d-1c6d2b7f9a10")


@dataclass(frozen=True, slots=True)
class Found:
    """An interpreter that sessions can run in."""

    candidate: Candidate
    about: Interpreter

    @property
    def language(self) -> str:
        return "python" if self.about.implementation == "cpython" else tag_part(self.about.implementation)

    @property
    def stable(self) -> bool:
        """Whether it is a release, built as usual: fit to be the default."""
        return self.about.release == "final" and not set(self.about.abiflags) & set("td")

    @property
    def short_version(self) -> str:
        major, minor, _ = self.about.version
        return f"{major}.{minor}{'t' if 't' in self.about.abiflags else ''}"

    @property
    def full_version(self) -> str:
        """`3.11.7`, `3.14.0rc`, `3.13.0t`."""
        release = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(self.about.release, "")
        return ".".join(map(str, self.about.version)) + release + ("t" if "t" in self.about.abiflags else "")

    @property
    def kernel(self) -> str:
        """Which of the two kinds of cells it can run."""
        lent = self.about.version >= LENT_IPYTHON and self.about.implementation == "cpython"
        return "ipython" if self.about.ipython or lent else "plain"


@dataclass(frozen=True, slots=True)
class Named:
    """An image with what the resolution of references needs to know of it."""

    image: Image
    plain: bool
    """Whether it has the plain name of its version."""
    stable: bool
    version: tuple[int, int, int]
    mark: tuple[int, int] | None = None
    """Size and time of `watched` when it was looked at; None when it was gone by then."""
    watched: str = ""
    """Absolute path of the program without which the image cannot run: it is looked at whenever the image is asked
    for. Empty = nothing is, then."""

    @property
    def key(self) -> tuple[ImageKind, str]:
        """What tells it from all others of the catalogue."""
        return self.image.kind, self.image.canonical


def image_id(*identity: str) -> str:
    """Returns the UUID text of the image that is identified by these texts, kind or place first."""
    return str(uuid.uuid5(_NAMESPACE, "\n".join(identity)))


def content_digest(content: bytes) -> str:
    """Returns `sha256:<hex>`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def default_slots(offered: ResourceSlots) -> ResourceSlots:
    """Returns what a session of an image has that asks for nothing, not more than the machine offers."""
    defaults = {slot: min(amount, offered.get(slot, amount)) for slot, amount in DEFAULT_SLOTS.items()}
    return ResourceSlots({slot: Decimal(amount) for slot, amount in defaults.items()})


def file_mark(path: str) -> tuple[int, int] | None:
    """Returns what changes when an interpreter is replaced; None when it is gone or cannot be run."""
    try:
        status = os.stat(path)  # noqa: PTH116 - for each launch, and of all images at times
    except OSError:
        return None
    return (status.st_size, status.st_mtime_ns) if os.access(path, os.X_OK) else None


def name_all(found: Sequence[Found], platform: str, offered: ResourceSlots) -> list[Named]:
    """Returns the images of `found` (in the order of PATH), newest first, the plain name before its suffixed kin.

    Args:
        platform: `<os id><os version>` as it stands in tags.
        offered: what the machine offers; defaults are cut to it where it has the slot.
    """
    sources = list(Source)
    by_version: dict[tuple[str, str], list[tuple[int, Found]]] = {}
    for place, one in enumerate(found):
        by_version.setdefault((one.language, one.short_version), []).append((place, one))
    named = []
    for (language, version), rivals in by_version.items():
        rivals.sort(
            key=lambda rival: (
                rival[1].candidate.source is Source.VENV,
                not rival[1].stable,
                not rival[1].candidate.on_path,
                rival[0] if rival[1].candidate.on_path else sources.index(rival[1].candidate.source),
                tuple(-part for part in rival[1].about.version),
                rival[0],
            )
        )
        taken: set[str] = set()
        for _, one in rivals:
            tag = base = f"{version}-{platform}"
            plain = not taken and one.candidate.source is not Source.VENV
            if not plain:
                tag = base = f"{base}-{_suffix(one)}"
                number = 2
                while tag in taken:
                    tag, number = f"{base}-{number}", number + 1
            taken.add(tag)
            image = _image(one, ImageReference(language, tag), platform, offered)
            mark = file_mark(image.interpreter)
            named.append(Named(image, plain, one.stable, one.about.version, mark, image.interpreter))
    named.sort(key=lambda one: (one.image.language, [-part for part in one.version[:2]], not one.plain))
    return named


def _suffix(one: Found) -> str:
    label = tag_part(one.candidate.label)
    source = one.candidate.source.value
    return f"{source}-{label}" if label else f"{source}{one.full_version}"


def _image(one: Found, reference: ImageReference, platform: str, offered: ResourceSlots) -> Image:
    interpreter = str(one.candidate.path)
    identity = [interpreter, str(one.candidate.venv or ""), one.full_version, one.about.implementation]
    content = [*identity, *map(str, file_mark(interpreter) or ())]
    return Image(
        id=image_id(*identity),
        reference=reference,
        architecture=one.about.machine,
        digest=content_digest(json.dumps(content).encode()),
        labels=_labels(one, interpreter, platform),
        language=one.language,
        runtime_version=one.full_version,
        interpreter=interpreter,
        kernel=one.kernel,
        min_slots=MIN_SLOTS,
        default_slots=default_slots(offered),
        summary=_summary(one),
    )


def _summary(one: Found) -> str:
    name = {"cpython": "Python", "pypy": "PyPy"}.get(one.about.implementation, one.about.implementation)
    place = _PLACES[one.candidate.source].format(label=one.candidate.label)
    return f"{name} {one.full_version} {place}"


def _labels(one: Found, interpreter: str, platform: str) -> dict[str, str]:
    labels = {
        "ai.backend.kernelspec": "1",
        "ai.backend.role": "COMPUTE",
        "ai.backend.envs.corecount": "OPENBLAS_NUM_THREADS,OMP_NUM_THREADS,NPROC",
        "ai.backend.features": "batch query user-input",
        "ai.backend.base-distro": platform,
        "ai.backend.resource.min.cpu": "1",
        "ai.backend.resource.min.mem": "64m",
        "ai.backend.runtime-type": one.language,
        "ai.backend.runtime-path": interpreter,
        "ai.backend.service-ports": "",
        "bai-tui.source": one.candidate.source.value,
    }
    if one.candidate.label:
        labels["bai-tui.environment"] = one.candidate.label
    return labels
