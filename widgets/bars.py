"""How a bar is cut into cells. Pure, so that its promises can be tested: every cell is given to exactly one part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal

from .glyphs import Glyphs


def cut(amounts: Sequence[Decimal], capacity: Decimal, width: int) -> tuple[list[int], int]:
    """Returns the cells of each amount in a bar of `width` cells that stands for `capacity`, and the free cells.

    Cells and free cells sum to `width` exactly (largest remainder; of equal remainders the first gets the cell). What
    is more than nothing has at least one cell where there are enough for all, free space too; the others share the
    rest in proportion, within one cell. A larger amount never gets fewer cells than a smaller one. More than
    `capacity` fills the bar.
    """
    free = max(Decimal(0), capacity - sum(amounts, Decimal(0)))
    weights = _whole([*(max(Decimal(0), amount) for amount in amounts), free])
    counts = [0] * len(weights)
    room = max(0, width)
    shown = [place for place, weight in enumerate(weights) if weight]
    if not shown:
        return counts[:-1], room
    if len(shown) <= room:
        while True:
            total = sum(weights[place] for place in shown)
            small = [place for place in shown if weights[place] * room < total]
            if not small:
                break
            for place in small:
                counts[place] = 1
            room -= len(small)
            shown = [place for place in shown if not counts[place]]
    total = sum(weights[place] for place in shown)
    rests = []
    for place in shown:
        counts[place], rest = divmod(weights[place] * room, total)
        rests.append((-rest, place))
    left = room - sum(counts[place] for place in shown)
    for _, place in sorted(rests)[:left]:
        counts[place] += 1
    return counts[:-1], counts[-1]


def lit(fraction: float, cells: int) -> int:
    """Returns how many of `cells` stand for a fraction: at least one for more than nothing, all only for all of it."""
    if fraction <= 0 or cells <= 0:
        return 0
    if fraction >= 1:
        return cells
    return min(max(1, round(fraction * cells)), max(1, cells - 1))


def bar(part: Decimal, whole: Decimal, width: int, glyphs: Glyphs) -> tuple[str, str]:
    """Returns the filled and the empty cells of a bar, to an eighth of a cell where the glyphs have it."""
    steps = len(glyphs.bar_part) + 1
    filled = 0 if whole <= 0 else int(min(Decimal(1), part / whole) * width * steps)
    full, rest = divmod(filled, steps)
    lit = glyphs.bar_full * full + (glyphs.bar_part[rest - 1] if rest else "")
    return lit, glyphs.bar_empty * (width - len(lit))


def _whole(amounts: Sequence[Decimal]) -> list[int]:
    """Returns whole numbers in the same proportions."""
    ratios = [amount.as_integer_ratio() for amount in amounts]
    common = math.lcm(*(below for _, below in ratios))
    return [above * (common // below) for above, below in ratios]
