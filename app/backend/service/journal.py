"""Journals read from disk, for sessions whose runner is gone, and their text as one log.

A journal is a folder of segments named after their first record number (`runner.journal` writes them).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..engines.journal import parse
from ..ports import JournalRecord

LOG_LIMIT_BYTES: Final = 10 << 20
"""Most text that `log_text` returns: the newest."""


def read(folder: Path, after: int = 0) -> Iterator[JournalRecord]:
    """Yields the records with numbers above `after`. Blocks on the disk; a missing folder holds none."""
    for segment in _segments(folder, after):
        with segment.open("rb") as file:
            for line in file:
                record = parse(line.rstrip(b"\n"))
                if record is not None and record.seq > after:
                    yield record


def _segments(folder: Path, after: int) -> list[Path]:
    """Returns the segments that may hold a record above `after`, in order."""
    try:
        found = sorted(folder.glob("*.jsonl"))
    except OSError:
        return []
    first = 0
    for number, segment in enumerate(found):
        if segment.stem.isdecimal() and int(segment.stem) <= after + 1:
            first = number
    return found[first:]


def page(folder: Path, after: int, limit: int) -> list[JournalRecord]:
    """Returns at most `limit` records above `after`. Blocks on the disk."""
    found: list[JournalRecord] = []
    if limit > 0:
        for record in read(folder, after):
            found.append(record)
            if len(found) >= limit:
                break
    return found


def find_start(folder: Path, run_id: str) -> int | None:
    """Returns the number before a run's first record; None when the journal has no such run. Blocks on the disk."""
    for record in read(folder):
        if record.run_id == run_id and record.kind == "run-started":
            return record.seq - 1
    return None


def log_text(folder: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> str:
    """Returns what was written to stdout and stderr, newest last; of very much, the newest. Blocks on the disk."""
    parts: deque[str] = deque()
    size, cut = 0, False
    for record in read(folder):
        if record.kind in ("stdout", "stderr"):
            text = str(record.data)
            parts.append(text)
            size += len(text)
            while size > limit_bytes and len(parts) > 1:
                size -= len(parts.popleft())
                cut = True
    return ("[earlier output is left out]\n" if cut else "") + "".join(parts)
