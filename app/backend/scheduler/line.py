"""A sorted line whose ranks are cheap to know."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

K = TypeVar("K", bound=tuple[Any, ...])

_BLOCK = 512


class Line(Generic[K]):
    """Different keys in order, in blocks of a bounded size.

    Adding, removing, the first and the rank of any cost a bisection and one block; only the rank also counts blocks.
    A heap would be as fast at the front but could not tell who is how far from it, and `ps` asks that for everyone.
    """

    __slots__ = ("_blocks", "_length", "_maxima")

    def __init__(self) -> None:
        self._blocks: list[list[K]] = []
        self._maxima: list[K] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[K]:
        """Yields the keys in order; the line must not change meanwhile."""
        for block in self._blocks:
            yield from block

    def first(self) -> K | None:
        """Returns the smallest key, None when the line is empty."""
        return self._blocks[0][0] if self._blocks else None

    def add(self, key: K) -> None:
        """Puts `key` in its place."""
        self._length += 1
        maxima = self._maxima
        if not maxima:
            self._blocks.append([key])
            maxima.append(key)
            return
        number = bisect_left(maxima, key)
        if number == len(maxima):
            number -= 1
            maxima[number] = key
        block = self._blocks[number]
        insort(block, key)
        if len(block) > 2 * _BLOCK:
            half = block[_BLOCK:]
            del block[_BLOCK:]
            self._blocks.insert(number + 1, half)
            maxima[number] = block[-1]
            maxima.insert(number + 1, half[-1])

    def remove(self, key: K) -> None:
        """Takes `key` out; ValueError when it is not there."""
        number = bisect_left(self._maxima, key)
        if number == len(self._maxima):
            raise ValueError(f"{key} is not in the line")
        block = self._blocks[number]
        place = bisect_left(block, key)
        if block[place] != key:
            raise ValueError(f"{key} is not in the line")
        del block[place]
        self._length -= 1
        if not block:
            del self._blocks[number], self._maxima[number]
        elif place == len(block):
            self._maxima[number] = block[-1]

    def rank(self, key: tuple[Any, ...]) -> int:
        """Returns how many are before `key`, which need not be in the line; a prefix of keys is before all of them."""
        number = bisect_left(self._maxima, key)
        if number == len(self._blocks):
            return self._length
        return sum(map(len, self._blocks[:number])) + bisect_left(self._blocks[number], key)

    def after(self, key: tuple[Any, ...]) -> Iterator[K]:
        """Yields the keys from `key` (which need not be there) on; the line must not change meanwhile."""
        number = bisect_left(self._maxima, key)
        if number < len(self._blocks):
            block = self._blocks[number]
            yield from block[bisect_left(block, key) :]
            for block in self._blocks[number + 1 :]:
                yield from block
