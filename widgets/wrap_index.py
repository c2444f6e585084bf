"""Maps lines of any height to the rows of a screen, so that 100,000 wrapped lines scroll as fast as ten.

Lines are counted in chunks of some hundreds. What was counted stays counted when lines elsewhere are left out, folded
or added.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from typing import Final, cast

from rich.cells import cell_len, get_character_cell_size

from .lines import Header, Line, Media, text_of
from .text import one_line
from .transcript import Transcript

CHUNK: Final = 512
UNWRAPPED: Final = 1 << 30
"""A width that nothing reaches."""

MediaHeight = Callable[[Media, int], int]
"""Rows that rich output takes in a width in cells."""


def one_row(media: Media, width: int) -> int:
    """Says that rich output takes one row: what there is to say in its place."""
    return 1


def height(text: str, width: int) -> int:
    """Returns the rows of a text."""
    if len(text) * 2 <= width:
        return 1
    if text.isascii():
        return max(1, -(-len(text) // width))
    return 1 if cell_len(one_line(text)) <= width else len(cuts(text, width))


def wrapped(text: str, width: int) -> list[str]:
    """Returns one line of text in lines of at most `width` cells, broken between words; a longer word is cut."""
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and cell_len(line) + 1 + cell_len(word) <= width:
            line += f" {word}"
            continue
        if line:
            lines.append(line)
        pieces = [word[start:end] for start, end in cuts(word, width)]
        lines += pieces[:-1]
        line = pieces[-1]
    return [*lines, line]


def cuts(text: str, width: int) -> list[tuple[int, int]]:
    """Returns `(start, end)` of the part of `text` in each row. A character of two cells is never split."""
    if text.isascii():
        return [(at, min(at + width, len(text))) for at in range(0, len(text), width)] or [(0, 0)]
    parts, start, cells = [], 0, 0
    # as it is shown, in which every character keeps its place
    for index, char in enumerate(one_line(text)):
        size = get_character_cell_size(char)
        if cells + size > width and index > start:
            parts.append((start, index))
            start, cells = index, 0
        cells += size
    parts.append((start, len(text)))
    return parts


class _Chunk:
    """Lines that follow each other."""

    __slots__ = ("end", "hidden", "lead", "rows", "start", "starts", "widest")

    def __init__(self, start: int, end: int, lead: Line, hidden: bool) -> None:
        self.start, self.end = start, end
        self.lead = lead
        """The first of them, by which it is known again."""
        self.hidden = hidden
        self.starts: list[int] | None = None
        """First row of each line; None = each line has one row."""
        self.rows = 0 if hidden else end - start
        self.widest = 0

    @property
    def full(self) -> bool:
        """Whether no more lines are added to it."""
        return self.end - self.start >= CHUNK

    def count(self, lines: Sequence[Line], index: WrapIndex) -> None:
        """Counts the rows, of nearly all chunks without looking at each line."""
        width = index.width
        texts = [line if line.__class__ is str else getattr(line, "text", None) for line in lines]
        if None not in texts:
            shown = cast("list[str]", texts)
            lengths = list(map(len, shown))
            ascii_only = all(map(str.isascii, shown))
            widest = max(lengths) if ascii_only else max(lengths) * 2
            if widest <= width:
                self.widest = widest
                return
            if ascii_only:
                self.widest = widest
                ends = list(accumulate((length + width - 1) // width or 1 for length in lengths))
                self.rows = ends.pop()
                self.starts = [0, *ends]
                return
        starts, rows, widest = [], 0, 0
        for line in lines:
            starts.append(rows)
            if isinstance(line, str) and (cells := len(line)) <= width and line.isascii():
                rows += 1
            else:
                rows += index.height_of(line)
                cells = index.cells_of(line)
            widest = max(widest, cells)
        self.rows, self.widest = rows, widest
        if rows != len(starts):
            self.starts = starts


class WrapIndex:
    """Row numbers of lines, in a width in cells.

    Args:
        media_height: Says how many rows rich output takes.
    """

    def __init__(self, media_height: MediaHeight = one_row) -> None:
        self._media_height = media_height
        self._width = 1
        self._wrap = True
        self._chunks: list[_Chunk] = []
        self._tops: list[int] = []
        """First row of each chunk."""
        self._firsts: list[int] = []
        """Number of the first line of each chunk."""
        self._rows = 0
        self._version = -1
        self._dead: set[int] = set()
        """First numbers of chunks that are to be counted anew."""

    @property
    def width(self) -> int:
        """Cells of a row, for text: very many where nothing is wrapped."""
        return self._width if self._wrap else UNWRAPPED

    @property
    def row_width(self) -> int:
        """Cells of a row, for what is never wider than the screen."""
        return self._width

    @property
    def version(self) -> int:
        """That of the line store when it was looked at; -1 = something is to be counted anew."""
        return self._version

    @property
    def rows(self) -> int:
        """Rows of all lines together."""
        return self._rows

    @property
    def widest(self) -> int:
        """Cells of the widest line, at least."""
        return max((chunk.widest for chunk in self._chunks if not chunk.hidden), default=0)

    def height_of(self, line: Line) -> int:
        """Returns the rows of a line that is to be seen."""
        if isinstance(line, Media):
            return max(1, self._media_height(line, self._width))
        if isinstance(line, Header):
            return 1 + self.code_rows(line) if line.run.code_shown else 1
        return height(text_of(line) or "", self.width)

    def cells_of(self, line: Line) -> int:
        """Returns the width of a line that is not wrapped."""
        text = None if isinstance(line, Media) else text_of(line)
        return 0 if text is None else len(text) if text.isascii() else cell_len(one_line(text))

    def code_rows(self, header: Header) -> int:
        """Returns the rows that the code of a run takes below its line."""
        return sum(height(line, max(1, self._width - CODE_INDENT)) for line in header.run.code_lines)

    def lay_out(self, transcript: Transcript, width: int, *, wrap: bool = True) -> None:
        """Counts everything anew for a width in cells."""
        self._width, self._wrap = max(1, width), wrap
        self._shorten(0)
        self._dead.clear()
        self._walk(transcript, {})

    def update(self, transcript: Transcript, changed: int | None) -> None:
        """Takes what changed from line `changed` on, and what was left out or folded before it."""
        if changed is not None:
            at = max(0, bisect_right(self._firsts, changed) - 1)
            if at < len(self._chunks) and self._chunks[at].end <= changed and self._chunks[at].full:
                at += 1
            self._shorten(at)
        if transcript.store.version != self._version:
            known = {chunk.start: chunk for chunk in self._chunks if chunk.start not in self._dead}
            self._dead.clear()
            self._shorten(0)
            self._walk(transcript, known)
        else:
            # also what was added at the end, of which nothing else is told
            self._walk(transcript, {})

    def forget(self, first: int, last: int) -> None:
        """Makes `update` count the lines from number `first` to `last` anew: they were folded, or unfolded."""
        self._version = -1
        at = max(0, bisect_right(self._firsts, first) - 1)
        while at < len(self._chunks) and self._chunks[at].start <= last:
            self._dead.add(self._chunks[at].start)
            at += 1

    def locate(self, row: int) -> tuple[int, int]:
        """Returns (number of the line, row within it) of a row that exists."""
        at = bisect_right(self._tops, row) - 1
        chunk = self._chunks[at]
        within = row - self._tops[at]
        if chunk.starts is None:
            return chunk.start + within, 0
        line = bisect_right(chunk.starts, within) - 1
        return chunk.start + line, within - chunk.starts[line]

    def row_of(self, number: int) -> int:
        """Returns the first row of a line; of one that is not to be seen, the row of what stands there."""
        at = bisect_right(self._firsts, number) - 1
        if at < 0:
            return 0
        chunk = self._chunks[at]
        if number >= chunk.end:
            # left out, so that a gap comes next, or not there yet
            return self._tops[at] + chunk.rows
        if chunk.hidden:
            return max(0, self._tops[at] - 1)
        line = number - chunk.start
        return self._tops[at] + (line if chunk.starts is None else chunk.starts[line])

    def hidden(self, number: int) -> bool:
        """Whether a line is folded away."""
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and self._chunks[at].hidden and number < self._chunks[at].end

    # -- inside ------------------------------------------------------------------------------------------------

    def _shorten(self, count: int) -> None:
        """Forgets all but so many chunks."""
        if count < len(self._chunks):
            self._rows = self._tops[count]
            del self._chunks[count:], self._tops[count:], self._firsts[count:]

    def _add(self, chunk: _Chunk) -> None:
        self._tops.append(self._rows)
        self._firsts.append(chunk.start)
        self._chunks.append(chunk)
        self._rows += chunk.rows

    def _walk(self, transcript: Transcript, known: dict[int, _Chunk]) -> None:
        """Counts what follows the last chunk; of `known` ones what is still as it was."""
        lines = transcript.lines
        begin = self._chunks[-1].end if self._chunks else transcript.first
        starts = sorted(known)
        for start, end, index, hidden in _pieces(transcript, begin):
            at = start
            while at < end:
                place = index + at - start
                chunk = known.get(at)
                if chunk is None or chunk.end > end or chunk.hidden != hidden or chunk.lead is not lines[place]:
                    # up to where the next one may be as it was
                    after = bisect_right(starts, at)
                    stop = min(end, at + CHUNK, starts[after] if after < len(starts) else end)
                    chunk = _Chunk(at, stop, lines[place], hidden)
                    if not hidden:
                        chunk.count(lines[place : place + stop - at], self)
                self._add(chunk)
                at = chunk.end
        self._version = transcript.store.version


CODE_INDENT: Final = 4
"""Cells before the code below the line of a run."""


def _pieces(transcript: Transcript, begin: int) -> Iterator[tuple[int, int, int, bool]]:
    """Yields (first number, number after the last, index, whether it is folded) of what stands from `begin` on."""
    runs = transcript.runs
    at = max(0, bisect_right(runs, begin, key=lambda run: run.start) - 1)
    folds = [transcript.span(run) for run in runs[at:] if run.folded]
    for start, end, index in transcript.store.stretches(begin):
        place = max(start, begin)
        for header, after in folds:
            if after <= place or header + 1 >= end:
                continue
            if header + 1 > place:
                yield place, header + 1, index + place - start, False
                place = header + 1
            stop = min(after, end)
            if stop > place:
                yield place, stop, index + place - start, True
                place = stop
        if end > place:
            yield place, end, index + place - start, False
