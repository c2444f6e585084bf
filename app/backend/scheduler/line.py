"""The queue as a sorted line whose ranks are cheap to know."""

from __future__ import annotations

from bisect import bisect_left, insort

Key = tuple[int, int, str]
"""(-priority, order, session id): the smallest is first."""

_BLOCK = 512


class Line:
    """Keys in order, in blocks of a bounded size.

    Adding, removing, the first and the rank of any cost a bisection and one block; only the rank also counts blocks.
    A heap would be as fast at the front but could not tell who is how far from it, and `ps` asks that for everyone.
    """

    __slots__ = ("_blocks", "_length", "_maxima")

    def __init__(self) -> None:
        self._blocks: list[list[Key]] = []
        self._maxima: list[Key] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def first(self) -> Key | None:
        """Returns the smallest key, None when the line is empty."""
        return self._blocks[0][0] if self._blocks else None

    def add(self, key: Key) -> None:
        """Puts `key` in its place."""
        self._length += 1
        if not self._blocks:
            self._blocks.append([key])
            self._maxima.append(key)
            return
        number = min(bisect_left(self._maxima, key), len(self._blocks) - 1)
        block = self._blocks[number]
        insort(block, key)
        if len(block) > 2 * _BLOCK:
            half = block[_BLOCK:]
            del block[_BLOCK:]
            self._blocks.insert(number + 1, half)
            self._maxima.insert(number + 1, half[-1])
        self._maxima[number] = block[-1]

    def remove(self, key: Key) -> None:
        """Takes `key` out; ValueError when it is not there."""
        number, place = self._find(key)
        block = self._blocks[number]
        del block[place]
        self._length -= 1
        if block:
            self._maxima[number] = block[-1]
        else:
            del self._blocks[number], self._maxima[number]

    def rank(self, key: Key) -> int:
        """Returns how many are before `key`; ValueError when it is not there."""
        number, place = self._find(key)
        return sum(map(len, self._blocks[:number])) + place

    def _find(self, key: Key) -> tuple[int, int]:
        number = bisect_left(self._maxima, key)
        if number < len(self._blocks):
            block = self._blocks[number]
            place = bisect_left(block, key)
            if block[place] == key:
                return number, place
        raise ValueError(f"{key} is not in the line")
