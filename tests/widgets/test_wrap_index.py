"""Rows of lines: what was counted in parts equals what is counted from the beginning."""

from __future__ import annotations

from typing import Any

from bai_tui.widgets.lines import Header, Media
from bai_tui.widgets.transcript import Transcript
from bai_tui.widgets.wrap_index import WrapIndex
from hypothesis import given, settings
from hypothesis import strategies as st


def media_height(media: Media, width: int) -> int:
    return len(media.data)


def naive(transcript: Transcript, index: WrapIndex) -> list[tuple[int, int]]:
    """Returns (number, part) of every row."""
    rows = []
    for at, line in enumerate(transcript.lines):
        number = transcript.store.number(at)
        run = transcript.run_at(number)
        if run is not None and run.folded and not isinstance(line, Header):
            continue
        rows += [(number, part) for part in range(index.height_of(line))]
    return rows


steps = st.lists(
    st.one_of(
        st.tuples(st.just("run"), st.sampled_from(["x", "a\nb\nc" * 9, ""])),
        st.tuples(st.just("write"), st.lists(st.text("ab漢é\n\r", max_size=40), max_size=30).map("\n".join)),
        st.tuples(st.just("up"), st.integers(1, 9)),
        st.tuples(st.just("media"), st.integers(1, 5)),
        st.tuples(st.just("fold"), st.integers(0, 9)),
        st.tuples(st.just("code"), st.integers(0, 9)),
        st.tuples(st.just("flood"), st.integers(1, 200)),
        st.tuples(st.just("hold"), st.integers(0, 200)),
        st.tuples(st.just("clear"), st.just(0)),
        st.tuples(st.just("width"), st.integers(3, 30)),
        st.tuples(st.just("wrap"), st.booleans()),
    ),
    max_size=20,
)


@settings(max_examples=200, deadline=None)
@given(steps)
def test_it_equals_counting_everything_anew(what: list[tuple[str, Any]]) -> None:
    transcript = Transcript(max_lines=150)
    index = WrapIndex(media_height)
    width, wrap = 12, True
    index.lay_out(transcript, width)
    for kind, value in what:
        runs = transcript.runs
        if kind == "run":
            transcript.begin(value, 0.0)
        elif kind == "write":
            transcript.write(value)
        elif kind == "up":
            transcript.write(f"\x1b[{value}A\x1b[J")
        elif kind == "media":
            transcript.media(Media("image/png", "x" * value))
        elif kind == "flood":
            transcript.write("line\n" * value)
        elif kind == "hold":
            transcript.held = (value, value + 20)
        elif kind == "clear":
            transcript.clear()
        elif kind in ("width", "wrap"):
            width, wrap = (value, wrap) if kind == "width" else (width, value)
            index.lay_out(transcript, width, wrap=wrap)
        elif runs:
            run = runs[value % len(runs)]
            if kind == "fold":
                run.folded = not run.folded
            else:
                run.code_shown = not run.code_shown
            index.forget(*transcript.span(run))
        index.update(transcript, transcript.take_changes()[0])
        rows = naive(transcript, index)
        assert index.rows == len(rows)
        for row, (number, part) in enumerate(rows):
            assert index.locate(row) == (number, part)
            assert index.row_of(number) == row - part
        assert index.widest >= max(
            (index.cells_of(line) for line in transcript.lines if isinstance(line, str)), default=0
        ) or any(run.folded for run in runs)


def test_appending_to_many_lines_counts_only_the_last_ones() -> None:
    transcript = Transcript()
    index = WrapIndex()
    transcript.write("line\n" * 40_000)
    index.lay_out(transcript, 80)
    counted = 0
    height = index.height_of

    def counting(line: Any) -> int:
        nonlocal counted
        counted += 1
        return height(line)

    index.height_of = counting  # type: ignore[method-assign]  # a spy
    transcript.write("\x1b[31mred\x1b[0m\n" * 10)
    index.update(transcript, transcript.take_changes()[0])
    assert index.rows == 40_010
    assert counted <= 520


def test_the_middle_that_is_left_out_is_not_a_reason_to_count_the_rest() -> None:
    transcript = Transcript(max_lines=10_000)
    index = WrapIndex()
    for _ in range(10):
        transcript.write("\x1b[31mred\x1b[0m\n" * 1_000)
        transcript.take_changes()
    index.lay_out(transcript, 80)
    counted = 0
    height = index.height_of

    def counting(line: Any) -> int:
        nonlocal counted
        counted += 1
        return height(line)

    index.height_of = counting  # type: ignore[method-assign]  # a spy
    version = transcript.store.version
    transcript.write("\x1b[31mred\x1b[0m\n" * 1_100)
    assert transcript.store.version != version
    index.update(transcript, transcript.take_changes()[0])
    assert index.rows == len(transcript.lines)
    assert counted < 4_000
