"""What a session said: runs with their output, as a bounded list of lines that a console can show.

Pure data: no Textual, no clock. Whoever reads a stream writes here; the console that shows the transcript asks what
changed. Bounded: the oldest lines go when there are too many, and a line says how many went.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Final

from .ansi import ERROR, PLAIN, Parser, Sgr, apply_sgr, plain

MAX_LINES: Final = 50_000
MAX_CHARS: Final = 24_000_000
MAX_LINE_CHARS: Final = 16_384
"""A longer line goes on in the next one: a program that never ends its line must not stall the screen."""
MAX_CLIMB: Final = 500
"""Lines that cursor-up can reach back."""


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

    @property
    def going(self) -> bool:
        return self.ended_s is None

    @property
    def title(self) -> str:
        """The first line of the code; of a comment there, what it says."""
        lines = [line.strip() for line in self.code.splitlines() if line.strip()]
        if not lines:
            return "(nothing)"
        first = lines[0].lstrip("#% ") or lines[0]
        return first if len(lines) == 1 else f"{first} …"


@dataclass(frozen=True, slots=True)
class Styled:
    """A line with styles: spans `(start, end, style)` that follow each other without gaps."""

    text: str
    spans: tuple[tuple[int, int, Sgr], ...]


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


@dataclass(frozen=True, slots=True, eq=False)
class Media:
    """Rich output: an image, a table, markdown. It takes as many rows as whoever draws it says."""

    mime: str
    """Its type, such as `image/png`, `text/html`, `text/markdown`, `application/json`."""
    data: str
    """What came: text, or a `data:` URL of what is no text."""
    alt: str = ""
    """What it says in plain text, for search, copies and terminals that cannot show it."""


Line = str | Styled | Header | Note | Media
"""A plain `str` is output without style: by far the most, so it costs no object of ours."""


class Transcript:
    """The lines of one session.

    Lines have absolute numbers that never change; those below `first` are gone. `take_changes` tells the one
    console that shows the transcript what to paint anew.
    """

    def __init__(self, *, max_lines: int = MAX_LINES, max_chars: int = MAX_CHARS) -> None:
        self.lines: list[Line] = []
        self.first = 0
        """Absolute number of `lines[0]`."""
        self.gone = 0
        """Lines dropped so far."""
        self.runs: list[Run] = []
        """Those whose output may still be here; bounded like the lines."""
        self.numbers = 0
        """Runs counted so far."""
        self._max_lines = max_lines
        self._max_chars = max_chars
        self._chars = 0
        self._row = 0
        self._column = 0
        self._floor = 0
        self._buffer: list[str] | None = None
        self._styles: list[Sgr] = []
        self._style = {False: PLAIN, True: ERROR}
        self._parser = {False: Parser(), True: Parser()}
        self._dirty: int | None = None

    @property
    def end(self) -> int:
        """Absolute number after the last line."""
        return self.first + len(self.lines)

    @property
    def current(self) -> Run | None:
        """The newest run when it is going on, else None."""
        return self.runs[-1] if self.runs and self.runs[-1].going else None

    def take_changes(self) -> int | None:
        """Returns the lowest absolute number that changed since the last call; None when nothing did."""
        dirty, self._dirty = self._dirty, None
        return None if dirty is None else max(dirty, self.first)

    def touch(self, run: Run) -> None:
        """Marks a run's line as changed."""
        for index in range(len(self.lines) - 1, -1, -1):
            line = self.lines[index]
            if isinstance(line, Header) and line.run is run:
                self._touch(self.first + index)
                return

    def begin(
        self,
        code: str,
        now_s: float,
        *,
        run_id: str | None = None,
        ours: bool = True,
        state: RunState = RunState.STARTING,
    ) -> Run:
        """Adds a run's line and makes it the newest run."""
        self.numbers += 1
        run = Run(self.numbers, code, now_s, run_id=run_id, ours=ours, state=state)
        self.runs.append(run)
        del self.runs[:-1000]
        self._append(Header(run))
        self._floor = self._row
        self._style = {False: PLAIN, True: ERROR}
        self._parser = {False: Parser(), True: Parser()}
        return run

    def finish(self, run: Run, state: RunState, now_s: float, exit_code: int | None = None) -> None:
        """Ends a run; later calls for the same run change nothing."""
        if not run.going:
            return
        run.state, run.ended_s, run.exit_code, run.waiting, run.note = state, now_s, exit_code, False, ""
        self.touch(run)

    def note(self, text: str, kind: str = "quiet") -> None:
        """Adds lines of ours."""
        for line in text.splitlines() or [""]:
            self._append(Note(line[:MAX_LINE_CHARS], kind))

    def media(self, media: Media) -> None:
        """Adds rich output on a line of its own."""
        self._append(media)

    def write(self, text: str, *, error: bool = False) -> None:
        """Adds output, interpreting its escape sequences."""
        if not text:
            return
        style = self._style[error]
        if self._parser[error].idle and style is PLAIN and self._at_end() and plain(text):
            self._write_plain(text)
        else:
            self._write_tokens(text, error)
        self._trim()

    def clear(self) -> None:
        """Forgets every line but the newest run's while it is going on."""
        self.gone += len(self.lines)
        self.first = self._row = self._floor = self.end
        self.lines = []
        self._chars = self._column = 0
        self._dirty = self.first
        if self.current is not None:
            self._append(Header(self.current))
            self._floor = self._row

    # -- writing -----------------------------------------------------------------------------------------------

    def _touch(self, row: int) -> None:
        if self._dirty is None or row < self._dirty:
            self._dirty = row

    def _append(self, line: Line) -> None:
        self._commit()
        self._touch(self.end)
        self.lines.append(line)
        self._chars += _length(line)
        self._row, self._column = self.end, 0
        self._trim()

    def _at_end(self) -> bool:
        """Whether the cursor stands after everything, so that text only adds."""
        if self._row == self.end:
            return self._column == 0
        if self._row != self.end - 1:
            return False
        last = self.lines[-1]
        return isinstance(last, str) and self._column == len(last)

    def _write_plain(self, text: str) -> None:
        parts: list[str] = text.split("\n")
        if self._row < self.end:
            self._touch(self._row)
            parts[0] = str(self.lines.pop()) + parts[0]
        else:
            self._touch(self._row)
        if max(map(len, parts)) > MAX_LINE_CHARS:
            parts = [piece for part in parts for piece in _pieces(part)]
        self._chars += len(text)
        last = parts.pop()
        self.lines.extend(parts)
        if last:
            self.lines.append(last)
            self._row = self.end - 1
        else:
            self._row = self.end
        self._column = len(last)

    def _write_tokens(self, text: str, error: bool) -> None:
        base = ERROR if error else PLAIN
        style = self._style[error]
        for kind, value, numbers in self._parser[error].feed(text):
            if kind == "text":
                self._put(value, style)
            elif kind == "sgr":
                style = apply_sgr(style, numbers, base)
                if style == base:
                    style = base
            elif kind == "c0":
                self._control(value, style)
            else:
                self._move(value, numbers)
        self._style[error] = style
        self._commit()

    def _control(self, char: str, style: Sgr) -> None:
        if char == "\n":
            self._line(self._row)
            self._go(self._row + 1)
            self._column = 0
        elif char == "\r":
            self._column = 0
        elif char == "\b":
            self._column = max(0, self._column - 1)
        else:
            self._put(" " * (8 - self._column % 8), style)

    def _move(self, final: str, numbers: tuple[int, ...]) -> None:
        first = numbers[0] if numbers else -1
        amount = max(1, first)
        if final in "AF":
            self._go(max(self._floor, self.first, self.end - MAX_CLIMB, self._row - amount))
        elif final in "BE":
            self._go(min(self._row + amount, self.end))
        elif final == "C":
            self._column = min(self._column + amount, MAX_LINE_CHARS - 1)
        elif final == "D":
            self._column = max(0, self._column - amount)
        elif final == "G":
            self._column = min(amount, MAX_LINE_CHARS) - 1
        elif final == "K":
            self._erase(max(0, first))
        elif final == "J" and first <= 0:
            self._erase(0)
            below = self._row + 1 - self.first
            if below < len(self.lines):
                del self.lines[below:]
                self._touch(self._row)
        if final in "EF":
            self._column = 0

    def _erase(self, mode: int) -> None:
        chars, styles = self._line(self._row)
        if mode == 0:
            del chars[self._column :], styles[self._column :]
        elif mode == 1:
            until = min(self._column + 1, len(chars))
            chars[:until], styles[:until] = [" "] * until, [PLAIN] * until
        elif mode == 2:
            chars.clear()
            styles.clear()
        self._touch(self._row)

    def _put(self, text: str, style: Sgr) -> None:
        self._chars += len(text)
        while text:
            room = MAX_LINE_CHARS - self._column
            if room <= 0:
                self._go(self._row + 1)
                self._column = 0
                continue
            piece, text = text[:room], text[room:]
            chars, styles = self._line(self._row)
            if len(chars) < self._column:
                gap = self._column - len(chars)
                chars.extend(" " * gap)
                styles.extend([PLAIN] * gap)
            end = self._column + len(piece)
            chars[self._column : end] = piece
            styles[self._column : end] = [style] * len(piece)
            self._column = end
            self._touch(self._row)

    def _line(self, row: int) -> tuple[list[str], list[Sgr]]:
        """Returns the characters and styles of the cursor's line, open for change."""
        if self._buffer is None:
            if row == self.end:
                self.lines.append("")
                self._touch(row)
            line = self.lines[row - self.first]
            if isinstance(line, str):
                self._buffer, self._styles = list(line), [PLAIN] * len(line)
            elif isinstance(line, Styled):
                self._buffer = list(line.text)
                self._styles = [style for start, end, style in line.spans for _ in range(start, end)]
            else:  # pragma: no cover - the floor keeps the cursor below lines of ours
                self._buffer, self._styles = [], []
        return self._buffer, self._styles

    def _go(self, row: int) -> None:
        if row == self._row:
            return
        self._commit()
        self._row = row
        if row < self.end and not isinstance(self.lines[row - self.first], str | Styled):
            self._row = self.end
            self._column = 0

    def _commit(self) -> None:
        """Closes the line that is open for change."""
        if self._buffer is None:
            return
        text, styles = "".join(self._buffer), self._styles
        self._buffer, self._styles = None, []
        line: Line = text
        if any(style is not PLAIN for style in styles):
            spans, start = [], 0
            for style, group in groupby(styles):
                end = start + sum(1 for _ in group)
                spans.append((start, end, style))
                start = end
            line = Styled(text, tuple(spans))
        self.lines[self._row - self.first] = line

    def _trim(self) -> None:
        excess = len(self.lines) - self._max_lines
        if self._chars > self._max_chars:
            chars, keep = 0, len(self.lines)
            while keep > 0 and chars < self._max_chars * 0.9:
                keep -= 1
                chars += _length(self.lines[keep])
            excess = max(excess, keep)
        elif excess <= self._max_lines // 10:
            return
        self._commit()
        excess = min(excess, len(self.lines) - 1)
        if excess <= 0:
            return
        self._chars = max(0, self._chars - sum(_length(line) for line in self.lines[:excess]))
        self.gone += excess
        del self.lines[:excess]
        self.first += excess
        self.lines[0] = Note(f"{self.gone + 1:,} earlier lines are gone", "quiet")
        self._row, self._floor = max(self._row, self.first + 1), max(self._floor, self.first + 1)
        self._row = min(self._row, self.end)
        self._touch(self.first)


def _length(line: Line) -> int:
    if isinstance(line, str):
        return len(line)
    if isinstance(line, Media):
        return len(line.data) + len(line.alt) + 80
    return len(line.text) if isinstance(line, Styled | Note) else 80


def _pieces(text: str) -> list[str]:
    return [text[at : at + MAX_LINE_CHARS] for at in range(0, len(text), MAX_LINE_CHARS)] or [""]
