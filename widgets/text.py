"""How the interface writes amounts, ages and foreign text: short, fixed digits, one line, never a control character."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from rich.cells import cell_len, set_cell_size

from ..app.model.slots import CUDA_DEVICE, CUDA_SHARES
from .ansi import HALVES, HIDDEN

_UNITS: Final = ("", "K", "M", "G", "T", "P", "E")
_CONTROL: Final = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f{HIDDEN}{HALVES}]")
"""Control characters, the invisible ones that reorder or hide the text around them, and what is no character."""


def one_line(text: str) -> str:
    """Returns foreign text fit for one line: no control or direction characters, no line ends."""
    return _CONTROL.sub(" ", text) if _CONTROL.search(text) else text


def fit(text: str, width: int, *, right: bool = False, ellipsis: str = "…") -> str:
    """Returns `text` in exactly `width` cells, cut with an ellipsis or padded (on the left when `right`)."""
    if width <= 0:
        return ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + ellipsis if width > 1 else ellipsis
    return " " * (width - length) + text if right else text + " " * (width - length)


def size(amount_bytes: Decimal | int | float) -> str:
    """Returns bytes as `512K`, `1.2G`, `24G`: at most 4 cells for what a machine has."""
    value = float(amount_bytes)
    for unit in _UNITS:
        if value < 999.5 or unit == _UNITS[-1]:
            text = f"{value:.1f}" if 0 < value < 9.95 and unit else f"{value:.0f}"
            return text.removesuffix(".0") + unit
        value /= 1024
    raise AssertionError("the last unit takes everything")


def duration(seconds: float) -> str:
    """Returns a length of time as `4s`, `12m`, `3h05m`, `2d04h`: at most 6 cells up to 99 days."""
    total = max(0, int(seconds))
    if total < 60:
        return f"{total}s"
    if total < 3600:
        return f"{total // 60}m"
    if total < 86400:
        return f"{total // 3600}h{total % 3600 // 60:02d}m"
    return f"{total // 86400}d{total % 86400 // 3600:02d}h"


def left(seconds: float) -> str:
    """Returns how much time is left, to the second where it is little: `28m`, `9:41`, `0:05`."""
    total = max(0, int(seconds))
    return duration(total) if total >= 600 else f"{total // 60}:{total % 60:02d}"


def took(seconds: float) -> str:
    """Returns how long a run took: `0.02 s`, `12.4 s`, `3m 05s`, `1h 02m`."""
    if seconds < 9.995:
        return f"{max(0.0, seconds):.2f} s"
    if seconds < 60:
        return f"{seconds:.1f} s"
    total = int(seconds)
    if total < 3600:
        return f"{total // 60}m {total % 60:02d}s"
    return f"{total // 3600}h {total % 3600 // 60:02d}m"


def share(amount: Decimal) -> str:
    """Returns a GPU share with two digits: `0.50`, `1.00`; finer ones keep their third."""
    return f"{amount:.2f}" if amount == round(amount, 2) else f"{amount:.3f}"


def count(amount: Decimal) -> str:
    """Returns a number of cores as `2` or `0.5`."""
    return f"{amount.normalize():f}"


def gpu_amount(slots: dict[str, Decimal]) -> Decimal:
    """Returns the GPU part of slots, whole devices and shares together."""
    return slots.get(CUDA_SHARES, Decimal(0)) + slots.get(CUDA_DEVICE, Decimal(0))
