"""Messages of Jupyter kernels, in their signed form, and the sockets that they travel over.

Of our own instead of jupyter_client's: what a kernel floods is read four times as fast, and the process that reads it
is half as large. One of the modules that are not for any interpreter, since they need pyzmq: see `shell_jupyter`.
"""

import hashlib
import hmac
import json
import os
import time
from typing import Any, Dict, List, Optional, Tuple

import zmq

_DELIMITER = b"<IDS|MSG>"
_VERSION = "5.3"
CHANNELS = ("shell", "iopub", "stdin", "control", "hb")
_RECONNECT_MS = 20
"""How often is tried whether the kernel listens yet."""

Message = Dict[str, Any]
"""`header`, `parent_header`, `metadata`, `content`."""


class Wire:
    """Signs and reads the messages of one kernel."""

    def __init__(self, key: bytes) -> None:
        """Takes the key of the connection file; anything that is signed with another one is not read."""
        self._hmac = hmac.new(key, digestmod=hashlib.sha256)
        self.session = os.urandom(16).hex()
        self._count = 0

    def _sign(self, parts: List[bytes]) -> bytes:
        signer = self._hmac.copy()
        for part in parts:
            signer.update(part)
        return signer.hexdigest().encode("ascii")

    def pack(self, kind: str, content: Dict[str, Any], parent: Dict[str, Any]) -> Tuple[str, List[bytes]]:
        """Returns a message's id and parts."""
        self._count += 1
        number = "%s_%d" % (self.session, self._count)
        header = {
            "msg_id": number,
            "session": self.session,
            "username": "work",
            "date": time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime()),
            "msg_type": kind,
            "version": _VERSION,
        }
        parts = [json.dumps(part).encode("ascii") for part in (header, parent, {}, content)]
        return number, [_DELIMITER, self._sign(parts), *parts]

    def unpack(self, parts: List[bytes]) -> Optional[Message]:
        """Returns a message that has come; None when it is not the kernel's, or no message at all."""
        try:
            at = parts.index(_DELIMITER)
            signature, signed = parts[at + 1], parts[at + 2 : at + 6]
        except (ValueError, IndexError):
            return None
        if len(signed) != 4 or not hmac.compare_digest(self._sign(signed), signature):
            return None
        try:
            read = [json.loads(part.decode("utf-8", "replace")) for part in signed]
        except (ValueError, RecursionError):
            return None
        if not all(isinstance(part, dict) for part in read):
            return None
        header, parent, metadata, content = read
        return {"header": header, "parent_header": parent, "metadata": metadata, "content": content}


class Channels:
    """Our ends of a kernel's sockets. Nothing here blocks, and nothing that the kernel sends is dropped."""

    def __init__(self, connection: Dict[str, Any], wire: Wire) -> None:
        """Connects to a kernel that need not listen yet. Starts ZMQ's thread: no process may be forked from here on
        that goes on with Python."""
        self._wire = wire
        self._context = zmq.Context()
        self.shell = self._connect(connection, "shell", zmq.DEALER)
        self.stdin = self._connect(connection, "stdin", zmq.DEALER)
        self.control = self._connect(connection, "control", zmq.DEALER)
        self.iopub = self._connect(connection, "iopub", zmq.SUB)
        self.all = (self.shell, self.stdin, self.control, self.iopub)

    def _connect(self, connection: Dict[str, Any], channel: str, kind: int) -> "zmq.Socket[bytes]":
        sock = self._context.socket(kind)
        sock.setsockopt(zmq.LINGER, 0)
        # A queue that is full loses what comes, even the news of the end of a run: see `Peer` for what bounds it.
        sock.setsockopt(zmq.RCVHWM, 0)
        sock.setsockopt(zmq.SNDHWM, 0)
        sock.setsockopt(zmq.RECONNECT_IVL, _RECONNECT_MS)
        if kind == zmq.SUB:
            sock.setsockopt(zmq.SUBSCRIBE, b"")
        else:  # the same on all: a kernel asks for input whoever has sent it the cell
            sock.setsockopt(zmq.IDENTITY, self._wire.session.encode("ascii"))
        separator = "-" if connection["transport"] == "ipc" else ":"
        if channel == "stdin":
            # What the kernel asks before this is connected is lost, and nothing else shows whether it is.
            sock.setsockopt(zmq.IMMEDIATE, 1)
        address = "%s://%s%s%d" % (
            connection["transport"],
            connection["ip"],
            separator,
            connection[channel + "_port"],
        )
        sock.connect(address)
        return sock

    def send(
        self,
        sock: "zmq.Socket[bytes]",
        kind: str,
        content: Dict[str, Any],
        parent: Optional[Dict[str, Any]] = None,
    ) -> str:
        """Sends a message; returns its id."""
        number, parts = self._wire.pack(kind, content, parent or {})
        try:
            sock.send_multipart(parts, zmq.DONTWAIT)
        except zmq.Again:  # it has ended, which is told in another way
            pass
        return number

    @property
    def takes_questions(self) -> bool:
        """Whether what the kernel asks the user will reach us."""
        return bool(int(self.stdin.getsockopt(zmq.EVENTS)) & zmq.POLLOUT)

    def receive(self, sock: "zmq.Socket[bytes]") -> Tuple[int, Optional[Message]]:
        """Returns how many bytes have come and the message; nothing has come when there are 0, and what is not the
        kernel's is no message."""
        try:
            parts = sock.recv_multipart(zmq.DONTWAIT)
        except zmq.Again:
            return 0, None
        return sum(map(len, parts)) + 1, self._wire.unpack(parts)

    def close(self) -> None:
        """Lets go of the kernel; ZMQ's thread ends."""
        self._context.destroy(0)
