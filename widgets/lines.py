"""What a console shows, line by line: output, lines that begin a run, lines of ours, rich output.

Pure data: no Textual, no clock.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from .ansi import PLAIN, Sgr, Span, spans_of


class RunState(StrEnum):
    STARTING = "starting"
    RUNNING = "running"
    OK = "ok"
    FAILED = "failed"
    INTERRUPTED = "interrupted"
    ENDED = "ended"
    """Its session ended under it."""
    LOST = "lost"
    """Nobody can tell any more how it ended."""


def title_of(code: str) -> str:
    """Returns the first line of code; of a comment there, what it says."""
    lines = [line.strip() for line in code.splitlines() if line.strip()]
    if not lines:
        return "(nothing)"
    first = lines[0].lstrip("#% ") or lines[0]
    return first if len(lines) == 1 else f"{first} …"


@dataclass(slots=True, eq=False)
class Run:
    """One execution; its line in the console shows it live."""

    number: int
    code: str
    started_s: float
    state: RunState = RunState.STARTING
    ended_s: float | None = None
    exit_code: int | None = None
    run_id: str | None = None
    ours: bool = True
    """Started here, over a websocket that we hold."""
    waiting: bool = False
    is_password: bool = False
    prompt: int = 0
    """Journal number of the newest record that asked; 0 = none, or not known."""
    note: str = ""
    """What the line says besides, such as that the run waits for its session."""
    start: int = 0
    """Number of its line in the transcript."""
    folded: bool = False
    """Its output is put away: only its line is to be seen."""
    code_shown: bool = False
    """The whole code stands below its line."""

    @property
    def going(self) -> bool:
        return self.ended_s is None

    @property
    def title(self) -> str:
        """The first line of the code; of a comment there, what it says."""
        return title_of(self.code)

    @property
    def code_lines(self) -> list[str]:
        """The code, line by line, without empty lines at its end."""
        return self.code.rstrip().expandtabs(4).splitlines()


class Styled:
    """A line with styles: spans `(start, end, style)` that follow each other without gaps.

    Most lines are never looked at: what they look like is found out when somebody asks.
    """

    __slots__ = ("_begin", "_spans", "_written", "text")

    def __init__(self, text: str, spans: tuple[Span, ...]) -> None:
        self.text = text
        self._spans: tuple[Span, ...] | None = spans
        self._written = ""
        self._begin = PLAIN

    @classmethod
    def later(cls, text: str, written: str, begin: Sgr) -> Styled:
        """Returns a line that was written with SGR sequences in it, beginning in a style; `text` is without them."""
        line = cls.__new__(cls)
        line.text, line._spans, line._written, line._begin = text, None, written, begin
        return line

    @property
    def spans(self) -> tuple[Span, ...]:
        """The styles of the characters."""
        if self._spans is None:
            self._spans = spans_of(self._written, self._begin)
            self._written = ""
        return self._spans

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Styled) and (self.text, self.spans) == (other.text, other.spans)

    def __hash__(self) -> int:
        return hash(self.text)

    def __repr__(self) -> str:
        return f"Styled({self.text!r}, {self.spans!r})"


@dataclass(frozen=True, slots=True)
class Header:
    """The line that begins a run."""

    run: Run


@dataclass(frozen=True, slots=True)
class Note:
    """A line of ours: a hint, a placeholder of rich output, an error."""

    text: str
    kind: str = "quiet"
    """`quiet`, `media`, `alarm` or `error`."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Stands where lines were left out because there were too many."""

    count: int
    where: str = ""
    """Who still has them."""

    @property
    def text(self) -> str:
        who = f": {self.where}" if self.where else ""
        return f"{self.count:,} {'line' if self.count == 1 else 'lines'} left out here{who}"


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Media:
    """Rich output: an image, a table, markdown. It takes as many rows as whoever draws it says."""

    mime: str
    """Its type, such as `image/png`, `text/html`, `text/markdown`, `application/json`."""
    data: str
    """What came: text, or a `data:` URL of what is no text."""
    alt: str = ""
    """What it says in plain text, for search, copies and terminals that cannot show it."""


Line = str | Styled | Header | Note | Gap | Media
"""A plain `str` is output without style: by far the most, so it costs no object of ours."""


def text_of(line: Line) -> str | None:
    """Returns the text of a line; None for one that has none of its own."""
    if isinstance(line, str):
        return line
    if isinstance(line, Media):
        return line.alt or f"[{line.mime}]"
    return None if isinstance(line, Header) else line.text


def plain_text(line: Line) -> str:
    """Returns a line as it is copied, saved and searched."""
    return f"[{line.run.number}] {line.run.title}" if isinstance(line, Header) else text_of(line) or ""


def weight(line: Line) -> int:
    """Returns how many characters a line counts as, where memory is bounded."""
    if isinstance(line, str):
        return len(line)
    if isinstance(line, Media):
        return len(line.data) + len(line.alt) + 80
    return len(line.text) if isinstance(line, Styled | Note) else 80


def weights(lines: Sequence[Line]) -> int:
    """Returns how many characters lines count as together."""
    try:
        # nearly all lines are output without style: worth the while where thousands are left out at a time
        return sum(map(len, cast("Sequence[str]", lines)))
    except TypeError:
        return sum(map(weight, lines))
