"""The variables that tell a session's processes which devices are theirs, and how much of them.

Sources: CUDA_VISIBLE_DEVICES and CUDA_DEVICE_ORDER: CUDA Programming Guide 5.2.1,
https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html.
XLA_PYTHON_CLIENT_MEM_FRACTION (part of the *total* memory of a GPU that JAX takes when it starts; jaxlib 0.4.1 and
later): https://docs.jax.dev/en/latest/gpu_memory_allocation.html.
TF_FORCE_GPU_ALLOW_GROWTH (TensorFlow takes memory as it needs it, not all of it): https://www.tensorflow.org/guide/gpu.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal
from typing import Final

from ...model.sessions import Session
from ...model.shares import share_mem_bytes
from ...model.slots import CPU
from ..ports import Device

FRACTIONS: Final = "BAI_TUI_GPU_FRACTIONS"
"""Part of the memory of each visible GPU that a framework may take, in the order of CUDA_VISIBLE_DEVICES."""
_JAX: Final = "XLA_PYTHON_CLIENT_MEM_FRACTION"
_JAX_NEW: Final = "XLA_CLIENT_MEM_FRACTION"
"""Its newer name. jaxlib refuses to start when both are set, and reads the older one alone as well."""
_MIB: Final = 1 << 20
_CONTEXT_BYTES: Final = 512 * _MIB
"""What a CUDA context takes besides what a framework allocates, roughly: it counts as used by the process too."""
_STEP: Final = Decimal("0.0001")

Shares = Sequence[tuple[Device, Decimal]]
"""GPUs with the part of each that is promised, in the machine's order."""


def session_environment(session: Session, shares: Shares, *, caps: bool) -> dict[str, str]:
    """Returns the variables for the devices of a session.

    Real GPUs are named by UUID, and hidden from a session that was not promised any. Mock ones are named in variables
    of their own, never in CUDA_VISIBLE_DEVICES, so that no library goes and looks for them.

    Args:
        caps: tell PyTorch, JAX and TensorFlow to stay within the share of memory.
    """
    cores = sum(map(Decimal, session.allocation.get(CPU, {}).values()), Decimal(0))
    threads = str(max(int(cores), 1))
    real = real_shares(shares)
    visible = ",".join(gpu.uuid for gpu, _ in real)
    environ = {
        "OMP_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
        "NPROC": threads,
        "CUDA_VISIBLE_DEVICES": visible,
        "CUDA_DEVICE_ORDER": "PCI_BUS_ID",
        # "void" is the word of NVIDIA's container toolkit for no GPU at all
        "NVIDIA_VISIBLE_DEVICES": visible or "void",
        "GPU_COUNT": str(len(shares)),
        "N_GPUS": str(len(shares)),
    }
    if shares:
        environ |= {
            "GPU_TYPE": "cuda",
            "GPU_MODEL_NAME": shares[0][0].model,
            "GPU_CONFIG": ",".join(
                f"{number}:{_size(share_mem_bytes(gpu.mem_bytes, share))}" for number, (gpu, share) in enumerate(shares)
            ),
        }
    if mocks := [gpu.uuid for gpu, _ in shares if gpu.kind == "mock"]:
        environ |= {
            "BACKENDAI_MOCK_CUDA_DEVICES": ",".join(mocks),
            "BACKENDAI_MOCK_CUDA_DEVICE_COUNT": str(len(mocks)),
        }
    if caps and capped(shares):
        environ |= _caps(session, real)
    return environ


def real_shares(shares: Shares) -> Shares:
    """Returns those of GPUs that compute something, in the order in which CUDA counts them."""
    return [(gpu, share) for gpu, share in shares if gpu.kind != "mock"]


def capped(shares: Shares) -> bool:
    """Whether there is a part of a GPU to stay within: who has whole ones may take all."""
    return any(share < 1 for _, share in real_shares(shares))


def _caps(session: Session, real: Shares) -> dict[str, str]:
    fractions = [framework_fraction(gpu.mem_bytes, share) for gpu, share in real]
    environ = {FRACTIONS: ",".join(map(_plain, fractions)), "TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    if _JAX_NEW not in session.environ:
        # one number for all GPUs of a process: the smallest, so that none of them is overdrawn
        environ[_JAX] = _plain(min(fractions))
    return environ


def framework_fraction(mem_bytes: int, share: Decimal) -> Decimal:
    """Returns the part of a GPU's memory that the allocator of a framework may take; 1 for a whole GPU.

    The whole process shall stay within `share`: room is left for the CUDA context, 512 MiB but a quarter of the share
    at the most.
    """
    if share >= 1:
        return Decimal(1)
    if not mem_bytes:
        return share
    own = share_mem_bytes(mem_bytes, share)
    fraction = Decimal(own - min(_CONTEXT_BYTES, own // 4)) / mem_bytes
    return max(fraction.quantize(_STEP, ROUND_DOWN), _STEP)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _size(size_bytes: int) -> str:
    """Returns GiB where it is whole, else MiB cut off: `20g`, `4915m`."""
    gib, rest = divmod(size_bytes, 1024 * _MIB)
    return f"{size_bytes // _MIB}m" if rest else f"{gib}g"
