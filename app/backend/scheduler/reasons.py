"""Why a session waits, in one line for people."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from ...model.slots import CUDA_DEVICE, CUDA_SHARES
from .backfill import Backfill
from .holds import Dependencies, Endings
from .ledger import Ledger
from .limits import Demand
from .lineup import LineUp
from .queue import Entry
from .types import Hold, Waiting

_GPU_SLOTS: Final = frozenset({CUDA_DEVICE, CUDA_SHARES})
_RELEASES_LOOKED_AT: Final = 32
"""So many of the sessions that end next are looked at for one that holds what somebody lacks."""


class Reasons:
    """Looks for what keeps a session waiting. Changes nothing."""

    def __init__(
        self,
        ledger: Ledger,
        line: LineUp,
        dependencies: Dependencies,
        backfill: Backfill,
        endings: Endings,
        demand_of: Callable[[str], Demand],
    ) -> None:
        """`demand_of`: what a session holds."""
        self._ledger = ledger
        self._line = line
        self._dependencies = dependencies
        self._backfill = backfill
        self._endings = endings
        self._demand_of = demand_of

    def waiting(self, entry: Entry, now: float) -> Waiting:
        """Returns why an entry waits."""
        if entry.impossible is not None:
            return Waiting(hold=Hold.RESOURCES, text=f"waits for the machine to change: {entry.impossible}")
        if unmet := self._dependencies.unmet(entry.request.session_id):
            return Waiting(hold=Hold.DEPENDENCIES, text=unmet_dependencies(unmet))
        not_before_s = entry.request.not_before_s
        if entry.group is None and not_before_s is not None:
            return Waiting(hold=Hold.RESERVED_TIME, text=reserved_time(not_before_s, now))
        if limit := entry.account.hold(entry.demand):
            return Waiting(hold=limit[0], text=limit[1])
        queue = self._line.queue
        lacking = self._ledger.lacking(entry.demand.shape)
        next_release_s = self._next_release(lacking, now)
        if not queue.takes_part(entry):
            return Waiting(hold=Hold.RESOURCES, text=resources(lacking, None, next_release_s, first=False))
        position = queue.place(entry)
        is_first = entry is self._backfill.blocked
        reservation = self._backfill.expected(entry) if is_first else None
        return Waiting(
            hold=Hold.RESOURCES,
            text=resources(lacking, position, next_release_s, first=is_first),
            position=position,
            expected_start_s=max(now, reservation.when_s) if reservation is not None else None,
            reserved=is_first or queue.is_stuck(entry),
        )

    def _next_release(self, lacking: Sequence[tuple[str, str, str]], now: float) -> float | None:
        """Returns in how many seconds something is expected to be given back of which there is not enough."""
        slots = {slot for slot, _, _ in lacking}
        if slots & _GPU_SLOTS:
            slots |= _GPU_SLOTS
        if slots:
            for ends_at_s, session_id in islice(self._endings.after(now), _RELEASES_LOOKED_AT):
                if slots & self._demand_of(session_id).amounts.keys():
                    return ends_at_s - now
        return None


def unmet_dependencies(session_ids: Collection[str]) -> str:
    """Returns `waits for the session 4f09... to succeed`. Sessions are named by their ids: the core knows no names."""
    ids = list(session_ids)
    if len(ids) == 1:
        return f"waits for the session {ids[0]} to succeed"
    named = ids if len(ids) <= 3 else [*ids[:2], f"{len(ids) - 2} more"]
    return f"waits for the sessions {', '.join(named[:-1])} and {named[-1]} to succeed"


def reserved_time(at_s: float, now: float) -> str:
    """Returns `starts at 14:05 UTC (in 2 h)`; with the date when that is another day.

    Args:
        at_s: Unix time, as `now`.
    """
    try:
        at, today = (datetime.fromtimestamp(when, UTC) for when in (at_s, now))
    except (OverflowError, ValueError, OSError):  # the clock is not Unix time
        return f"starts in {span(at_s - now)}"
    day = "" if at.date() == today.date() else f"{at:%Y-%m-%d} "
    return f"starts at {day}{at:%H:%M} UTC (in {span(at_s - now)})"


def resources(
    lacking: Sequence[tuple[str, str, str]], position: int | None, next_release_s: float | None, *, first: bool
) -> str:
    """Returns `waits for 0.5 cuda.shares; 0.25 free on gpu0; 2nd in the queue; next release expected in 12 min`.

    Args:
        lacking: (slot, what is wanted, what there is).
        position: None when it does not take part.
        next_release_s: seconds from now.
        first: nobody has to start before it.
    """
    if lacking:
        parts = [f"waits for {', '.join(one[1] for one in lacking)}", ", ".join(one[2] for one in lacking)]
    elif position is None or position == 1 or first:
        parts = ["is about to start"]
    else:
        parts = [f"waits for the {'one' if position == 2 else position - 1} before it"]
    if position is not None:
        parts.append(f"{ordinal(position)} in the queue")
    if lacking and next_release_s is not None:
        parts.append(f"next release expected in {span(next_release_s)}")
    return "; ".join(parts)


def span(seconds: float) -> str:
    """Returns a time in the one unit that fits: `40 s`, `12 min`, `2 h`, `3 d`."""
    for unit, size in (("d", 86400.0), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 1.5 * size:
            return f"{round(seconds / size)} {unit}"
    return f"{max(0, round(seconds))} s"


def ordinal(number: int) -> str:
    """Returns `1st`, `2nd`, `3rd`, `4th`, ..."""
    suffix = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{suffix}"
