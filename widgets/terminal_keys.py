"""What a terminal sends for keys, for the mouse and for pasted text. Pure: no Textual but the names of its keys."""

from __future__ import annotations

import re
from collections.abc import Set
from typing import Final

from textual.keys import key_to_character

_LETTERS: Final = {"up": "A", "down": "B", "right": "C", "left": "D", "home": "H", "end": "F"}
_SS3: Final = {"f1": "P", "f2": "Q", "f3": "R", "f4": "S"}
_TILDE: Final = {
    "insert": 2, "delete": 3, "pageup": 5, "pagedown": 6, "f5": 15, "f6": 17, "f7": 18, "f8": 19, "f9": 20, "f10": 21,
    "f11": 23, "f12": 24, "f13": 25, "f14": 26, "f15": 28, "f16": 29, "f17": 31, "f18": 32, "f19": 33, "f20": 34,
}  # fmt: skip
_PLAIN: Final = {"enter": "\r", "tab": "\t", "escape": "\x1b", "backspace": "\x7f", "space": " "}
_CONTROL: Final = {
    "at": "\0", "space": "\0", "2": "\0", "left_square_bracket": "\x1b", "3": "\x1b", "backslash": "\x1c", "4": "\x1c",
    "right_square_bracket": "\x1d", "5": "\x1d", "circumflex_accent": "\x1e", "6": "\x1e", "underscore": "\x1f",
    "minus": "\x1f", "slash": "\x1f", "7": "\x1f", "8": "\x7f", "backspace": "\x08",
}  # fmt: skip
_MODIFIERS: Final = {"shift": 1, "alt": 2, "ctrl": 4}
_APPLICATION_CURSOR: Final = 1
_BRACKETED: Final = 2004
_UNPASTABLE: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")

WHEEL_UP, WHEEL_DOWN, RELEASED = 64, 65, 3


def encode_key(key: str, character: str | None, modes: Set[int]) -> bytes:
    """Returns what is sent for a key, as Textual names it; nothing for one that terminals do not know.

    Args:
        character: what the key writes, if it writes something.
        modes: private modes that the program has set.
    """
    *names, base = key.split("+")
    held = sum(_MODIFIERS.get(name, 0) for name in names)
    alt = "\x1b" if "alt" in names else ""
    if base == "tab" and held & 1:
        return (alt + "\x1b[Z").encode()
    if base in _LETTERS:
        letter = _LETTERS[base]
        if held:
            return f"\x1b[1;{held + 1}{letter}".encode()
        return f"\x1b{'O' if _APPLICATION_CURSOR in modes else '['}{letter}".encode()
    if base in _SS3:
        return (f"\x1b[1;{held + 1}{_SS3[base]}" if held else f"\x1bO{_SS3[base]}").encode()
    if base in _TILDE:
        return (f"\x1b[{_TILDE[base]};{held + 1}~" if held else f"\x1b[{_TILDE[base]}~").encode()
    if "ctrl" in names:
        if len(base) == 1 and "a" <= base.lower() <= "z":
            return (alt + chr(ord(base.lower()) - 96)).encode()
        if base in _CONTROL:
            return (alt + _CONTROL[base]).encode()
    if base in _PLAIN:
        return (alt + _PLAIN[base]).encode()
    if alt and character is None and (character := key_to_character(base)) is not None and "shift" in names:
        character = character.upper()
    return b"" if character is None else (alt + character).encode("utf-8", "replace")


def encode_paste(text: str, modes: Set[int]) -> bytes:
    """Returns what is sent for pasted text: control characters are left out, so that it cannot pass for keys."""
    text = _UNPASTABLE.sub("", text.replace("\r\n", "\n")).replace("\n", "\r")
    data = text.encode("utf-8", "replace")
    return b"\x1b[200~" + data + b"\x1b[201~" if _BRACKETED in modes else data


def encode_mouse(
    button: int,
    x: int,
    y: int,
    modes: Set[int],
    *,
    pressed: bool = True,
    moved: bool = False,
    shift: bool = False,
    alt: bool = False,
    ctrl: bool = False,
) -> bytes:
    """Returns what is sent for the mouse, in the form that the program has asked for; nothing where that has no form.

    Args:
        button: 0 left, 1 middle, 2 right, 3 none, 64 and 65 the wheel.
        x, y: the cell, from 0.
    """
    code = button + (32 if moved else 0) + (4 if shift else 0) + (8 if alt else 0) + (16 if ctrl else 0)
    if 1006 in modes:
        return f"\x1b[<{code};{x + 1};{y + 1}{'M' if pressed else 'm'}".encode()
    if not pressed:
        code = code - button + RELEASED
    if max(x, y) > 222:
        return b""
    return b"\x1b[M" + bytes((code + 32, x + 33, y + 33))
