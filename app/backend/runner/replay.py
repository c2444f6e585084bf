"""The newest part of what a terminal has shown, for those who come later."""

import re
from typing import Dict

KEPT_BYTES = 256 << 10
_SPARE_BYTES = 128 << 10
"""The beginning is cut off in pieces of this length: not with each line."""
_LONGEST = 64
"""Bytes of a sequence that sets modes."""
_MODES = re.compile(rb"\x1b\[\?([0-9;]{1,32})([hl])|\x1bc")
_KEPT_MODES = frozenset(
    (b"1", b"5", b"6", b"7", b"25", b"47", b"1000", b"1002", b"1003", b"1004", b"1006", b"1047", b"1049", b"2004")
)
_ON_FROM_THE_BEGINNING = frozenset((b"7", b"25"))
_QUERIES = re.compile(
    rb"\x1b\[[0-9;?>=]*(?:[cnx]|\$p)|\x1b\[[>0]*q|\x1b\[(?:1[13-9]|2[01])(?:;[0-9;]*)?t|\x1bZ|\x05"
    rb"|\x1bP[+$]q[^\x1b\x07]{0,4096}(?:\x1b\\|\x07)"
    rb"|\x1b\][0-9;]{1,32};\?(?:\x1b\\|\x07)"
)


def without_queries(data: bytes) -> bytes:
    """Returns output without what asks the terminal something: it was answered when it was written."""
    return _QUERIES.sub(b"", data)


class Replay:
    """Bytes that are numbered from the beginning; of very much, the newest."""

    def __init__(self) -> None:
        self._data = bytearray()
        self.first = 0
        """Number of the first byte that is kept."""
        self._begun = 0
        """Number of the first byte of the shell that is running."""
        self._modes: Dict[bytes, bool] = {}
        """As they were before the first byte that is kept."""

    @property
    def end(self) -> int:
        """Number of the byte to come."""
        return self.first + len(self._data)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is missing of what the shell has written."""
        return self.first <= self._begun

    def forget(self) -> None:
        """Drops what is kept: nobody is there who has seen it."""
        self.first = self.end
        self._data.clear()
        self._modes.clear()

    def begin_anew(self) -> None:
        """Hears that another shell begins."""
        self._begun = self.end

    def add(self, data: bytes) -> None:
        """Keeps the newest."""
        self._data += data
        if len(self._data) > KEPT_BYTES + _SPARE_BYTES:
            self._cut(len(self._data) - KEPT_BYTES)

    def _cut(self, count: int) -> None:
        newline = self._data.find(b"\n", count, count + 4096)
        count = newline + 1 if newline >= 0 else count
        self._note(self._modes, count)
        del self._data[:count]
        self.first += count

    def _note(self, modes: Dict[bytes, bool], upto: int) -> None:
        """Brings `modes` up to date with the first bytes that are kept."""
        for match in _MODES.finditer(self._data, 0, upto + _LONGEST):
            if match.start() >= upto:
                break
            if match.group(1) is None:
                modes.clear()
                continue
            for mode in match.group(1).split(b";"):
                if mode in _KEPT_MODES:
                    modes[mode] = match.group(2) == b"h"

    def opening(self, every: bool = False) -> bytes:
        """Returns what puts a terminal into the modes that were in force before the first byte that is kept.

        Args:
            every: also those that are as in a terminal just begun, for one that is not.
        """
        found = b""
        for mode, on in self._modes.items():
            if every or on != (mode in _ON_FROM_THE_BEGINNING):
                found += b"\x1b[?%s%s" % (mode, b"h" if on else b"l")
        return found

    def closing(self) -> bytes:
        """Returns what undoes the modes that are in force, for a program that could not do that itself."""
        modes = dict(self._modes)
        self._note(modes, len(self._data))
        found = b"\x18\x1b[m"
        for mode, on in modes.items():
            if on != (mode in _ON_FROM_THE_BEGINNING):
                found += b"\x1b[?%s%s" % (mode, b"l" if on else b"h")
        return found + b"\x1b7\x1b[r\x1b8"

    def all(self) -> bytes:
        """Returns what is kept."""
        return bytes(self._data)

    def piece(self, at: int, length: int) -> bytes:
        """Returns up to `length` bytes from number `at` on, which is kept."""
        start = at - self.first
        return bytes(self._data[start : start + length])
