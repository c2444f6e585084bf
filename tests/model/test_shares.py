"""How much memory a share of a GPU is."""

from __future__ import annotations

from decimal import Decimal

import pytest
from bai_tui.app.model.shares import gpu_shares, share_mem_bytes
from hypothesis import given
from hypothesis import strategies as st

GIB = 1 << 30


@pytest.mark.parametrize(
    ("share", "expected"),
    [("1", 10 * GIB), ("0.5", 5 * GIB), ("0.33", 10 * GIB * 33 // 100), ("1.5", 10 * GIB), ("0.001", 10 * GIB // 1000)],
)
def test_memory_follows_the_share(share: str, expected: int) -> None:
    assert share_mem_bytes(10 * GIB, share) == share_mem_bytes(10 * GIB, Decimal(share)) == expected


@given(st.integers(1, 1 << 60), st.lists(st.integers(1, 1000), min_size=1, max_size=20))
def test_shares_of_one_gpu_never_get_more_than_it_has(mem_bytes: int, parts: list[int]) -> None:
    """Cut off, never rounded up: however a GPU is divided, the parts fit in it."""
    total = sum(parts)
    scaled = [Decimal(part * 1000 // total) / 1000 for part in parts]
    assert sum(share_mem_bytes(mem_bytes, share) for share in scaled) <= mem_bytes


def test_both_slots_mean_the_same_device() -> None:
    allocation = {"cpu": {"cpu0": "2"}, "cuda.shares": {"gpu0": "0.25"}, "cuda.device": {"gpu1": "1"}}
    assert gpu_shares(allocation) == {"gpu0": Decimal("0.25"), "gpu1": Decimal(1)}
    assert gpu_shares({}) == {}
