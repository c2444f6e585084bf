"""How much of a GPU a share is. One place, so that limits, warnings and what is shown never differ by a byte."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from .slots import CUDA_DEVICE, CUDA_SHARES


def share_mem_bytes(mem_bytes: int, share: Decimal | str) -> int:
    """Returns the memory, in bytes, that belongs to `share` of a GPU with `mem_bytes`; cut off, never rounded up.

    Args:
        share: part of the GPU, above 0 and up to 1; more counts as 1.
    """
    numerator, denominator = min(Decimal(share), Decimal(1)).as_integer_ratio()
    return max(mem_bytes * numerator // denominator, 0)


def gpu_shares(allocation: Mapping[str, Mapping[str, str]]) -> dict[str, Decimal]:
    """Returns device id -> part of the GPU, out of the form that `Session.allocation` has; a whole device is 1."""
    return {
        device: Decimal(amount)
        for slot in (CUDA_SHARES, CUDA_DEVICE)
        for device, amount in allocation.get(slot, {}).items()
    }
