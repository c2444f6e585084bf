"""The device files of GPUs that an isolated session gets: those of the GPUs that it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_SHARED: Final = ("nvidiactl", "nvidia-uvm", "nvidia-uvm-tools", "nvidia-modeset", "nvidia-caps", "dri", "kfd")
"""What every user of a GPU needs."""
_ONE: Final = re.compile(r"nvidia\d+")


def fences_gpus(environ: Mapping[str, str], root: Path = Path("/")) -> bool:
    """Whether there are GPUs here, and a session sees the device files of those that it holds and of no other."""
    held = _held(environ)
    return any(_all(root)) and held <= _files(root).keys()


def are_there_gpus(root: Path = Path("/")) -> bool:
    """Whether there are device files of NVIDIA's GPUs here."""
    return bool(_all(root))


def _held(environ: Mapping[str, str]) -> set[str]:
    return {name.strip() for name in environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()}


def _all(root: Path) -> list[str]:
    return sorted(path.name for path in (root / "dev").glob("nvidia*") if _ONE.fullmatch(path.name))


def device_files(environ: Mapping[str, str], root: Path = Path("/")) -> list[str]:
    """Returns the device files that a session is to see, given what it was told of its GPUs. Reads small files.

    Without a GPU it sees none. Where it cannot be told which file belongs to a GPU, it sees those of all.

    Args:
        environ: holds CUDA_VISIBLE_DEVICES, as the devices have said and nobody else; without it the session holds no
            real GPU.
    """
    held = _held(environ)
    if not held:
        return []
    known = _files(root)
    own = sorted(known[uuid] for uuid in held) if held <= known.keys() else _all(root)
    return [f"/dev/{name}" for name in (*own, *_SHARED) if (root / "dev" / name).exists()]


def _files(root: Path) -> dict[str, str]:
    """Returns UUID -> name of the device file, as the driver tells it."""
    found = {}
    for about in (root / "proc/driver/nvidia/gpus").glob("*/information"):
        try:
            text = about.read_text()
        except OSError:
            continue
        uuid = re.search(r"GPU UUID:\s*(\S+)", text)
        minor = re.search(r"Device Minor:\s*(\d+)", text)
        if uuid and minor:
            found[uuid[1]] = f"nvidia{minor[1]}"
    return found
