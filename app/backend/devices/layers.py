"""Which layers of enforcement are in force for a session, each with its true guarantee and its hole in one line.

The long form is docs/gpu-shares.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Final

from ...model.sessions import Session
from ...model.shares import share_mem_bytes
from ...model.slots import CPU, MEM, format_amount
from ...policies import GpuSettings
from ..ports import Guarantee, Layer
from .environment import FRACTIONS, Shares, real_shares

_MIB: Final = 1 << 20
_INITIAL_PID_NAMESPACE: Final = "pid:[4026531836]"
"""PROC_PID_INIT_INO of Linux (include/linux/proc_ns.h)."""


def session_layers(
    session: Session, shares: Shares, environ: Mapping[str, str], settings: GpuSettings, *, real_gpus: bool
) -> list[Layer]:
    """Returns the layers of a session that holds resources.

    Args:
        environ: what the session's processes were told of its devices.
        real_gpus: the machine has GPUs that can be hidden.
    """
    return [
        *_accounting(session, shares),
        *_environment(shares, environ, real_gpus=real_gpus),
        *_caps(environ),
        *_mps(environ),
        *_watcher(shares, settings),
    ]


def _accounting(session: Session, shares: Shares) -> Iterator[Layer]:
    if cores := session.allocation.get(CPU):
        amount = format_amount(sum(map(Decimal, cores.values()), Decimal(0)))
        yield Layer(
            "accounting", "cpu", Guarantee.COUNTED, f"{amount} cpu promised to nobody else; counts, limits nothing"
        )
    if memory := session.allocation.get(MEM):
        mib = int(sum(map(Decimal, memory.values()), Decimal(0))) // _MIB
        yield Layer(
            "accounting", "mem", Guarantee.COUNTED, f"{mib} MiB promised to nobody else; counts, limits nothing"
        )
    if shares:
        parts = ", ".join(
            f"{format_amount(share)} of {gpu.id}{' (mock)' if gpu.kind == 'mock' else ''}"
            f" = {share_mem_bytes(gpu.mem_bytes, share) // _MIB} MiB"
            for gpu, share in shares
        )
        yield Layer("accounting", "gpu", Guarantee.COUNTED, f"{parts}; promised to nobody else; counts, limits nothing")


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
    if "CUDA_MPS_PIPE_DIRECTORY" not in environ:
        return
    limits = environ.get("CUDA_MPS_PINNED_DEVICE_MEM_LIMIT", "none")
    threads = environ.get("CUDA_MPS_ACTIVE_THREAD_PERCENTAGE", "100")
    yield Layer(
        "mps",
        "gpu",
        Guarantee.COOPERATIVE,
        f"the MPS server refuses memory above {limits} and gives {threads} % of the threads to each process of the "
        "session; several processes have that each, and code that resets CUDA_MPS_* is not held",
    )


def _watcher(shares: Shares, settings: GpuSettings) -> Iterator[Layer]:
    watched = [
        gpu
        for gpu, share in shares
        if gpu.mem_bytes and share < 1 and (settings.watch_mock if gpu.kind == "mock" else settings.watch)
    ]
    if not watched:
        return
    blind = (
        "; the backend runs in a container, where the driver's process ids may not be ours: use may be missed"
        if real_shares(shares) and not sees_all_processes()
        else ""
    )
    yield Layer(
        "watcher",
        "gpu",
        Guarantee.DETECTED,
        f"memory is read every second: a warning above {settings.warn_pct:g} % of the share, the end after "
        f"{settings.end_samples} readings above {settings.end_pct:g} %; until then it is taken from others{blind}",
    )


def sees_all_processes(root: Path = Path("/")) -> bool:
    """Whether process ids here are those of the machine, in which the driver may speak; True when nobody can tell."""
    try:
        return str((root / "proc/self/ns/pid").readlink()) == _INITIAL_PID_NAMESPACE
    except OSError:
        return True
