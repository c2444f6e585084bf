"""What sets sessions apart whose cells are run by a Jupyter kernel.

They are forked from an interpreter of the backend's own, which knows how to talk to one; the kernel itself is started
by the session (see `runner.bridge`).
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from ...model.errors import LaunchFailed
from ...model.images import Image
from .environment import make_bin_dir

INTERPRETER: Final = sys.executable
"""What bridges run on."""
READY_S: Final = 75.0
"""How long such a kernel may take to answer: a little longer than the bridge waits, which says more of why."""


def is_jupyter(image: Image) -> bool:
    """Whether cells are run by a Jupyter kernel."""
    return bool(image.kernelspec) and not image.in_container


@cache
def pyzmq_folders() -> tuple[str, ...]:
    """Returns the folders that the bridge's modules beside the standard library lie in.

    Raises:
        LaunchFailed: they are not installed.
    """
    found = importlib.util.find_spec("zmq")
    if found is None or found.origin is None:
        raise LaunchFailed(
            "Jupyter kernels need the Python package pyzmq, which is missing from this installation of bai-tui: "
            "install it again, or use another image"
        )
    return (str(Path(found.origin).parent.parent),)


def told(image: Image, fixed: Iterable[str]) -> dict[str, Any] | None:
    """Returns what the session is told of its kernel; None = it is none of Jupyter's.

    Args:
        fixed: variables that are the session's to say, whatever the kernelspec does.
    """
    if not is_jupyter(image):
        return None
    return {"folder": image.kernelspec, "python": image.interpreter, "fixed": sorted(fixed)}


def make_programs(state_dir: Path, image: Image) -> list[str]:
    """Returns the folders of the image's programs, having made the one that holds its `python`, where it has one."""
    found = [bin_folder(image)]
    if image.interpreter:
        digest = hashlib.sha256(image.interpreter.encode()).hexdigest()[:12]
        found = [str(make_bin_dir(state_dir / f"jupyter-{digest}.bin", image.interpreter)), *found]
        found.append(str(Path(image.interpreter).parent))
    return list(dict.fromkeys(filter(None, found)))


def bin_folder(image: Image) -> str:
    """Returns where the programs lie that belong to a kernelspec; empty where it belongs to no installation."""
    parts = Path(image.kernelspec).parts
    if parts[-4:-1] != ("share", "jupyter", "kernels"):
        return ""
    return str(Path(*parts[:-4], "bin"))


def installation(image: Image, environ: Mapping[str, str]) -> list[str]:
    """Returns the folders that a kernel needs of the file system, to be shown where most of it is hidden. Reads files.

    Folders of installations; of those that hold more than that, such as a home, only the parts that count are shown.
    """
    programs = [image.interpreter, _program(image, environ.get("PATH", os.defpath))]
    found: dict[str, None] = {}
    for program in filter(None, programs):
        for path in (Path(program), Path(program).resolve()):
            found[str(path.parent.parent)] = None
    return list(found)


def _program(image: Image, path: str) -> str:
    try:
        name = str(json.loads((Path(image.kernelspec) / "kernel.json").read_bytes())["argv"][0])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return ""  # its start will tell
    return shutil.which(name, path=os.pathsep.join([bin_folder(image), path])) or ""
