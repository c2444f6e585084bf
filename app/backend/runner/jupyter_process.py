"""A Jupyter kernel as a process: how it is started, and how it learns where to listen."""

import json
import os
import re
import shutil
import signal
import socket
import string
import subprocess
import sys
from typing import Any, Dict, Iterable, List, Optional

from . import procs
from .files import JUPYTER, private
from .jupyter_wire import CHANNELS
from .wire import Folder

_LONGEST_PATH = 80
"""Addresses of sockets hold 107 bytes, the path of the folder and the name of a socket together."""
_PYTHON = re.compile(r"python(\d(\.\d+)?)?")
_IPYKERNEL = ("ipykernel_launcher", "ipykernel")
_PR_SET_PDEATHSIG = 1
_NUMBERED = {channel: number for number, channel in enumerate(CHANNELS, 1)}


class JupyterError(Exception):
    """A kernel cannot be started; the message is for the user."""


class KernelSpec:
    """What a kernel.json says."""

    def __init__(self, folder: str, python: str) -> None:
        """Reads it.

        Args:
            folder: where it lies.
            python: what `python` means there; empty = the one of the environment that the folder belongs to.

        Raises:
            JupyterError: it cannot be read, or holds no kernel.
        """
        self.folder = folder
        path = os.path.join(folder, "kernel.json")
        try:
            with open(path, encoding="utf-8") as file:
                said = json.load(file)
            self.argv = [str(part) for part in said["argv"]]
            self.environ = {str(name): str(value) for name, value in (said.get("env") or {}).items()}
            self.name = str(said.get("display_name") or os.path.basename(folder))
            self.language = str(said.get("language") or "").lower()
            self.by_message = said.get("interrupt_mode") == "message"
            """Whether interrupts are asked for, where SIGINT could mean the end."""
            if not self.argv:
                raise ValueError("argv is empty")
        except OSError as exc:
            raise JupyterError("the kernelspec %s cannot be read: %s" % (path, exc.strerror or exc))
        except (ValueError, KeyError, TypeError, AttributeError) as exc:
            raise JupyterError("the kernelspec %s holds no kernel: %s" % (path, exc))
        self._python = python

    def _prefix(self) -> str:
        """Returns the installation that the kernelspec lies in; empty where it lies in none."""
        parts = os.path.abspath(self.folder).split(os.sep)
        return os.sep.join(parts[:-4]) if parts[-4:-1] == ["share", "jupyter", "kernels"] else ""

    def command(self, connection_file: str, path: str) -> List[str]:
        """Returns the command line; `path` is where programs are looked for.

        Raises:
            JupyterError: there is no such program.
        """
        fill = {"connection_file": connection_file, "resource_dir": self.folder, "prefix": self._prefix()}
        argv = [
            re.sub(r"\{(\w+)\}", lambda found: fill.get(found.group(1), found.group(0)), part) for part in self.argv
        ]
        argv[0] = self._program(argv[0], path)
        # Its debugger would complain of frozen modules, as the first output of all.
        if argv[1:2] == ["-m"] and argv[2:3] and argv[2] in _IPYKERNEL:
            argv.insert(1, "-Xfrozen_modules=off")
        return argv

    def _program(self, name: str, path: str) -> str:
        if os.sep in name:
            if os.access(name, os.X_OK):
                return name
            raise JupyterError("the kernel %s cannot be started: there is no program %s" % (self.name, name))
        here = os.path.join(self._prefix(), "bin", name)
        if _PYTHON.fullmatch(name) and self._python:
            return self._python
        if self._prefix() and os.access(here, os.X_OK):
            return here
        found = shutil.which(name, path=path)
        if found is None:
            raise JupyterError(
                "the kernel %s cannot be started: its program %s is not installed, or not on PATH" % (self.name, name)
            )
        return found

    def variables(self, environ: Dict[str, str], fixed: Iterable[str]) -> Dict[str, str]:
        """Returns the environment of the kernel, that of its session being `environ`; `${NAME}` is filled in.

        `fixed` are the names of those that are the session's to say, such as which devices it holds.
        """
        own = {name: string.Template(value).safe_substitute(environ) for name, value in self.environ.items()}
        return dict(environ, **{name: value for name, value in own.items() if name not in fixed})


class JupyterProcess:
    """A kernel that runs, or has run. It ends with the process that has started it."""

    def __init__(
        self, spec: KernelSpec, transport: str, room: str, environ: Dict[str, str], fixed: Iterable[str], cwd: str
    ) -> None:
        """Starts it. No thread may be running.

        Args:
            transport: `ipc`, or `tcp` for those that know nothing else.
            room: folder for the connection file and the sockets: emptied first, made where there is none.
            environ, fixed: see `KernelSpec.variables`.

        Raises:
            JupyterError: it cannot be started.
        """
        self.spec = spec
        self._folder = os.path.join(room, JUPYTER)
        shutil.rmtree(self._folder, True)
        try:
            os.mkdir(self._folder, 0o700)
            self._door = Folder(self._folder)
            self.connection = self._connection(transport)
            file = os.path.join(self._folder, "connection.json")
            with open(file, "w", opener=private) as written:
                json.dump(self.connection, written)
            environ = spec.variables(environ, fixed)
            # what it keeps for later kernels is not the user's to find in the work folder
            environ.setdefault("IPYTHONDIR", os.path.join(self._folder, "ipython"))
            command = spec.command(file, environ.get("PATH", os.defpath))
            self._process = subprocess.Popen(
                command,
                env=environ,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                preexec_fn=_stand_apart,  # noqa: PLW1509 - there is no thread, see above
            )
        except OSError as exc:
            self.clear()
            raise JupyterError("the kernel %s cannot be started: %s" % (spec.name, exc.strerror or exc))
        except JupyterError:
            self.clear()
            raise
        assert self._process.stdout is not None and self._process.stderr is not None
        self.raw = {self._process.stdout.fileno(): "stdout", self._process.stderr.fileno(): "stderr"}
        """What it writes past Jupyter's messages: descriptor -> which."""
        for fd in self.raw:
            os.set_blocking(fd, False)
        self.pid = self._process.pid

    def _connection(self, transport: str) -> Dict[str, Any]:
        if transport == "ipc":
            base = self._folder
            if len(os.fsencode(base)) > _LONGEST_PATH:
                base = "/proc/%d/fd/%d" % (os.getpid(), self._door.fd)
            ip, ports = os.path.join(base, "k"), dict(_NUMBERED)
        else:
            ip, ports = "127.0.0.1", _free_ports()
        said: Dict[str, Any] = {channel + "_port": port for channel, port in ports.items()}
        said.update(transport=transport, ip=ip, key=os.urandom(32).hex(), signature_scheme="hmac-sha256")
        said["kernel_name"] = os.path.basename(self.spec.folder)
        return said

    @property
    def listens(self) -> bool:
        """Whether a kernel that was given files to listen on has made any."""
        return any(name.startswith("k") for name in os.listdir(self._folder))

    @property
    def hears_itself(self) -> bool:
        """Whether it catches what its process writes, and shows it as output: what comes to us is a copy then."""
        try:
            own = os.stat("/proc/%d/fd/1" % self.pid)
        except OSError:
            return False
        ours = os.fstat(self._process.stdout.fileno())  # type: ignore[union-attr]  # it is a pipe, see above
        return (own.st_dev, own.st_ino) != (ours.st_dev, ours.st_ino)

    def send_signal(self, number: int) -> None:
        """Sends a signal to the kernel and what it has started."""
        procs.send_signal(self.pid, number, group=True)

    def poll(self) -> Optional[int]:
        """Returns how it has ended, as `waitpid` says it; None while it runs."""
        try:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
        except ChildProcessError:
            return 0
        return status if pid else None

    def end(self) -> None:
        """Kills it; returns when it has ended."""
        self.send_signal(signal.SIGKILL)
        try:
            os.waitpid(self.pid, 0)
        except ChildProcessError:
            pass
        self.let_go()

    def let_go(self) -> None:
        """Closes the pipes of a kernel that has ended, and removes what was made for it."""
        self._process.returncode = 0  # it was waited for
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
        self.clear()

    def clear(self) -> None:
        """Removes what was made for it."""
        if hasattr(self, "_door"):
            self._door.close()
            del self._door
        shutil.rmtree(self._folder, True)


def _stand_apart() -> None:
    # A group of its own: SIGINT is passed on to kernels that can bear it, and ends the others.
    os.setpgid(0, 0)
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    # Whoever started it is the only one who can talk to it. It is the thread that forks which counts here, and ours is
    # the first of its process.
    if procs.clib is not None:
        procs.clib.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def _free_ports() -> Dict[str, int]:
    socks = {channel: socket.socket() for channel in CHANNELS}
    try:
        for sock in socks.values():
            sock.bind(("127.0.0.1", 0))
        return {channel: int(sock.getsockname()[1]) for channel, sock in socks.items()}
    finally:
        for sock in socks.values():
            sock.close()


def die_alike(status: int) -> None:
    """Ends this process as another one has ended, `status` being what `waitpid` says of it."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the core would be ours, and tell nothing
        if number != signal.SIGKILL:
            signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        sys.stdout.flush()
        os.kill(os.getpid(), number)
        os._exit(128 + number)
    os._exit(os.WEXITSTATUS(status))
