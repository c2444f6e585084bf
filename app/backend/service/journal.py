"""Journals read from disk, for sessions whose runner is gone, and their text as one log.

A journal is a folder of segments named after their first record number (`runner.journal` writes them).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ...model.console import dropped_notice
from ..engines.journal import JournalFollower
from ..ports import JournalRecord
from ..runner.journal import segment_names

LOG_LIMIT_BYTES: Final = 10 << 20
"""Most text that `log_text` returns: the newest."""
PAGE_BYTES: Final = 8 << 20
"""A page takes no further record once it holds so much."""


def read(folder: Path, after: int = 0) -> Iterator[JournalRecord]:
    """Yields the records with numbers above `after`, and `dropped` where some were given up.

    Blocks on the disk; a missing folder holds none. Never holds more than a part of a segment.
    """
    follower = JournalFollower(folder, after)
    try:
        while found := follower.read_now():
            yield from found
    finally:
        follower.close()


def page(folder: Path, after: int, limit: int) -> list[JournalRecord]:
    """Returns at most `limit` records above `after`, of very long ones fewer. Blocks on the disk."""
    found: list[JournalRecord] = []
    size = 0
    if limit > 0:
        for record in read(folder, after):
            found.append(record)
            size += len(record.raw)
            if len(found) >= limit or size >= PAGE_BYTES:
                break
    return found


def find_start(folder: Path, run_id: str) -> int | None:
    """Returns the number before a run's first record; None when the journal has no such run. Blocks on the disk.

    Where the beginning of the run was given up, it is the number before the gap: who reads on is told of it.
    """
    before = 0
    for record in read(folder):
        if record.run_id == run_id:
            return before if record.kind != "run-started" else record.seq - 1
        if record.kind != "dropped":
            before = record.seq
    return None


def log_text(folder: Path, limit_bytes: int = LOG_LIMIT_BYTES) -> str:
    """Returns what was written to stdout and stderr, newest last; of very much, the newest. Blocks on the disk.

    A line in brackets stands for what was given up.
    """
    size = 4 * limit_bytes
    while True:
        after = _tail(folder, size)
        text, cut = _text(folder, after, limit_bytes)
        if cut or not after:
            return ("[earlier output is left out]\n" if cut else "") + text
        size *= 4  # most of that was no text


def _tail(folder: Path, size: int) -> int:
    """Returns the number behind which the newest segments begin that hold `size` bytes together; 0 = all."""
    names = segment_names(str(folder))
    for name in reversed(names):
        try:
            size -= (folder / name).stat().st_size
        except FileNotFoundError:
            return 0  # given up just now, so that older ones are gone as well
        if size <= 0:
            return int(name[:20]) - 1 if name != names[0] else 0
    return 0


def _text(folder: Path, after: int, limit_bytes: int) -> tuple[str, bool]:
    """Returns the text above `after`, and whether some was left out at its beginning."""
    parts: deque[str] = deque()
    size, cut = 0, False
    for record in read(folder, after):
        if record.kind in ("stdout", "stderr"):
            text = str(record.data or "")
        elif record.kind == "dropped":
            text = dropped_notice(record.told) + "\n"
            if parts and not parts[-1].endswith("\n"):
                text = "\n" + text
        else:
            continue
        parts.append(text)
        size += len(text)
        while size > limit_bytes and len(parts) > 1:
            size -= len(parts.popleft())
            cut = True
    return "".join(parts), cut
