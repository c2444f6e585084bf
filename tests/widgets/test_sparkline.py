"""Trends, times that run out, and facts that wrap."""

from __future__ import annotations

import pytest
from bai_tui.widgets.glyphs import ASCII, UNICODE
from bai_tui.widgets.sparkline import sparkline
from bai_tui.widgets.text import left
from bai_tui.widgets.wrap_index import wrapped
from rich.cells import cell_len


def test_a_cell_per_value_where_there_is_room() -> None:
    assert sparkline([0, 0.5, 1, 2, -1, None], 8, UNICODE) == "  ▁▅██▁ "
    assert sparkline([0, 1], 2, ASCII) == "_#"


def test_a_cell_shows_the_highest_of_its_values() -> None:
    values = [0.0] * 60
    values[30] = 1.0
    line = sparkline(values, 10, UNICODE)
    assert line == "▁▁▁▁▁█▁▁▁▁"
    assert sparkline([None] * 60, 10, UNICODE) == " " * 10


def test_no_room_is_no_line() -> None:
    assert sparkline([1.0], 0, UNICODE) == sparkline([], 5, UNICODE) == sparkline([1.0], -3, UNICODE) == ""


@pytest.mark.parametrize(
    ("seconds", "text"), [(1691, "28m"), (600, "10m"), (599.9, "9:59"), (65, "1:05"), (0.5, "0:00"), (-3, "0:00")]
)
def test_time_left(seconds: float, text: str) -> None:
    assert left(seconds) == text


def test_facts_break_between_words_and_long_words_are_cut() -> None:
    assert wrapped("waits for 0.75 gpu", 10) == ["waits for", "0.75 gpu"]
    assert wrapped("a 0123456789012 b", 10) == ["a", "0123456789", "012 b"]
    assert wrapped("", 10) == [""]
    assert all(cell_len(line) <= 7 for line in wrapped("日本語の長い言葉 x 日本", 7))
