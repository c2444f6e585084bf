"""Lines of JSON between backend and runner, and between runner and kernel."""

import json
import os
import socket
from typing import Any, Callable, Dict, List, Optional

Message = Dict[str, Any]
FRAME_BYTES = 16 << 20
"""Longest line from a kernel."""
_REQUEST_BYTES = 128 << 20
"""Longest line from a backend: code of 16 MiB, with escapes."""
UNREAD_BYTES = 32 << 20
"""Most that waits for a peer that does not read."""


def encode(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


class LineReader:
    """Cuts a stream of bytes into JSON messages. Holds at most one unfinished line."""

    def __init__(self, longest_bytes: int = FRAME_BYTES) -> None:
        self._longest_bytes = longest_bytes
        self._rest = bytearray()

    def feed(self, data: bytes) -> List[Message]:
        """Returns the messages that `data` completes.

        Raises:
            ValueError: a line is too long or holds no JSON object. No further data makes sense.
        """
        first, newline, more = data.partition(b"\n")
        self._rest += first
        if len(self._rest) > self._longest_bytes:
            raise ValueError("a message is longer than %d bytes" % self._longest_bytes)
        if not newline:
            return []
        *lines, rest = more.split(b"\n")
        lines.insert(0, bytes(self._rest))
        self._rest = bytearray(rest)
        return [self._message(line) for line in lines if line]

    @staticmethod
    def _message(line: bytes) -> Message:
        try:
            message = json.loads(line.decode("utf-8"))
        except RecursionError:
            message = None
        if not isinstance(message, dict):
            raise ValueError("a message is no JSON object")
        return message


class Source:
    """What a connection carries when nothing else waits; pulled, so that none of it waits for a peer in memory."""

    @property
    def waiting(self) -> bool:
        """Whether there is something to `take`."""
        raise NotImplementedError

    def take(self) -> Message:
        """Returns the next message."""
        raise NotImplementedError


class Connection:
    """The runner's end of a connection to a backend. Never blocks.

    Notes on the state of the journal are coalesced: while the peer does not read, at most one waits, and the
    newest is sent when there is room again. Only answers queue, and each of them was asked for; a note that is due
    travels with an answer where there is one. A peer that asks on and on without reading is let go.
    """

    def __init__(self, sock: socket.socket, state: Callable[[], Message]) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.reader = LineReader(_REQUEST_BYTES)
        self._state = state
        self._answers: List[Message] = []
        self._out = b""
        self._stale = False
        self.closed = False
        self.source: Optional[Source] = None
        """Such a connection is told nothing of the state of the session."""

    @property
    def has_output(self) -> bool:
        return bool(self._out) or (self.source is not None and self.source.waiting)

    def receive(self) -> Optional[List[Message]]:
        """Returns the messages that have come; None at the end of the connection or when it holds no JSON."""
        try:
            data = self.sock.recv(1 << 16)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            return None
        if not data:
            return None
        try:
            return self.reader.feed(data)
        except ValueError:
            return None

    def send(self, message: Message) -> None:
        """Queues an answer; `flush` sends it."""
        self._answers.append(message)

    def notify(self) -> None:
        """Says that the state has changed."""
        self._stale = self.source is None

    def flush(self) -> None:
        """Sends what the socket takes."""
        if self._stale and not self._answers and not self._out:
            self._answers = [{}]
        if self.source is not None and not self._out and self.source.waiting:
            self._answers.append(self.source.take())
        if self._answers:
            if self._stale:
                self._stale = False
                self._answers[-1].update(self._state())
            self._out += b"".join(map(encode, self._answers))
            self._answers = []
            if len(self._out) > UNREAD_BYTES:
                self.closed = True
                return
        if self._out:
            try:
                count = self.sock.send(self._out)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True
                return
            self._out = self._out[count:]
            if self._stale and not self._out:
                self.flush()

    def close(self) -> None:
        self.closed = True
        self.sock.close()


class Folder:
    """A folder that is reached through its descriptor: addresses of sockets hold 107 bytes, paths more."""

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def address(self, name: str) -> str:
        """Returns an address for `name` in this folder."""
        return "/proc/self/fd/%d/%s" % (self.fd, name)

    def close(self) -> None:
        os.close(self.fd)
