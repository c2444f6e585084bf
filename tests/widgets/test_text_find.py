"""Finding and replacing in lines."""

from __future__ import annotations

import re

import pytest
from bai_tui.widgets.text_find import MAX_COUNTED, Finder, PatternError, Query
from hypothesis import given
from hypothesis import strategies as st

LINES = ["Alpha beta", "alphabet ALPHA", "", "beta.alpha"]


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (Query("alpha"), 4),
        (Query("alpha", case=True), 2),
        (Query("Alpha"), 1),
        (Query("alpha", word=True), 3),
        (Query("a.p"), 0),
        (Query("a.p", regex=True), 4),
        (Query("b", word=True), 0),
        (Query("x*", regex=True), 0),
        (Query(r"a\n", regex=True), 2),
        (Query(""), 0),
    ],
)
def test_what_matches(query: Query, count: int) -> None:
    finder = Finder(query)
    assert len(list(finder.matches(LINES))) == count
    assert finder.count(LINES, (9, 9)) == (0, count)
    if not finder.across:
        assert sum(len(finder.in_line(line)) for line in LINES) == count


def test_next_and_previous_go_round() -> None:
    finder = Finder(Query("alpha"))
    places = [match[0] for match in finder.matches(LINES)]
    assert places == [(0, 0), (1, 0), (1, 9), (3, 5)]
    for number, place in enumerate(places):
        after = finder.after(LINES, (place[0], place[1] + 1))
        assert after is not None and after[0] == places[(number + 1) % 4]
        before = finder.before(LINES, place)
        assert before is not None and before[0] == places[number - 1]
    assert finder.after(LINES, (3, 6), wrap=False) is None
    assert finder.before(LINES, (0, 0), wrap=False) is None
    assert finder.count(LINES, (1, 9)) == (3, 4)


def test_one_match_is_next_and_previous_of_itself() -> None:
    finder = Finder(Query("beta.", regex=False))
    assert finder.after(LINES, (3, 1)) == finder.before(LINES, (3, 0)) == ((3, 0), (3, 5))


def test_matches_over_lines() -> None:
    finder = Finder(Query(r"a\nb", regex=True))
    lines = ["xa", "ba", "b"]
    assert list(finder.matches(lines)) == [((0, 1), (1, 1)), ((1, 1), (2, 1))]
    assert finder.before(lines, (1, 1)) == ((0, 1), (1, 1))
    assert finder.replaced(lines, "-") == (0, 2, ["x--"], 2)


@pytest.mark.parametrize(
    ("query", "template", "after"),
    [
        (Query("beta"), r"\1", ["Alpha \\1", "alphabet ALPHA", "", "\\1.alpha"]),
        (Query(r"(\w+)\.(\w+)", regex=True), r"\2 \1", [*LINES[:3], "alpha beta"]),
        (Query(r"(\w+)\.(\w+)", regex=True), "$2 $1", [*LINES[:3], "alpha beta"]),
        (Query("alpha", word=True), "x", ["x beta", "alphabet x", "", "beta.x"]),
        (Query("p", regex=True, case=True), r"\n", ["Al", "ha beta", "al", "habet ALPHA", "", "beta.al", "ha"]),
    ],
)
def test_replacing_all(query: Query, template: str, after: list[str]) -> None:
    first, last, new, count = Finder(query).replaced(LINES, template)
    assert [*LINES[:first], *new, *LINES[last + 1 :]] == after
    assert count >= 1


def test_replacing_one() -> None:
    assert Finder(Query("(a)(b)", regex=True)).replacement("ab", r"\2\1") == "ba"
    assert Finder(Query("a")).replacement("a", r"\1$1") == r"\1$1"
    with pytest.raises(PatternError, match="cannot be made"):
        Finder(Query("a", regex=True)).replacement("a", r"\7")


@pytest.mark.parametrize("text", ["[", "(", "*", "a{2,1}", r"\1", "(?P<x"])
def test_a_broken_pattern_is_told(text: str) -> None:
    with pytest.raises(PatternError, match="no regular expression"):
        Finder(Query(text, regex=True))


def test_counting_is_bounded() -> None:
    assert Finder(Query("a")).count(["a" * 1000] * 20, (0, 5)) == (6, MAX_COUNTED)


@given(
    st.lists(st.text(alphabet="abA .", max_size=8), min_size=1, max_size=6),
    st.text(alphabet="abA.", min_size=1, max_size=3),
)
def test_replacing_by_itself_changes_nothing(lines: list[str], text: str) -> None:
    finder = Finder(Query(text, case=True))
    first, last, new, count = finder.replaced(lines, text)
    assert lines[first : last + 1] == new
    assert count == len(re.findall(re.escape(text), "\n".join(lines)))
