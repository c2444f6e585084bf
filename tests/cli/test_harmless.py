"""Foreign text in what the commands print: a name can neither drive the terminal nor look like another one."""

from __future__ import annotations

import pytest
from bai_tui.app.cli.output import TerminalFilter
from bai_tui.app.cli.tables import table
from bai_tui.app.cli.talk import harmless

HOSTILE = {
    "title": "\x1b]0;owned\x07",
    "clipboard": "\x1b]52;c;ZXZpbA==\x1b\\",
    "link": "\x1b]8;;http://evil.example\x1b\\text\x1b]8;;\x1b\\",
    "query": "\x1b[6n\x1b[c\x1b]11;?\x07",
    "paste": "\x1b[?2004h\x1b[201~",
    "screen": "\x1b[2J\x1b[H\x1b[?1049h",
    "keys": "\x1b[>1u\x1b=\x1bP+q544e\x1b\\",
    "c1": "\x9b2J\x9d0;owned\x9c",
    "back": "good\b\b\b\bevil",
    "return": "good\revil",
    "right to left": "\u202egnp.exe",
    "isolate": "\u2066a\u2069\u200f\u061c",
    "line": "a\u2028b\u2029c",
    "nul": "a\x00b",
    "no utf-8": "\udcff\udcfe.txt",
    "delete": "a\x7fb",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_names_and_messages(name: str) -> None:
    shown = harmless(HOSTILE[name])
    shown.encode()
    assert all(character.isprintable() or character in "\n\t" for character in shown), ascii(shown)


@pytest.mark.parametrize("name", HOSTILE)
def test_output_of_a_run_on_a_terminal(name: str) -> None:
    """Byte by byte, too: a sequence may be cut anywhere. Colours, erasing a line and cursor up may pass."""
    text = HOSTILE[name]
    for pieces in ([text], list(text)):
        told = TerminalFilter()
        shown = "".join(told.feed(piece) for piece in pieces) + told.feed("end\n")
        assert not set(shown) & set("\x07\x00\x7f\x9b\x9d\x9c"), ascii(shown)
        assert "\x1b" not in shown, ascii(shown)
        if name != "c1":  # whose introducers are dropped: what is behind them is text then
            assert "owned" not in shown and "evil.example" not in shown, ascii(shown)
        assert shown.endswith("end\n"), "and what follows is shown"


def test_words_of_all_languages_stay() -> None:
    for text in ("büro", "日本語", "שלום", "مرحبا", "👩‍💻", "a\u0301", "Ünïcödé 1½"):
        assert harmless(text) == text


def test_a_table_is_one_line_a_row() -> None:
    lines = table(["NAME"], [["a\nb\r\x1b[2J\u202e"]])
    assert "\x1b" not in "".join(lines) and "\u202e" not in "".join(lines)
