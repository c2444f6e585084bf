"""What is kept of a terminal for those who come later."""

from __future__ import annotations

import pytest
from bai_tui.app.backend.runner.replay import KEPT_BYTES, Replay, without_queries


def whole(replay: Replay) -> bool:
    return replay.is_whole


def test_all_is_kept_up_to_a_bound_and_numbered_throughout() -> None:
    replay = Replay()
    replay.add(b"one\r\n")
    assert (replay.first, replay.end, replay.all(), replay.piece(2, 2)) == (0, 5, b"one\r\n", b"e\r")
    assert whole(replay)
    lines = b"".join(b"%06d\r\n" % number for number in range(100_000))
    replay.add(lines)
    assert KEPT_BYTES - 8 <= len(replay.all()) <= KEPT_BYTES
    assert replay.end == 5 + len(lines) and not whole(replay)
    assert replay.all().startswith(b"0") and replay.all().endswith(b"099999\r\n"), "it begins with a line"
    assert replay.piece(replay.first, 8) == replay.all()[:8]
    replay.begin_anew()
    assert whole(replay)


def test_one_endless_line_is_cut_all_the_same() -> None:
    replay = Replay()
    for _ in range(100):
        replay.add(b"x" * 10_000)
    assert len(replay.all()) < 2 * KEPT_BYTES


def test_modes_that_were_set_in_what_is_gone_are_told() -> None:
    replay = Replay()
    replay.add(b"\x1b[?1049;2004h\x1b[?25l\x1b[?12h\x1b[?1000h\x1b[?1000l" + b"line\r\n" * 100_000)
    opening = replay.opening()
    for told in (b"\x1b[?1049h", b"\x1b[?2004h", b"\x1b[?25l"):
        assert told in opening
    assert b"?1000" not in opening and b"?12" not in opening
    assert b"\x1b[?1000l" in replay.opening(every=True)
    replay.add(b"\x1b[?1049l\x1b[?1002h")
    closing = replay.closing()
    assert b"\x1b[?2004l" in closing and b"\x1b[?25h" in closing and b"\x1b[?1002l" in closing
    assert b"1049" not in closing, "the program has done that itself"
    replay.add(b"\x1bc" + b"line\r\n" * 100_000)
    assert replay.opening() == b""
    replay.forget()
    assert replay.all() == b"" and replay.first == replay.end


@pytest.mark.parametrize(
    "query",
    [
        b"\x1b[c", b"\x1b[0c", b"\x1b[>c", b"\x1b[>0c", b"\x1b[=c", b"\x1b[6n", b"\x1b[?6n", b"\x1b[5n", b"\x1b[>q",
        b"\x1bZ", b"\x05", b"\x1bP+q544e\x1b\\", b"\x1bP$qm\x1b\\", b"\x1b]11;?\x07", b"\x1b]10;?\x1b\\",
        b"\x1b]4;1;?\x07", b"\x1b[?2026$p", b"\x1b[18t", b"\x1b[14;2t", b"\x1b[21t", b"\x1b[1x",
    ],
)  # fmt: skip
def test_what_was_asked_is_not_asked_again(query: bytes) -> None:
    assert without_queries(b"a" + query + b"b") == b"ab"


@pytest.mark.parametrize(
    "kept",
    [b"\x1b[2 q", b"\x1b[31m", b"\x1b[22;0;0t", b"\x1b]0;title\x07", b"\x1b[4;20r", b"\x1b[10d", b"n c x \x1b[H"],
)
def test_what_asks_nothing_stays(kept: bytes) -> None:
    assert without_queries(kept) == kept
