"""Commands on lines: comments, levels, copies, moves, new lines."""

from __future__ import annotations

import pytest
from bai_tui.widgets import languages
from bai_tui.widgets.line_commands import (
    Change,
    Selection,
    closing_word,
    duplicate,
    indent_after,
    join,
    move,
    new_line,
    shift,
    toggle_comment,
    trimmed,
)
from hypothesis import given
from hypothesis import strategies as st


def done(lines: list[str], change: Change | None) -> tuple[list[str], Selection]:
    assert change is not None
    (row, column), (end_row, end_column) = change.start, change.end
    new = lines[row][:column] + change.text + lines[end_row][end_column:]
    after = [*lines[:row], *new.split("\n"), *lines[end_row + 1 :]]
    for place in change.selection:
        assert 0 <= place[0] < len(after) and 0 <= place[1] <= len(after[place[0]])
    return after, change.selection


@pytest.mark.parametrize(
    ("language", "before", "after"),
    [
        ("python", ["a", "  b", "", "c"], ["# a", "#   b", "", "# c"]),
        ("python", ["  a", "    b"], ["  # a", "  #   b"]),
        ("python", ["# a", "#b"], ["a", "b"]),
        ("python", ["# a", "b"], ["# # a", "# b"]),
        ("javascript", ["a"], ["// a"]),
        ("lua", ["  a"], ["  -- a"]),
        ("html", ["<p>"], ["<!-- <p> -->"]),
        ("html", ["<!-- <p> -->"], ["<p>"]),
        ("r", ["x <- 1"], ["# x <- 1"]),
    ],
)
def test_comments(language: str, before: list[str], after: list[str]) -> None:
    selection = ((0, 0), (len(before) - 1, len(before[-1])))
    assert done(before, toggle_comment(before, selection, languages.language(language)))[0] == after


def test_a_comment_in_an_empty_line_and_in_a_language_without_any() -> None:
    assert done([""], toggle_comment([""], ((0, 0), (0, 0)), languages.language("python"))) == (
        ["# "],
        ((0, 2), (0, 2)),
    )
    assert toggle_comment(["x"], ((0, 0), (0, 0)), languages.language("json")) is None


LINES = st.lists(st.text(alphabet="ab #\t", max_size=6), min_size=1, max_size=5)


@given(LINES, st.data())
def test_commenting_twice_is_nothing(lines: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    selection = ((first, 0), (last, len(lines[last])))
    full = [line for line in lines[first : last + 1] if line.strip()]
    if not full or all(line.lstrip().startswith("#") for line in full):
        return
    once, _ = done(lines, toggle_comment(lines, selection, languages.language("python")))
    twice, _ = done(once, toggle_comment(once, ((first, 0), (last, len(once[last]))), languages.language("python")))
    assert twice == lines


def test_moving_lines() -> None:
    lines = ["a", "b", "c"]
    assert done(lines, move(lines, ((1, 1), (1, 0)), -1)) == (["b", "a", "c"], ((0, 1), (0, 0)))
    assert done(lines, move(lines, ((0, 0), (1, 1)), 1)) == (["c", "a", "b"], ((1, 0), (2, 1)))
    assert done(lines, move(lines, ((0, 0), (2, 0)), 1))[0] == ["c", "a", "b"]
    assert move(lines, ((0, 0), (0, 0)), -1) is None and move(lines, ((2, 0), (2, 0)), 1) is None


@given(LINES, st.data())
def test_moving_down_and_up_again_is_nothing(lines: list[str], data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(lines) - 1))
    if row + 1 < len(lines):
        place = (row, data.draw(st.integers(0, len(lines[row]))))
        moved, selection = done(lines, move(lines, (place, place), 1))
        assert done(moved, move(moved, selection, -1)) == (lines, (place, place))


def test_duplicating() -> None:
    assert done(["ab", "c"], duplicate(["ab", "c"], ((0, 1), (0, 1)))) == (["ab", "ab", "c"], ((1, 1), (1, 1)))
    assert done(["abc"], duplicate(["abc"], ((0, 2), (0, 0)))) == (["ababc"], ((0, 2), (0, 4)))
    assert done(["a", "b"], duplicate(["a", "b"], ((0, 0), (1, 1))))[0] == ["a", "b", "a", "b"]


def test_shifting_with_tabs_and_spaces() -> None:
    lines = ["a", "\tb", "  c", ""]
    everything = ((0, 0), (3, 0))
    assert done(lines, shift(lines, everything, 1, 4, True))[0] == ["\ta", "\t\tb", "\t  c", ""]
    assert done(lines, shift(lines, everything, -1, 4, False))[0] == ["a", "b", "c", ""]
    assert shift(["a"], ((0, 0), (0, 0)), -1, 4, False) is None


def test_joining() -> None:
    lines = ["a  ", "   b", ")", "", "c"]
    assert done(lines, join(lines, 0, 1))[0] == ["a  b", ")", "", "c"]
    assert done(lines, join(lines, 0, 3))[0] == ["a  b)", "c"]
    assert join(lines, 4, 5) is None


@pytest.mark.parametrize(
    ("language", "before", "indent"),
    [
        ("python", "def f():", "    "),
        ("python", "    x = [", "        "),
        ("python", "    return 1", ""),
        ("python", "x = 1", ""),
        ("javascript", "function f() {", "  "),
        ("r", "f <- function(x) {", "  "),
        ("julia", "function f(x)", "    "),
        ("julia", "if x; y; end", ""),
        ("bash", "if true; then", "    "),
        ("ruby", "  def x", "    "),
        ("go", "func f() {", "\t"),
        ("lua", "while x do", "  "),
        ("yaml", "key:", "  "),
        ("text", "  word", "  "),
    ],
)
def test_indentation_of_the_next_line(language: str, before: str, indent: str) -> None:
    speech = languages.language(language)
    assert indent_after(before, speech, speech.indent, speech.tabs) == indent


@pytest.mark.parametrize(
    ("before", "column", "after"),
    [
        ("f(|)", 2, ["f(", "    |", ")"]),
        ("x = {|", 5, ["x = {", "    |"]),
        ("a  |b", 3, ["a", "|b"]),
        ("    |", 4, ["", "    |"]),
        ("  a|", 3, ["  a", "  |"]),
    ],
)
def test_new_lines(before: str, column: int, after: list[str]) -> None:
    lines = [before.replace("|", "")]
    place = (0, column)
    assert before.index("|") == column
    new, selection = done(lines, new_line(lines, (place, place), languages.language("python"), 4, False))
    row = next(number for number, line in enumerate(after) if "|" in line)
    assert (new, selection[1]) == ([line.replace("|", "") for line in after], (row, after[row].index("|")))


def test_closing_words_and_spaces_at_ends() -> None:
    julia = languages.language("julia")
    assert closing_word("    end", 7, julia, 4, False) == 4
    assert closing_word("    endless", 7, julia, 4, False) == 0
    assert closing_word("end", 3, julia, 4, False) == 0
    assert trimmed(["a ", "b", "\t"], 2) == [(0, 1, 2)]


@pytest.mark.parametrize(
    ("path", "first", "language"),
    [
        ("a.py", "", "python"),
        ("/x/analysis.R", "", "r"),
        ("m.jl", "", "julia"),
        ("Dockerfile", "", "docker"),
        ("run", "#!/usr/bin/env bash", "bash"),
        ("run", "#!/usr/bin/python3.11", "python"),
        ("x.zig", "", "zig"),
        ("x.unheard-of", "", ""),
        ("notes", "", ""),
        ("A.CPP", "", "cpp"),
    ],
)
def test_languages_of_files(path: str, first: str, language: str) -> None:
    assert languages.of_path(path, first) == language


@pytest.mark.parametrize(
    ("image", "language"),
    [
        ("python:3.11-debian12", "python"),
        ("cr.example.org/stable/r-base:4.4", "r"),
        ("julia:1.10", "julia"),
        ("ir", "r"),
        ("python-tensorflow:2.1", "python"),
        ("gcc:13", "cpp"),
        ("tslab", "typescript"),
        ("bash", "bash"),
        ("whatever:1", "python"),
    ],
)
def test_languages_of_images(image: str, language: str) -> None:
    assert languages.of_image(image) == language
    assert languages.of_image(image, "C++") == "cpp"


def test_widths_of_levels() -> None:
    python = languages.language("python")
    assert languages.tab_width(["a", "  b", "    c", "d", "  e"], python) == (2, False)
    assert languages.tab_width(["a", "\tb", "\t\tc"], python) == (4, True)
    assert languages.tab_width(["a", "b"], python) == (4, False)
    assert languages.tab_width([], languages.language("go")) == (4, True)
