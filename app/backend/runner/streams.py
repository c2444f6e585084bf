"""stdout, stderr and stdin of user code.

stdout is the standard library's own text stream over the pipe, so that printing costs what it costs anywhere. A
thread flushes it every few milliseconds: it sleeps until the runner wakes it, which finds that a run takes long. What
is left at the end of a run travels with the news of the end. Python's stderr goes through the link, a line at a time,
because two pipes alone cannot keep the order between stdout and stderr.
"""

import errno
import io
import os
import select
import signal
import sys
import threading
import time
from typing import Any, Callable, Iterator, List, Optional, Tuple

from .link import Link
from .procs import flush_c_streams, set_errno

_PIECE_CHARS = 64 << 10
"""stderr travels in pieces that are not longer."""
_KEPT_BYTES = 1 << 20
FLUSH_S = 0.005
IDLE_FLUSH_S = 0.02
_SIGINT = bytes([signal.SIGINT])
_KNOCK_S = 0.05
_HEARD_S = 0.5
"""An interrupt that was heard so shortly before the flusher learnt of it is the one that it learnt of."""
_POLLRDHUP = 0x2000
_FLUSHING_EVENTS = frozenset(("subprocess.Popen", "os.system", "os.posix_spawn", "os.exec", "pty.spawn"))


class _Pipe(io.FileIO):
    """stdout's end of the pipe.

    It is written to by C alone. An interrupt that comes behind the system call must not be heard before the buffer has
    noted what was written: with a frame of Python in between it would be, and the text would be written twice.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(fd, "w", closefd=False)
        self._kept: Optional[List[bytes]] = None
        self._lock = threading.RLock()

    def _keep(self, data: Any) -> Any:
        with self._lock:
            if self._kept is not None and sum(map(len, self._kept)) + len(data) <= _KEPT_BYTES:
                self._kept.append(bytes(data))
                return len(data)
            if self._kept:  # much, and by another thread: it follows what is kept, through the pipe
                for part in self._kept:
                    _write_all(super().write, part)
                self._kept = []
        return super().write(data)

    def keep_back(self, flush: Callable[[], None]) -> bytes:
        """Returns what `flush` would write. No run is going on that could be interrupted."""
        with self._lock:
            self._kept = []
            self.__dict__["write"] = self._keep
        try:
            flush()
        finally:
            with self._lock:
                kept, self._kept = self._kept, None
                del self.__dict__["write"]
        return b"".join(kept)

    def reset_lock(self) -> None:
        """For a forked child: another thread may have held it."""
        self._lock = threading.RLock()


class _Writes:
    """How much this process has written so far, as the system counts it."""

    def __init__(self) -> None:
        try:
            self._fd = os.open("/proc/self/io", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # a system that does not count
            self._fd = -1

    def look(self) -> Optional[bytes]:
        """Returns something that changes with every write; None where nobody counts."""
        try:
            return os.pread(self._fd, 256, 0).partition(b"wchar:")[2].split()[0]
        except (OSError, IndexError):
            return None

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)


def _write_all(write: Callable[[Any], Optional[int]], data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[write(left) or 0 :]


class ErrorStream(io.TextIOWrapper):
    """stderr: whole lines go to the runner in order with stdout; `.buffer` and `.fileno()` are the plain pipe."""

    def __init__(self, fd: int, link: Link, stdout: io.TextIOBase) -> None:
        self._parts: List[str] = []
        self._chars = 0
        self._lock = threading.RLock()
        self._link = link
        self._stdout = stdout
        super().__init__(
            io.BufferedWriter(io.FileIO(fd, "w", closefd=False)), "utf-8", "backslashreplace", write_through=True
        )

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError("write() argument must be str, not %s" % type(text).__name__)
        with self._lock:
            self._parts.append(text)
            self._chars += len(text)
            if "\n" in text or len(self._parts) > 1000 or self._chars > _PIECE_CHARS:
                self._emit()
        return len(text)

    def _emit(self) -> None:
        if self._link.is_ours:
            self._stdout.flush()
            text, self._parts, self._chars = "".join(self._parts), [], 0
            for begin in range(0, len(text), _PIECE_CHARS):
                self._link.send({"stderr": text[begin : begin + _PIECE_CHARS]}, wait=True)
        else:
            text, self._parts, self._chars = "".join(self._parts), [], 0
            super().write(text)
            super().flush()

    def flush(self) -> None:
        if getattr(self, "_parts", None):
            with self._lock:
                self._emit()
        super().flush()

    def reset_lock(self) -> None:
        """For a forked child: another thread may have held it."""
        self._lock = threading.RLock()


class InputStream(io.TextIOBase):
    """stdin: every line is asked for with a prompt in the console."""

    encoding = "utf-8"
    errors = "replace"
    name = "<stdin>"

    def __init__(self, streams: "Streams") -> None:
        self._streams = streams

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return 0

    def isatty(self) -> bool:
        return False

    def readline(self, size: Optional[int] = -1) -> str:  # type: ignore[override]  # None too, as files take it
        line = self._streams.ask("", False)
        return "" if line is None else line + "\n"

    def read(self, size: Optional[int] = -1) -> str:
        """Reads one line where `size` is given, else all lines up to the end of input (ctrl+D)."""
        if size is not None and size >= 0:
            return self.readline()[: size or None]
        return "".join(self)

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]  # text, where IOBase says bytes
        return iter(self.readline, "")

    def close(self) -> None:
        pass


def _flush(stream: Any) -> None:
    try:
        stream.flush()
    except (ValueError, AttributeError, OSError):  # user code has closed or replaced it
        pass


class Streams:
    """Installs the three streams, and keeps stdout flowing."""

    def __init__(self, link: Link, wake: Tuple[int, int]) -> None:
        """Takes the pipe whose read end wakes the flusher; the runner writes to it as well."""
        self.link = link
        # Before 3.8 there is no hook that tells of a child process about to start, so lines go out at once.
        self._joins = sys.version_info >= (3, 8)
        self._raw = _Pipe(1)
        self.stdout = io.TextIOWrapper(
            io.BufferedWriter(self._raw, 1 << 16), "utf-8", "backslashreplace", line_buffering=not self._joins
        )
        self.stderr = ErrorStream(2, link, self.stdout)
        self.stdin = InputStream(self)
        self.running = False
        """A cell runs."""
        self.heard_s = 0.0
        """Monotonic time at which the handler of SIGINT ran last; 0 when it never did."""
        self._begun_s = 0.0
        self._restart = False
        self._thread: Optional[threading.Thread] = None
        self._wake_read, self._wake_write = wake
        for stream in (self.stdout, self.stderr):
            stream.__dict__["mode"] = "w"
        sys.stdout = sys.__stdout__ = self.stdout  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = self.stderr  # type: ignore[misc]
        sys.stdin = sys.__stdin__ = self.stdin  # type: ignore[misc, assignment]
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(
                before=self._before_fork,
                after_in_parent=self._after_fork_in_parent,
                after_in_child=self._after_fork_in_child,
            )
        if hasattr(sys, "addaudithook"):
            sys.addaudithook(self._audit)
        self._start_thread()

    # --- flushing

    def _start_thread(self) -> None:
        if not self._joins:
            return
        thread = threading.Thread(target=self._keep_flushing, name="bai-flush", daemon=True)
        try:
            thread.start()
            self._thread = thread
        except RuntimeError:  # the session has as many threads as it may: until a later cell, lines go out at once
            self._thread = None
        if self.stdout.line_buffering != (self._thread is None):
            self.stdout.reconfigure(line_buffering=self._thread is None)

    def begin_run(self) -> None:
        """Is called before every cell."""
        self._begun_s = time.monotonic()
        if self._thread is None:
            self._start_thread()
        if self._joins:  # again for every cell: an event loop of the user may have taken it for itself
            signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)

    def end_run(self) -> bytes:
        """Hands everything to the runner, but returns what is left of stdout."""
        for stream in (sys.stdout, sys.stderr, self.stderr):
            if stream is not self.stdout:
                _flush(stream)
        flush_c_streams()
        if threading.active_count() > 2:  # threads that the cell has left: this one and the flusher are no news
            self._wake(b"w")
        return self._raw.keep_back(lambda: _flush(self.stdout))

    def flush(self) -> None:
        """Hands everything to the runner."""
        for stream in (sys.stdout, sys.stderr, self.stdout, self.stderr):
            _flush(stream)
        flush_c_streams()

    def _wake(self, word: bytes) -> None:
        try:
            os.write(self._wake_write, word)
        except BlockingIOError:  # it has been told often enough
            pass

    def _keep_flushing(self) -> None:
        # An interrupt that this thread received would not wake the main thread from a system call.
        signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        poll = select.poll()
        poll.register(self._wake_read, select.POLLIN)
        poll.register(self.link.fileno(), _POLLRDHUP)
        writes = _Writes()
        wait_s: Optional[float] = None
        seen: Optional[bytes] = None
        signalled_s = 0.0
        while True:
            for fd, _event in poll.poll(None if wait_s is None else wait_s * 1000):
                if fd != self._wake_read:
                    # The runner was killed: nobody can reach this kernel any more, whatever it computes.
                    os.kill(os.getpid(), 9)
                words = os.read(self._wake_read, 64)
                if b"q" in words:
                    writes.close()
                    return
                if _SIGINT in words:
                    signalled_s = time.monotonic()
                wait_s = FLUSH_S
            if signalled_s and time.monotonic() > signalled_s + _KNOCK_S:
                self._knock(signalled_s)
                signalled_s = 0.0
            _flush(self.stdout)
            _flush(self.stderr)
            before, seen = seen, writes.look()
            quiet = seen is not None and seen == before
            if not quiet:
                wait_s = FLUSH_S
            elif wait_s is not None and wait_s < IDLE_FLUSH_S:
                wait_s *= 1.3
            elif self.running or signalled_s or threading.active_count() > 2:
                wait_s = IDLE_FLUSH_S  # threads that user code has left may still print
            else:
                wait_s = None

    def _knock(self, signalled_s: float) -> None:
        """Interrupts once more if nobody heard.

        A signal between Python's last look for one and a system call is heard only when that call returns, which a
        sleep may do much too late. Flushing makes that likely: output is seen just when its cell begins to wait.
        """
        if not self.running or signalled_s < self._begun_s:
            return  # the run that was meant is over: the next one is not to suffer for it
        ours = getattr(signal.getsignal(signal.SIGINT), "__self__", None)
        if getattr(ours, "streams", None) is self and self.heard_s < signalled_s - _HEARD_S:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def _stop_thread(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None and thread.is_alive() and thread is not threading.current_thread():
            self._wake(b"q")
            thread.join()

    # --- other processes

    def _audit(self, event: str, _args: Any) -> None:
        if event in _FLUSHING_EVENTS and self.link.is_ours:
            self.stdout.flush()

    def _before_fork(self) -> None:
        # Python warns about forking a process with threads, rightly: the child could inherit a lock that our
        # thread holds. So there is none while a fork happens.
        if not self.link.is_ours:
            return
        alive = self._thread is not None
        self._stop_thread()
        if alive:
            deadline = time.monotonic() + 0.05
            expected = threading.active_count()
            while len(os.listdir("/proc/self/task")) > expected and time.monotonic() < deadline:
                time.sleep(0.0001)  # nothing tells when a thread has left the kernel
        self.stdout.flush()
        self.stderr.flush()
        self._restart = alive

    def _after_fork_in_parent(self) -> None:
        if self._restart:
            self._restart = False
            self._start_thread()
            self._wake(b"w")
        set_errno(errno.EAGAIN)  # what a fork says that was refused, which all this has made Python forget

    def _after_fork_in_child(self) -> None:
        self._thread = None
        if self._joins:
            signal.set_wakeup_fd(-1)  # the pipe is the parent's
        self._joins = False
        self.link.reset_locks()
        self.stderr.reset_lock()
        self._raw.reset_lock()
        if hasattr(self.stdout, "reconfigure"):
            self.stdout.reconfigure(line_buffering=True)

    # --- input

    def ask(self, prompt: str, is_password: bool) -> Optional[str]:
        """Shows `prompt` and waits for a line; None = end of input.

        Raises:
            EOFError: no run is going on, or this is a forked process: nobody could answer.
        """
        if not self.link.is_ours or not self.running:
            raise EOFError("input is only possible while a cell runs, and in the session's own process")
        if prompt:
            self.stdout.write(prompt)
        self.flush()
        self.link.send({"input": is_password}, wait=True)
        return self.link.receive_input()

    def input(self, prompt: object = "") -> str:
        """Stands in for the builtin `input`."""
        line = self.ask(str(prompt), False)
        if line is None:
            raise EOFError("end of input")
        return line

    def getpass(self, prompt: str = "Password: ", stream: Any = None) -> str:
        """Stands in for `getpass.getpass`."""
        line = self.ask(str(prompt), True)
        if line is None:
            raise EOFError("end of input")
        return line
