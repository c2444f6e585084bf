"""The kernel at the other end of a bridge: its process, its sockets, and what it writes past them.

ZMQ drops what a full queue has no room for, so that ours are without bounds, and it is the kernel that is bounded: it
is stopped (SIGSTOP) while more waits than should, as a program is that writes into a full pipe.
"""

import codecs
import os
import signal
import time
from typing import Any, Dict, List, Tuple

import zmq

from .jupyter_cell import Silence
from .jupyter_process import JupyterProcess, KernelSpec
from .jupyter_wire import Channels, Message, Wire

FULL_BYTES = 8 << 20
"""So much waits for the runner before the kernel is stopped."""
LOW_BYTES = 2 << 20
TURN_BYTES = 4 << 20
TURN_MESSAGES = 2000
"""So much is taken in at once; when more has come meanwhile, the kernel is faster than we are."""
_HEARD_S = 2.0
"""How long is awaited what shows that we hear the kernel: one that says nothing is as good as heard."""
_LAST_LINE_CHARS = 300
_NOISE_CHARS = 4096


class Peer:
    """A kernel that was started, until `leave`."""

    def __init__(self, transport: str, setup: Dict[str, Any], poller: zmq.Poller) -> None:
        """Starts it, and asks it what it is. No thread may be running.

        Args:
            transport: see `JupyterProcess`.
            setup: the runner's message, see `KernelKeeper.set_up`.
            poller: is to watch all that the kernel says.

        Raises:
            JupyterError: it cannot be started.
        """
        told = setup["jupyter"]
        self.spec = KernelSpec(told["folder"], told["python"])
        self.transport = transport
        self.process = JupyterProcess(self.spec, transport, told["room"], setup["environ"], told["fixed"], setup["cwd"])
        self.answered = False
        """It has said what it is."""
        self.silence = Silence()
        self.noise = ""
        """The last that it wrote on stderr before it was up: of use when it never will be."""
        self.behind = False
        """More has come from it than was taken in."""
        self._takes_raw = False
        self._heard = False
        self._answered_s = 0.0
        self._stopped = False
        self._poller = poller
        self.channels = Channels(self.process.connection, Wire(self.process.connection["key"].encode("ascii")))
        for sock in self.channels.all:
            poller.register(sock, zmq.POLLIN)
        self._decoders: Dict[int, Any] = {}
        for fd in self.process.raw:
            poller.register(fd, zmq.POLLIN)
            self._decoders[fd] = codecs.getincrementaldecoder("utf-8")("replace")
        self.ask()

    # --- its start

    def ask(self) -> None:
        """Asks what it is: the answer, and the news that it makes, show that we hear each other."""
        self.channels.send(self.channels.shell, "kernel_info_request", {})

    def take_answer(self, content: Dict[str, Any]) -> None:
        """Hears that it has said what it is."""
        if content.get("implementation") == "ipython":
            self.silence.is_orderly()
        if not self.answered:
            self.answered = True
            self._answered_s = time.monotonic()

    @property
    def is_up(self) -> bool:
        """Whether we hear each other."""
        if not self.answered:
            return False
        # each channel is a connection of its own
        heard = self._heard and self.channels.takes_questions
        return heard or time.monotonic() >= self._answered_s + _HEARD_S

    def begin(self) -> None:
        """Takes what it writes past its messages for output from now on, unless it shows that itself."""
        self._takes_raw = not self.process.hears_itself

    @property
    def last_line(self) -> str:
        """The last that it wrote on stderr, behind a colon; empty when it wrote nothing."""
        lines = [line for line in self.noise.splitlines() if line.strip()]
        return ": " + lines[-1].strip()[:_LAST_LINE_CHARS] if lines else ""

    # --- what it says

    def news(self) -> List[Message]:
        """Returns what has come over iopub, of much a part: `behind` then."""
        found: List[Message] = []
        bytes_ = messages = 0
        while bytes_ < TURN_BYTES and messages < TURN_MESSAGES:
            count, message = self.channels.receive(self.channels.iopub)
            if not count:
                self.behind = False
                break
            bytes_ += count
            messages += 1
            if message is not None:
                found.append(message)
        else:
            self.behind = True
        self._heard = self._heard or bool(found)
        return found

    def raw(self, most: int) -> List[Tuple[str, str]]:
        """Returns what it has written past its messages and is output: (which, text), about `most` bytes of it."""
        found = []
        for fd in list(self._decoders):
            left = most
            while left > 0:
                try:
                    data = os.read(fd, 1 << 16)
                except BlockingIOError:
                    break
                left -= len(data)
                text = self._decoders[fd].decode(data, not data)
                if self._takes_raw:
                    found.append((self.process.raw[fd], text))
                elif self.process.raw[fd] == "stderr":
                    self.noise = (self.noise + text)[-_NOISE_CHARS:]
                if not data:
                    self._poller.unregister(fd)
                    del self._decoders[fd]
                    break
        return found

    # --- what is done to it

    def interrupt(self) -> None:
        """Interrupts the cell that it runs, in the way that it wants."""
        if self.spec.by_message:
            self.channels.send(self.channels.control, "interrupt_request", {})
        else:
            self.process.send_signal(signal.SIGINT)

    def hold_back(self, waiting_bytes: int) -> None:
        """Stops it while it is too far ahead of who reads, for whom so much waits, and lets it go on."""
        if not self._stopped and (self.behind or waiting_bytes > FULL_BYTES):
            self._stopped = True
            self.process.send_signal(signal.SIGSTOP)
        elif self._stopped and not self.behind and waiting_bytes < LOW_BYTES:
            self._stopped = False
            self.process.send_signal(signal.SIGCONT)

    def leave(self) -> None:
        """Lets go of it, which has ended; no thread is left."""
        for sock in self.channels.all:
            self._poller.unregister(sock)
        self.channels.close()
        for fd in self._decoders:
            self._poller.unregister(fd)
        self._decoders.clear()
        self.process.let_go()
