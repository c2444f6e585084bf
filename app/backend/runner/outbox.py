"""What a kernel has to say to its runner, in order, where nothing may block."""

import os
import socket
from collections import deque
from typing import Any, Deque, Dict, List

from .link import without_bulk
from .wire import FRAME_BYTES, encode

_PIECE_CHARS = 64 << 10
_SEND_BYTES = 256 << 10


class Outbox:
    """Frames and text that wait for the socket; text that follows upon text of its kind travels with it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._frames: Deque[bytes] = deque()
        self._bytes = 0
        self._sent = 0
        """Bytes of the first frame that are gone already."""
        self._kind = ""
        self._parts: List[str] = []
        self._chars = 0

    @property
    def waiting_bytes(self) -> int:
        """About how much has not been taken yet."""
        return self._bytes + self._chars

    def text(self, kind: str, text: str) -> None:
        """Adds text for `stdout` or `stderr`."""
        if not text:
            return
        if kind != self._kind or self._chars > _PIECE_CHARS:
            self._seal()
        self._kind = kind
        self._parts.append(text)
        self._chars += len(text)

    def _seal(self) -> None:
        text, self._parts, self._chars = "".join(self._parts), [], 0
        for begin in range(0, len(text), _PIECE_CHARS):
            piece = text[begin : begin + _PIECE_CHARS]
            try:
                piece.encode("utf-8")
            except UnicodeEncodeError:  # half of a surrogate pair, which JSON can hold and UTF-8 cannot
                piece = piece.encode("utf-8", "backslashreplace").decode("utf-8")
            self._add(encode({self._kind: piece}))

    def frame(self, frame: Dict[str, Any]) -> None:
        """Adds a frame."""
        self._seal()
        data = encode(frame)
        if len(data) > FRAME_BYTES:
            data = encode(without_bulk(frame, len(data)))
        self._add(data)

    def _add(self, data: bytes) -> None:
        self._frames.append(data)
        self._bytes += len(data)

    def flush(self) -> None:
        """Sends what the socket takes; ends the process when the runner is gone, and who could want this kernel."""
        self._seal()
        while self._frames:
            first = memoryview(self._frames[0])[self._sent : self._sent + _SEND_BYTES]
            try:
                count = self._sock.send(first, socket.MSG_DONTWAIT)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                os._exit(0)
            self._bytes -= count
            self._sent += count
            if self._sent == len(self._frames[0]):
                self._frames.popleft()
                self._sent = 0
