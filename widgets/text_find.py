"""Finds and replaces in lines. Pure: no Textual.

A pattern is looked for within lines; one that holds a line break (`\\n` in a regular expression) is looked for in the
whole text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

Location = tuple[int, int]
Match = tuple[Location, Location]

MAX_COUNTED: Final = 10_000
"""More matches than these are not counted."""


class PatternError(ValueError):
    """Why a regular expression is none, in a sentence."""


@dataclass(frozen=True, slots=True)
class Query:
    """What is looked for."""

    text: str
    regex: bool = False
    case: bool = False
    """Upper and lower case differ; otherwise they do only where `text` has an upper-case letter."""
    word: bool = False
    """Whole words only."""

    def compiled(self) -> re.Pattern[str]:
        """Returns the pattern.

        Raises:
            PatternError: it is no regular expression.
        """
        source = self.text if self.regex else re.escape(self.text)
        if self.word:
            source = rf"(?<!\w)(?:{source})(?!\w)"
        smart = self.case or any(char.isupper() for char in re.sub(r"\\.", "", self.text))
        try:
            return re.compile(source, re.MULTILINE if smart else re.MULTILINE | re.IGNORECASE)
        except re.error as error:
            at = "" if error.pos is None or self.word else f" at character {error.pos + 1}"
            raise PatternError(f"no regular expression: {error.msg}{at}") from None
        except (OverflowError, RecursionError):
            raise PatternError("no regular expression: it is too large") from None


class Finder:
    """A compiled query over lines."""

    def __init__(self, query: Query) -> None:
        self.query = query
        self.pattern: re.Pattern[str] | None = query.compiled() if query.text else None
        """None = nothing is looked for."""
        self.across: bool = query.regex and "\\n" in query.text
        """Matches may go over lines."""

    def in_line(self, line: str) -> list[tuple[int, int]]:
        """Returns the matches within a line, for showing them; those that are empty are none."""
        if self.pattern is None or self.across:
            return []
        return [match.span() for match in self.pattern.finditer(line) if match.end() > match.start()]

    def matches(self, lines: Sequence[str], start: Location = (0, 0)) -> Iterator[Match]:
        """Yields the matches from a place on."""
        pattern = self.pattern
        if pattern is None:
            return
        if self.across:
            yield from self._across(lines, start)
            return
        row, column = start
        for at in range(row, len(lines)):
            for found in pattern.finditer(lines[at]):
                if found.end() > found.start() and (at > row or found.start() >= column):
                    yield (at, found.start()), (at, found.end())

    def _across(self, lines: Sequence[str], start: Location) -> Iterator[Match]:
        assert self.pattern is not None
        text = "\n".join(lines)
        row, base = 0, 0

        def place(index: int) -> Location:
            nonlocal row, base
            while row < len(lines) - 1 and index > base + len(lines[row]):
                base += len(lines[row]) + 1
                row += 1
            return row, index - base

        for found in self.pattern.finditer(text):
            if found.end() == found.start():
                continue
            begin = place(found.start())
            kept = row, base
            end = place(found.end())
            row, base = kept
            if begin >= start:
                yield begin, end

    def after(self, lines: Sequence[str], place: Location, *, wrap: bool = True) -> Match | None:
        """Returns the next match that begins at a place or after it, going on from the top."""
        for match in self.matches(lines, place):
            return match
        if wrap:
            for match in self.matches(lines):
                return match
        return None

    def before(self, lines: Sequence[str], place: Location, *, wrap: bool = True) -> Match | None:
        """Returns the last match that begins before a place, going on from the bottom."""
        if self.pattern is None:
            return None
        if self.across:
            every = list(self._across(lines, (0, 0)))
            earlier = [match for match in every if match[0] < place]
            return earlier[-1] if earlier else (every[-1] if wrap and every else None)
        row, column = place
        rows = [*range(min(row, len(lines) - 1), -1, -1)]
        if wrap:
            rows += range(len(lines) - 1, row - 1, -1)
        for number, at in enumerate(rows):
            spans = self.in_line(lines[at])
            if number == 0 and at == row:
                spans = [span for span in spans if span[0] < column]
            if spans:
                return (at, spans[-1][0]), (at, spans[-1][1])
        return None

    def count(self, lines: Sequence[str], place: Location) -> tuple[int, int]:
        """Returns (number of the match that begins at a place or 0, matches), counted up to `MAX_COUNTED`."""
        number = total = 0
        for start, _ in self.matches(lines):
            total += 1
            if start == place:
                number = total
            if total >= MAX_COUNTED:
                break
        return number, total

    def replacement(self, matched: str, template: str) -> str:
        """Returns what stands in place of a match: groups are filled in where the query is a regular expression.

        Raises:
            PatternError: the template names a group that is not there.
        """
        if self.pattern is None:
            return matched
        if not self.query.regex:
            return template
        found = self.pattern.fullmatch(matched) or self.pattern.search(matched)
        if found is None:
            # it matched only by what stands around it
            return template
        return self._expand(found, template)

    @staticmethod
    def _expand(found: re.Match[str], template: str) -> str:
        try:
            return found.expand(re.sub(r"\$(\d+)|\$&", lambda named: rf"\g<{named[1] or 0}>", template))
        except (re.error, IndexError) as error:
            raise PatternError(f"the replacement cannot be made: {error}") from None

    def replaced(self, lines: Sequence[str], template: str) -> tuple[int, int, list[str], int]:
        """Returns (first row, last row, what stands in their place, count) of a replacement of every match.

        Raises:
            PatternError: the template names a group that is not there.
        """
        if self.pattern is None:
            return 0, -1, [], 0

        def fill(found: re.Match[str]) -> str:
            return self._expand(found, template) if self.query.regex else template

        if self.across:
            text, count = self.pattern.subn(fill, "\n".join(lines))
            return 0, len(lines) - 1, text.split("\n"), count
        total = 0
        fresh: dict[int, str] = {}
        for row, line in enumerate(lines):
            spans = self.in_line(line)
            if spans:
                # empty matches are none
                fresh[row] = self.pattern.sub(lambda found: fill(found) if found.group() else "", line)
                total += len(spans)
        if not fresh:
            return 0, -1, [], 0
        first, last = min(fresh), max(fresh)
        block = "\n".join(fresh.get(row, lines[row]) for row in range(first, last + 1))
        return first, last, block.split("\n"), total
