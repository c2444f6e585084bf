"""Why a session waits, in one line for people."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime


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
