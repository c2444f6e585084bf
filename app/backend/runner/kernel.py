"""The native Python kernel: the process in which user code runs.

It is forked by the runner and never returns. Commands come over the link; output leaves by fd 1 and 2 and, for
stderr and rich records, over the link.
"""

import builtins
import contextlib
import getpass
import importlib.util
import io
import os
import signal
import socket
import sys
import time
import warnings
from typing import Any, Dict, List, Set, Tuple

from . import limits, procs
from .caps import finder
from .link import Link
from .streams import Streams


def run(shell: Any, sock: socket.socket, ack_fd: int, wake: Tuple[int, int], out_fd: int, err_fd: int) -> None:
    """Is the life of a kernel process. Never returns.

    `ack_fd` is read where an answer of the runner is awaited, `wake` the pipe that wakes the flusher of stdout.
    """
    code = 70
    try:
        _become_kernel({sock.fileno(), ack_fd, *wake}, out_fd, err_fd)
        if hasattr(shell, "serve"):  # cells are run by another process yet: see `bridge`
            shell.serve(sock, ack_fd)
        Kernel(shell, Link(sock, ack_fd), wake).serve()
        code = 0
    except BaseException:
        import traceback

        os.write(2, ("the kernel failed:\n" + traceback.format_exc()).encode("utf-8", "replace"))
    finally:
        os._exit(code)


def _become_kernel(keep: Set[int], out_fd: int, err_fd: int) -> None:
    os.setpgid(0, 0)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_DFL)
    os.dup2(out_fd, 1)
    os.dup2(err_fd, 2)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2 and int(name) not in keep:
            try:
                os.close(int(name))
            except OSError:  # the descriptor of the listing itself
                pass
    procs.set_name("bai-kernel")
    limits.yield_memory()
    procs.line_buffer_c_streams()


class Kernel:
    """Serves the runner's commands."""

    def __init__(self, shell: Any, link: Link, wake: Tuple[int, int]) -> None:
        self.shell = shell
        self.link = link
        self.running = False
        self._interrupted = False
        """The cell that is on its way was interrupted before it began."""
        self._failed = False
        """The start-up code has failed, and no cell has said so yet."""
        self.looking = False
        """User objects are being looked into, which may take as long as they like."""
        self.streams = Streams(link, wake)
        shell.begin = self._begin
        builtins.input = self.streams.input
        getpass.getpass = self.streams.getpass
        signal.signal(signal.SIGINT, self._interrupt)
        # The first cell copies the memory pages that every cell writes to: better here, where nobody waits for it.
        with contextlib.redirect_stdout(io.StringIO()):
            shell.rehearse()

    def _interrupt(self, number: int, frame: Any) -> None:
        if not self.link.is_ours:
            raise KeyboardInterrupt
        self.streams.heard_s = time.monotonic()
        if not self.running:
            # Between runs there is nothing to interrupt: the signal came too late, or for a cell on its way.
            self._interrupted = self.link.has_command
            if self.looking:
                raise KeyboardInterrupt
        elif self.link.guarded:
            self.link.pending = True
        else:
            raise KeyboardInterrupt

    def serve(self) -> None:
        while True:
            message = self.link.receive()
            op = message["op"]
            if op == "execute":
                self._execute(message["code"])
                continue
            self.link.taking = False
            if op in ("complete", "inspect"):
                self._look(message)
            elif op == "setup":
                self._setup(message)

    def _setup(self, message: Dict[str, Any]) -> None:
        environ = message["environ"]
        procs.stamp(message["session_id"])
        os.environ.clear()
        os.environ.update(environ)
        os.environ.setdefault("MPLBACKEND", self._matplotlib_backend())
        if "TZ" in environ:
            time.tzset()
        os.chdir(message["cwd"])
        if finder.FRACTIONS in environ:
            finder.install()
        self.shell.attach(self.emit, environ)
        sys.argv = [""]
        sys.path[:] = [""] + sys.path
        warnings.filterwarnings("default", category=DeprecationWarning, module="__main__")
        if message.get("startup"):
            self._start_up(message["startup"])
        self.link.send({"ready": self.shell.name})

    def _start_up(self, code: str) -> None:
        """Runs what the image wants to be run in each kernel; what that says belongs to no run."""
        self.streams.begin_run()
        exit_code = self.shell.start_up(code)
        if exit_code:
            self._failed = True
            sys.stderr.write(procs.START_UP_FAILED)
        self.streams.flush()

    def _matplotlib_backend(self) -> str:
        if self.shell.name != "plain" and importlib.util.find_spec("matplotlib_inline") is not None:
            return "module://matplotlib_inline.backend_inline"
        return "Agg"

    def emit(self, record: List[Any]) -> None:
        """Sends a rich record, in order with the text around it."""
        if self.link.is_ours:
            self.streams.flush()
            self.link.send({"record": record}, wait=True)

    def _begin(self) -> None:
        """Lets interrupts through: before the code of a cell begins, a shell might take one for a fault of its own."""
        self.link.guarded = False
        if self.link.pending:
            self.link.pending = False
            raise KeyboardInterrupt

    def _execute(self, code: str) -> None:
        exit_code = 1
        try:
            try:
                self.streams.begin_run()
                self.link.guarded = True
                self.running = self.streams.running = True
                self.link.taking = False
                if self._interrupted:
                    self.link.pending = True
                if self._failed:  # who follows a run sees nothing of what was before it
                    self._failed = False
                    sys.stderr.write(procs.START_UP_FAILED)
                exit_code = self.shell.run(code)
            finally:
                self.running = self.streams.running = self.link.guarded = False
        except KeyboardInterrupt:  # at the very edge of the run
            sys.stderr.write("KeyboardInterrupt\n")
        rest = self.streams.end_run()
        # Before the end is told: what comes after that is for the next cell.
        self.link.pending = self._interrupted = False
        self.link.send({"done": exit_code, "stdout": rest.decode("latin-1")})

    def _look(self, message: Dict[str, Any]) -> None:
        """Answers what a piece of code could go on with, or what it means."""
        code, cursor = message["code"], message["cursor"]
        answer: Dict[str, Any] = {}
        try:
            try:
                self.looking = True
                if self._interrupted:
                    pass  # for what comes behind this: nobody waits for the answer any more
                elif message["op"] == "complete":
                    answer["matches"], answer["types"], answer["start"] = self.shell.complete(code, cursor)
                else:
                    answer.update(self.shell.look(code, cursor, message["detail"]))
            finally:
                self.looking = False
        except (Exception, KeyboardInterrupt):  # user objects that are looked into may do anything, or not come back
            answer = {}
        self.streams.flush()
        self.link.send({"looked": message["id"], "answer": answer})
