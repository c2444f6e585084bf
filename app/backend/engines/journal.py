"""Follows a journal on disk while its runner appends to it, and gives up what is too much for its size."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..ports import JournalRecord
from ..runner.journal import bytes_before, segment_name, segment_names

_LINE: Final = re.compile(
    rb'\{"seq":(\d+),"t":([0-9.]+),"run":(null|"[^"\\]*"),(?:"at":\d+,)?"rec":(\["([a-z-]+)".*\])\}', re.DOTALL
)
_HEAD: Final = re.compile(rb'\n\{"seq":(\d+),')
_HEAD_BYTES: Final = 32
"""Longest match of the pattern above."""
_FIRST: Final = re.compile(rb'\{"seq":(\d+),')
_NEAR_BYTES: Final = 4 << 10
_CHUNK_BYTES: Final = 256 << 10


def parse(line: bytes | memoryview) -> JournalRecord | None:
    """Returns the record of a line without its newline; None when it is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    run = None if match[3] == b"null" else match[3][1:-1].decode()
    return JournalRecord(int(match[1]), float(match[2]), run, match[5].decode(), match[4])


def segments(folder: Path) -> list[Path]:
    """Returns the files of a journal, oldest first; none where there is no folder. Blocks on the disk."""
    return [folder / name for name in segment_names(str(folder))]


def bytes_of(segment: Path) -> bytes:
    """Returns what is in a segment; nothing when it was given up meanwhile. Blocks on the disk."""
    try:
        return segment.read_bytes()
    except FileNotFoundError:
        return b""


def last_seq(folder: Path) -> int:
    """Returns the number of the newest record on disk, 0 when there is none. Blocks on the disk."""
    found = segments(folder)
    if not found:
        return 0
    data = bytes_of(found[-1])
    whole = data.rfind(b"\n")
    head = _FIRST.match(data, data.rfind(b"\n", 0, whole) + 1) if whole >= 0 else None
    return int(head[1]) if head is not None else int(found[-1].stem) - 1


class JournalFollower:
    """One reader's place in a journal. Holds one descriptor and at most one unfinished line.

    Every number above `after` comes exactly once: as its record, or within the range of a `dropped` record.
    """

    def __init__(self, folder: Path, after: int) -> None:
        """Stands behind record `after`; the place is looked for with the first reading."""
        self._folder = folder
        self.after = after
        """Number of the newest record that was read, or that was not wanted."""
        self._fd = -1
        self._name = ""
        """The segment that is open, or else the newest that was read to its end."""
        self._offset = 0
        self._rest = bytearray()
        self._run: str | None = None
        """The run of the newest record that was passed; None when it has none or is not known."""
        self._passed_bytes: int | None = None if after else 0
        """So much of the journal lies behind this reader; known only between two segments."""
        self._newest = after
        """Number of the newest record that was read, wanted or not."""

    def _open(self) -> bool:
        """Opens the segment that holds the next record, or the first behind a gap; False when there is none yet."""
        wanted = segment_name(self.after + 1)
        while True:
            name = self._pick(wanted)
            if name is None or name > wanted:
                # One look at a folder may miss what is made meanwhile: only the second tells that there is a gap.
                name = self._pick(wanted)
            if name is None:
                return False
            try:
                self._fd = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            except FileNotFoundError:
                continue  # given up just now
            self._name = name
            self._newest = 0
            self._offset = self._find()
            self._rest.clear()
            return True

    def _pick(self, wanted: str) -> str | None:
        names = [name for name in segment_names(str(self._folder)) if name > self._name]
        return max((name for name in names if name <= wanted), default=min(names, default=None))

    def _is_complete(self) -> bool:
        """Whether there is a newer segment: the runner opens one only after the one before is complete."""
        exact = segment_name(self.after + 1)
        if exact != self._name and (self._folder / exact).exists():
            return True
        return any(name > self._name for name in segment_names(str(self._folder)))

    def _leave(self) -> None:
        """Lets go of a segment that was read to its end."""
        before = bytes_before(self._fd)
        if before is not None and self._newest == self.after:
            self._passed_bytes = before + os.fstat(self._fd).st_size
        os.close(self._fd)
        self._fd = -1

    def _find(self) -> int:
        """Returns the offset of a line at or shortly before the next record, by halving the segment."""
        low, high = 0, os.fstat(self._fd).st_size
        while high - low > _NEAR_BYTES:
            middle = (low + high) // 2
            head, offset = None, middle
            while head is None and offset < high:
                data = os.pread(self._fd, _NEAR_BYTES, offset)
                head = _HEAD.search(data)
                offset += max(len(data) - _HEAD_BYTES, 1)
            if head is None or int(head[1]) > self.after:
                high = middle
            else:
                low = offset - max(len(data) - _HEAD_BYTES, 1) + head.start() + 1
        return low

    def _read(self, flags: int = 0) -> list[JournalRecord]:
        """Returns the next records; empty at the end of what is written.

        Raises:
            OSError: with `RWF_NOWAIT`, what is to be read is not in memory.
        """
        while True:
            if self._fd < 0 and not self._open():
                return []
            data = self._chunk(flags)
            if not data:
                if not self._is_complete():
                    return []
                data = self._chunk(flags)  # what was added between these two looks
                if not data:
                    self._leave()
                    continue
            found = [record for record in map(parse, self._lines(data)) if record is not None]
            if found and found[0].seq <= self.after:
                passed = [record for record in found if record.seq <= self.after]
                self._newest, self._run = passed[-1].seq, passed[-1].run_id
                del found[: len(passed)]
            if found:
                if found[-1].seq != self.after + len(found):
                    found = list(self._mark_gaps(found))
                self.after = self._newest = found[-1].seq
                self._run = found[-1].run_id
                self._passed_bytes = None
                return found

    def _mark_gaps(self, found: list[JournalRecord]) -> Iterator[JournalRecord]:
        """Yields the records, and where numbers are missing what was dropped there."""
        last, run = self.after, self._run
        for record in found:
            if record.seq > last + 1:
                size = self._missing_bytes() if record is found[0] else None
                data = ["dropped", {"first": last + 1, "last": record.seq - 1, "bytes": size}]
                inside = run if run == record.run_id else None
                raw = json.dumps(data, separators=(",", ":")).encode()
                yield JournalRecord(record.seq - 1, record.time_s, inside, "dropped", raw)
            yield record
            last, run = record.seq, record.run_id

    def _missing_bytes(self) -> int | None:
        """Returns how much lies between the segment that was left last and the one that is open, where known."""
        before = bytes_before(self._fd)
        if before is None or self._passed_bytes is None:
            return None
        return before - self._passed_bytes

    def _chunk(self, flags: int) -> bytearray:
        left = os.fstat(self._fd).st_size - self._offset
        data = bytearray(max(min(left, _CHUNK_BYTES), 0))
        if data:
            del data[os.preadv(self._fd, [data], self._offset, flags) :]
        self._offset += len(data)
        return data

    def _lines(self, data: bytearray) -> Iterator[bytes | memoryview]:
        """Yields the lines that `data` completes, without copies of those that lie in it."""
        begin, view = 0, memoryview(data)
        while (end := data.find(b"\n", begin)) >= 0:
            if self._rest:
                self._rest += view[begin:end]
                yield bytes(self._rest)
                self._rest.clear()
            else:
                yield view[begin:end]
            begin = end + 1
        self._rest += view[begin:]

    async def read(self) -> list[JournalRecord]:
        """Returns the next records, a chunk at a time; empty at the end. Waits for the disk in a thread."""
        # A thread costs more than what it does here, and most readers read what has just been written.
        try:
            return self._read(os.RWF_NOWAIT)
        except OSError as exc:
            # Some file systems cannot be asked so, those in memory among them.
            if exc.errno == errno.EOPNOTSUPP and os.fstat(self._fd).st_size - self._offset <= _CHUNK_BYTES:
                return self._read()
        # Shielded, so that a cancelled reader does not leave a thread behind that works on a closed descriptor.
        task = asyncio.ensure_future(asyncio.to_thread(self._read))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise

    def read_now(self) -> list[JournalRecord]:
        """Returns what `read` returns. Blocks on the disk."""
        return self._read()

    def close(self) -> None:
        """Closes the segment; safe to call twice. Reading on finds the place again."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._name = ""
        self._passed_bytes = None
