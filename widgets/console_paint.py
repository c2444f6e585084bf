"""Paints the rows of a console: output with its styles, lines of runs, what is found, selected and clickable."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Final, Protocol

from rich.cells import cell_len, get_character_cell_size
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from .ansi import Sgr
from .glyphs import Glyphs
from .lines import Gap, Header, Line, Media, Note, Run, RunState, Styled, plain_text, text_of
from .text import fit, one_line, took
from .wrap_index import CODE_INDENT, UNWRAPPED, cuts

if TYPE_CHECKING:
    from textual.widget import Widget

STAMP: Final = 9
"""Cells of a time before a line, with the blank behind it."""
Range = tuple[int, int, Style]
"""(from, to, style) within a line, in characters."""


class MediaRows(Protocol):
    """Draws rich output for one widget."""

    def attach(self, owner: Widget, prefix: str, changed: Callable[[], None]) -> None:
        """Takes the widget that paints, how the names of its component classes begin, and what to call later."""

    def height(self, media: Media, width: int) -> int:
        """Returns the rows that it takes in `width` cells."""

    def strip(self, media: Media, width: int, row: int) -> Strip:
        """Returns one of its rows."""

    def toggle(self, media: Media, width: int, row: int) -> bool:
        """Opens or closes what a row stands for; returns whether the height may be another now."""

    def forget_styles(self) -> None:
        """Takes that the theme is another one."""

    def close(self) -> None:
        """Frees what the terminal keeps."""


@lru_cache(maxsize=4096)
def rich_style(style: Sgr) -> Style:
    """Returns the Rich style of an interpreted one, without the default colour of the error stream."""

    def colour(value: int | tuple[int, int, int] | None) -> Color | None:
        if value is None:
            return None
        return Color.from_ansi(value) if isinstance(value, int) else Color.from_rgb(*value)

    return Style(
        color=colour(style.fg),
        bgcolor=colour(style.bg),
        bold=style.bold or None,
        dim=style.dim or None,
        italic=style.italic or None,
        underline=(style.underline == 1 or bool(style.link)) or None,
        underline2=style.underline == 2 or None,
        overline=style.overline or None,
        blink=style.blink or None,
        reverse=style.reverse or None,
        strike=style.strike or None,
    )


def full_text(line: Line) -> str:
    """Returns all that a line shows, in one text: of a run also its code, where that is to be seen."""
    if isinstance(line, Header) and line.run.code_shown:
        return "\n".join([plain_text(line), *line.run.code_lines])
    return plain_text(line)


def parts(line: Line, width: int) -> list[tuple[int, int]]:
    """Returns which characters of `full_text` stand in each row of a line; rich output has all of its in each."""
    if isinstance(line, Header):
        at = len(plain_text(line))
        rows = [(0, at)]
        if line.run.code_shown:
            code_width = max(1, width - CODE_INDENT)
            for text in line.run.code_lines:
                at += 1
                rows += [(at + start, at + end) for start, end in cuts(text, code_width)]
                at += len(text)
        return rows
    text = text_of(line) or ""
    return [(0, len(text))] if width >= UNWRAPPED or isinstance(line, Media) else cuts(text, width)


def overlay(segments: Iterable[Segment], ranges: Sequence[Range], start: int) -> list[Segment]:
    """Returns segments with more styles on ranges of their characters, the first of which is number `start`."""
    painted: list[Segment] = []
    for text, style, _ in segments:
        stop = start + len(text)
        marks = sorted({start, stop, *(at for begin, end, _ in ranges for at in (begin, end) if start < at < stop)})
        for left, right in pairwise(marks):
            own = style or Style()
            for begin, end, more in ranges:
                if begin <= left and right <= end:
                    own += more
            painted.append(Segment(text[left - start : right - start], own))
        start = stop
    return painted


class Painter:
    """Makes strips of lines.

    Args:
        style: Returns the style of a component by the end of its name.
        clock: Says what time it is, for the run that goes on.
        language: Returns the language of the code that is run here, as Pygments calls it.
    """

    def __init__(
        self,
        style: Callable[[str], Style],
        glyphs: Glyphs,
        clock: Callable[[], float],
        media: MediaRows | None,
        language: Callable[[], str],
    ) -> None:
        self._style = style
        self._glyphs = glyphs
        self._clock = clock
        self._media = media
        self._language = language
        self._code: tuple[str, list[list[Segment]]] | None = None

    def stamp(self, time_s: float | None, is_first: bool) -> Segment:
        """Returns the time before a row."""
        if not is_first or time_s is None:
            return Segment(" " * STAMP, self._style("stamp"))
        return Segment(time.strftime("%H:%M:%S ", time.localtime(time_s)), self._style("stamp"))

    def text(self, line: Line, start: int, end: int) -> list[Segment]:
        """Returns the characters `start` to `end` of a line that is text."""
        text = text_of(line) or ""
        if isinstance(line, Gap):
            return [Segment(one_line(text[start:end]), self._style("gap"))]
        if isinstance(line, Note):
            return [Segment(one_line(text[start:end]), self._style(line.kind))]
        if not isinstance(line, Styled):
            return [Segment(one_line(text[start:end]), self._style("media") if isinstance(line, Media) else None)]
        segments = []
        first = bisect_right(line.spans, start, key=lambda span: span[1])
        for span_start, span_end, style in islice(line.spans, first, None):
            if span_start >= end:
                break
            left, right = max(start, span_start), min(end, span_end)
            if left < right:
                shown = rich_style(style)
                if style.error:
                    shown = self._style("stderr") + shown
                segments.append(Segment(one_line(text[left:right]), shown))
        return segments

    def media(self, media: Media, width: int, row: int) -> Strip | None:
        """Returns a row of rich output; None where nobody can draw it."""
        return None if self._media is None else self._media.strip(media, width, row)

    def code(self, run: Run, row: int, width: int) -> list[Segment]:
        """Returns a row of the code of a run, without its indent; the first is row 0."""
        if self._code is None or self._code[0] is not run.code:
            self._code = (run.code, self._coloured(run))
        at = 0
        for text, segments in zip(run.code_lines, self._code[1], strict=False):
            pieces = cuts(text, max(1, width - CODE_INDENT))
            if row < at + len(pieces):
                start, end = pieces[row - at]
                return _cropped(segments, start, end)
            at += len(pieces)
        return []

    def _coloured(self, run: Run) -> list[list[Segment]]:
        from .blocks import highlighted

        coloured = highlighted("\n".join(run.code_lines), self._language())
        return [[Segment(text, self._style(f"rich-{role or 'code'}")) for text, role in line] for line in coloured]

    def run(self, run: Run, lines: int, width: int, *, chosen: bool) -> list[Segment]:
        """Returns the line of a run with so many lines below it."""
        glyphs = self._glyphs
        started = time.strftime("%H:%M:%S", time.localtime(run.started_s))
        fold = glyphs.folded if run.folded else glyphs.down
        left = f"{fold} [{run.number}] {started}  "
        mark, kind = self._mark(run)
        elapsed = took((run.ended_s if run.ended_s is not None else self._clock()) - run.started_s)
        right = f"{mark}  {elapsed}"
        if run.folded:
            right = f"{lines:,} {'line' if lines == 1 else 'lines'}  {right}"
        room = width - cell_len(left) - cell_len(right) - 2
        title = fit(one_line(run.title), room, ellipsis=glyphs.ellipsis) if room > 0 else ""
        return [
            Segment(left, self._style("chosen" if chosen else "number")),
            Segment(title, self._style("run")),
            Segment("  ", self._style("run")),
            Segment(right, self._style(kind)),
        ]

    def _mark(self, run: Run) -> tuple[str, str]:
        glyphs = self._glyphs
        if run.going:
            if run.note:
                return f"{glyphs.preparing} {run.note}", "going"
            if run.waiting:
                return f"{glyphs.asks} asks", "alarm"
            frame = int((self._clock() - run.started_s) * 8) % len(glyphs.spinner)
            return glyphs.spinner[frame], "going"
        if run.state is RunState.OK:
            return glyphs.ok, "ok"
        if run.state is RunState.INTERRUPTED:
            return f"{glyphs.failed} interrupted", "failed"
        if run.state is RunState.ENDED:
            return f"{glyphs.failed} session ended", "failed"
        if run.state is RunState.LOST:
            return f"{glyphs.asks} lost", "failed"
        code = "" if run.exit_code is None else f" exit {run.exit_code}"
        return f"{glyphs.failed}{code}", "failed"


def _cropped(segments: Iterable[Segment], start: int, end: int) -> list[Segment]:
    """Returns the characters `start` to `end` of segments."""
    found, at = [], 0
    for text, style, _ in segments:
        left, right = max(start - at, 0), min(end - at, len(text))
        if left < right:
            found.append(Segment(text[left:right], style))
        at += len(text)
    return found


def column_at(text: str, cells: int) -> int:
    """Returns how many characters of a text begin within its first so many cells."""
    if text.isascii():
        return min(cells, len(text))
    used = 0
    for index, char in enumerate(text):
        if used >= cells:
            return index
        used += get_character_cell_size(char)
    return len(text)
