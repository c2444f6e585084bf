"""Joins what comes out of the pipes of a session into records.

A record is made at once after a quiet time, and then every few milliseconds or every `FULL_CHARS`, never per line.
"""

import array
import codecs
import fcntl
import os
import termios
import time
from typing import Callable, List

JOIN_S = 0.004
FULL_CHARS = 128 << 10
READ_BYTES = 64 << 10
_F_SETPIPE_SZ = 1031
_WIDE_BYTES = 1 << 20


def waiting_bytes(fd: int) -> int:
    """Returns how many bytes lie in a pipe."""
    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


class OutputPipe:
    """One of the two pipes. Both ends stay open for the whole session: its processes come and go."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        """`stdout` or `stderr`."""
        self.read_fd, self.write_fd = os.pipe()
        os.set_blocking(self.read_fd, False)
        self.decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self.read_bytes = READ_BYTES
        self.wide = False

    def read(self) -> bytes:
        """Returns what lies in the pipe, at most `read_bytes`."""
        try:
            data = os.read(self.read_fd, self.read_bytes)
        except BlockingIOError:
            return b""
        if len(data) == READ_BYTES and not self.wide:
            self._resize(_WIDE_BYTES)
        return data

    def _resize(self, size: int) -> None:
        # Wide pipes count against a limit per user, so that only those that are flooded get one.
        try:
            fcntl.fcntl(self.read_fd, _F_SETPIPE_SZ, size)
        except OSError:
            return
        self.wide = size > READ_BYTES
        self.read_bytes = 256 << 10 if self.wide else READ_BYTES

    def narrow(self) -> None:
        """Gives back the room that a flood needed."""
        if self.wide:
            self._resize(READ_BYTES)


class Output:
    """Both pipes, and the text that waits to become a record."""

    def __init__(self, emit: Callable[[List[str]], None]) -> None:
        self.stdout = OutputPipe("stdout")
        self.stderr = OutputPipe("stderr")
        self.pipes = (self.stdout, self.stderr)
        self._emit = emit
        self._kind = ""
        self._parts: List[str] = []
        self._chars = 0
        self._last_emit_s = 0.0
        self.last_read_s = 0.0
        """Monotonic time at which something was read last."""

    @property
    def deadline_s(self) -> float:
        """Monotonic time at which `flush` is due; infinite when nothing waits."""
        return self._last_emit_s + JOIN_S if self._parts else float("inf")

    def pump(self, pipe: OutputPipe) -> None:
        """Reads once from `pipe`."""
        data = pipe.read()
        if data:
            now = self.last_read_s = time.monotonic()
            self.add(pipe.kind, pipe.decoder.decode(data))
            if now >= self.deadline_s:
                self.flush()

    def add(self, kind: str, text: str) -> None:
        """Adds text to the record that is being joined."""
        if not text:
            return
        if kind != self._kind and self._parts:
            self.flush()
        self._kind = kind
        self._parts.append(text)
        self._chars += len(text)
        if self._chars >= FULL_CHARS:
            self.flush()

    def drain(self) -> None:
        """Reads what lies in the pipes now, no more: a background process that floods them must not hold us up."""
        for pipe in self.pipes:
            left = waiting_bytes(pipe.read_fd)
            while left > 0:
                data = pipe.read()
                if not data:
                    break
                left -= len(data)
                self.add(pipe.kind, pipe.decoder.decode(data))

    def flush(self) -> None:
        """Makes a record of what waits."""
        if self._parts:
            text = "".join(self._parts)
            self._parts = []
            self._chars = 0
            self._last_emit_s = time.monotonic()
            self._emit([self._kind, text])

    def end_run(self, rest: bytes = b"") -> None:
        """Drains and flushes, half characters included; `rest` is what comes behind the contents of stdout's pipe."""
        self.drain()
        if rest:
            self.add("stdout", self.stdout.decoder.decode(rest))
        for pipe in self.pipes:
            self.add(pipe.kind, pipe.decoder.decode(b"", True))
            pipe.decoder.reset()
            pipe.narrow()
        self.flush()
