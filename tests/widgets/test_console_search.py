"""Search in output: what is found in parts equals a look at everything."""

from __future__ import annotations

import time
from typing import Any

import pytest
from bai_tui.widgets.console_search import Search
from bai_tui.widgets.transcript import Gap, Transcript, plain_text
from hypothesis import given, settings
from hypothesis import strategies as st


def naive(transcript: Transcript, search: Search) -> list[tuple[int, int]]:
    found = []
    for index, line in enumerate(transcript.lines):
        if isinstance(line, Gap):
            continue
        text, count, at = plain_text(line).lower(), 0, -1
        while (at := text.find(search.pattern.lower(), at + 1 if at < 0 else at + len(search.pattern))) >= 0:
            count += 1
        if count:
            found.append((transcript.store.number(index), count))
    return found


def finish(search: Search) -> None:
    while not search.advance(0.01):
        pass


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("write"), st.text("ab\n\r", max_size=60)),
            st.tuples(st.just("flood"), st.integers(1, 150)),
            st.tuples(st.just("up"), st.integers(1, 6)),
            st.tuples(st.just("run"), st.sampled_from(["a()", "b()"])),
            st.tuples(st.just("hold"), st.integers(0, 150)),
            st.tuples(st.just("clear"), st.just(0)),
            st.tuples(st.just("work"), st.just(0)),
        ),
        max_size=25,
    ),
    st.sampled_from(["a", "ab", "ba", "line 3"]),
)
def test_it_equals_a_look_at_everything(steps: list[tuple[str, Any]], pattern: str) -> None:
    transcript = Transcript(max_lines=120)
    search = Search(transcript, pattern)
    for kind, value in steps:
        if kind == "write":
            transcript.write(value)
        elif kind == "flood":
            transcript.write("".join(f"line {number}\n" for number in range(value)))
        elif kind == "up":
            transcript.write(f"\x1b[{value}Aa\x1b[J")
        elif kind == "run":
            transcript.begin(value, 0.0)
        elif kind == "hold":
            transcript.held = (value, value + 9)
        elif kind == "clear":
            transcript.clear()
        if (changed := transcript.take_changes()[0]) is not None:
            search.changed(changed)
        if kind == "work":
            finish(search)
            assert search.all_lines() == naive(transcript, search)
    finish(search)
    expected = naive(transcript, search)
    assert search.all_lines() == expected
    assert search.total == sum(count for _, count in expected)
    # once around, forwards and back, each match is met once
    forwards = walked(search, 1)
    assert len(forwards) == search.total
    assert [search.place(number, start) for number, start, _ in forwards] == list(range(1, search.total + 1))
    assert walked(search, -1) == forwards[::-1]


def walked(search: Search, direction: int) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    number, char = (-1, 0) if direction > 0 else (1 << 40, 0)
    while (match := search.step(number, char, direction)) is not None and match not in found:
        found.append(match)
        number, char = match[:2]
    return found


def test_what_was_found_stays_found_while_more_comes() -> None:
    transcript = Transcript()
    transcript.write("needle\n" * 30_000)
    search = Search(transcript, "needle")
    finish(search)
    transcript.take_changes()
    transcript.write("hay needle\n" * 10)
    changed, _ = transcript.take_changes()
    assert changed == 30_000
    search.changed(changed)
    assert search.total == 30_000 and not search.done
    finish(search)
    assert search.total == 30_010


@pytest.mark.parametrize(
    ("pattern", "options", "spans"),
    [
        ("error", {}, [(0, 5), (6, 11)]),
        ("Error", {}, [(0, 5)]),
        ("error", {"case": True}, [(6, 11)]),
        ("ERROR", {"case": False}, [(0, 5), (6, 11)]),
        ("e.r", {}, []),
        ("e.r", {"regex": True}, [(0, 3), (6, 9)]),
        ("x*", {"regex": True}, []),
    ],
)
def test_patterns(pattern: str, options: dict[str, Any], spans: list[tuple[int, int]]) -> None:
    transcript = Transcript()
    transcript.write("Error error\n")
    search = Search(transcript, pattern, **options)
    finish(search)
    assert search.spans(transcript.lines[0]) == spans and search.total == len(spans)


def test_a_wrong_pattern_says_what_is_wrong() -> None:
    search = Search(Transcript(), "(a", regex=True)
    assert "not a pattern" in search.error and search.done


def test_a_pattern_that_never_ends_is_given_up() -> None:
    transcript = Transcript()
    transcript.write("a" * 60 + "!\n")
    search = Search(transcript, "(a+)+$", regex=True)
    began = time.process_time()
    finish(search)
    assert "too long" in search.error and time.process_time() - began < 5
