"""Chooses text of a transcript by keys, as copy mode does in tmux and visual mode in vim. Pure."""

from __future__ import annotations

import re
from typing import Final

from .console_paint import full_text
from .transcript import Transcript

Spot = tuple[int, int]
"""(number of a line, character within it)."""
_WORD: Final = re.compile(r"\w+|[^\w\s]+")


class TextCursor:
    """A cursor in a transcript and, once begun, what it spans."""

    def __init__(self, transcript: Transcript, spot: Spot) -> None:
        self._transcript = transcript
        self.spot = spot
        self.origin: Spot | None = None
        """Where the selection began; None = nothing is selected yet."""
        self.by_line = False
        """Whole lines are selected."""
        self._wanted = spot[1]
        """The character that up and down try to stay at."""
        self.move(0, 0)

    def mark(self, *, by_line: bool = False) -> None:
        """Begins a selection here, changes its kind, or gives it up where it is of this kind already."""
        if self.origin is not None and self.by_line == by_line:
            self.origin = None
        else:
            self.origin = self.origin if self.origin is not None else self.spot
        self.by_line = by_line

    def swap(self) -> None:
        """Goes to the other end of the selection."""
        if self.origin is not None:
            self.spot, self.origin = self.origin, self.spot
            self._wanted = self.spot[1]

    def range(self) -> tuple[Spot, Spot] | None:
        """Returns first and last place of the selection, the last one excluded; None = nothing is selected."""
        if self.origin is None:
            return None
        (first, start), (last, end) = sorted((self.origin, self.spot))
        if self.by_line:
            return (first, 0), (last, max(1, len(self._text(last))))
        return (first, start), (last, end + 1)

    def move(self, lines: int, chars: int) -> None:
        """Goes so many lines down and characters to the right, over the ends of lines; less is up and left."""
        number, char = self.spot
        if lines:
            number, char = self._line_on(number, lines), self._wanted
        while chars:
            step = 1 if chars > 0 else -1
            chars -= step
            if 0 <= char + step <= self._last(number):
                char += step
            else:
                other = self._line_on(number, step)
                if other == number:
                    break
                number, char = other, 0 if step > 0 else self._last(other)
        self.go(number, char, keep=bool(lines))

    def word(self, step: int) -> None:
        """Goes to the beginning of the next word, or of this one or the last for -1."""
        number, char = self.spot
        while True:
            starts = [match.start() for match in _WORD.finditer(self._text(number))]
            beyond = [at for at in starts if (at > char if step > 0 else at < char)]
            if beyond:
                self.go(number, beyond[0] if step > 0 else beyond[-1])
                return
            other = self._line_on(number, step)
            if other == number:
                self.go(number, self._last(number) if step > 0 else 0)
                return
            number, char = other, -1 if step > 0 else len(self._text(other)) + 1

    def line_end(self, step: int) -> None:
        """Goes to the end of the line, or to its beginning for -1."""
        number = self.spot[0]
        self.go(number, self._last(number) if step > 0 else 0)

    def go(self, number: int, char: int, *, keep: bool = False) -> None:
        """Goes to a place, or the nearest that there is; up and down then stay at its column unless told to keep."""
        transcript = self._transcript
        number = max(transcript.first, min(number, transcript.end - 1))
        if number < 0 or not transcript.lines:
            self.spot = (transcript.first, 0)
            return
        # of what was left out only the gap is there
        number = transcript.store.number(transcript.store.index(number))
        self.spot = (number, max(0, min(char, self._last(number))))
        if not keep:
            self._wanted = self.spot[1]

    def _text(self, number: int) -> str:
        line = self._transcript.line(number)
        return "" if line is None else full_text(line)

    def _last(self, number: int) -> int:
        return max(0, len(self._text(number)) - 1)

    def _line_on(self, number: int, step: int) -> int:
        """Returns the line so many lines on, past what is folded away."""
        transcript = self._transcript
        store = transcript.store
        direction = 1 if step > 0 else -1
        for _ in range(abs(step)):
            other = number
            while True:
                index = store.index(other) + direction
                if not 0 <= index < len(store.lines):
                    return number
                other = store.number(index)
                run = transcript.run_at(other)
                if run is None or not run.folded or other == run.start:
                    break
                # over the whole run at once
                start, stop = transcript.span(run)
                other = start + 1 if direction < 0 else stop - 1
            number = other
        return number


def text_between(transcript: Transcript, first: Spot, last: Spot | None, *, folded: bool = False) -> str:
    """Returns the text from one place to another one, the second excluded; None = to the end.

    Args:
        folded: Whether what is folded away is meant, too.
    """
    store = transcript.store
    start = store.index(max(first[0], transcript.first))
    stop = len(store.lines) if last is None else min(store.index(last[0]) + 1, len(store.lines))
    found: list[str] = []
    for index in range(start, stop):
        number = store.number(index)
        if not folded:
            run = transcript.run_at(number)
            if run is not None and run.folded and number > run.start:
                continue
        text = full_text(store.lines[index])
        end = last[1] if last is not None and number == last[0] else len(text)
        found.append(text[max(0, first[1]) if number == first[0] else 0 : max(0, end)])
    return "\n".join(found)
