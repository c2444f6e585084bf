"""Runs and lines: bounded with beginning and end kept, numbers that never change."""

from __future__ import annotations

import random
from typing import Any

import pytest
from bai_tui.widgets.transcript import Gap, Header, Line, Run, RunState, Transcript
from hypothesis import given, settings
from hypothesis import strategies as st


def numbers(transcript: Transcript) -> dict[int, Line]:
    return {transcript.store.number(index): line for index, line in enumerate(transcript.lines)}


def written_lines(transcript: Transcript) -> dict[int, str]:
    return {number: line for number, line in numbers(transcript).items() if isinstance(line, str)}


def flood(transcript: Transcript, count: int, step: int = 7) -> None:
    for start in range(0, count, step):
        transcript.write("".join(f"{number}\n" for number in range(start, min(count, start + step))))


def test_of_an_endless_run_beginning_and_end_are_kept() -> None:
    transcript = Transcript(max_lines=1000)
    run = transcript.begin("flood()", 1.0)
    flood(transcript, 20_000)
    texts = [line for line in transcript.lines if isinstance(line, str)]
    assert texts[:100] == [str(number) for number in range(100)]
    assert texts[-500:] == [str(number) for number in range(19_500, 20_000)]
    (gap,) = (line for line in transcript.lines if isinstance(line, Gap))
    assert transcript.span(run) == (0, 20_001)
    assert gap.count + len(texts) == 20_000


def test_of_older_runs_the_middle_goes_first_then_the_oldest_runs() -> None:
    transcript = Transcript(max_lines=1000)
    for number in range(4):
        run = transcript.begin(f"run {number}", 1.0)
        flood(transcript, 400)
        transcript.finish(run, RunState.OK, 2.0)
    kept = {run.number: transcript.span(run) for run in transcript.runs}
    assert list(kept) == [1, 2, 3, 4]
    for start, end in list(kept.values())[:2]:
        lines = [transcript.line(number) for number in range(start, end)]
        assert lines[1] == "0" and lines[100] == "99" and lines[-1] == "399" and isinstance(lines[150], Gap)
    for number in range(4, 40):
        transcript.begin(f"run {number}", 1.0)
        flood(transcript, 400)
    assert len(transcript.lines) <= 1100
    assert transcript.runs[0].number > 1 and isinstance(transcript.lines[0], Gap)
    assert all(isinstance(transcript.line(run.start), Header) for run in transcript.runs)


def test_what_is_read_is_left_out_last() -> None:
    transcript = Transcript(max_lines=1000)
    transcript.begin("flood()", 1.0)
    flood(transcript, 900)
    transcript.held = (400, 440)
    flood(transcript, 50_000)
    lines = numbers(transcript)
    assert [lines[number] for number in range(401, 441)] == [str(number - 1) for number in range(401, 441)]
    assert sum(isinstance(line, Gap) for line in transcript.lines) == 2
    transcript.held = None
    flood(transcript, 5_000)
    assert sum(isinstance(line, Gap) for line in transcript.lines) == 1
    assert len(transcript.lines) <= 1100


def test_runs_that_say_nothing_are_bounded_too() -> None:
    transcript = Transcript()
    for number in range(2500):
        transcript.finish(transcript.begin("pass", float(number)), RunState.OK, 1.0)
    assert len(transcript.runs) <= 1000 and len(transcript.lines) <= 1001
    assert transcript.runs[-1].number == 2500


def test_a_bar_that_is_rewritten_for_ever_costs_no_line() -> None:
    transcript = Transcript(max_chars=20_000)
    transcript.write("kept\n")
    for percent in range(5_000):
        transcript.write(f"\r{percent:5} {'#' * 40}")
    assert transcript.lines[0] == "kept" and len(transcript.lines) == 2


def test_arrival_times_are_known_to_the_second() -> None:
    transcript = Transcript()
    for second in range(50):
        transcript.now_s = 1000.0 + second * 0.5
        transcript.write(f"{second}\n")
    known = [transcript.time_of(number) for number in range(50)]
    for second, time_s in enumerate(known):
        assert time_s is not None and abs(time_s - (1000.0 + second * 0.5)) < 1.0
    assert Transcript().time_of(0) is None


def test_clearing_keeps_the_run_that_goes_on() -> None:
    transcript = Transcript()
    transcript.finish(transcript.begin("old", 1.0), RunState.OK, 2.0)
    run = transcript.begin("new", 3.0)
    transcript.write("said\n")
    end = transcript.end
    transcript.clear()
    assert [line.run for line in transcript.lines if isinstance(line, Header)] == [run]
    assert run.start == end and transcript.runs == [run]
    transcript.write("more\x1b[5Aover")
    assert transcript.lines[-1] == "moreover"


operations = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.just(0)),
        st.tuples(st.just("flood"), st.integers(1, 120)),
        st.tuples(st.just("bar"), st.integers(1, 5)),
        st.tuples(st.just("hold"), st.integers(0, 300)),
        st.tuples(st.just("note"), st.integers(1, 3)),
    ),
    max_size=25,
)


@settings(max_examples=120, deadline=None)
@given(operations)
def test_numbers_never_change_and_all_is_bounded(steps: list[tuple[str, int]]) -> None:
    transcript = Transcript(max_lines=100)
    seen: dict[int, Any] = {}
    for kind, amount in steps:
        if kind == "run":
            transcript.begin("x", 0.0)
        elif kind == "flood":
            transcript.write("".join(f"{random.random()}\n" for _ in range(amount)))
        elif kind == "bar":
            transcript.write("".join(f"\r{step}" for step in range(amount)) + "\n")
        elif kind == "note":
            transcript.note("\n".join("n" * amount))
        else:
            transcript.held = None if amount > 250 else (amount, amount + 10)
        lines = numbers(transcript)
        assert len(lines) == len(transcript.lines) <= 111
        assert list(lines) == sorted(lines)
        gaps = sum(line.count - 1 for line in transcript.lines if isinstance(line, Gap))
        assert len(transcript.lines) + gaps == transcript.end
        for number, line in lines.items():
            if isinstance(line, Gap):
                continue
            assert seen.setdefault(number, line) is line
            assert transcript.line(number) is line and transcript.store.index(number) < len(transcript.lines)
        for number in range(transcript.end):
            if number not in lines:
                assert isinstance(transcript.line(number), Gap)
        assert not any(
            isinstance(a, Gap) and isinstance(b, Gap)
            for a, b in zip(transcript.lines, transcript.lines[1:], strict=False)
        )


@pytest.mark.parametrize(
    ("code", "title"), [("", "(nothing)"), ("# %% train\nfit()", "train …"), ("x = 1\n\n", "x = 1")]
)
def test_titles(code: str, title: str) -> None:
    assert Run(1, code, 0.0).title == title
