"""Output of programs: understood or dropped, never passed on."""

from __future__ import annotations

import pytest
from bai_tui.widgets.ansi import Sgr
from bai_tui.widgets.text import one_line
from bai_tui.widgets.transcript import MAX_LINE_CHARS, Gap, Header, RunState, Styled, Transcript, plain_text
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

HOSTILE = [
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x1b\\",
    "\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP+q544e\x1b\\",
    "\x1b[c\x1b[6n\x1b[?1049h\x1b[2J\x1b[H\x1b[999;999H",
    "\x1bc\x1b(0\x1b#8",
    "\x9b31mx\x9d0;y\x9c",
    "\x1b[38;2;1;2mbad\x1b[38;5mx\x1b[999mx\x1b[;;;m",
    "\x1b[99999999999999999999A\x1b[99999999B\x1b[9999999999C\x1b[99999G",
    "a[/b][red]\\[x]",
    "\x1b",
    "\x1b[",
    "\x1b]",
    "\x00\x07\x0b\x0c\x0e\x7f\x85",
    "‮evil‬​",
    "e\u0301 漢字 👩‍👩‍👧",
    "\r\n\r\r\n\n",
    "\b\b\b",
    "\t\t",
]


def texts(transcript: Transcript) -> list[str]:
    return [plain_text(line) for line in transcript.lines if not isinstance(line, Header)]


def written(*chunks: str) -> Transcript:
    transcript = Transcript()
    transcript.begin("code", 0.0)
    for chunk in chunks:
        transcript.write(chunk)
    return transcript


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\nb\n", ["a", "b"]),
        ("a\n\nb", ["a", "", "b"]),
        ("10%\r20%\r100%\n", ["100%"]),
        ("abc\rX\n", ["Xbc"]),
        ("abc\r\x1b[KX\n", ["X"]),
        ("ab\bc\n", ["ac"]),
        ("a\tb\n", ["a       b"]),
        ("one\ntwo\n\x1b[2Anew\x1b[K\n\x1b[Bend", ["new", "two", "end"]),
        ("one\ntwo\n\x1b[1A\x1b[2Kx\n", ["one", "x"]),
        ("a\nb\nc\x1b[2A\r\x1b[J!", ["!"]),
        ("x\x1b[5Cy", ["x     y"]),
        ("\x1b[10Gz", ["         z"]),
        ("\x1b]0;title\x07ok", ["ok"]),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", ["link"]),
        ("\x1b[?25l\x1b[2Jok\x1b[6n", ["ok"]),
        ("\x1bMok\x1b(Bok", ["okok"]),
        ("\x9b31mred", ["red"]),
    ],
)
def test_it_reads_like_a_terminal(text: str, lines: list[str]) -> None:
    assert texts(written(text)) == lines
    # and wherever it is cut
    assert texts(written(*text)) == lines


def test_colours_and_styles_become_spans() -> None:
    (line,) = written("a\x1b[1;31mb\x1b[38;5;200;48;2;1;2;3mc\x1b[md").lines[1:]
    assert isinstance(line, Styled)
    assert [(start, end) for start, end, _ in line.spans] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    assert [span[2] for span in line.spans] == [
        Sgr(),
        Sgr(fg=1, bold=True),
        Sgr(fg=200, bg=(1, 2, 3), bold=True),
        Sgr(),
    ]


def test_output_cannot_climb_over_the_line_that_begins_its_run() -> None:
    transcript = written("old\n")
    transcript.begin("next", 1.0)
    transcript.write("new\n\x1b[50Aover\n")
    assert texts(transcript) == ["old", "over"]
    assert isinstance(transcript.lines[2], Header)


def test_errors_have_a_style_of_their_own() -> None:
    transcript = Transcript()
    transcript.write("bad\n", error=True)
    transcript.write("good\n")
    bad, good = transcript.lines
    assert isinstance(bad, Styled) and bad.spans[0][2].error
    assert good == "good"


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(st.sampled_from(HOSTILE), st.text(max_size=30)), max_size=12), st.data())
def test_nothing_hostile_gets_through_or_breaks_it(pieces: list[str], data: st.DataObject) -> None:
    text = "".join(pieces)
    whole = written(text)
    cut = data.draw(st.integers(0, len(text)))
    halves = written(text[:cut], text[cut:])
    assert texts(whole) == texts(halves)
    for text in texts(whole):
        shown = one_line(text)
        assert not any(ord(char) < 32 or 127 <= ord(char) < 160 for char in shown)
        assert cell_len(text) <= MAX_LINE_CHARS
    for line in whole.lines:
        if isinstance(line, Styled):
            assert [line.spans[0][0], line.spans[-1][1]] == [0, len(line.text)]


def test_a_line_without_end_is_cut_into_lines() -> None:
    transcript = written(*("x" * 1_000_000 for _ in range(2)))
    assert max(len(text) for text in texts(transcript)) <= MAX_LINE_CHARS
    assert sum(len(text) for text in texts(transcript)) == 2_000_000


def test_an_endless_control_string_is_not_kept() -> None:
    transcript = written("\x1b]52;c;", *("A" * 10_000 for _ in range(20)), "\x07after")
    assert texts(transcript) == ["after"]


def test_lines_are_bounded_and_the_loss_is_told() -> None:
    transcript = Transcript(max_lines=100)
    for number in range(1000):
        transcript.write(f"{number}\n")
    assert len(transcript.lines) <= 111
    assert transcript.end == 1000
    assert transcript.lines[0] == "0" and transcript.lines[-1] == "999"
    (gap,) = (line for line in transcript.lines if isinstance(line, Gap))
    assert gap.count + len(transcript.lines) - 1 == 1000
    assert gap.text.startswith(f"{gap.count} lines left out here")


def test_characters_are_bounded_too() -> None:
    transcript = Transcript(max_chars=100_000)
    for _ in range(100):
        transcript.write("x" * 10_000 + "\n")
    assert sum(len(text) for text in texts(transcript)) <= 120_000


def test_changes_are_told_once_and_from_the_lowest() -> None:
    transcript = written("a\nb\n")
    assert transcript.take_changes() == (0, False)
    assert transcript.take_changes() == (None, False)
    transcript.write("c\n")
    assert transcript.take_changes() == (3, False)
    run = transcript.current
    assert run is not None
    transcript.finish(run, RunState.OK, 1.0)
    assert transcript.take_changes() == (None, True)
