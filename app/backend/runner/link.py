"""The kernel's end of the socket to its runner."""

import os
import select
import socket
import threading
from typing import Any, Dict, List, Optional

from .journal import too_long
from .wire import FRAME_BYTES, LineReader, Message, encode


def without_bulk(frame: Dict[str, Any], size: int) -> Dict[str, Any]:
    """Returns what is said instead of a frame that is too long: nobody could show, or should keep, so much."""
    if "record" in frame:
        return {"record": ["stderr", too_long(frame["record"][0], size, FRAME_BYTES)]}
    return dict(frame, answer={}) if "answer" in frame else frame


class Link:
    """Sends frames and reads commands.

    An interrupt must not cut a frame in two: the handler of SIGINT asks `guarded` and leaves `pending` behind.
    """

    def __init__(self, sock: socket.socket, ack_fd: int) -> None:
        self._sock = sock
        self._ack_fd = ack_fd
        self._reader = LineReader(1 << 30)
        self._messages: List[Message] = []
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        self._main = threading.get_ident()
        self.pid = os.getpid()
        self.guarded = False
        """The main thread is inside a frame, or on its way to the code of a cell: see `Kernel._begin`."""
        self.pending = False
        """An interrupt came meanwhile."""
        self.taking = False
        """A command has been taken from the socket and is not obeyed yet."""

    @property
    def is_ours(self) -> bool:
        """False in a child that user code has forked: the socket belongs to its parent."""
        return os.getpid() == self.pid

    @property
    def has_command(self) -> bool:
        """Whether a command has come that is not obeyed yet."""
        return self.taking or bool(select.select([self._sock], [], [], 0)[0])

    def fileno(self) -> int:
        return self._sock.fileno()

    def reset_locks(self) -> None:
        """For a forked child: another thread may have held them."""
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()

    def send(self, frame: Dict[str, Any], wait: bool = False) -> None:
        """Sends a frame; with `wait`, returns when the runner has written it and all output before it."""
        data = encode(frame)
        if len(data) > FRAME_BYTES:
            data = encode(without_bulk(frame, len(data)))
        main = threading.get_ident() == self._main
        guarded = self.guarded
        if main:
            self.guarded = True
        try:
            with self._write_lock:
                try:
                    self._sock.sendall(data)
                    if wait and not os.read(self._ack_fd, 1):
                        os._exit(0)
                except OSError:  # the runner is gone, and with it whoever could want this kernel
                    os._exit(0)
        finally:
            if main:
                self.guarded = guarded
        if main and self.pending and not guarded:
            self.pending = False
            raise KeyboardInterrupt

    def receive(self) -> Message:
        """Returns the next command; ends the process when the runner is gone. An interrupt loses nothing."""
        with self._read_lock:
            while not self._messages:
                select.select([self._sock], [], [])  # so that a command is never neither in the socket nor `taking`
                self.taking = True
                try:
                    data = self._sock.recv(1 << 16)
                except OSError:
                    data = b""
                if not data:
                    os._exit(0)
                self._messages.extend(self._reader.feed(data))
            return self._messages.pop(0)

    def receive_input(self) -> Optional[str]:
        """Returns the next answer to a prompt; None = end of input."""
        while True:
            message = self.receive()
            if message.get("op") == "input":
                text = str(message.get("text", ""))
                return None if text == "\x04" else text
