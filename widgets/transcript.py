"""What a session said: runs with their output, as a bounded list of lines that a console can show.

Pure data: no Textual, no clock. Whoever reads a stream writes here; the console that shows the transcript asks what
changed. Bounded: where there are too many lines, the middle of long runs is left out first, so that of each one the
beginning and the end stay; a line says how many went.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from .line_store import LineStore
from .lines import Gap, Header, Line, Media, Note, Run, RunState, Styled, plain_text, text_of, weight, weights
from .pen import MAX_CLIMB, MAX_LINE_CHARS, Pen

__all__ = [
    "MAX_LINES",
    "MAX_LINE_CHARS",
    "Gap",
    "Header",
    "Line",
    "Media",
    "Note",
    "Run",
    "RunState",
    "Styled",
    "Transcript",
    "plain_text",
    "text_of",
]

MAX_LINES: Final = 50_000
MAX_CHARS: Final = 24_000_000
KEPT_HEAD: Final = 1000
"""Lines at the beginning of each run that are kept as long as possible; of runs before the newest also at the end."""
MAX_RUNS: Final = 1000
_STAMP_S: Final = 1.0
"""Arrival times are kept to this."""


class Transcript:
    """The lines of one session.

    Lines have absolute numbers that never change, whatever is left out. `take_changes` tells the one console that
    shows the transcript what to paint anew.
    """

    def __init__(self, *, max_lines: int = MAX_LINES, max_chars: int = MAX_CHARS) -> None:
        self.store = LineStore()
        self.runs: list[Run] = []
        """Those whose output may still be here; bounded like the lines."""
        self.numbers = 0
        """Runs counted so far."""
        self.now_s = 0.0
        """When what is written next arrived; whoever writes sets it. 0 = not known."""
        self.held: tuple[int, int] | None = None
        """First and last number of what somebody reads: left out last."""
        self._max_lines = max_lines
        self._max_chars = max_chars
        self._head = max(1, min(KEPT_HEAD, max_lines // 10))
        self._climb = max(1, min(MAX_CLIMB, max_lines // 4))
        self._pen = Pen(self.store, self._climb)
        self._touched = False
        self._stamped: array[int] = array("q")
        self._stamps: array[float] = array("d")

    @property
    def lines(self) -> list[Line]:
        """The lines that there are; their numbers are `store.number(index)`."""
        return self.store.lines

    @property
    def first(self) -> int:
        """Absolute number of the first line."""
        return self.store.first

    @property
    def end(self) -> int:
        """Absolute number after the last line."""
        return self.store.end

    @property
    def current(self) -> Run | None:
        """The newest run when it is going on, else None."""
        return self.runs[-1] if self.runs and self.runs[-1].going else None

    def line(self, number: int) -> Line | None:
        """Returns a line by its number; of one that was left out, its gap; None past the end."""
        index = self.store.index(number)
        return self.lines[index] if index < len(self.lines) else None

    def run_at(self, number: int) -> Run | None:
        """Returns the run to which a line belongs; None above the first one."""
        at = bisect_right(self.runs, number, key=lambda run: run.start) - 1
        return self.runs[at] if at >= 0 else None

    def span(self, run: Run) -> tuple[int, int]:
        """Returns the number of a run's line and that after its last one."""
        at = bisect_right(self.runs, run.start, key=lambda other: other.start)
        return run.start, self.runs[at].start if at < len(self.runs) else self.end

    def time_of(self, number: int) -> float | None:
        """Returns when a line arrived, in seconds since the epoch, to the second; None = not known."""
        at = bisect_right(self._stamped, number) - 1
        return (self._stamps[at] or None) if at >= 0 else None

    def take_changes(self) -> tuple[int | None, bool]:
        """Returns the lowest number that changed since the last call, and whether the line of a run did besides."""
        touched, self._touched = self._touched, False
        return self.store.take_dirty(), touched

    def touch(self, run: Run) -> None:
        """Marks a run's line as changed."""
        if run.start >= self.first:
            self._touched = True

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
        self.now_s = now_s
        self.numbers += 1
        self._pen.skip()
        run = Run(self.numbers, code, now_s, run_id=run_id, ours=ours, state=state, start=self.end)
        self.runs.append(run)
        self._append(Header(run))
        if len(self.runs) > MAX_RUNS:
            self.store.leave_out(0, self.store.index(self.runs[len(self.runs) - MAX_RUNS].start))
            self._forget_runs()
        self._pen.begin()
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

    def take_back(self, count: int, if_so: Callable[[str], bool]) -> str | None:
        """Takes the last lines of output away if what they say passes a test; returns it, None when they stay."""
        self._pen.skip()
        index = len(self.lines) - count
        if count < 1 or index < 0 or self.store.number(index) < self.store.unbroken:
            return None
        lines = self.lines[index:]
        if not all(isinstance(line, str | Styled) for line in lines):
            return None
        said = "\n".join(plain_text(line) for line in lines)
        if not if_so(said):
            return None
        self.store.drop(index)
        self._pen.skip()
        return said

    def write(self, text: str, *, error: bool = False) -> None:
        """Adds output, interpreting its escape sequences."""
        if not text:
            return
        self._stamp(self._pen.row)
        self._pen.write(text, error=error)
        self._trim()

    def clear(self) -> None:
        """Forgets every line but the newest run's while it is going on."""
        self._pen.close()
        self.store.clear()
        current = self.current
        self.runs = [] if current is None else [current]
        del self._stamped[:], self._stamps[:]
        if current is not None:
            current.start = self.end
            self._append(Header(current))
        self._pen.begin()

    # -- inside ------------------------------------------------------------------------------------------------

    def _append(self, line: Line) -> None:
        self._pen.skip()
        self._stamp(self.end)
        self.store.append(line)
        self._pen.skip()
        self._trim()

    def _stamp(self, number: int) -> None:
        stamps = self._stamps
        if not stamps or abs(self.now_s - stamps[-1]) >= _STAMP_S:
            while self._stamped and self._stamped[-1] >= number:
                # that line was erased, or begun anew
                self._stamped.pop()
                stamps.pop()
            self._stamped.append(number)
            stamps.append(self.now_s)

    def _trim(self) -> None:
        """Leaves lines out where there are too many."""
        store = self.store
        if store.chars > self._max_chars:
            # what was rewritten in place was counted again and again
            store.chars = weights(store.lines)
        too_long = len(store.lines) > self._max_lines + self._max_lines // 10
        if not too_long and store.chars <= self._max_chars:
            return
        self._pen.close()
        trimming = _Trimming(self, self._max_lines, int(self._max_chars * (1 if too_long else 0.9)))
        trimming.run(self._head, self._climb, self._pen.row)
        self._forget_runs()

    def _forget_runs(self) -> None:
        first = self.first
        # a gap in front has the number of the last line that went
        while self.runs and self.runs[0].start <= first and not isinstance(self.line(self.runs[0].start), Header):
            del self.runs[0]
        keep = bisect_right(self._stamped, first) - 1
        if keep > 0:
            del self._stamped[:keep], self._stamps[:keep]


class _Trimming:
    """Brings a transcript down to its bounds."""

    def __init__(self, transcript: Transcript, max_lines: int, max_chars: int) -> None:
        self._store = transcript.store
        self._runs = transcript.runs
        self._held = transcript.held
        self._max_lines = max_lines
        self._max_chars = max_chars

    def run(self, head: int, climb: int, row: int) -> None:
        """Leaves out what is missed least: middles of older runs, that of the newest, whole older runs, the rest."""
        store = self._store
        newest = self._runs[-1].start if self._runs else store.first
        for at, run in enumerate(self._runs[:-1]):
            start, stop = store.index(run.start), store.index(self._runs[at + 1].start)
            self._cut(start + 1 + head, stop - head)
            if not self._excess():
                return
        of_newest = len(store.lines) - store.index(newest)
        if of_newest > self._max_lines // 2 or self._chars_from(newest) > self._max_chars // 2:
            self._cut(store.index(newest) + 1 + head, len(store.lines) - max(climb, self._max_lines // 4))
        if self._excess():
            self._cut(0, store.index(newest))
        if self._excess():
            self._cut(store.index(newest) + 1 + head, len(store.lines) - climb)
        if self._excess():
            # not even the beginning has room
            self._held = None
            self._cut(store.index(newest) + 1, len(store.lines) - climb)
        if self._excess():
            # very long lines
            self._cut(0, min(store.index(row), len(store.lines) - 1))

    def _excess(self) -> bool:
        return len(self._store.lines) > self._max_lines or self._store.chars > self._max_chars

    def _chars_from(self, number: int) -> int:
        return weights(self._store.lines[self._store.index(number) :])

    def _cut(self, start: int, stop: int) -> None:
        """Leaves out as much from `start` on as is too much, at most up to `stop`, sparing what is held."""
        if self._held is not None:
            first, last = (self._store.index(number) for number in self._held)
            if start <= last and first < stop:
                before, length = len(self._store.lines), stop
                self._leave_out(start, first)
                moved = before - len(self._store.lines)
                self._leave_out(max(start, last + 1 - moved), length - moved)
                return
        self._leave_out(start, stop)

    def _leave_out(self, start: int, stop: int) -> None:
        store = self._store
        if start >= stop or not self._excess():
            return
        # two gaps beside each other become one, which makes room for a line
        lines_over, chars_over = len(store.lines) - self._max_lines + 1, store.chars - self._max_chars
        at = min(stop, start + max(0, lines_over))
        if chars_over > 0:
            chars_over -= weights(store.lines[start:at])
            while at < stop and chars_over > 0:
                chars_over -= weight(store.lines[at])
                at += 1
        store.leave_out(start, at)
