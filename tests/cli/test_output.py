"""The filter between untrusted output and a terminal."""

from __future__ import annotations

import pytest
from bai_tui.app.cli.output import TerminalFilter
from hypothesis import given
from hypothesis import strategies as st

CASES = [
    ("plain é 日本\n\t\r\b", "plain é 日本\n\t\r\b"),
    ("\x1b[1;38;5;28mx\x1b[0m\x1b[m", "\x1b[1;38;5;28mx\x1b[0m\x1b[m"),
    ("50%\r\x1b[K\x1b[2A100%", "50%\r\x1b[K\x1b[2A100%"),
    ("\x1b]0;title\x07a\x1b]8;;http://x\x1b\\b", "ab"),
    ("\x1b]52;c;ZXZpbA==\x1b\\x", "x"),
    ("\x1b[2J\x1b[H\x1b[6n\x1b[c\x1b[?25l\x1b[>4;1m\x1b[5iX", "X"),
    ("\x1bP+q544e\x1b\\a\x1b_x\x1b\\b\x1b^y\x07c\x1bXz\x1b\\d", "abcd"),
    ("\x1bc\x1b7\x1b(0a\x1b=\x1b#8b", "ab"),
    ("\x9b31m\x9d0;t\x07\x90\x00\x01\x07\x0e\x0f\x7fz", "31m0;tz"),
    ("a\x1b[31\nmb", "a31\nmb"),
    ("\x1b\x1b[31mx", "\x1b[31mx"),
    ("\x1b]0;t\x1b[31mx", "\x1b[31mx"),
]


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_what_passes(text: str, shown: str) -> None:
    assert TerminalFilter().feed(text) == shown


@pytest.mark.parametrize(("text", "shown"), CASES)
def test_cuts_change_nothing(text: str, shown: str) -> None:
    filter_ = TerminalFilter()
    assert "".join(map(filter_.feed, text)) == shown


@given(st.text(alphabet="\x1b[]0;1mKAPX\\\x07\x9b\x9ca\n?( "), st.integers(0, 30))
def test_any_cut_of_anything(text: str, at: int) -> None:
    filter_ = TerminalFilter()
    pieces = filter_.feed(text[:at]) + filter_.feed(text[at:])
    assert pieces == TerminalFilter().feed(text)


def test_a_string_without_an_end_does_not_swallow_for_ever() -> None:
    filter_ = TerminalFilter()
    assert filter_.feed("\x1b]0;" + "x" * 100_000).endswith("xxx")


def test_a_sequence_without_an_end_becomes_text() -> None:
    filter_ = TerminalFilter()
    shown = filter_.feed("\x1b[" + "1;" * 100)
    assert shown == "[" + "1;" * 100
