"""The screen of a terminal: what programs write, and what those write who mean no good."""

from __future__ import annotations

import asyncio
import random
import time
import tracemalloc
from itertools import pairwise

import pytest
from bai_tui.widgets.terminal_cells import PLAIN, Pen
from bai_tui.widgets.terminal_emulator import SLICE_S, TerminalEmulator
from bai_tui.widgets.terminal_lines import TerminalLines
from bai_tui.widgets.terminal_screen import MAX_ANSWER_BYTES, TerminalScreen


def make(data: bytes = b"", columns: int = 20, lines: int = 5, history_lines: int = 100) -> TerminalScreen:
    screen = TerminalScreen(columns, lines, history_lines=history_lines)
    screen.feed(data)
    return screen


def rows(screen: TerminalLines) -> list[str]:
    return ["".join(screen.line(y)[x].text for x in range(screen.columns)).rstrip() for y in range(screen.lines)]


def alternate(screen: TerminalScreen) -> bool:
    return screen.is_alternate


def newest(screen: TerminalScreen) -> tuple[tuple[str, Pen], ...]:
    """Returns the line that was scrolled off last."""
    return screen.history[-1].pieces


def mouse(screen: TerminalScreen) -> int:
    return screen.mouse


def shown(data: bytes, **size: int) -> str:
    """Returns the screen as text, without what is blank at its end."""
    return "\n".join(rows(make(data, **size))).rstrip("\n")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"one\r\ntwo\nthree", "one\ntwo\n   three"),
        (b"a\tb\x08\x08c", "a      cb"),
        (b"x" * 25, "x" * 20 + "\n" + "x" * 5),
        (b"x" * 20 + b"\r\ny", "x" * 20 + "\ny"),  # no empty line: the cursor waits in the last column
        (b"\x1b[?7l" + b"abcdefghijklmnopqrstuvwxyz", "abcdefghijklmnopqrsz"),
        (b"\x1b[3;5Hhere\x1b[Htop", "top\n\n    here"),
        (b"\x1b[2Bdown\x1b[1Aup\x1b[20D<\x1b[4Cright", "\n<   uright\ndown"),
        (b"12345\x1b[3G\x1b[K", "12"),
        (b"12345\x1b[3G\x1b[1K", "   45"),
        (b"12345\x1b[2K", ""),
        (b"12345\x1b[2G\x1b[2P", "145"),
        (b"12345\x1b[2G\x1b[2@ab", "1ab2345"),
        (b"12345\x1b[2G\x1b[3X", "1   5"),
        (b"12345\x1b[1G\x1b[4hab\x1b[4lX", "abX2345"),
        (b"a\x1b[3b", "aaaa"),
        (b"1\r\n2\r\n3\x1b[2;1H\x1b[L", "1\n\n2\n3"),
        (b"1\r\n2\r\n3\x1b[1;1H\x1b[M", "2\n3"),
        (b"1\r\n2\r\n3\r\n4\r\n5\x1b[2;4r\x1b[4;1H\r\nX", "1\n3\n4\nX\n5"),
        (b"1\r\n2\r\n3\r\n4\r\n5\x1b[2;4r\x1b[2;1H\x1bMX", "1\nX\n2\n3\n5"),
        (b"1\r\n2\r\n3\x1b[S", "2\n3"),
        (b"1\r\n2\r\n3\x1b[T", "\n1\n2\n3"),
        (b"\x1b(0lqk\x1b(Bx", "┌─┐x"),
        (b"\x1b)0a\x0eq\x0fq", "a─q"),
        (b"\x1b[1;1Hab\x1b7\x1b[3;3Hcd\x1b8ef", "abef\n\n  cd"),
        (b"\x1b[3;3Hx\x1b[sy\x1b[uz", "\n\n  xz"),
        ("größe".encode(), "größe"),
        (b"gr\xc3", "gr"),
        (b"gr\xff\xfe.", "gr��."),
        ("日本".encode() + b"\x1b[2G.", " .本"),
        (b"x" * 19 + "日".encode(), "x" * 19 + "\n日"),
        ("e\u0301x\u0305\u0306.".encode(), "éx\u0305\u0306."),
        (b"\x1b[5;1Hlast\x1b[1J", ""),
        (b"one\r\ntwo\x1b[1;2H\x1b[J", "o"),
        (b"\x1b#8\x1b[2J\x1b[Hx", "x"),
        (b"a\x1b[5Ib\x1b[Zc", "a               c  b"),
        (b"one\x1bEtwo\x1bDx", "one\ntwo\n   x"),
        (b"\x1b[2;3r\x1b[?6h\x1b[Htop\x1b[?6l\x1b[Habove", "above\ntop"),
        (b"\x1bHx\x1b[3g\ty", "x" + " " * 18 + "y"),
        # of no consequence for the screen
        (b"a\x1b]0;title\x07b", "ab"),
        (b"a\x1b]52;c;aGVsbG8=\x07b", "ab"),
        (b"a\x1b]8;;http://x\x1b\\b\x1b]8;;\x1b\\c", "abc"),
        (b"a\x1bP$q q\x1b\\b", "ab"),
        (b"a\x1b_Gf=100;AAAA\x1b\\b\x1b^pm\x1b\\c\x1bXsos\x1b\\d", "abcd"),
        (b"a\x1b[>4;2mb\x1b[?4mc\x1b[2 qd\x1b[22;0;0te\x1b[?2026hf\x1b[>qg", "abcdefg"),
        (b"a\x1b[!pb\x1b%Gc\x1b=d\x1b>e\x1b[3Jf", "abcdef"),
        (b"a\x1b[999999999999999999999;5Hb\x1b[1;1H", "a\n\n\n\n    b"),
        (b"a\x1b[;;;;;m\x1b[38;5m\x1b[38;2;1mb\x1b[K", "ab"),
        (b"a\x1b[7Jb\x1b[9Kc\x1b[?9Kd\x1b[8g", "abcd"),
        (b"a\x1b\x1b\x1b[Cb", "a b"),
        (b"a\x9bb\x85c\x00\x7fd", "a�b�cd"),
        (b"a\x1b[12\x18b\x1b[1\x1b[1mc\x1b[5\nd", "abc\n   d"),
    ],
)
def test_what_is_seen(data: bytes, text: str) -> None:
    assert shown(data) == text


def test_a_sequence_may_come_in_any_pieces() -> None:
    data = "\x1b[31mré\x1b[0m\x1b]0;a title\x1b\\\x1b[2;3H日\x1bP+q12\x1b\\x\x1b[?1049h\x1b[1;1Halt\x1b[?1049l".encode()
    whole = rows(make(data))
    for size in (1, 2, 3, 7):
        screen = make()
        for first in range(0, len(data), size):
            screen.feed(data[first : first + size])
        assert rows(screen) == whole


@pytest.mark.parametrize(
    ("data", "pen"),
    [
        (b"\x1b[1;3;4;7;9m", Pen(bold=True, italic=True, underline=True, reverse=True, strike=True)),
        (b"\x1b[1;2;5;8m\x1b[22;25;28m", PLAIN),
        (b"\x1b[31;42m", Pen(fg=1, bg=2)),
        (b"\x1b[97;103m", Pen(fg=15, bg=11)),
        (b"\x1b[38;5;200;48;5;17m", Pen(fg=200, bg=17)),
        (b"\x1b[38;2;1;2;3;1m", Pen(fg=(1, 2, 3), bold=True)),
        (b"\x1b[38:2::1:2:3m", Pen(fg=(1, 2, 3))),
        (b"\x1b[38:2:1:2:3m", Pen(fg=(1, 2, 3))),
        (b"\x1b[48:5:9m", Pen(bg=9)),
        (b"\x1b[4:3m", Pen(underline=True)),
        (b"\x1b[4:0m", PLAIN),
        (b"\x1b[38;2;999;0;0m", Pen(fg=(255, 0, 0))),
        (b"\x1b[38;5;999m", Pen(fg=255)),
        (b"\x1b[31m\x1b[39;1;0;2m", Pen(dim=True)),
        (b"\x1b[31m\x1b[m", PLAIN),
        (b"\x1b[38m\x1b[48;7;1m", Pen(bold=True, reverse=True)),
        (b"\x1b[>4;1m\x1b[?1m", PLAIN),
    ],
)
def test_pens(data: bytes, pen: Pen) -> None:
    screen = make(data + b"x")
    assert screen.line(0)[0].pen == pen


def test_erasing_takes_the_colour_of_the_background_and_nothing_else() -> None:
    screen = make(b"\x1b[1;4;44mab\x1b[K\r\n")
    assert screen.line(0)[19].pen == Pen(bg=4) and screen.line(0)[19].text == " "
    screen.feed(b"\x1b[0m\x1b[H\x1b[K")
    assert screen.line(0)[19].pen == PLAIN


def test_full_screen_programs_leave_what_was_there() -> None:
    screen = make(b"before\r\n$ ")
    screen.feed(b"\x1b[?1049h\x1b[2J\x1b[2;3Hinside" + b"\r\nmore" * 30)
    assert alternate(screen) and "before" not in "".join(rows(screen))
    screen.feed(b"\x1b[2;4r\x1b[?1049h\x1b[?1049l")
    assert rows(screen)[:2] == ["before", "$"] and not alternate(screen)
    assert (screen.cursor.x, screen.cursor.y) == (2, 1) and screen.margins is None
    assert len(screen.history) == 0, "what was scrolled there is nobody's past"
    screen.feed(b"\x1b[?1049l\x1b[?47l")
    assert rows(screen)[:2] == ["before", "$"]


def test_what_is_scrolled_off_is_kept_up_to_a_bound() -> None:
    screen = make(b"".join(b"\x1b[3%dmline %d\r\n" % (n % 8, n) for n in range(500)), history_lines=50)
    assert len(screen.history) == 50 and screen.scrolled == 496
    assert newest(screen) == (("line 495", Pen(fg=7)),)
    screen.feed(b"\x1b[3J")
    assert len(screen.history) == 0
    # what `clear` clears can be read there
    screen.feed(b"\x1b[H\x1b[2J\x1b[H")
    assert newest(screen)[0][0] == "line 499"
    screen = make(b"x" * 25 + b"\r\n" * 6)
    assert [runs.wrapped for runs in screen.history] == [True, False, False]


def test_modes_for_keys_and_mouse() -> None:
    screen = make(b"\x1b[?1;1000;1006;2004h")
    assert {1, 1006, 2004} <= screen.private and mouse(screen) == 1000
    screen.feed(b"\x1b[?1002h")
    assert mouse(screen) == 1002 and 1000 not in screen.private
    screen.feed(b"\x1b[?25l\x1b[?1002l")
    assert (mouse(screen), screen.cursor.hidden) == (0, True)
    screen.feed(b"\x1bc")
    assert (screen.private, screen.cursor.hidden) == (set(), False)
    assert rows(make(b"\x1b[?3hx")) == rows(make(b"x")), "nobody else says how wide the screen is"


def test_only_what_is_harmless_is_answered_and_no_more_than_is_taken() -> None:
    screen = make(b"\x1b[2;3H\x1b[c\x1b[>c\x1b[5n\x1b[6n\x1b[?6n\x1bZ")
    answers = b"\x1b[?62;22c\x1b[>0;277;0c\x1b[0n\x1b[2;3R\x1b[?2;3R\x1b[?62;22c"
    assert [screen.take_answers(), screen.take_answers()] == [answers, b""]
    screen.feed(b"\x1b]0;x\x07\x1b[21t\x1b[20t\x1b]52;c;?\x07\x1b]11;?\x07\x1bP+q4142\x1b\\\x1bP$qm\x1b\\\x05")
    screen.feed(b"\x1b[?2026$p\x1b[18t\x1b[>q")
    assert screen.take_answers() == b"", "a title or a colour that comes back as keys could be a command"
    screen.feed(b"\x1b[6n" * 100_000)
    assert len(screen.take_answers()) <= MAX_ANSWER_BYTES


def test_resizing_keeps_the_cursors_line_and_what_is_above_it() -> None:
    screen = make(b"1\r\n2\r\n3\r\n4\r\n5$")
    screen.resize(2, 10)
    assert rows(screen) == ["4", "5$"] and (screen.cursor.x, screen.cursor.y) == (2, 1)
    assert [runs.pieces[0][0] for runs in screen.history] == ["1", "2", "3"]
    screen.resize(6, 30)
    assert rows(screen) == ["4", "5$", "", "", "", ""]
    screen.feed(b"\r\n" + b"x" * 30)
    assert rows(screen)[2] == "x" * 30
    screen.feed(b"\x1b[?1049h\x1b[6;30Hy")
    screen.resize(3, 5)
    screen.feed(b"\x1b[?1049l")
    assert len(rows(screen)) == 3 and screen.cursor.x <= 5
    screen.resize(1, 1)
    screen.feed("日x\r\n".encode() + b"\x1b[5;5Hz\x1b[L\x1b[M\x1b[P\x1b[@")
    assert len(rows(screen)[0]) <= 1


HOSTILE = [
    b"\x1b[%dX" % 10**9, b"\x1b[%d@" % 10**9, b"\x1b[%dP" % 10**9, b"\x1b[%dL" % 10**9, b"\x1b[%dM" % 10**9,
    b"\x1b[%dS" % 10**9, b"\x1b[%dT" % 10**9, b"a\x1b[%db" % 10**9, b"\x1b[%dI" % 10**9, b"\x1b[%dZ" % 10**9,
    b"\x1b[%d;%dr" % (10**9, 1), b"\x1b[0;0r", b"\x1b[5;2r", b"\x1b[-1;-1H", b"\x1b[%sm" % (b"1;" * 100_000),
    b"\x1b[%sh" % (b"1" * 100_000), b"\x1b]" + b"x" * 1_000_000, b"\x1bP" + b"\x1b[31m" * 100_000, b"\x1b" * 100_000,
    b"\x1b7" * 100_000, b"\x1b[s" * 100_000, b"\x1bH\x1b[C" * 10_000, "\u0301".encode() * 100_000,
    "a\u202eb\u2066\u200d\ufeff".encode(), b"\x1b[?1049h" * 10_000, b"\x07" * 100_000, bytes(range(256)) * 100,
]  # fmt: skip


@pytest.mark.parametrize("data", HOSTILE, ids=range(len(HOSTILE)))
def test_nothing_takes_long_or_grows(data: bytes) -> None:
    screen = make(b"first\r\n")
    begun = time.process_time()
    tracemalloc.start()
    screen.feed(data)
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 4 << 20
    assert time.process_time() - begun < 5
    screen.feed(b"\x07\x1b\\\x18\x1bc\x1b[2J\x1b[Hstill \x1b[32mgood")
    assert rows(screen)[0] == "still good"
    for y in range(screen.lines):
        for x in range(screen.columns):
            assert all(char.isprintable() for char in screen.line(y)[x].text if char not in "\u0301")


def test_any_bytes_leave_a_screen_of_its_size() -> None:
    chance = random.Random(7)
    alphabet = [
        b"\x1b",
        b"[",
        b"?",
        b";",
        b"]",
        b"\\",
        b"P",
        b"1",
        b"9",
        b"25",
        b"1049",
        b"h",
        b"l",
        b"m",
        b"H",
        b"J",
        b"K",
    ]
    alphabet += [
        b"r",
        b"L",
        b"M",
        b"@",
        b"X",
        b"b",
        b"\r",
        b"\n",
        b"\t",
        b"\x08",
        b"a",
        "日".encode(),
        "\u0301".encode(),
        b"\xff",
    ]
    alphabet += [b"S", b"T", b"A", b"B", b"C", b"D", b"6", b"7", b"8", b"c", b"(", b"0", b"#", b"\x0e", b"4", b"20"]
    for _ in range(60):
        screen = make(columns=chance.randint(1, 12), lines=chance.randint(1, 6))
        for _ in range(40):
            screen.feed(b"".join(chance.choices(alphabet, k=30)))
            if chance.random() < 0.2:
                screen.resize(chance.randint(1, 8), chance.randint(1, 15))
            assert 0 <= screen.cursor.y < screen.lines and 0 <= screen.cursor.x <= screen.columns
            assert all(0 <= y < screen.lines for y in screen.buffer)
            assert len(screen.buffer) <= screen.lines


async def test_a_flood_lets_others_work() -> None:
    emulator = TerminalEmulator(100, 30)
    turns: list[float] = []

    async def other() -> None:
        while True:
            turns.append(time.monotonic())
            await asyncio.sleep(0)

    beside = asyncio.create_task(other())
    painted = 0

    def changed() -> None:
        nonlocal painted
        painted += 1

    emulator.changed = changed
    answers = await emulator.write(b"\x1b[6n" + b"y\r\n" * 60_000)
    beside.cancel()
    assert answers == b"\x1b[1;1R" and painted > 1
    gaps = sorted(after - before for before, after in pairwise(turns))
    assert gaps[len(gaps) // 2] < SLICE_S * 5
    assert emulator.screen.scrolled > 59_000 and len(emulator.screen.history) <= 5000


def test_what_we_say_stands_below_whatever_was_there() -> None:
    emulator = TerminalEmulator(40, 5)
    emulator.screen.feed(b"$ vim\r\n\x1b[?1049h\x1b[?1000h\x1b[31mfull screen")
    emulator.say("the shell has \x1b[2Jended")
    assert rows(emulator.screen)[:2] == ["$ vim", "the shell has [2Jended"]
    assert not emulator.screen.is_alternate and emulator.screen.mouse == 0
    emulator.begin()
    assert rows(emulator.screen) == [""] * 5 and emulator.first_row == 0
