"""A shell on a pty: the session leader of its own session, with the pty as its terminal."""

import array
import fcntl
import os
import signal
import socket
import struct
import termios
from functools import partial
from typing import Dict, Optional, Tuple

from . import limits, procs, rlimits
from .sandbox import Sandbox

_TIOCGPTN = 0x80045430
_TIOCSPTLCK = 0x40045431
_IUTF8 = 0o40000
_START_S = 5.0
_NOT_RUN = 127
_SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/sh")


def shell_of(environ: Dict[str, str]) -> str:
    """Returns the shell that `environ` names, or the best there is."""
    named = environ.get("SHELL", "")
    for path in (named,) + _SHELLS:
        if path.startswith("/") and os.access(path, os.X_OK) and os.path.isfile(path):
            return path
    return "/bin/sh"


def _open_pty() -> Tuple[int, int]:
    """Returns both ends of a new pty of the system as this process sees it: a sandbox has its own.

    By hand, since openpty(3) of older systems wants to change the owner, which nobody may in a sandbox.
    """
    master = os.open("/dev/ptmx", os.O_RDWR | os.O_NOCTTY)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    number = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, b"\0\0\0\0"))[0]
    return master, os.open("/dev/pts/%d" % number, os.O_RDWR | os.O_NOCTTY)


class PtyProcess:
    """A running shell, from outside. Nothing here blocks but the start, which takes milliseconds."""

    def __init__(
        self,
        environ: Dict[str, str],
        work_dir: str,
        size: Tuple[int, int],
        held: Dict[str, int],
        sandbox: Optional[Sandbox],
    ) -> None:
        """Starts it.

        Args:
            size: rows and columns.
            held: limits of its processes, see `rlimits`.

        Raises:
            OSError: there is no pty to be had, the session has as many processes as it may, or there is no entering
                the sandbox.
        """
        ours, theirs = socket.socketpair()
        become = partial(_become, theirs, environ, work_dir, size, held)
        try:
            self.pid = sandbox.spawn(become, leads_session=True) if sandbox is not None else _spawn(become)
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            self.fd = _receive(ours)
        except OSError:
            procs.send_signal(self.pid, signal.SIGKILL)
            raise
        finally:
            ours.close()
        os.set_blocking(self.fd, False)
        self.deaf = False
        """Nobody has the terminal open any more."""

    def read(self) -> bytes:
        """Returns what it has written; empty when there is nothing now."""
        try:
            data = os.read(self.fd, 1 << 16)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError:
            data = b""
        self.deaf = not data
        return data

    def write(self, data: bytes) -> int:
        """Types as much of `data` as the terminal takes; returns how much."""
        try:
            return os.write(self.fd, data) if data else 0
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:
            return len(data)

    def resize(self, rows: int, cols: int) -> None:
        """Tells the size; programs hear of one that is new."""
        _set_size(self.fd, rows, cols)

    @property
    def is_busy(self) -> bool:
        """Whether something runs in the foreground that the shell waits for."""
        try:
            group = os.tcgetpgrp(self.fd)
        except OSError:
            return False
        return group > 0 and group != self.pid

    def close(self) -> None:
        """Closes the terminal: whoever still has it hears SIGHUP."""
        os.close(self.fd)


def _set_size(fd: int, rows: int, cols: int) -> None:
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, cols, 0, 0))
    except OSError:  # nobody has it open any more
        pass


def _spawn(become: "partial[None]") -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os.setsid()
            become()
        finally:
            os._exit(_NOT_RUN)
    return pid


def _receive(ours: socket.socket) -> int:
    """Returns the pty that the new process has opened."""
    ours.settimeout(_START_S)
    data, ancillary, _flags, _address = ours.recvmsg(4096, socket.CMSG_SPACE(4))
    fds = array.array("i")
    for _level, _kind, payload in ancillary:
        fds.frombytes(payload[:4])
    if not fds:
        raise OSError(data.decode("utf-8", "replace") or "the shell has ended before it began")
    os.set_inheritable(fds[0], False)
    return fds[0]


def _become(
    theirs: socket.socket, environ: Dict[str, str], work_dir: str, size: Tuple[int, int], held: Dict[str, int]
) -> None:
    try:
        signal.set_wakeup_fd(-1)
        for number in range(1, 32):
            if number not in (signal.SIGKILL, signal.SIGSTOP):
                signal.signal(number, signal.SIG_DFL)
        # What writes too long a file is to say so, by what it makes of the error, and not to vanish.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        try:
            master, slave = _open_pty()
            _set_size(master, *size)
            theirs.sendmsg([b"+"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [master]).tobytes())])
        except OSError as exc:
            theirs.send(("there is no pty to be had: %s" % exc).encode("utf-8", "replace"))
            return
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        settings = termios.tcgetattr(slave)
        settings[0] |= _IUTF8
        termios.tcsetattr(slave, termios.TCSANOW, settings)
        for fd in (0, 1, 2):
            os.dup2(slave, fd)
        os.chdir(work_dir)
        rlimits.hold(0, held)
        limits.yield_memory()
        path = shell_of(environ)
        os.execve(path, [path, "-i"] if os.path.basename(path) in ("bash", "sh", "dash", "zsh") else [path], environ)
    except OSError as exc:
        os.write(2, ("the shell could not be started: %s\r\n" % exc).encode("utf-8", "replace"))
    finally:
        os._exit(_NOT_RUN)
