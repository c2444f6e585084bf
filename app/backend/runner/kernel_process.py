"""The runner's view of its kernel process."""

import os
import socket
from functools import partial
from typing import Any, Dict, List, Optional

from . import kernel, procs, rlimits
from .output import Output
from .sandbox import Sandbox
from .wire import UNREAD_BYTES, LineReader, Message, encode


class KernelProcess:
    """A kernel, forked from the runner: the runner has kept the warmed shell untouched, so it can do that again."""

    def __init__(self, shell: Any, output: Output, sandbox: Optional[Sandbox] = None) -> None:
        """Starts it; in a sandbox it is an interpreter of its own, which takes longer to be ready.

        Raises:
            OSError: the session, or its user, has as many processes as it may.
            SandboxError: there is no entering the sandbox.
        """
        self.sock, theirs = socket.socketpair()
        ack_read, self._ack_write = os.pipe()
        wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        wake = wake_read, self._wake_write
        out_fd, err_fd = output.stdout.write_fd, output.stderr.write_fd
        try:
            if sandbox is not None:
                fresh = [theirs.fileno(), ack_read, *wake, out_fd, err_fd]
                self.pid = sandbox.spawn(partial(sandbox.become_kernel, fresh))
            else:
                self.pid = os.fork()
                if self.pid == 0:
                    kernel.run(shell, theirs, ack_read, wake, out_fd, err_fd)
                try:
                    os.setpgid(self.pid, self.pid)
                except OSError:  # it was faster
                    pass
        except OSError:
            self.close()
            raise
        finally:
            theirs.close()
            os.close(ack_read)
            os.close(wake_read)
        self.sock.setblocking(False)
        self.start_time = procs.start_time(self.pid)
        self.ready = False
        self.deaf = False
        """Its end of the socket is closed."""
        self.awaited = 0
        """Events for which the runner's selector watches the socket."""
        self._reader = LineReader()
        self._out = b""

    def hold(self, held: Dict[str, int]) -> None:
        """Sets limits of the process, which it hands on to what it starts; see `rlimits`."""
        rlimits.hold(self.pid, held)

    @property
    def has_output(self) -> bool:
        return bool(self._out)

    @property
    def is_deluged(self) -> bool:
        """Whether more is on its way to the kernel than it should have to take."""
        return len(self._out) > UNREAD_BYTES

    def send(self, message: Message) -> None:
        """Queues a command and sends what the socket takes."""
        self._out += encode(message)
        self.flush()

    def flush(self) -> None:
        try:
            while self._out:
                self._out = self._out[self.sock.send(self._out) :]
        except (BlockingIOError, InterruptedError):
            pass
        except OSError:  # it has died, which SIGCHLD tells
            self._out = b""

    def receive(self) -> Optional[List[Message]]:
        """Returns the frames that have come; None at the end, or when no kernel of ours speaks like that."""
        try:
            data = self.sock.recv(1 << 18)
        except (BlockingIOError, InterruptedError):
            return []
        except OSError:
            return None
        try:
            return self._reader.feed(data) if data else None
        except ValueError:
            return None

    def ack(self) -> None:
        """Lets a kernel go on that waits for its frame to be written."""
        try:
            os.write(self._ack_write, b"+")
        except OSError:
            pass

    def wake_flusher(self) -> None:
        """Lets the kernel see to it that output leaves while a cell still runs."""
        try:
            os.write(self._wake_write, b"w")
        except OSError:  # it was told often enough, or has died
            pass

    def close(self) -> None:
        self.sock.close()
        os.close(self._ack_write)
        os.close(self._wake_write)
