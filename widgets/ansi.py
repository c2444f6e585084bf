"""Reads the output of programs as a terminal would, as far as that is safe and useful in a list of lines.

Understood: SGR colours and styles, carriage return, backspace, tabs, moves of the cursor (also to a place and back),
erasing, inserting and deleting characters, erasing the screen, repeating, links. Everything else (titles, clipboard,
queries, modes, other controls) is dropped, and so are the characters that hide or reorder the text around them.
Nothing of it ever reaches the user's terminal. Pure: no Textual, no Rich.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

Rgb = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Sgr:
    """A text style. Colours are None (default), 0..255 (palette) or RGB."""

    fg: int | Rgb | None = None
    bg: int | Rgb | None = None
    bold: bool = False
    dim: bool = False
    italic: bool = False
    underline: int = 0
    """1 = a line, 2 = a double one; wavy, dotted and dashed ones count as a line."""
    reverse: bool = False
    strike: bool = False
    overline: bool = False
    blink: bool = False
    link: str = ""
    """Where it leads, as the program says; nothing is ever opened before that was shown."""
    error: bool = False
    """Text of the error stream, which has a default colour of its own."""


PLAIN: Final = Sgr()
ERROR: Final = Sgr(error=True)

Token = tuple[str, str, tuple[int, ...]]
"""(`text`, the text, ()), (`sgr`, the numbers as written, ()), (`csi`, final letter, numbers),
(`esc`, final letter, ()), (`link`, its address, ()) or (`c0`, one of `\\r\\n\\b\\t`, ())."""

HIDDEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f"
    "\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
"""Characters, as a regular expression has them, that take no room themselves and change or hide what is around them.
Terminals do not agree on how wide text with them is."""
HALVES: Final = "\ud800-\udfff"
"""Halves of surrogate pairs: they cannot be sent to a terminal at all."""
MARKS: Final = r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
"""Marks that combine with the character before, as a regular expression."""
MAX_MARKS: Final = 8
"""Marks on one character; more are dropped: no language has so many, and they would cover the lines around."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_INVISIBLE: Final = re.compile(f"[{HIDDEN}]")
_HALF: Final = re.compile(f"[{HALVES}]")
_HEAP: Final = re.compile(f"({MARKS}{{{MAX_MARKS}}}){MARKS}+")
_UNCLEAN: Final = re.compile(f"[{HIDDEN}{HALVES}]|{MARKS}{{{MAX_MARKS + 1}}}")
_NOT_PLAIN: Final = re.compile(f"[\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f{HIDDEN}{HALVES}]|{MARKS}{{{MAX_MARKS + 1}}}")
_NOT_PLAIN_ASCII: Final = re.compile(r"[\x00-\x09\x0b-\x1f\x7f]")
_CSI: Final = re.compile(r"(?:\x1b\[|\x9b)([0-9:;<=>?]*)([ -/]*)([@-~])")
_STRING: Final = re.compile(
    r"(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])([^\x07\x1b\x9c\x18\x1a]*)(\x07|\x1b\\|\x9c|\x18|\x1a)"
)
_STRING_HEAD: Final = re.compile(r"\x1b[\]PX^_]|[\x90\x98\x9d-\x9f]")
_STRING_END: Final = re.compile(r"[\x07\x9c\x18\x1a]|\x1b\\")
_INCOMPLETE_CSI: Final = re.compile(r"(?:\x1b\[|\x9b)[0-9:;<=>?]*[ -/]*\Z")
_INCOMPLETE_ESC: Final = re.compile(r"\x1b[ -/]*\Z")
_SHORT: Final = re.compile(r"\x1b([ -/]*)([0-~])")
_KEPT: Final = "\r\n\b\t"
_MOVES: Final = frozenset("ABCDEFGHJKPXZ@`abdefsu")
_SHORT_MOVES: Final = frozenset("78DEM")
_LINK: Final = re.compile(r"(?:\x1b\]|\x9d)8;[^;]*;")
_DOWN: Final = "\x0b\x0c"
MAX_PENDING: Final = 4096
"""Characters of an unfinished sequence that are kept; a longer one is no sequence that we would understand."""
_MAX_LINK_CHARS: Final = 2000


def plain(text: str) -> bool:
    """Whether `text` holds nothing to interpret or to drop but line ends."""
    return not (_NOT_PLAIN_ASCII if text.isascii() else _NOT_PLAIN).search(text)


def clean(text: str) -> str:
    """Returns text without what hides, reorders or covers the text around; half a surrogate pair leaves a mark."""
    if text.isascii() or not _UNCLEAN.search(text):
        return text
    return _HEAP.sub(r"\1", _HALF.sub("\ufffd", _INVISIBLE.sub("", text)))


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

    def take(self) -> str:
        """Returns the beginning of a sequence that was not finished yet, which the next chunk is then to begin with."""
        pending, self._pending = self._pending, ""
        return pending

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
                yield ("text", clean(text[position:]), ())
                return
            if match.start() > position:
                yield ("text", clean(text[position : match.start()]), ())
                position = match.start()
            char = text[position]
            if char in _KEPT:
                yield ("c0", char, ())
                position += 1
            elif char in _DOWN:
                yield ("esc", "D", ())
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
            token: Token | None = None
            if not match[2]:
                if match[3] == "m" and (not match[1] or match[1][0] not in "<=>?"):
                    token = ("sgr", match[1], ())
                elif match[3] in _MOVES and not match[1][:1].strip("0123456789;"):
                    token = ("csi", match[3], _numbers(match[1]))
            return token, match.end()
        match = _STRING.match(text, position)
        if match is not None:
            return _link(match[0]), match.end()
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
            moves = not match[1] and match[2] in _SHORT_MOVES
            return (("esc", match[2], ()) if moves else None), match.end()
        # a sequence that another control character broke off, or a lone C1 character
        if text.startswith("\x1b[", position):
            return None, position + 2
        return None, position + 1


def _link(string: str) -> Token | None:
    """Returns what an OSC 8 says; None for another control string."""
    head = _LINK.match(string)
    if head is None:
        return None
    address = string[head.end() :].rstrip("\x07\x1b\\\x9c")
    safe = len(address) <= _MAX_LINK_CHARS and address.isascii() and address.isprintable()
    return "link", address if safe else "", ()


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part[:6]) if part.isdecimal() else -1 for part in text.split(";"))


def sgr_codes(text: str) -> tuple[int, ...]:
    """Returns the numbers of an SGR sequence; `38:2::r:g:b` becomes `38;2;r;g;b`, `4:3` becomes 4, `4:2` becomes 21."""
    codes: list[int] = []
    for part in text.split(";"):
        if ":" in part:
            pieces = part.split(":")
            if pieces[0] in ("38", "48", "58"):
                if len(pieces) > 5 and pieces[1] == "2":
                    pieces = [*pieces[:2], *pieces[3:6]]
            elif pieces[0] == "4":
                pieces = [{"0": "24", "2": "21"}.get(pieces[1], "4")]
            else:
                pieces = pieces[:1]
            codes.extend(int(piece[:6]) if piece.isdecimal() else 0 for piece in pieces)
        else:
            codes.append(int(part[:6]) if part.isdecimal() else 0)
    return tuple(codes)


_FLAGS: Final[dict[int, dict[str, Any]]] = {
    1: {"bold": True},
    2: {"dim": True},
    3: {"italic": True},
    4: {"underline": 1},
    5: {"blink": True},
    6: {"blink": True},
    21: {"underline": 2},
    7: {"reverse": True},
    9: {"strike": True},
    22: {"bold": False, "dim": False},
    23: {"italic": False},
    24: {"underline": 0},
    25: {"blink": False},
    27: {"reverse": False},
    29: {"strike": False},
    53: {"overline": True},
    55: {"overline": False},
}
"""What a number sets. Not among them: hidden text (8), which is shown, since nothing that was said is to be hidden."""

_steps: dict[tuple[int, str, bool], tuple[Sgr, Sgr]] = {}


def next_style(style: Sgr, written: str, base: Sgr) -> Sgr:
    """Returns `style` after an SGR sequence with these numbers as written; 0 leads back to `base`.

    Programs use few steps, again and again: they are remembered.
    """
    key = (id(style), written, base.error)
    known = _steps.get(key)
    if known is not None and known[0] is style:
        return known[1]
    after = apply_sgr(style, sgr_codes(written), base)
    if after == base:
        after = base
    if len(_steps) > 4096:
        _steps.clear()
    _steps[key] = (style, after)
    return after


Span = tuple[int, int, Sgr]
"""(start, end, style) within a line, in characters."""
SGR: Final = re.compile(r"\x1b\[([0-9:;]*)m")


def spans_of(written: str, begin: Sgr) -> tuple[Span, ...]:
    """Returns the styles of a line that is text with SGR sequences in it and nothing else."""
    base = ERROR if begin.error else PLAIN
    spans: list[Span] = []
    at, style = 0, begin
    for index, part in enumerate(SGR.split(written)):
        if index % 2:
            style = next_style(style, part, base)
        elif part:
            end = at + len(part)
            if spans and spans[-1][2] == style:
                spans[-1] = (spans[-1][0], end, style)
            else:
                spans.append((at, end, style))
            at = end
    return tuple(spans)


def apply_sgr(style: Sgr, codes: tuple[int, ...], base: Sgr = PLAIN) -> Sgr:
    """Returns `style` after the numbers of an SGR sequence; 0 leads back to `base`, but not out of a link."""
    index = 0
    while index < len(codes):
        code = codes[index]
        index += 1
        if code == 0:
            style = replace(base, link=style.link) if style.link else base
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
        elif code in (38, 48, 58):
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
            if code != 58:  # the colour of the underline
                style = replace(style, fg=colour) if code == 38 else replace(style, bg=colour)
    return style
