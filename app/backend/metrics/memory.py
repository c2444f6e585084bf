"""How much memory a session takes.

The measure is the proportional set size (PSS): a page that n processes map counts 1/n for each of them. Kernels are
forked from one warmed interpreter and share most of it, so that plain resident sizes (RSS) would charge every session
for all of it, and a pool of forked workers for the same data again and again.

PSS is dear: the kernel walks the page tables (0.1 ms and about 10 µs a MiB). So it is read when a process is new, when
its session has won or lost a process (then what is shared, is shared with others), when its RSS has moved by more than
an eighth, and every half minute; in between, the change of its RSS is added, since what a process takes by itself is
its own. One round spends at most `BUDGET_S` on it: who has waited longest is next.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Final

from .processes import Group, Process, Share

BUDGET_S: Final = 0.05
_STALE_ROUNDS: Final = 30
_LONG_AGO: Final = -1_000_000
_DRIFT_PAGES: Final = 256
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_OPEN: Final = os.O_RDONLY | os.O_CLOEXEC


class MemoryMeter:
    """Measures processes in turn. Not safe for two threads at a time."""

    def __init__(self, proc: Path = Path("/proc"), *, budget_s: float = BUDGET_S) -> None:
        self._proc = str(proc)
        self._budget_s = budget_s
        self._round = 0

    def measure(self, groups: Iterable[Group]) -> None:
        """Reads the PSS of those whose value has become doubtful, as far as the time of a round goes."""
        self._round += 1
        due: list[tuple[int, Process]] = []
        for group in groups:
            for process in group.below:
                if process.ended:
                    continue
                share = process.pss
                if share is None:
                    due.append((-1, process))
                elif group.changed or self._doubtful(process, share):
                    due.append((share.round, process))
        due.sort(key=lambda item: item[0])
        deadline_s = time.perf_counter() + self._budget_s
        for number, (_, process) in enumerate(due):
            if number and time.perf_counter() > deadline_s:
                # left for the next round; one that nothing is known of yet counts meanwhile as what is not from files
                if process.pss is None:
                    process.pss = self._without_files(process)
                continue
            process.pss = self._read(process)

    def _doubtful(self, process: Process, share: Share) -> bool:
        moved = abs(process.rss_pages - share.rss_pages)
        # numbers spread the processes of one start over the rounds
        age = self._round - share.round
        return moved > _DRIFT_PAGES + share.rss_pages // 8 or age >= _STALE_ROUNDS + process.pid % 8

    def _read(self, process: Process) -> Share:
        text = _slurp(f"{self._proc}/{process.pid}/smaps_rollup", 2048)
        at = text.find(b"\nPss:")
        if at < 0:  # not ours to read, such as a program of another user
            return replace(self._without_files(process), round=self._round)
        return Share(int(text[at + 5 :].split(None, 1)[0]) * 1024, process.rss_pages, self._round)

    def _without_files(self, process: Process) -> Share:
        """Returns what a process has in memory beside mapped files, shared or not: cheap, and rather too much."""
        pages = _slurp(f"{self._proc}/{process.pid}/statm", 128).split()
        own = int(pages[1]) - int(pages[2]) if len(pages) > 2 else process.rss_pages
        return Share(own * _PAGE, process.rss_pages, _LONG_AGO)


def taken_bytes(process: Process) -> int:
    """Returns the memory that a process takes, as far as is known: its PSS, brought up to date by its RSS."""
    if process.ended:
        return 0
    share = process.pss
    if share is None:
        return 0  # it was not measured yet
    return max(0, share.pss_bytes + (process.rss_pages - share.rss_pages) * _PAGE)


def _slurp(path: str, size: int) -> bytes:
    try:
        fd = os.open(path, _OPEN)
    except OSError:
        return b""
    try:
        return os.read(fd, size)
    except OSError:
        return b""
    finally:
        os.close(fd)
