from __future__ import annotations

import pytest
from bai_tui.app.model.inspection import Completions
from bai_tui.app.tui import suggestions
from bai_tui.app.tui.suggestions import Offer, Suggestion, fits, narrow
from hypothesis import given
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("line", "column", "start"),
    [
        ("os.pa", 5, 3),
        ("os.", 3, 3),
        ("x = pri", 7, 4),
        ("", 0, None),
        ("x = ", 4, None),
        ("a b", 2, None),
        ("1ab", 3, 1),
    ],
)
def test_where_the_name_begins(line: str, column: int, start: int | None) -> None:
    assert suggestions.word_start(line, column) == start


def test_an_offer_of_a_kernel() -> None:
    found = Completions(("os.path", "os.pardir"), ("module", ""), 6)
    offer = suggestions.of_kernel(found, "x = 1\nos.pa", 7, 5)
    assert offer == Offer(7, 0, (Suggestion("os.path", "module"), Suggestion("os.pardir")))
    assert [one.label for one in offer.suggestions] == ["path", "pardir"]
    above = suggestions.of_kernel(Completions(("x",), (), 1), "abc\nde", 3, 2)
    assert above.start == 0, "what begins in a line above is not replaced there"


def test_labels() -> None:
    assert Suggestion("a.b.c").label == "c"
    assert Suggestion("/etc/init.d/", "path").label == "init.d/"
    assert Suggestion("x=", "param").label == "x="


def test_words_of_the_text() -> None:
    lines = ["profit = 1", "", "x = prof", "profile = 2; prefix"]
    offer = suggestions.of_text(lines, 2, 8, "python")
    assert offer is not None and offer.start == 4
    assert [one.text for one in offer.suggestions] == ["profile", "profit"]
    prints = suggestions.of_text(["impo pri"], 0, 8, "python")
    assert prints is not None and Suggestion("print", "function") in prints.suggestions
    assert suggestions.of_text(["impo pri"], 0, 8, "r") is None
    assert suggestions.of_text(["x.pri print"], 0, 5, "python") is None, "only a kernel knows what x has"
    assert suggestions.of_text(["x "], 0, 2, "python") is None


@pytest.mark.parametrize(
    ("text", "typed", "badness"),
    [
        ("path", "pa", 0),
        ("Path", "pa", 1),
        ("os.path", "os.pa", 0),
        ("os.path", "io.pa", None),
        ("read_path", "pa", 2),
        ("read_path", "rp", 3),
        ("read_path", "xp", None),
        ("path", "Pa", 1),
        ("a_path", "Pa", 2),
        ("anything", "", 0),
        ("os.path", "os.", 0),
    ],
)
def test_what_fits(text: str, typed: str, badness: int | None) -> None:
    assert fits(text, typed) == badness


def test_the_best_come_first_and_equals_stay_in_order() -> None:
    items = [Suggestion(text) for text in ("zeta_pa", "Pandas", "path", "parse", "other")]
    assert [one.text for one in narrow(items, "pa")] == ["path", "parse", "Pandas", "zeta_pa"]
    assert suggestions.shared_beginning(items[2:4]) == "pa"
    assert suggestions.shared_beginning([]) == ""


@given(st.lists(st.text("abC_.", max_size=8), max_size=20), st.text("abC_.", max_size=5))
def test_what_is_left_holds_the_letters_in_their_order(texts: list[str], typed: str) -> None:
    items = [Suggestion(text) for text in texts]
    left = narrow(items, typed)
    assert {one.text for one in items if one.text.startswith(typed)} <= {one.text for one in left}
    for one in left:
        at = -1
        for letter in typed.lower():
            at = one.text.lower().find(letter, at + 1)
            assert at >= 0
