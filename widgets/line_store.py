"""Keeps lines under numbers that never change, also when lines in the middle are left out.

A reader can hold on to a number: whatever goes above, below or around it, the line is found again, or the line that
stands where it was. Pure.
"""

from __future__ import annotations

from bisect import bisect_right

from .lines import Gap, Line, weight, weights


class LineStore:
    """Lines with absolute numbers.

    What was left out is one `Gap`, under the number of the last line that it stands for.
    """

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.chars = 0
        """About how many characters there are."""
        self.base = 0
        """Number of a line of the last unbroken stretch, less its index."""
        self.version = 0
        """Changes when lines were left out: what stands around them kept its numbers, and is not told as changed."""
        self.where = ""
        """Who still has what was left out."""
        self._dirty: int | None = None
        self._stretches: list[tuple[int, int]] = [(0, 0)]
        """(index, number) at which an unbroken stretch begins; both grow."""

    @property
    def first(self) -> int:
        """Number of the first line."""
        return self._stretches[0][1]

    @property
    def end(self) -> int:
        """Number after the last line."""
        return self.base + len(self.lines)

    @property
    def unbroken(self) -> int:
        """Number of the first line after which nothing was left out."""
        index, number = self._stretches[-1]
        return number + 1 if index < len(self.lines) and isinstance(self.lines[index], Gap) else number

    def number(self, index: int) -> int:
        """Returns the number of a line."""
        begin, number = self._stretches[bisect_right(self._stretches, index, key=lambda pair: pair[0]) - 1]
        return number + index - begin

    def index(self, number: int) -> int:
        """Returns where a line is; of one that was left out, where its gap is; clamped to what there is."""
        at = bisect_right(self._stretches, number, key=lambda pair: pair[1]) - 1
        if at < 0:
            return 0
        begin, first = self._stretches[at]
        limit = self._stretches[at + 1][0] if at + 1 < len(self._stretches) else len(self.lines)
        return min(begin + number - first, limit)

    def stretches(self, begin: int = 0) -> list[tuple[int, int, int]]:
        """Returns (first number, number after the last, index of the first) of each unbroken stretch.

        Args:
            begin: Those that end before this number are left out.
        """
        at = max(0, bisect_right(self._stretches, begin, key=lambda pair: pair[1]) - 1)
        starts = self._stretches[at:]
        ends = [*(index for index, _ in starts[1:]), len(self.lines)]
        return [
            (number, number + end - index, index)
            for (index, number), end in zip(starts, ends, strict=True)
            if end > index and number + end - index > begin
        ]

    def touch(self, number: int) -> None:
        """Notes that everything from a line on may have changed."""
        if self._dirty is None or number < self._dirty:
            self._dirty = number

    def take_dirty(self) -> int | None:
        """Returns the lowest number that changed since the last call; None when nothing did."""
        dirty, self._dirty = self._dirty, None
        return None if dirty is None else max(dirty, self.first)

    def append(self, line: Line) -> None:
        """Adds a line."""
        self.touch(self.end)
        self.lines.append(line)
        self.chars += weight(line)

    def leave_out(self, start: int, stop: int) -> None:
        """Puts one gap in place of the lines at the indexes `start` to `stop` and of the gaps beside them."""
        lines = self.lines
        while start > 0 and isinstance(lines[start - 1], Gap):
            start -= 1
        while stop < len(lines) and isinstance(lines[stop], Gap):
            stop += 1
        if start >= stop or (stop - start == 1 and isinstance(lines[start], Gap)):
            return
        last = self.number(stop - 1)
        going = lines[start:stop]
        gap = Gap(sum(line.count if isinstance(line, Gap) else 1 for line in going), self.where)
        self.chars = max(0, self.chars - weights(going))
        removed = stop - start - 1
        lines[start:stop] = [gap]
        before = [pair for pair in self._stretches if pair[0] < start]
        after = [(index - removed, number) for index, number in self._stretches if index >= stop]
        # the gap, and what follows it at once, count on from the last line that went
        self._stretches = [*before, (start, last), *after]
        self._settle()

    def drop(self, index: int) -> None:
        """Forgets the lines from an index on; the next ones get their numbers."""
        self.chars = max(0, self.chars - weights(self.lines[index:]))
        self.touch(self.number(index))
        del self.lines[index:]

    def clear(self) -> None:
        """Forgets every line; the next one gets the number after the last."""
        end = self.end
        self.lines = []
        self.chars = 0
        self._stretches = [(0, end)]
        self._settle()
        self.touch(end)

    def _settle(self) -> None:
        index, number = self._stretches[-1]
        self.base = number - index
        self.version += 1
