"""The journal: every record of a session, numbered, in segments of JSON lines on disk.

The journal is the output channel: whoever wants output reads these files at a pace of his own.
"""

import json
import os
import time
from typing import Any, List, Optional

SEGMENT_BYTES = 4 << 20


def segment_name(first_seq: int) -> str:
    """Returns the file name of the segment that begins with record `first_seq`."""
    return "%020d.jsonl" % first_seq


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


class Journal:
    """Appends records. `append` only collects; `flush` writes with one call."""

    def __init__(self, folder: str, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Opens the journal in `folder`, which is made if needed; a torn last line is cut off."""
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._waiting: List[bytes] = []
        self._fd = -1
        self.waiting_bytes = 0
        """What `flush` could not write, because the disk is full or fails."""
        os.makedirs(folder, 0o700, exist_ok=True)
        self.last_seq = 0
        """Number of the newest record."""
        self.written_seq = 0
        """Number of the newest record that is on disk."""
        segments = sorted(name for name in os.listdir(folder) if name.endswith(".jsonl"))
        if segments:
            self._reopen(segments[-1])
        else:
            self._open(1)

    def _open(self, first_seq: int) -> None:
        path = os.path.join(self._folder, segment_name(first_seq))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._size = os.fstat(fd).st_size

    def _reopen(self, name: str) -> None:
        path = os.path.join(self._folder, name)
        with open(path, "rb+") as file:
            data = file.read()
            whole = data.rfind(b"\n") + 1
            file.truncate(whole)
        self.last_seq = self.written_seq = int(name.partition(".")[0]) - 1 + data.count(b"\n")
        self._open(int(name.partition(".")[0]))

    def append(self, run_id: Optional[str], record: List[Any]) -> int:
        """Adds a record; returns its number."""
        if self._size >= self._segment_bytes and self.flush():
            try:
                self._open(self.last_seq + 1)
            except OSError:
                pass  # no room for a new file: the old one grows on
        self.last_seq += 1
        kind, value = record
        data = b'{"seq":%d,"t":%.3f,"run":%s,"rec":["%s",%s]}\n' % (
            self.last_seq,
            time.time(),
            dump(run_id),
            kind.encode("ascii"),
            dump(value),
        )
        self._waiting.append(data)
        self._size += len(data)
        self.waiting_bytes += len(data)
        return self.last_seq

    def flush(self) -> bool:
        """Writes what was added; False when the disk did not take all of it, which stays for the next try."""
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

    def close(self) -> None:
        self.flush()
        os.close(self._fd)
