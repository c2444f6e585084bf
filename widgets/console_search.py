"""Finds text in a transcript while it grows: each line is looked at once, and again only when it changed.

Pure: no Textual, no clock but the one that bounds a slice of work.
"""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from typing import Final

from .lines import Gap, Line, plain_text
from .patience import TooLong, patience
from .transcript import Transcript

_SLICE_LINES: Final = 200
"""Lines between two looks at the clock."""
_PATIENCE_S: Final = 0.25
"""What a pattern may take for one slice of lines."""


class Search:
    """Matches of one pattern in one transcript, in its order.

    A pattern in small letters finds capitals, too, unless `case` says otherwise. What stands for lines that were left
    out is not searched.
    """

    def __init__(self, transcript: Transcript, pattern: str, *, regex: bool = False, case: bool | None = None) -> None:
        self.transcript = transcript
        self.pattern = pattern
        self.regex = regex
        self.case = case
        self.error = ""
        """What is wrong with the pattern; empty = nothing."""
        self.total = 0
        """Matches so far."""
        self._lines: list[int] = []
        """Numbers of the lines that have matches."""
        self._counts: list[int] = []
        self._done = transcript.first
        """Lines below this one were looked at."""
        self._version = transcript.store.version
        exact = case if case is not None else any(char.isupper() for char in pattern)
        plain = pattern.isascii() and not regex and not exact
        self._needle = pattern.lower() if plain else ""
        """What a line of ASCII holds in small letters where it has a match; empty = that is no help."""
        self._compiled: re.Pattern[str] | None = None
        if pattern:
            try:
                flags = re.NOFLAG if exact else re.IGNORECASE
                self._compiled = re.compile(pattern if regex else re.escape(pattern), flags)
            except re.error as error:
                self.error = f"not a pattern: {error.msg}" + (f" at {error.pos + 1}" if error.pos is not None else "")

    @property
    def done(self) -> bool:
        """Whether every line was looked at."""
        return self._compiled is None or self._done >= self.transcript.end

    def advance(self, budget_s: float) -> bool:
        """Looks at more lines for about so long; returns whether all were looked at."""
        self._prune()
        deadline = time.perf_counter() + budget_s
        try:
            while not self.done:
                with patience(_PATIENCE_S):
                    self._slice()
                if time.perf_counter() >= deadline:
                    break
        except TooLong:
            self._compiled = None
            self.error = "this pattern takes too long: make it simpler"
            self._lines, self._counts, self.total = [], [], 0
        return self.done

    def changed(self, number: int) -> None:
        """Takes that lines from a number on are others."""
        if number < self._done:
            self._done = number
            at = bisect_left(self._lines, number)
            self.total -= sum(self._counts[at:])
            del self._lines[at:], self._counts[at:]

    def spans(self, line: Line) -> list[tuple[int, int]]:
        """Returns where the matches in a line begin and end, in characters of its `plain_text`."""
        if self._compiled is None or isinstance(line, Gap):
            return []
        try:
            with patience(_PATIENCE_S):
                return [
                    match.span() for match in self._compiled.finditer(plain_text(line)) if match.end() > match.start()
                ]
        except TooLong:
            return []

    def all_lines(self) -> list[tuple[int, int]]:
        """Returns (number of the line, matches in it) of what was found so far."""
        self._prune()
        return list(zip(self._lines, self._counts, strict=True))

    def step(self, number: int, char: int, direction: int) -> tuple[int, int, int] | None:
        """Returns (number of the line, begin, end) of the next match after a place, or before it for -1.

        After the last comes the first. None where nothing was found.
        """
        self._prune()
        if not self._lines:
            return None
        here = self._spans_of(number)
        if direction > 0:
            for start, end in here:
                if start > char:
                    return number, start, end
            at = bisect_right(self._lines, number) % len(self._lines)
            line = self._lines[at]
            return (line, *self._spans_of(line)[0])
        for start, end in reversed(here):
            if start < char:
                return number, start, end
        line = self._lines[bisect_left(self._lines, number) - 1]
        return (line, *self._spans_of(line)[-1])

    def place(self, number: int, char: int) -> int:
        """Returns which match it is that begins at a place, counted from 1; 0 = none does."""
        at = bisect_left(self._lines, number)
        if at == len(self._lines) or self._lines[at] != number:
            return 0
        for within, (start, _) in enumerate(self._spans_of(number)):
            if start == char:
                return sum(self._counts[:at]) + within + 1
        return 0

    def _spans_of(self, number: int) -> list[tuple[int, int]]:
        store = self.transcript.store
        line = self.transcript.line(number)
        return [] if line is None or store.number(store.index(number)) != number else self.spans(line)

    def _slice(self) -> None:
        store, compiled, needle = self.transcript.store, self._compiled, self._needle
        assert compiled is not None
        for start, end, index in store.stretches(self._done):
            at = max(start, self._done)
            stop = min(end, at + _SLICE_LINES)
            for line in store.lines[index + at - start : index + stop - start]:
                text = line if isinstance(line, str) else "" if isinstance(line, Gap) else plain_text(line)
                if needle and text.isascii() and needle not in text.lower():
                    # by far the most lines, and ten times as fast as the pattern
                    at += 1
                    continue
                if compiled.search(text):
                    count = sum(1 for match in compiled.finditer(text) if match.end() > match.start())
                    if count:
                        self._lines.append(at)
                        self._counts.append(count)
                        self.total += count
                at += 1
            self._done = stop
            return
        self._done = self.transcript.end

    def _prune(self) -> None:
        """Forgets matches in lines that were left out."""
        store = self.transcript.store
        if store.version == self._version:
            return
        self._version = store.version
        lines: list[int] = []
        counts: list[int] = []
        for start, end, index in store.stretches():
            first = start + 1 if isinstance(store.lines[index], Gap) else start
            left, right = bisect_left(self._lines, first), bisect_left(self._lines, end)
            lines += self._lines[left:right]
            counts += self._counts[left:right]
        self._lines, self._counts = lines, counts
        self.total = sum(counts)
        self._done = min(max(self._done, store.first), store.end)
