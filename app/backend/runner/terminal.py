"""A terminal into the session: a shell behind a pty, and the clients that are attached to it.

One shell a session, begun when somebody asks for it. What it writes is kept up to a bound, so that whoever comes, or
comes back, sees what there was. The clients pull: the fastest of them sets the pace of the shell, one that lags gets a
gap instead of its part, and where all have stopped reading the shell goes on without them.
"""

import base64
import binascii
import selectors
import signal
import socket
import time
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import procs
from .batch import shell_exit_code
from .host import Host
from .limits import fork_problem
from .pty_process import PtyProcess
from .replay import Replay, without_queries
from .wire import Connection, Message, Source

FRAME_BYTES = 8 << 10
"""Of output in one message."""
AHEAD_BYTES = 16 << 10
"""How much the shell may write that the fastest client has not taken yet."""
STALLED_S = 2.0
"""A client that takes nothing for so long does not hold up the shell any more."""
UNREAD_BYTES = 64 << 10
"""Of input: with more, the next is confirmed only when the shell has read some."""
MAX_CLIENTS = 32
_READS = 16
"""Of the pty in one turn of the loop; each gives up to 4 KiB."""
_NUDGE_S = 0.05
_NEVER = float("inf")


class _Client(Source):
    """What one connection has still to be sent."""

    def __init__(self, replay: Replay) -> None:
        self._kept = replay
        self._first = without_queries(replay.opening() + replay.all())
        """What came before the client did."""
        self._at = replay.end
        self._notes: List[Tuple[int, Message]] = []
        self.taken_s = time.monotonic()

    @property
    def behind(self) -> int:
        return self._kept.end - self._at

    @property
    def waiting(self) -> bool:
        return bool(self._first or self._notes or self._at < self._kept.end)

    def tell(self, message: Message) -> None:
        """Sends a message behind the output that there is by now."""
        self._notes.append((self._kept.end, message))

    def take(self) -> Message:
        self.taken_s = time.monotonic()
        if not self._first and self._at < self._kept.first:
            self._first = b"\x18" + self._kept.opening(every=True)
            self._at = self._kept.first
        if self._first:
            data, self._first = self._first[:FRAME_BYTES], self._first[FRAME_BYTES:]
        elif self._notes and self._notes[0][0] <= self._at:
            return self._notes.pop(0)[1]
        else:
            upto = self._notes[0][0] if self._notes else self._kept.end
            data = self._kept.piece(self._at, min(FRAME_BYTES, upto - self._at))
            self._at += len(data)
        return {"out": base64.b64encode(data).decode("ascii")}


class Terminal:
    """The terminal of a session, in the loop of its runner and never blocking it."""

    def __init__(self, selector: selectors.BaseSelector, host: Host) -> None:
        """Begins without a shell and without clients."""
        self._selector = selector
        self._host = host
        self._shell: Optional[PtyProcess] = None
        self._awaited = 0
        """Events for which the selector watches the pty."""
        self._replay = Replay()
        self._clients: Dict[Connection, _Client] = {}
        self._input = b""
        self._unconfirmed: List[Callable[[], None]] = []
        self._size = (24, 80)
        self._nudged_s = _NEVER

    # --- what the runner calls

    @property
    def due_s(self) -> float:
        """Monotonic time at which `tick` is due: infinite = when something happens."""
        if self._shell is None or not self._holds_back:
            return self._nudged_s
        return min(self._nudged_s, max(client.taken_s for client in self._clients.values()) + STALLED_S)

    def tick(self, now: float) -> None:
        """Does what is due, and has the selector watch what is of interest."""
        if now >= self._nudged_s:
            self._nudged_s = _NEVER
            if self._shell is not None:
                self._shell.resize(*self._size)
        self._listen()

    def serve(self, connection: Connection, message: Message, answer: Any) -> None:
        """Serves a message of a backend; the first of a connection attaches it."""
        what = message.get("do")
        try:
            if what == "attach":
                self._attach(connection, message, answer)
            elif connection not in self._clients:
                answer("bad-request", "the connection is not attached to the terminal")
            elif what == "keys":
                self._keys(base64.b64decode(message["data"], validate=True), answer)
            elif what == "resize":
                self._resize(message)
                answer()
            elif what == "restart":
                self._restart()
                answer()
            elif what == "busy":
                answer(busy=self._shell is not None and self._shell.is_busy)
            else:
                answer("bad-request", "the terminal does not know %r" % (what,))
        except (KeyError, TypeError, ValueError, binascii.Error):
            answer("bad-request", "the terminal cannot read the message")
        except OSError as exc:
            answer("launch-failed", "no terminal could be started: %s" % fork_problem(exc))

    def leave(self, connection: Connection) -> None:
        """Hears that a connection is closed."""
        self._clients.pop(connection, None)

    def child_ended(self, pid: int, status: int) -> bool:
        """Hears of a child of the runner that has ended; whether it was the shell."""
        shell = self._shell
        if shell is None or shell.pid != pid:
            return False
        for _ in range(_READS):  # its last words; what it has started may go on to write
            if not self._read(shell):
                break
        code = shell_exit_code(status)
        self._drop_shell()
        self._replay.add(self._replay.closing())
        for client in self._clients.values():
            client.tell({"ended": code})
        return True

    # --- clients

    def _attach(self, connection: Connection, message: Message, answer: Any) -> None:
        if len(self._clients) >= MAX_CLIENTS:
            answer("busy", "the terminal has %d clients, which is as many as it may have" % MAX_CLIENTS)
            return
        if self._shell is None:
            self._resize(message)
            if not self._clients:
                self._replay.forget()
            self._start()
        else:
            self._resize(message)
            if not self._replay.is_whole and self._nudged_s == _NEVER:
                # What fills the screen was written long ago: another size makes it write everything anew.
                rows, cols = self._size
                self._shell.resize(rows, max(cols - 1, 1))
                self._nudged_s = time.monotonic() + _NUDGE_S
        # what lies in its buffers is shown before the effect of any key
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * FRAME_BYTES)
        connection.source = self._clients[connection] = _Client(self._replay)
        answer()

    def _resize(self, message: Message) -> None:
        rows, cols = message.get("rows"), message.get("cols")
        if not rows or not cols:  # a client that does not know
            return
        self._size = min(max(int(rows), 1), 1000), min(max(int(cols), 1), 1000)
        if self._shell is not None and self._nudged_s == _NEVER:
            self._shell.resize(*self._size)

    # --- the shell

    def _start(self) -> None:
        host = self._host
        if host.is_ending:
            raise OSError("the session is being restarted or ended")
        environ = dict(host.environ, TERM="xterm-256color", COLORTERM="truecolor")
        self._replay.begin_anew()
        self._shell = PtyProcess(environ, host.cwd, self._size, host.held, host.sandbox)

    def _restart(self) -> None:
        shell = self._shell
        if shell is not None:
            for pid in procs.descendants(shell.pid) + [shell.pid]:
                procs.send_signal(pid, signal.SIGKILL)
            self._drop_shell()
            self._replay.add(self._replay.closing() + b"\r\n")
        self._start()

    def _drop_shell(self) -> None:
        shell, self._shell = self._shell, None
        assert shell is not None
        if self._awaited:
            self._selector.unregister(shell.fd)
            self._awaited = 0
        shell.close()
        self._input = b""
        self._confirm()

    @property
    def _holds_back(self) -> bool:
        """Whether the fastest of the clients that read has enough to read."""
        if not self._clients:
            return False
        now = time.monotonic()
        behind = [client.behind for client in self._clients.values() if now < client.taken_s + STALLED_S]
        return bool(behind) and min(behind) >= AHEAD_BYTES

    def _listen(self) -> None:
        shell = self._shell
        if shell is None:
            return
        wanted = 0 if shell.deaf or self._holds_back else selectors.EVENT_READ
        if self._input and not shell.deaf:
            wanted |= selectors.EVENT_WRITE
        if wanted == self._awaited:
            return
        if not wanted:
            self._selector.unregister(shell.fd)
        elif self._awaited:
            self._selector.modify(shell.fd, wanted, self._on_events)
        else:
            self._selector.register(shell.fd, wanted, self._on_events)
        self._awaited = wanted

    def _on_events(self, mask: int) -> None:
        shell = self._shell
        if shell is None:
            return
        if mask & selectors.EVENT_WRITE:
            self._feed(shell)
        if mask & selectors.EVENT_READ:
            for _ in range(_READS):
                if not self._read(shell):
                    break

    def _read(self, shell: PtyProcess) -> bool:
        data = shell.read()
        now = time.monotonic()
        for client in self._clients.values():
            if not client.waiting:
                client.taken_s = now  # it had nothing to take
        self._replay.add(data)
        return bool(data)

    def _keys(self, data: bytes, answer: Any) -> None:
        shell = self._shell
        if shell is None:
            answer("not-running", "the shell has ended: restart it")
            return
        self._input += data
        self._feed(shell)
        if len(self._input) > UNREAD_BYTES:
            self._unconfirmed.append(answer)
        else:
            answer()

    def _feed(self, shell: PtyProcess) -> None:
        self._input = self._input[shell.write(self._input) :]
        if len(self._input) <= UNREAD_BYTES:
            self._confirm()

    def _confirm(self) -> None:
        unconfirmed, self._unconfirmed = self._unconfirmed, []
        for answer in unconfirmed:
            answer()
