"""Follows a journal on disk while its runner appends to it."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from ..ports import JournalRecord
from ..runner.journal import segment_name

_LINE: Final = re.compile(rb'\{"seq":(\d+),"t":([0-9.]+),"run":(null|"[^"\\]*"),"rec":(\["([a-z-]+)".*\])\}', re.DOTALL)
_HEAD: Final = re.compile(rb'\n\{"seq":(\d+),')
_HEAD_BYTES: Final = 32
"""Longest match of the pattern above."""
_NEAR_BYTES: Final = 4 << 10
_CHUNK_BYTES: Final = 256 << 10


def parse(line: bytes | memoryview) -> JournalRecord | None:
    """Returns the record of a line without its newline; None when it is none."""
    match = _LINE.fullmatch(line)
    if match is None:
        return None
    run = None if match[3] == b"null" else match[3][1:-1].decode()
    return JournalRecord(int(match[1]), float(match[2]), run, match[5].decode(), match[4])


class JournalFollower:
    """One reader's place in a journal. Holds one descriptor and at most one unfinished line."""

    def __init__(self, folder: Path, after: int) -> None:
        """Stands behind record `after`; the place is looked for with the first reading."""
        self._folder = folder
        self.after = after
        """Number of the newest record that was read, or that was not wanted."""
        self._fd = -1
        self._name = ""
        self._offset = 0
        self._rest = b""

    def _open(self) -> bool:
        """Opens the segment that holds the next record; False when there is none yet."""
        name = segment_name(self.after + 1)
        if not (self._folder / name).exists():
            earlier = [path.name for path in self._folder.glob("*.jsonl") if path.name < name]
            if not earlier:
                return False
            name = max(earlier)
        self._fd = os.open(self._folder / name, os.O_RDONLY | os.O_CLOEXEC)
        self._name = name
        self._offset = self._find()
        self._rest = b""
        return True

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
                # The runner opens a segment only after the one before is complete.
                follower = segment_name(self.after + 1)
                if follower == self._name or not (self._folder / follower).exists():
                    return []
                data = self._chunk(flags)
                if not data:
                    self.close()
                    continue
            found = [record for record in map(parse, self._lines(data)) if record is not None]
            if found := [record for record in found if record.seq > self.after]:
                self.after = found[-1].seq
                return found

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
            yield self._rest + view[begin:end] if self._rest else view[begin:end]
            self._rest = b""
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

    def close(self) -> None:
        """Closes the segment; safe to call twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
