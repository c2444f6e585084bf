"""The mini language of filter and order."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from bai_tui.app.backend.api.minilang import parse_filter, parse_order
from bai_tui.app.model.errors import BadRequest

ROWS: list[dict[str, Any]] = [
    {"name": "train-1", "priority": 10, "tag": None, "status": "RUNNING", "at": datetime(2026, 1, 1, tzinfo=UTC)},
    {"name": "Train-2", "priority": 20, "tag": "x", "status": "PENDING", "at": datetime(2026, 6, 1, tzinfo=UTC)},
    {"name": 'quo"te', "priority": 5, "tag": "y", "status": "RUNNING", "at": None},
]
for row in ROWS:
    row["mounts"] = [row["name"]]
FIELDS = {name: (lambda row, name=name: row[name]) for name in ROWS[0]}


def picked(text: str) -> list[int]:
    keep = parse_filter(text, FIELDS)
    return [index for index, row in enumerate(ROWS) if keep(row)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2]),
        ('name == "train-1"', [0]),
        ('name != "train-1"', [1, 2]),
        ('name like "train%"', [0]),
        ('name ilike "train-_"', [0, 1]),
        ('name contains "rain"', [0, 1]),
        ('mounts contains "train-1"', [0]),
        ('name == "quo\\"te"', [2]),
        ("priority > 5", [0, 1]),
        ("priority>=5&priority<=10", [0, 2]),
        ("priority < 10.5", [0, 2]),
        ("tag is null", [0]),
        ("tag isnot null", [1, 2]),
        ('status in ["PENDING", "ERROR"]', [1]),
        ("priority in [5, 10]", [0, 2]),
        ("priority in []", []),
        ('! status == "RUNNING"', [1]),
        ('!(status == "RUNNING" | tag is null)', [1]),
        ('tag == "x" | status == "RUNNING" & priority == 5', [1, 2]),
        ('(tag == "x" | status == "RUNNING") & priority == 5', [2]),
        ('at < "2026-03-01"', [0]),
        ('at >= "2026-03-01T00:00:00+00:00"', [1]),
    ],
)
def test_filter(text: str, expected: list[int]) -> None:
    assert picked(text) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('nam == "x"', "did you mean 'name'?"),
        ('zzz == "x"', "there are at, mounts"),
        ("name", "ends where an operator"),
        ("name ==", "ends where a value"),
        ("name == ==", "where a value"),
        ('name "x"', "where an operator"),
        ("== 5", "where a field name"),
        ('(name == "x"', "'\\)'"),
        ('name == "x" name', "an operator or the end"),
        ("name == 'x'", "character 9: \"'x'\""),
        ("priority in 5", "wants a \\[list\\]"),
        ("name like 5", "wants a string"),
        ("priority in [1 2]", "',' or '\\]'"),
        ("(" * 100, "nested"),
        ('priority > "high"', "cannot be compared"),
        ("name > 5", "cannot be compared"),
        ('at > "soon"', "is no time"),
        ("priority > " + "9" * 5000, "a number of 5000 digits"),
    ],
)
def test_filter_refuses(text: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        picked(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", [0, 1, 2]),
        ("priority", [2, 0, 1]),
        ("-priority", [1, 0, 2]),
        ("status,-priority", [1, 0, 2]),
        ("+name", [1, 2, 0]),
        ("at", [0, 1, 2]),
        ("-at", [1, 0, 2]),
    ],
)
def test_order(text: str, expected: list[int]) -> None:
    assert [ROWS.index(row) for row in parse_order(text, FIELDS)(ROWS)] == expected


def test_order_refuses() -> None:
    with pytest.raises(BadRequest, match="the order names an unknown field 'prio': did you mean 'priority'"):
        parse_order("name,-prio", FIELDS)
