"""Lines of JSON between backend and runner, and between runner and kernel."""

import json
import os
import socket
from typing import Any, Callable, Dict, List, Optional

Message = Dict[str, Any]


def encode(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode("ascii") + b"\n"


class LineReader:
    """Cuts a stream of bytes into JSON messages."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> List[Message]:
        """Returns the messages that `data` completes."""
        *lines, self._rest = (self._rest + data).split(b"\n") if b"\n" in data else (self._rest + data,)
        return [json.loads(line.decode("utf-8")) for line in lines if line]


class Connection:
    """The runner's end of a connection to a backend. Never blocks.

    Notes on the state of the journal are coalesced: while the peer does not read, at most one waits, and the
    newest is sent when there is room again. Only answers queue, and each of them was asked for; a note that is due
    travels with an answer where there is one.
    """

    def __init__(self, sock: socket.socket, state: Callable[[], Message]) -> None:
        sock.setblocking(False)
        self.sock = sock
        self.reader = LineReader()
        self._state = state
        self._answers: List[Message] = []
        self._out = b""
        self._stale = False
        self.closed = False

    @property
    def has_output(self) -> bool:
        return bool(self._out)

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
        self._stale = True

    def flush(self) -> None:
        """Sends what the socket takes."""
        if self._stale and not self._answers and not self._out:
            self._answers = [{}]
        if self._answers:
            if self._stale:
                self._stale = False
                self._answers[-1].update(self._state())
            self._out += b"".join(map(encode, self._answers))
            self._answers = []
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
