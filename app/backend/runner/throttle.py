"""Takes the output of an endless run in no faster than readers can follow."""

from .journal import Journal

RATE_BYTES_S = 1 << 20
"""Of journal, once a run is throttled."""
_LONGEST_S = 1.0
"""Most that one look may hold up, so that a run that was interrupted is soon heard to end."""


class Throttle:
    """Holds up whoever writes: what is not taken from a pipe fills it, and a full pipe stops its writer."""

    def __init__(self, journal: Journal, free_bytes: int) -> None:
        """Lets the first `free_bytes` of every run through at any speed."""
        self._journal = journal
        self._free_bytes = free_bytes
        self._seen_bytes = 0
        self.until_s = 0.0
        """Monotonic time up to which nothing should be taken in."""

    def look(self, now: float) -> bool:
        """Counts what was added since the last look; returns whether to hold up now."""
        size = self._journal.run_bytes
        grown = size - self._seen_bytes
        self._seen_bytes = size
        if size <= self._free_bytes:
            self.until_s = 0.0
        elif grown > 0:
            self.until_s = min(max(self.until_s, now) + grown / RATE_BYTES_S, now + _LONGEST_S)
        return now < self.until_s
