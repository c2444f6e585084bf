"""Cuts what a program writes to its terminal into text, controls and sequences, and calls what understands them.

Only what has the form of a sequence is one: a control string (title, clipboard, picture, query of a capability) is
dropped whole, whatever its length, and so is what nobody here understands. Pure: no Textual, no Rich.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

MAX_PARAMETER: Final = 9999
MAX_PARAMETERS: Final = 32
_MAX_PENDING: Final = 256
"""Characters of an unfinished sequence that are kept; a longer one is no sequence that anybody understands."""

_TOKEN: Final = re.compile(
    r"(?P<text>[^\x00-\x1f\x7f-\x9f]+)"
    r"|\x1b\[(?P<marks>[<-?]*)(?P<numbers>[0-9:;]*)[0-?]*(?P<between>[ -/]*)(?P<final>[@-~])"
    r"|(?P<control>[\x00-\x17\x19\x1c-\x1f\x7f-\x8f\x91-\x97\x99-\x9d])"
    r"|(?P<string>\x1b[]P^_X]|[\x90\x98\x9d-\x9f])"
    r"|\x1b(?P<escape>[ -/]*[0-OQ-WYZ\\`-~])"
    r"|(?P<broken>\x1b(?:\[[0-?]*)?[ -/]*(?=[^ -~]))"
)
_STRING_END: Final = re.compile(r"\x07|\x1b\\|[\x18\x1a\x9c]|\x1b(?=[^\\])")
_UNFINISHED: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[ -/]*)\Z")

Parameters = tuple[tuple[int, ...], ...]
"""The parameters of a sequence, each with its own further ones (`38:2::1:2:3`). One that is left out is -1."""


@lru_cache(maxsize=1024)
def _parameters(numbers: str) -> Parameters:
    if not numbers:
        return ()
    found = numbers.split(";", MAX_PARAMETERS)[:MAX_PARAMETERS]
    return tuple(tuple(_number(part) for part in one.split(":", 8)[:8]) for one in found)


def _number(text: str) -> int:
    return min(int(text[:6]), MAX_PARAMETER) if text else -1


class TerminalParser:
    """Reads bytes, cut anywhere."""

    def __init__(
        self,
        *,
        text: Callable[[str], None],
        controls: Mapping[str, Callable[[], None]],
        escapes: Mapping[str, Callable[[], None]],
        sequences: Mapping[str, Callable[[Parameters], None]],
    ) -> None:
        """Begins at the beginning of everything.

        Args:
            text: is called with text without any control character.
            controls: control character -> what it does.
            escapes: what follows ESC -> what it does.
            sequences: private marks, characters in between and the final one of a CSI sequence -> what it does.
        """
        self._text = text
        self._controls = controls
        self._escapes = escapes
        self._sequences = sequences
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""
        self._in_string = False

    def feed(self, data: bytes) -> None:
        """Reads what comes next."""
        text = self._pending + self._decoder.decode(data)
        self._pending = ""
        position, end = 0, len(text)
        match_token = _TOKEN.match
        while position < end:
            if self._in_string:
                position = self._skip_string(text, position)
                continue
            match = match_token(text, position)
            if match is None:
                if text[position] == "\x1b" and _UNFINISHED.match(text, position) and end - position <= _MAX_PENDING:
                    self._pending = text[position:]
                    return
                position += 1  # it begins nothing
                continue
            position = match.end()
            kind = match.lastgroup
            if kind == "text":
                self._text(match[0])
            elif kind == "control":
                if (act := self._controls.get(match[0])) is not None:
                    act()
            elif kind == "final":
                self._sequence(match)
            elif kind == "escape":
                if (act := self._escapes.get(match["escape"])) is not None:
                    act()
            elif kind == "string":
                self._in_string = True

    def _sequence(self, match: re.Match[str]) -> None:
        marks, numbers, between, final = match.group("marks", "numbers", "between", "final")
        if (act := self._sequences.get(marks + between + final)) is not None:
            act(_parameters(numbers[:_MAX_PENDING]))

    def _skip_string(self, text: str, position: int) -> int:
        end = _STRING_END.search(text, position)
        if end is None:
            self._pending = "\x1b" if text.endswith("\x1b") else ""
            return len(text)
        self._in_string = False
        # an escape that ends no string begins what comes next
        return end.start() if end[0] == "\x1b" else end.end()
