"""What waits behind the run of a session: in order, cancellable, and held up by a failure. Pure.

A queue knows nothing of streams or widgets: whoever runs code asks it what comes next and tells it how a run ended.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from ...widgets.transcript import Run, RunState

_WHY = {
    RunState.FAILED: "failed",
    RunState.INTERRUPTED: "was interrupted",
    RunState.LOST: "was lost",
    RunState.ENDED: "was cut off",
}


@dataclass(frozen=True, slots=True)
class Queued:
    """Code that waits for its turn."""

    number: int
    """Tells it from the others of this queue."""
    code: str


class RunQueue:
    """The runs of one session that have not begun."""

    def __init__(self) -> None:
        self._waiting: list[Queued] = []
        self._numbers = count(1)
        self._paused = ""
        self._judged: Run | None = None
        """The newest run whose end was taken note of."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def waiting(self) -> tuple[Queued, ...]:
        """What comes next, first things first."""
        return tuple(self._waiting)

    @property
    def paused(self) -> str:
        """Why nothing begins although nothing runs; empty while it goes on by itself or is empty."""
        return self._paused if self._waiting else ""

    def add(self, code: str) -> Queued:
        """Puts code at the end."""
        if not self._waiting:
            self._paused = ""
        queued = Queued(next(self._numbers), code)
        self._waiting.append(queued)
        return queued

    def take(self) -> Queued | None:
        """Returns what is to be run now and forgets it; None while it is paused or empty."""
        return None if self._paused or not self._waiting else self._waiting.pop(0)

    def cancel(self, number: int) -> bool:
        """Takes one out; returns whether it was still waiting."""
        kept = [queued for queued in self._waiting if queued.number != number]
        gone = len(kept) < len(self._waiting)
        self._waiting = kept
        return gone

    def clear(self) -> int:
        """Takes all out; returns how many there were."""
        gone = len(self._waiting)
        self._waiting.clear()
        self._paused = ""
        return gone

    def move(self, number: int, step: int) -> bool:
        """Moves one up (-1) or down (1); returns whether it could be."""
        at = next((place for place, queued in enumerate(self._waiting) if queued.number == number), -1)
        to = at + step
        if at < 0 or not 0 <= to < len(self._waiting):
            return False
        self._waiting.insert(to, self._waiting.pop(at))
        return True

    def judge(self, run: Run | None) -> None:
        """Takes how the newest run has ended: after anything but success the queue waits to be told to go on."""
        if run is None or run is self._judged or run.going:
            return
        self._judged = run
        if self._waiting and run.state is not RunState.OK:
            self._paused = f"run [{run.number}] {_WHY.get(run.state, 'failed')}"

    def pause(self, why: str) -> None:
        """Holds the rest back."""
        if self._waiting:
            self._paused = why

    def go_on(self) -> None:
        """Lets the rest run although something went wrong."""
        self._paused = ""

    @property
    def summary(self) -> str:
        """`2 queued`, or why they wait; empty when there are none."""
        if not self._waiting:
            return ""
        return f"{len(self)} queued" + (f", paused: {self._paused}" if self._paused else "")
