"""What is sent for keys, mouse and paste: as xterm sends it."""

from __future__ import annotations

import pytest
from bai_tui.widgets.terminal_keys import RELEASED, WHEEL_UP, encode_key, encode_mouse, encode_paste


@pytest.mark.parametrize(
    ("key", "character", "sent"),
    [
        ("a", "a", "a"), ("A", "A", "A"), ("ö", "ö", "ö"), ("space", " ", " "), ("enter", "\r", "\r"),
        ("tab", "\t", "\t"), ("shift+tab", None, "\x1b[Z"), ("backspace", "\x7f", "\x7f"), ("escape", "\x1b", "\x1b"),
        ("question_mark", "?", "?"), ("ctrl+a", "\x01", "\x01"), ("ctrl+r", None, "\x12"), ("ctrl+z", None, "\x1a"),
        ("ctrl+space", None, "\0"), ("ctrl+at", None, "\0"), ("ctrl+backslash", None, "\x1c"),
        ("ctrl+underscore", None, "\x1f"), ("ctrl+circumflex_accent", None, "\x1e"), ("alt+x", None, "\x1bx"),
        ("alt+ctrl+a", None, "\x1b\x01"), ("alt+enter", None, "\x1b\r"), ("alt+backspace", None, "\x1b\x7f"),
        ("up", None, "\x1b[A"), ("ctrl+right", None, "\x1b[1;5C"), ("shift+up", None, "\x1b[1;2A"),
        ("alt+left", None, "\x1b[1;3D"), ("home", None, "\x1b[H"), ("end", None, "\x1b[F"),
        ("delete", None, "\x1b[3~"), ("insert", None, "\x1b[2~"), ("pageup", None, "\x1b[5~"),
        ("ctrl+pagedown", None, "\x1b[6;5~"), ("f1", None, "\x1bOP"), ("f4", None, "\x1bOS"), ("f5", None, "\x1b[15~"),
        ("f12", None, "\x1b[24~"), ("shift+f1", None, "\x1b[1;2P"), ("ctrl+f5", None, "\x1b[15;5~"),
        ("alt+full_stop", None, "\x1b."), ("alt+shift+x", None, "\x1bX"), ("alt+9", None, "\x1b9"),
        ("mystery", None, ""),
    ],
)  # fmt: skip
def test_keys(key: str, character: str | None, sent: str) -> None:
    assert encode_key(key, character, set()).decode() == sent


def test_cursor_keys_of_applications() -> None:
    assert encode_key("up", None, {1}) == b"\x1bOA"
    assert encode_key("home", None, {1}) == b"\x1bOH"
    assert encode_key("ctrl+up", None, {1}) == b"\x1b[1;5A"


def test_paste_cannot_pass_for_keys() -> None:
    assert encode_paste("one\ntwo\r\nthree\t.", set()) == b"one\rtwo\rthree\t."
    assert encode_paste("größe", {2004}) == b"\x1b[200~" + "größe".encode() + b"\x1b[201~"
    hostile = "x\x1b[201~rm -rf /\n\x03\x04\x9b201~\x1b]0;t\x07"
    sent = encode_paste(hostile, {2004})
    assert sent.count(b"\x1b") == 2 and sent.endswith(b"\x1b[201~")
    assert b"\x03" not in sent and b"\x07" not in sent and "\x9b".encode() not in sent


def test_the_mouse_in_both_forms() -> None:
    assert encode_mouse(0, 4, 2, {1000, 1006}) == b"\x1b[<0;5;3M"
    assert encode_mouse(0, 4, 2, {1000, 1006}, pressed=False) == b"\x1b[<0;5;3m"
    assert encode_mouse(2, 0, 0, {1006}, ctrl=True, alt=True) == b"\x1b[<26;1;1M"
    assert encode_mouse(RELEASED, 9, 9, {1003, 1006}, moved=True) == b"\x1b[<35;10;10M"
    assert encode_mouse(WHEEL_UP, 0, 0, {1006}) == b"\x1b[<64;1;1M"
    assert encode_mouse(0, 4, 2, {1000}) == b"\x1b[M %#"
    assert encode_mouse(0, 4, 2, {1000}, pressed=False) == b"\x1b[M#%#"
    assert encode_mouse(0, 500, 2, {1000}) == b"", "that form has no such column"
