"""The journal: every record of a session, numbered, in segments of JSON lines on disk.

The journal is the output channel: whoever wants output reads these files at a pace of his own. Nobody is told of a
record before it has been written, so that no reader has seen what a later one will not find. That holds when
processes die, the runner and its backend included; it is not claimed for the machine: nothing is forced through the
caches of the kernel, and a power failure may take the last seconds.

The files together have a largest size. What is given up for it goes segment by segment: the oldest runs first, and of
the run that is going on (all records since the last `run-started`), when it alone is too large, the middle. A gap in
the numbers is all that tells of it on disk; the first record of each segment says how many bytes were written before
it, so that readers can say how much is missing.
"""

import json
import os
import re
import time
from typing import Any, List, Optional, Tuple

MAX_BYTES = 256 << 20
SEGMENT_BYTES = 4 << 20
RECORD_BYTES = 16 << 20
"""Longest line of any journal."""
_LEAST_BYTES = 8 << 10
_OVERHEAD_BYTES = 512
"""Most that a line holds besides its record."""
_SHORT_CHARS = 8 << 10


def segment_name(first_seq: int) -> str:
    """Returns the file name of the segment that begins with record `first_seq`."""
    return "%020d.jsonl" % first_seq


_NAME = re.compile(r"\d{20}\.jsonl")
_AT = re.compile(rb'\{"seq":(\d+),"t":[0-9.]+,"run":(?:null|"[^"\\]*"),(?:"at":(\d+),)?"rec":')


def segment_names(folder: str) -> List[str]:
    """Returns the names of the segments in `folder`, oldest first; empty when there is no such folder. Links and pipes
    that a session has put there are none."""
    try:
        with os.scandir(folder) as entries:
            named = [one for one in entries if _NAME.fullmatch(one.name)]
            return sorted(one.name for one in named if one.is_file(follow_symlinks=False))
    except (FileNotFoundError, NotADirectoryError):
        return []


def bytes_before(fd: int) -> Optional[int]:
    """Returns how many bytes were written to the journal before the segment `fd`; None when it does not tell."""
    match = _AT.match(os.pread(fd, _OVERHEAD_BYTES, 0))
    if match is None:
        return None
    if match.group(2) is not None:
        return int(match.group(2))
    return 0 if match.group(1) == b"1" else None


_RARE = bytes(set(range(32)) - set(b"\t\n\r\033"))
_ESCAPES = [(b"\\", b"\\\\"), (b'"', b'\\"'), (b"\n", b"\\n"), (b"\r", b"\\r"), (b"\t", b"\\t"), (b"\033", b"\\u001b")]


def quote(text: str) -> bytes:
    """Returns `text` as JSON in UTF-8."""
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(text).encode("ascii")
    if len(data.translate(None, _RARE)) != len(data):
        return json.dumps(text, ensure_ascii=False).encode("utf-8")
    # Output is long, and a few searches through it take a third of the time that an encoder of JSON does.
    for raw, escaped in _ESCAPES:
        data = data.replace(raw, escaped)
    return b'"' + data + b'"'


def dump(value: Any) -> bytes:
    """Returns `value` as JSON in UTF-8."""
    if isinstance(value, str):
        return quote(value)
    try:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except UnicodeEncodeError:  # lone surrogates
        return json.dumps(value, separators=(",", ":")).encode("ascii")


def too_long(kind: str, size: int, limit: int) -> str:
    """Returns what is told in place of a record that is too long."""
    return "[%s output of %.1f MiB was left out: a piece of output has at most %.1f MiB here]\n" % (
        kind,
        size / 1048576.0,
        limit / 1048576.0,
    )


def _shortened(value: Any) -> Any:
    """Returns `value` with every long text in it cut: what a control record says counts, not all of the code."""
    if isinstance(value, str) and len(value) > _SHORT_CHARS:
        return value[:_SHORT_CHARS] + " [...]"
    if isinstance(value, dict):
        return {_shortened(str(key)): _shortened(item) for key, item in list(value.items())[:100]}
    if isinstance(value, list):
        return [_shortened(item) for item in value[:100]]
    return value


class Journal:
    """Appends records. `append` only collects; `flush` writes with one call."""

    def __init__(self, folder: str, max_bytes: int = MAX_BYTES, segment_bytes: Optional[int] = None) -> None:
        """Opens the journal in `folder`, which is made if needed; a torn last line is cut off.

        Args:
            folder: holds the segments and nothing else.
            max_bytes: all segments together are never larger. Where the disk refused records for a while, new
                files or the removal of old ones, they are larger by what was taken in meanwhile.
            segment_bytes: a segment takes no further record once it has this size; None = what suits `max_bytes`.
        """
        self._folder = folder
        self._max_bytes = max(max_bytes, _LEAST_BYTES)
        self._segment_bytes = segment_bytes or min(SEGMENT_BYTES, self._max_bytes // 16)
        # These parts leave room: head, the segment being written and one record are at most half of the whole.
        self._head_bytes = self._max_bytes // 8
        self._record_bytes = min(RECORD_BYTES, self._max_bytes // 8)
        self.stuck_bytes = min(8 << 20, self._max_bytes // 8)
        """With so much that could not be written, nothing more should be taken in."""
        self._waiting: List[bytes] = []
        self._fd = -1
        self._old: List[Tuple[int, int]] = []
        """First number and size of each segment but the one that is being written, oldest first."""
        self._old_bytes = 0
        self._first_seq = 1
        """First number of the segment that is being written."""
        self._size = 0
        """Its size, with what waits for it."""
        self._given_up_bytes = 0
        self._run_segment = 1
        """First number of the segment in which the run that is going on began, and how far into it:"""
        self._run_offset = 0
        self.run_bytes = 0
        """So much was added since the run that is going on began."""
        self.waiting_bytes = 0
        """What `flush` could not write, because the disk is full or fails."""
        os.makedirs(folder, 0o700, exist_ok=True)
        self.last_seq = 0
        """Number of the newest record."""
        self.written_seq = 0
        """Number of the newest record that is on disk."""
        names = segment_names(folder)
        if names:
            self._reopen(names)
        else:
            self._open(1)

    @property
    def size_bytes(self) -> int:
        """Size of all segments."""
        return self._old_bytes + self._size - self.waiting_bytes

    def _open(self, first_seq: int) -> None:
        path = os.path.join(self._folder, segment_name(first_seq))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._first_seq = first_seq
        self._size = os.fstat(fd).st_size

    def _next_segment(self) -> None:
        """Opens another segment; when there is no room for a new file, the one that is open grows on."""
        first_seq, size = self._first_seq, self._size
        try:
            self._open(self.last_seq + 1)
        except OSError:
            return
        self._old.append((first_seq, size))
        self._old_bytes += size

    def _reopen(self, names: List[str]) -> None:
        for name in names[:-1]:
            size = os.stat(os.path.join(self._folder, name)).st_size
            self._old.append((int(name[:20]), size))
            self._old_bytes += size
        last = names[-1]
        self._first_seq = self._run_segment = int(last[:20])
        with open(os.path.join(self._folder, last), "rb+") as file:
            before = bytes_before(file.fileno())
            data = file.read()
            file.truncate(data.rfind(b"\n") + 1)
        if before is None and self._old:
            with open(os.path.join(self._folder, names[-2]), "rb") as file:
                before = bytes_before(file.fileno())
            before = before + self._old[-1][1] if before is not None else None
        self._given_up_bytes = max((before or 0) - self._old_bytes, 0)
        self.last_seq = self.written_seq = self._first_seq - 1 + data.count(b"\n")
        self._open(self._first_seq)
        self._make_room()

    def append(self, run_id: Optional[str], record: List[Any]) -> int:
        """Adds a record; returns its number.

        A long text becomes several records; of a control record that is too long, its texts are cut; in place of
        any other that is too long, a text says that it was left out.
        """
        kind, value = record
        data = dump(value)
        if len(data) + _OVERHEAD_BYTES > self._record_bytes:
            if isinstance(value, str) and kind in ("stdout", "stderr"):
                middle = len(value) // 2
                self.append(run_id, [kind, value[:middle]])
                return self.append(run_id, [kind, value[middle:]])
            if not isinstance(value, dict):
                return self.append(run_id, ["stderr", too_long(kind, len(data), self._record_bytes)])
            data = dump(_shortened(value))
            if len(data) + _OVERHEAD_BYTES > self._record_bytes:
                data = b"{}"
        if self._size >= self._segment_bytes and self.flush():
            self._next_segment()
        if kind == "run-started":
            self._run_segment, self._run_offset, self.run_bytes = self._first_seq, self._size, 0
        self.last_seq += 1
        before = self._given_up_bytes + self._old_bytes
        line = b'{"seq":%d,"t":%.3f,"run":%s,%s"rec":["%s",%s]}\n' % (
            self.last_seq,
            time.time(),
            dump(run_id),
            b'"at":%d,' % before if before and not self._size else b"",
            kind.encode("ascii"),
            data,
        )
        self._waiting.append(line)
        self._size += len(line)
        self.run_bytes += len(line)
        self.waiting_bytes += len(line)
        return self.last_seq

    def flush(self) -> bool:
        """Writes what was added; False when the disk did not take all of it, which stays for the next try."""
        if self._old_bytes + self._size > self._max_bytes:
            self._make_room()
        while self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            try:
                count = os.write(self._fd, data)
            except OSError:
                self._waiting = [data]
                return False
            self.waiting_bytes -= count
            self._waiting = [data[count:]] if count < len(data) else []
        self.written_seq = self.last_seq
        return True

    def _make_room(self) -> None:
        while self._old_bytes + self._size > self._max_bytes:
            victim = self._victim()
            if victim is None:
                return
            first_seq, size = self._old[victim]
            try:
                os.unlink(os.path.join(self._folder, segment_name(first_seq)))
            except FileNotFoundError:
                pass
            except OSError:
                return  # tried again with the next records
            del self._old[victim]
            self._old_bytes -= size
            self._given_up_bytes += size

    def _victim(self) -> Optional[int]:
        """Returns which old segment goes next: the oldest, but for the beginning of the run that is going on."""
        head = -self._run_offset
        for index, (first_seq, size) in enumerate(self._old):
            if first_seq < self._run_segment or head >= self._head_bytes:
                return index
            head += size
        return None

    def close(self) -> None:
        self.flush()
        os.close(self._fd)
