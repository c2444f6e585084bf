"""Sizes as users write them."""

from __future__ import annotations


def size_text(size_bytes: int) -> str:
    """Returns a size as users write it: `1g`, `1536m`; bytes where nothing greater is whole."""
    for unit, shift in (("t", 40), ("g", 30), ("m", 20), ("k", 10)):
        if size_bytes and not size_bytes % (1 << shift):
            return f"{size_bytes >> shift}{unit}"
    return str(size_bytes)
