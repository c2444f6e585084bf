"""Places in code that programs name."""

from __future__ import annotations

import pytest
from bai_tui.widgets.locations import Location, code_of_cell, find, source_after


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ('  File "/srv/me/x.py", line 3, in f', [("/srv/me/x.py", 2, 0, None)]),
        ('  File "a b.py", line 12', [("a b.py", 11, 0, None)]),
        ('  File "<stdin>", line 1, in <module>', []),
        ('  File "<string>", line 1', []),
        ('  File "<cell 3>", line 2, in <module>', [("", 1, 0, 3)]),
        ("Cell In[3], line 2", [("", 1, 0, 3)]),
        ("Cell In[12], line 7, in f(x)", [("", 6, 0, 12)]),
        ("Input In [4], line 1", [("", 0, 0, 4)]),
        ("File ~/src/x.py:12, in f(x)", [("~/src/x.py", 11, 0, None)]),
        (
            "File /usr/lib/python3.11/json/__init__.py:346, in loads(s)",
            [("/usr/lib/python3.11/json/__init__.py", 345, 0, None)],
        ),
        ("tests/test_x.py:12: AssertionError", [("tests/test_x.py", 11, 0, None)]),
        ("src/main.rs:3:5", [("src/main.rs", 2, 4, None)]),
        ("main.c:10:3: error: expected ';'", [("main.c", 9, 2, None)]),
        ("    at f (/srv/app.js:10:15)", [("/srv/app.js", 9, 14, None)]),
        ("see https://example.org/a.html:80/x", []),
        ("at 12:04:07 all was well", []),
        ("ratio 3.5:2", []),
        ("x.py:1 and y.py:2", [("x.py", 0, 0, None), ("y.py", 1, 0, None)]),
        ("x.py:0", []),
    ],
)
def test_places(text: str, places: list[tuple[str, int, int, int | None]]) -> None:
    found = find(text)
    assert [(place.path, place.row, place.column, place.cell) for place in found] == places
    for place in found:
        assert 0 <= place.start < place.end <= len(text)


def test_a_long_line_is_no_reason_to_wait() -> None:
    assert find("a/" * 8_000 + ":line ") == []
    assert find("File " * 3_000 + ": line x") == []


IPYTHON = ["      1 def f(x):", "----> 2     return 1 / x", "", "ZeroDivisionError: division by zero"]


def test_the_line_of_source_is_found_in_a_traceback() -> None:
    assert source_after(IPYTHON, 1) == "return 1 / x"
    assert source_after(IPYTHON, 0) == ""
    assert source_after(["    return 1 / x", "           ^^^^^"], 5) == "return 1 / x"
    assert source_after([], 0) == "" and source_after(["ZeroDivisionError: x"], 0) == ""


def test_a_cell_is_the_code_that_was_run() -> None:
    codes = ["import math", "def f(x):\n    return 1 / x", "f(0)"]
    assert code_of_cell(2, 1, "return 1 / x", codes) == 1
    # the kernel has run more than what is known here: the line decides
    assert code_of_cell(9, 1, "return 1 / x", codes) == 1
    assert code_of_cell(9, 0, "f(0)", codes) == 2
    assert code_of_cell(1, 0, "", codes) == 0
    assert code_of_cell(7, 5, "", codes) is None
    assert code_of_cell(1, 0, "", []) is None


def test_a_location_says_what_it_is_of() -> None:
    assert find('File "x.py", line 3')[0] == Location(0, 19, "x.py", 2)
