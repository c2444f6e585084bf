"""Batch runs: the shell commands clean, build and exec, one after the other in the work folder."""

import os
import signal
import time
from functools import partial
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from . import limits, procs, rlimits
from .output import waiting_bytes
from .sandbox import Sandbox
from .wire import UNREAD_BYTES

NOT_RUN = 127
"""Exit code of an exec step that did not run."""
PROBE_S = 0.06
"""How long output is quiet before a step is asked whether it waits for input."""
_READ_SYSCALLS = {"x86_64": "0", "aarch64": "63"}


class Step(NamedTuple):
    name: str
    """`clean`, `build` or `exec`."""
    command: Optional[str]
    """A shell command; None = nothing to do, which is still announced."""


def shell_exit_code(status: int) -> int:
    """Returns the exit code that a shell shows for a wait status: 128 + number for a signal."""
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def signal_of(status: int) -> Optional[str]:
    """Returns the name of the signal that ended a process, None when it ended by itself."""
    if not os.WIFSIGNALED(status):
        return None
    number = os.WTERMSIG(status)
    try:
        return signal.Signals(number).name
    except ValueError:
        return "signal %d" % number


def plan(options: Dict[str, Any]) -> List[Step]:
    """Returns the steps that `options` ask for; null and "" skip one, "*" means the default."""
    steps = []
    for name in ("clean", "build", "exec"):
        command = options.get(name)
        if command:
            steps.append(Step(name, str(command)))
    return [Step(step.name, None) if step.command == "*" and step.name != "exec" else step for step in steps]


def default_command(work_dir: str) -> str:
    """Returns the command that `exec` = "*" means for Python.

    Raises:
        ValueError: there is no main.py and not exactly one other script; the message is for the user.
    """
    scripts = sorted(name for name in os.listdir(work_dir) if name.endswith(".py") and not name.startswith("."))
    if "main.py" in scripts:
        return "exec python main.py"
    if len(scripts) == 1:
        return "exec python '%s'" % scripts[0].replace("'", "'\\''")
    if not scripts:
        raise ValueError(
            "there is no Python script in the work folder to run: upload one, or name a command with --exec"
        )
    raise ValueError(
        "the work folder holds %d Python scripts (%s) and none is main.py: name the command with --exec"
        % (len(scripts), ", ".join(scripts[:5]))
    )


class StepProcess:
    """A shell command with a pipe for its input, in a process group of its own."""

    def __init__(
        self,
        command: str,
        work_dir: str,
        environ: Dict[str, str],
        out: Tuple[int, int],
        held: Dict[str, int],
        sandbox: Optional[Sandbox],
    ) -> None:
        """Starts it.

        Args:
            out: descriptors for stdout and stderr.
            held: limits of its processes, see `rlimits`.

        Raises:
            OSError: the session, or its user, has as many processes as it may.
            SandboxError: there is no entering the sandbox.
        """
        self._stdin_read, self._stdin_write = os.pipe()
        os.set_blocking(self._stdin_write, False)
        self._unsent = b""
        self._eof = False
        self.waits_for_input = False
        """A `waiting-input` record was made and nothing has come yet."""
        become = partial(self._become, command, work_dir, environ, out, held)
        try:
            self.pid = sandbox.spawn(become) if sandbox is not None else self._spawn(become)
        except OSError:
            self.close()
            raise
        self._next_probe_s = time.monotonic() + PROBE_S

    @staticmethod
    def _spawn(become: Callable[[], None]) -> int:
        pid = os.fork()
        if pid == 0:
            become()
        try:
            os.setpgid(pid, pid)
        except OSError:  # it was faster
            pass
        return pid

    def _become(
        self, command: str, work_dir: str, environ: Dict[str, str], out: Tuple[int, int], held: Dict[str, int]
    ) -> None:
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            for number in range(1, 32):
                if number not in (signal.SIGKILL, signal.SIGSTOP):
                    signal.signal(number, signal.SIG_DFL)
            # What writes too long a file is to say so, by what it makes of the error, and not to vanish.
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            os.dup2(self._stdin_read, 0)
            os.dup2(out[0], 1)
            os.dup2(out[1], 2)
            os.chdir(work_dir)
            rlimits.hold(0, held)
            limits.yield_memory()
            os.execve("/bin/sh", ["/bin/sh", "-c", command], environ)
        except OSError as exc:
            os.write(2, ("the command could not be started: %s\n" % exc).encode())
        finally:
            os._exit(NOT_RUN)

    def feed(self, text: str) -> bool:
        """Writes a line to the command's input; ctrl+D alone ends it. False when too much is unread."""
        if len(self._unsent) > UNREAD_BYTES:
            return False
        if text == "\x04":
            self._eof = True
        else:
            self._unsent += text.encode("utf-8", "surrogateescape") + b"\n"
        self.waits_for_input = False
        self._next_probe_s = time.monotonic() + PROBE_S
        self.pump_input()
        return True

    def pump_input(self) -> None:
        """Writes what the pipe takes."""
        if self._unsent and self._stdin_write >= 0:
            try:
                self._unsent = self._unsent[os.write(self._stdin_write, self._unsent) :]
            except BlockingIOError:
                pass
            except OSError:
                self._unsent = b""
        if self._eof and not self._unsent and self._stdin_write >= 0:
            os.close(self._stdin_write)
            self._stdin_write = -1

    def probe_due(self, now: float, last_read_s: float) -> bool:
        """Whether it is time for `probe`: output was quiet for a while. Sets the next time."""
        self.pump_input()
        if self.waits_for_input or now < self._next_probe_s:
            return False
        if now - last_read_s < PROBE_S:
            self._next_probe_s = last_read_s + PROBE_S
            return False
        # A command that computes for hours is not asked 16 times a second.
        self._next_probe_s = now + min(max((now - last_read_s) / 10, PROBE_S), 0.5)
        return True

    @property
    def next_probe_s(self) -> float:
        """Monotonic time; infinite while an answer is awaited."""
        return float("inf") if self.waits_for_input and not self._unsent else self._next_probe_s

    def probe(self) -> bool:
        """Whether a process of the step sleeps in read() on the empty input pipe."""
        if self._stdin_write < 0 or waiting_bytes(self._stdin_read):
            return False
        inode = os.fstat(self._stdin_read).st_ino
        name = "pipe:[%d]" % inode
        return any(_reads_from(pid, name) for pid in [self.pid] + procs.descendants(self.pid))

    def close(self) -> None:
        """Closes the input."""
        os.close(self._stdin_read)
        if self._stdin_write >= 0:
            os.close(self._stdin_write)
            self._stdin_write = -1


def _reads_from(pid: int, pipe_name: str) -> bool:
    read = _READ_SYSCALLS.get(os.uname().machine, "0")
    try:
        for task in os.listdir("/proc/%d/task" % pid):
            with open("/proc/%d/task/%s/syscall" % (pid, task)) as file:
                fields = file.read().split()
            if len(fields) > 1 and fields[0] == read:
                if os.readlink("/proc/%d/fd/%d" % (pid, int(fields[1], 16))) == pipe_name:
                    return True
    except (OSError, ValueError):  # it has ended, or /proc does not tell
        pass
    return False
