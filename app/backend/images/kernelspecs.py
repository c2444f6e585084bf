"""Installed Jupyter kernelspecs as images.

They are looked for where `jupyter_client` does it, and read here: a `kernel.json` is a small file, and importing that
library would cost the backend more than reading a hundred of them.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...model.errors import BadRequest, ImageFailed
from ...model.images import Image, ImageKind, ImageReference, ImageState
from ...model.slots import ResourceSlots
from ..ports import Tell
from .interpreters import tag_part
from .naming import MIN_SLOTS, Named, content_digest, default_slots, file_mark, image_id

_log = logging.getLogger(__name__)
_FILE = "kernel.json"
_LARGEST = 1 << 20
_SYSTEM = (Path("/usr/local/share/jupyter"), Path("/usr/share/jupyter"))
_WORDS = {"+": "p", "#": "sharp"}
"""`C++17` is `cpp17` where a name can hold neither."""


@dataclass(frozen=True, slots=True)
class Spec:
    """What a `kernel.json` says, as far as the catalogue needs it."""

    folder: Path
    content: bytes
    argv: Sequence[str]
    display_name: str
    language: str

    @classmethod
    def read(cls, folder: Path) -> Spec:
        """Reads a kernelspec.

        Raises:
            OSError: there is none, or it cannot be read.
            ValueError: it is no kernelspec.
        """
        with (folder / _FILE).open("rb") as file:
            content = file.read(_LARGEST + 1)
        if len(content) > _LARGEST:
            raise ValueError("it is too large")
        try:
            said = json.loads(content)
            argv = said["argv"]
            if not isinstance(argv, list) or not argv or not all(isinstance(one, str) and one for one in argv):
                raise ValueError("its argv is no command")
            name, language = said.get("display_name"), said.get("language")
        except (KeyError, TypeError, AttributeError, RecursionError):
            raise ValueError("it names no argv") from None
        return cls(
            folder,
            content,
            tuple(argv),
            name if isinstance(name, str) else folder.name,
            language if isinstance(language, str) else "",
        )

    @property
    def reference(self) -> ImageReference:
        """`<language>:jupyter-<name>`.

        Raises:
            BadRequest: the name of the folder leaves nothing of it.
        """
        language = "".join(_WORDS.get(char, char) for char in self.language.lower())
        return ImageReference.parse(f"{tag_part(language) or 'jupyter'}:jupyter-{tag_part(self.folder.name)}")

    def program(self, path: str) -> str:
        """Returns the absolute path of what it runs; empty when it is not here. As the runner finds it: one without a
        folder is that of the installation which the spec lies in, else one of `path`."""
        parts = self.folder.parts
        prefix = Path(*parts[:-4]) if parts[-4:-1] == ("share", "jupyter", "kernels") else None
        name = self.argv[0].replace("{resource_dir}", str(self.folder)).replace("{prefix}", str(prefix or ""))
        own = str(prefix / "bin") if prefix else ""
        return shutil.which(name, path=os.pathsep.join(filter(None, [own, path]))) or ""


class KernelspecSource:
    """The kernelspecs that are installed on this machine. The first of a name counts, as with Jupyter itself."""

    kind = ImageKind.JUPYTER

    def __init__(
        self,
        environ: Mapping[str, str] = os.environ,
        *,
        offered: ResourceSlots | None = None,
        system: Sequence[Path] = _SYSTEM,
    ) -> None:
        """Looks at nothing yet.

        Args:
            environ: JUPYTER_PATH, JUPYTER_DATA_DIR, XDG_DATA_HOME, HOME and PATH are read from here.
            offered: what sessions can have here; images do not ask for more by default.
            system: Jupyter's data folders of the machine.
        """
        self._environ = environ
        self._offered = offered or ResourceSlots()
        self._system = system

    async def look(self, found: Sequence[Named]) -> Sequence[Named]:
        """Returns the kernelspecs in Jupyter's own folders and below the interpreters that were found."""
        return await asyncio.to_thread(self._read, [one.image for one in found])

    async def check(self, image: Image) -> str:
        return await asyncio.to_thread(self._wrong, image)

    async def make_ready(self, image: Image, tell: Tell) -> Image:
        raise ImageFailed(
            f"{image.canonical} is the Jupyter kernel in {image.kernelspec}, which bai-tui cannot build: install it "
            "with what it comes from"
        )

    async def log(self, image: Image) -> str:
        return ""  # nothing is ever built

    async def remove(self, image: Image) -> str:
        raise ImageFailed(
            f"{image.canonical} is the Jupyter kernel in {image.kernelspec}, which bai-tui has not installed: "
            "remove it with `jupyter kernelspec remove`"
        )

    def _read(self, interpreters: Sequence[Image]) -> Sequence[Named]:
        prefixes = dict.fromkeys(Path(one.interpreter).parent.parent for one in interpreters)
        platform = next((one.labels.get("ai.backend.base-distro", "") for one in interpreters), "")
        named: dict[str, Named] = {}
        for folder in self._folders(prefixes):
            try:
                spec = Spec.read(folder)
                reference = spec.reference
            except (OSError, ValueError, BadRequest) as exc:
                _log.info("no kernelspec: %s: %s", folder / _FILE, exc)
                continue
            if reference.tag not in (one.image.reference.tag for one in named.values()):
                named[str(reference)] = self._named(spec, reference, platform)
        return sorted(named.values(), key=lambda one: one.image.canonical)

    def _folders(self, prefixes: Iterable[Path]) -> Iterator[Path]:
        """Yields the folders of kernelspecs, those that win first; a name may come again."""
        home = Path(self._environ.get("HOME") or "~").expanduser()
        data = self._environ.get("XDG_DATA_HOME", "")
        user = Path(data if data.startswith("/") else home / ".local/share", "jupyter")
        places = [Path(text) for text in self._environ.get("JUPYTER_PATH", "").split(os.pathsep) if text]
        places.append(Path(self._environ.get("JUPYTER_DATA_DIR") or user))
        places += [prefix / "share/jupyter" for prefix in prefixes]
        kernels = [place / "kernels" for place in (*places, *self._system)]
        for folder in dict.fromkeys([*kernels, home / ".ipython/kernels"]):
            try:
                yield from sorted(one for one in folder.iterdir() if os.path.isfile(one / _FILE))  # noqa: PTH113 - Path's raises
            except OSError:
                continue

    def _named(self, spec: Spec, reference: ImageReference, platform: str) -> Named:
        program = spec.program(self._environ.get("PATH", ""))
        image = Image(
            id=image_id("jupyter", str(spec.folder)),
            reference=reference,
            architecture=os.uname().machine,
            digest=content_digest(spec.content),
            labels={
                "ai.backend.kernelspec": "1",
                "ai.backend.role": "COMPUTE",
                "ai.backend.features": "batch query user-input",
                "ai.backend.base-distro": platform,
                "ai.backend.resource.min.cpu": "1",
                "ai.backend.resource.min.mem": "64m",
                "ai.backend.runtime-type": reference.language,
                "ai.backend.runtime-path": program or spec.argv[0],
                "ai.backend.service-ports": "",
                "bai-tui.source": "jupyter",
            },
            language=reference.language,
            kernel="jupyter",
            min_slots=MIN_SLOTS,
            default_slots=default_slots(self._offered),
            state=ImageState.READY if program else ImageState.UNAVAILABLE,
            reason="" if program else _no_program(spec),
            kind=ImageKind.JUPYTER,
            summary=f"{' '.join(spec.display_name.split())}, a Jupyter kernel",
            kernelspec=str(spec.folder),
        )
        return Named(image, True, True, (0, 0, 0), file_mark(program) if program else None, program)

    def _wrong(self, image: Image) -> str:
        folder = Path(image.kernelspec)
        try:
            Spec.read(folder)
        except OSError as exc:
            return f"its kernelspec {folder / _FILE} cannot be read: {exc.strerror}"
        except ValueError as exc:
            return f"its kernelspec {folder / _FILE} cannot be used: {exc}"
        program = image.labels["ai.backend.runtime-path"]
        return "" if file_mark(program) else f"its program {program} is gone"


def _no_program(spec: Spec) -> str:
    return f"{spec.argv[0]}, which its kernelspec {spec.folder / _FILE} runs, cannot be executed"
