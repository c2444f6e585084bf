"""How a bar is cut into cells: whatever is given away, every cell is somebody's or free."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

from bai_tui.widgets.bars import cut, lit
from hypothesis import example, given
from hypothesis import strategies as st

amounts = st.lists(st.integers(0, 400).map(lambda hundredths: Decimal(hundredths) / 100), max_size=24)
capacities = st.integers(1, 1600).map(lambda hundredths: Decimal(hundredths) / 100)
widths = st.integers(0, 160)


@given(amounts, capacities, widths)
@example([Decimal("0.5"), Decimal("0.25")], Decimal(1), 40)
@example([], Decimal(1), 7)
@example([Decimal(0)], Decimal(1), 7)
def test_every_cell_is_given_once(parts: list[Decimal], capacity: Decimal, width: int) -> None:
    cells, free = cut(parts, capacity, width)
    assert len(cells) == len(parts)
    assert sum(cells) + free == width
    assert min([*cells, free], default=0) >= 0
    assert all(not count for count, part in zip(cells, parts, strict=True) if not part)
    if sum(parts) >= capacity:
        assert free == 0


@given(amounts, capacities, widths)
def test_whoever_has_something_is_seen_where_there_is_room(parts: list[Decimal], capacity: Decimal, width: int) -> None:
    cells, free = cut(parts, capacity, width)
    left = capacity - sum(parts, Decimal(0))
    shown = sum(1 for part in parts if part) + (left > 0)
    if shown <= width:
        assert all(count >= 1 for count, part in zip(cells, parts, strict=True) if part)
        assert left <= 0 or free >= 1


@given(amounts, capacities, widths)
def test_more_is_never_shown_as_less(parts: list[Decimal], capacity: Decimal, width: int) -> None:
    cells, _ = cut(parts, capacity, width)
    ranked = sorted(zip(parts, cells, strict=True))
    for (smaller, few), (larger, many) in pairwise(ranked):
        assert many >= few or smaller == larger


@given(amounts, capacities, widths)
def test_cells_are_proportional_within_one(parts: list[Decimal], capacity: Decimal, width: int) -> None:
    """All parts, where none is so small that it had to be widened to a cell; else those that were not, in the rest."""
    cells, free = cut(parts, capacity, width)
    weights = [Fraction(part) for part in parts] + [max(Fraction(0), Fraction(capacity) - sum(map(Fraction, parts)))]
    counts = [*cells, free]
    whole = sum(weights)
    exact = [weight * width / whole if whole else Fraction(0) for weight in weights]
    widened = any(0 < share < 1 for share in exact)
    if not widened:
        assert all(abs(count - share) < 1 for count, share in zip(counts, exact, strict=True))
    else:
        rest = [place for place, count in enumerate(counts) if count > 1]
        room, total = sum(counts[place] for place in rest), sum(weights[place] for place in rest)
        assert all(abs(counts[place] - weights[place] * room / total) < 1 for place in rest)


@given(amounts, capacities, widths)
def test_the_same_question_has_the_same_answer_and_the_unit_does_not_matter(
    parts: list[Decimal], capacity: Decimal, width: int
) -> None:
    assert cut(parts, capacity, width) == cut([part * 1024 for part in parts], capacity * 1024, width)


def test_known_bars() -> None:
    half, quarter = Decimal("0.5"), Decimal("0.25")
    assert cut([half, quarter], Decimal(1), 40) == ([20, 10], 10)
    assert cut([half, half], Decimal(1), 7) == ([4, 3], 0)
    assert cut([Decimal("0.01"), Decimal("0.98")], Decimal(1), 10) == ([1, 8], 1)
    assert cut([Decimal(3)], Decimal(1), 5) == ([5], 0)
    assert cut([quarter] * 4, Decimal(1), 3) == ([1, 1, 1, 0], 0)


@given(st.floats(0, 3), st.integers(0, 80))
def test_what_is_used_is_seen_and_only_all_is_all(fraction: float, cells: int) -> None:
    found = lit(fraction, cells)
    assert 0 <= found <= cells
    assert (found > 0) == (fraction > 0 and cells > 0)
    if cells > 1:
        assert (found == cells) == (fraction >= 1)
