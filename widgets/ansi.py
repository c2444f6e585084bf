"""Reads the output of programs as a terminal would, as far as that is safe and useful in a list of lines.

Understood: SGR colours and styles, carriage return, backspace, tab, erase in line, erase below, cursor up, down,
forward, back, to a column. Everything else (titles, links, clipboard, queries, modes, other controls) is dropped.
Nothing of it ever reaches the user's terminal. Pure: no Textual, no Rich.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Sgr:
    """A text style. Colours are None (default), 0..255 (palette) or RGB."""

    fg: int | Rgb | None = None
    bg: int | Rgb | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: bool = False
    reverse: bool = False
    strike: bool = False
    error: bool = False
    """Text of the error stream, which has a default colour of its own."""


PLAIN: Final = Sgr()
ERROR: Final = Sgr(error=True)

Token = tuple[str, str, tuple[int, ...]]
"""(`text`, the text, ()), (`sgr`, "", codes), (`csi`, final letter, numbers) or (`c0`, one of `\\r\\n\\b\\t`, ())."""

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CSI: Final = re.compile(r"(?:\x1b\[|\x9b)([0-9:;<=>?]*)([ -/]*)([@-~])")
_STRING: Final = re.compile(r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\x18\x1a]*(\x07|\x1b\\|\x9c|\x18|\x1a)")
_STRING_HEAD: Final = re.compile(r"\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]")
_STRING_END: Final = re.compile(r"[\x07\x9c\x18\x1a]|\x1b\\")
_INCOMPLETE_CSI: Final = re.compile(r"(?:\x1b\[|\x9b)[0-9:;<=>?]*[ -/]*\Z")
_INCOMPLETE_ESC: Final = re.compile(r"\x1b[ -/]*\Z")
_SHORT: Final = re.compile(r"\x1b[ -/]*[0-~]")
_KEPT: Final = "\r\n\b\t"
MAX_PENDING: Final = 4096
"""Characters of an unfinished sequence that are kept; a longer one is no sequence that we would understand."""


def plain(text: str) -> bool:
    """Whether `text` holds no control character but line ends."""
    return not _CONTROL.search(text.replace("\n", ""))


class Parser:
    """Cuts a stream of text into tokens. Chunks may be cut anywhere, also within a sequence."""

    def __init__(self) -> None:
        self._pending = ""
        self._skipping = False
        """Within a control string that was too long to keep."""

    @property
    def idle(self) -> bool:
        """Whether no sequence is unfinished."""
        return not self._pending and not self._skipping

    def feed(self, chunk: str) -> Iterator[Token]:
        """Yields the tokens of a chunk; keeps an unfinished sequence for the next one."""
        text = self._pending + chunk
        self._pending = ""
        position, end = 0, len(text)
        if self._skipping:
            match = _STRING_END.search(text)
            if match is None:
                self._pending = "\x1b" if text.endswith("\x1b") else ""
                return
            self._skipping = False
            position = match.end()
        while position < end:
            match = _CONTROL.search(text, position)
            if match is None:
                yield ("text", text[position:], ())
                return
            if match.start() > position:
                yield ("text", text[position : match.start()], ())
                position = match.start()
            char = text[position]
            if char in _KEPT:
                yield ("c0", char, ())
                position += 1
            elif char == "\x1b" or char >= "\x80":
                step = self._sequence(text, position)
                if step is None:
                    rest = text[position:]
                    if _STRING_HEAD.match(rest) and len(rest) > MAX_PENDING:
                        self._skipping = True
                        self._pending = "\x1b" if rest.endswith("\x1b") else ""
                    elif len(rest) <= MAX_PENDING:
                        self._pending = rest
                    return
                token, position = step
                if token is not None:
                    yield token
            else:
                position += 1

    def _sequence(self, text: str, position: int) -> tuple[Token | None, int] | None:
        """Returns (token or nothing, where it ends); None when it is cut off by the end of the text."""
        match = _CSI.match(text, position)
        if match is not None:
            token = None
            if not match[2]:
                if match[3] == "m" and (not match[1] or match[1][0] not in "<=>?"):
                    token = ("sgr", "", _codes(match[1]))
                elif match[3] in "ABCDEFGKJ" and not match[1][:1].strip("0123456789;"):
                    token = ("csi", match[3], _numbers(match[1]))
            return token, match.end()
        match = _STRING.match(text, position)
        if match is not None:
            return None, match.end()
        if _STRING_HEAD.match(text, position):
            # cancelled by another escape within it, or not finished yet
            inner = text.find("\x1b", position + 1)
            if inner != -1 and inner + 1 < len(text):
                return None, inner
            return None
        if _INCOMPLETE_CSI.match(text, position) or _INCOMPLETE_ESC.match(text, position):
            return None
        match = _SHORT.match(text, position)
        if match is not None and text[position + 1] != "[":
            return None, match.end()
        # a sequence that another control character broke off, or a lone C1 character
        if text.startswith("\x1b[", position):
            return None, position + 2
        return None, position + 1


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part[:6]) if part.isdecimal() else -1 for part in text.split(";"))


def _codes(text: str) -> tuple[int, ...]:
    """Returns SGR numbers; `38:2::r:g:b` becomes `38;2;r;g;b`."""
    codes: list[int] = []
    for part in text.split(";"):
        if ":" in part:
            pieces = part.split(":")
            if pieces[0] in ("38", "48") and len(pieces) > 5 and pieces[1] == "2":
                pieces = [*pieces[:2], *pieces[3:6]]
            elif pieces[0] == "4":
                pieces = ["24"] if pieces[1] == "0" else ["4"]
            codes.extend(int(piece[:6]) if piece.isdecimal() else 0 for piece in pieces)
        else:
            codes.append(int(part[:6]) if part.isdecimal() else 0)
    return tuple(codes)


_FLAGS: Final[dict[int, dict[str, bool]]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": True},
    21: {"underline": True},
    7: {"reverse": True},
    9: {"strike": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": False},
    27: {"reverse": False},
    29: {"strike": False},
}


def apply_sgr(style: Sgr, codes: tuple[int, ...], base: Sgr = PLAIN) -> Sgr:
    """Returns `style` after the numbers of an SGR sequence; 0 leads back to `base`."""
    index = 0
    while index < len(codes):
        code = codes[index]
        index += 1
        if code == 0:
            style = base
        elif code in _FLAGS:
            style = replace(style, **_FLAGS[code])
        elif 30 <= code <= 37 or 90 <= code <= 97:
            style = replace(style, fg=code - 30 if code < 40 else code - 82)
        elif 40 <= code <= 47 or 100 <= code <= 107:
            style = replace(style, bg=code - 40 if code < 50 else code - 92)
        elif code == 39:
            style = replace(style, fg=None)
        elif code == 49:
            style = replace(style, bg=None)
        elif code in (38, 48):
            colour: int | Rgb | None = None
            if codes[index : index + 1] == (5,) and len(codes) > index + 1:
                colour = min(255, codes[index + 1])
                index += 2
            elif codes[index : index + 1] == (2,) and len(codes) > index + 3:
                red, green, blue = (min(255, part) for part in codes[index + 1 : index + 4])
                colour = (red, green, blue)
                index += 4
            else:
                return style
            style = replace(style, fg=colour) if code == 38 else replace(style, bg=colour)
    return style
