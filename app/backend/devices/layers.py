"""Which layers of enforcement the devices put in force for a session: what each is worth, and its hole, in one line.

The long form is docs/gpu-shares.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from ..ports import Guarantee, Layer
from .environment import FRACTIONS, Shares

_INITIAL_PID_NAMESPACE: Final = "pid:[4026531836]"
"""PROC_PID_INIT_INO of Linux (include/linux/proc_ns.h)."""


def session_layers(shares: Shares, environ: Mapping[str, str], *, real_gpus: bool, mps: bool) -> list[Layer]:
    """Returns the layers that the devices put in force; the service tells of its books and its watcher.

    Args:
        environ: what the session's processes were told of its devices.
        real_gpus: the machine has GPUs that can be hidden.
        mps: it is a client of MPS.
    """
    return [
        *_environment(shares, environ, real_gpus=real_gpus),
        *_caps(environ),
        *(_mps(environ) if mps else ()),
    ]


def _environment(shares: Shares, environ: Mapping[str, str], *, real_gpus: bool) -> Iterator[Layer]:
    if visible := environ.get("CUDA_VISIBLE_DEVICES"):
        detail = f"CUDA_VISIBLE_DEVICES={visible}; code that resets it sees all GPUs of the machine"
    elif real_gpus:
        detail = "CUDA_VISIBLE_DEVICES is empty: no GPU is seen; code that resets it sees all GPUs of the machine"
    elif shares:
        detail = "mock GPUs are named in BACKENDAI_MOCK_CUDA_DEVICES; they compute nothing"
    else:
        return
    yield Layer("environment", "gpu", Guarantee.COOPERATIVE, detail)


def _caps(environ: Mapping[str, str]) -> Iterator[Layer]:
    if fractions := environ.get(FRACTIONS):
        yield Layer(
            "framework-caps",
            "gpu",
            Guarantee.COOPERATIVE,
            f"PyTorch, JAX and TensorFlow may take {fractions} of the memory, each process; "
            "other CUDA code, and code that sets them anew, is not held",
        )


def _mps(environ: Mapping[str, str]) -> Iterator[Layer]:
    limits = environ.get("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "none")
    threads = environ.get("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "100")
    yield Layer(
        "mps",
        "gpu",
        Guarantee.COOPERATIVE,
        f"the MPS server refuses memory above {limits} and gives {threads} % of the threads to each process of the "
        "session; several processes have that each, and code that resets CUDA_MPS_* is not held",
    )


def sees_all_processes(root: Path = Path("/")) -> bool:
    """Whether process ids here are those of the machine, in which the driver may speak; True when nobody can tell."""
    try:
        return str((root / "proc/self/ns/pid").readlink()) == _INITIAL_PID_NAMESPACE
    except OSError:
        return True
