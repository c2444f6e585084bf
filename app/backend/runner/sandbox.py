"""A sandbox of bubblewrap's around the kernel and the commands of a session. The runner stays outside.

bubblewrap is started once: it makes the namespaces and holds them. The runner's children enter those namespaces by
themselves, which has three advantages over starting each command by bubblewrap: all processes of the session see each
other and nothing else, the runner is the parent of kernel and commands as ever, so that it learns of signals and exit
codes at first hand and can send signals, and it takes milliseconds. The kernel is nevertheless a fresh interpreter and
no copy of the warmed one: /proc/self/exe of a copy would be a way to the interpreter's file outside.

The holder dies with the runner, however that one dies: it is single-threaded, so the warning about PR_SET_PDEATHSIG
(it fires when the starting thread ends) does not touch it. All that is inside dies with the holder.
"""

import fcntl
import json
import os
import select
import shutil
import signal
import sys
import time
from typing import Any, Callable, Dict, List

from . import limits, procs, rlimits, sandbox_mounts

TMP = "tmp"
"""The folder in the session's folder that is /tmp inside."""
START_S = 15.0
"""How long bubblewrap may take."""
_INSIDE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "inside.py")
_NS_GET_PARENT = 0xB702
_KINDS = ("pid", "ipc", "uts", "net", "cgroup", "mnt")
_HOLD = "echo; exec sleep 2147483647"

_PR_SET_DUMPABLE = 4
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_CLEAR_ALL = 4
_CAPABILITY_VERSION_3 = 0x20080522


class SandboxError(OSError):
    """The sandbox cannot be had; the message is for the user."""


class Sandbox:
    """The sandbox of one session: one holder at a time, and who enters."""

    def __init__(
        self, spec: Dict[str, Any], session_dir: str, work_dir: str, environ: Dict[str, str], held: Dict[str, int]
    ) -> None:
        """Makes the folder for /tmp; `start` does the rest.

        Args:
            spec: see `sandbox_mounts.arguments`; and `bwrap`, the program, and `shell`, the settings of the kernel's.
            work_dir: what will be HOME inside.
            environ: of the session's processes.
            held: resource limits of each process, see `rlimits`.

        Raises:
            OSError: the folder cannot be made.
        """
        self._spec = spec
        self._held = held
        self.tmp_dir = os.path.join(session_dir, TMP)
        os.makedirs(self.tmp_dir, 0o700, exist_ok=True)
        os.chmod(self.tmp_dir, 0o1777)  # as programs expect it; the session's folder keeps others out
        self._args, self.work_dir = sandbox_mounts.arguments(spec, self.tmp_dir, work_dir)
        self.environ = dict(environ, TMPDIR="/tmp")
        if self.environ.get("HOME") == work_dir:
            self.environ["HOME"] = self.work_dir
        self._monitor = 0
        self._init = 0
        self._namespaces: List[int] = []
        """In the order in which they can be entered."""
        self.holders: List[int] = []
        """The processes of bubblewrap's: the monitor outside, the first process inside, and what that one waits for."""

    # --- the holder

    @property
    def is_alive(self) -> bool:
        """Whether processes can enter."""
        entry = procs.stat(self._init) if self._init else None
        return entry is not None and not entry.ended and entry.ppid == self._monitor

    def start(self) -> None:
        """Starts the holder, or does nothing while one lives; takes about 20 ms.

        Raises:
            SandboxError: bubblewrap refuses, and why.
        """
        if self.is_alive:
            return
        self._let_go()
        if procs.clib is None:
            raise SandboxError("the image's Python was built without ctypes, by which a sandbox is entered")
        args_read, args_write = os.pipe()
        info_read, info_write = os.pipe()
        said_read, said_write = os.pipe()
        error_read, error_write = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become_holder(str(self._spec["bwrap"]), args_read, info_write, said_write, error_write)
        for fd in (args_read, info_write, said_write, error_write):
            os.close(fd)
        try:
            os.set_blocking(args_write, True)
            try:
                with os.fdopen(args_write, "wb") as file:
                    file.write(b"".join(os.fsencode(arg) + b"\0" for arg in self._args))
            except OSError:  # it has ended, which is told below
                pass
            if not _read(said_read):
                procs.send_signal(pid, signal.SIGKILL)
                why = _read(error_read, 0.5).decode("utf-8", "replace").strip() or "it said nothing"
                os.waitpid(pid, 0)
                raise SandboxError("bubblewrap could not make the sandbox: %s" % why.splitlines()[-1][:300])
            self._monitor = pid
            self._init = int(json.loads(_read(info_read).decode("ascii"))["child-pid"])
            self.holders = [pid] + procs.descendants(pid)  # nobody has entered yet
            self._namespaces = self._open()
        except (OSError, ValueError, KeyError) as exc:
            procs.send_signal(pid, signal.SIGKILL)
            self._let_go()
            raise SandboxError("the sandbox cannot be entered: %s" % exc)
        finally:
            for fd in (info_read, said_read, error_read):
                os.close(fd)

    def _open(self) -> List[int]:
        """Opens the namespaces that differ from ours."""
        users = [os.open("/proc/%d/ns/user" % self._init, os.O_RDONLY)]
        try:
            while True:
                parent = fcntl.ioctl(users[0], _NS_GET_PARENT)
                if _same(parent, "user"):
                    os.close(parent)
                    break
                users.insert(0, parent)
            found = []
            for kind in _KINDS:
                try:
                    fd = os.open("/proc/%d/ns/%s" % (self._init, kind), os.O_RDONLY)
                except FileNotFoundError:  # a system without it
                    continue
                if _same(fd, kind):
                    os.close(fd)
                else:
                    found.append(fd)
        except BaseException:
            for fd in users:
                os.close(fd)
            raise
        # the outermost owns the others, and the innermost takes the right to enter those away
        return [users[0]] + found + users[1:]

    def holds_alone(self, pids: List[int]) -> bool:
        """Whether of `pids`, our descendants, all belong to bubblewrap: whoever was inside has ended."""
        return set(pids) <= set(self.holders)

    def end(self) -> None:
        """Kills the holder, and with it all that is inside."""
        for pid in (self._init, self._monitor):
            if pid:
                procs.send_signal(pid, signal.SIGKILL)

    def _let_go(self) -> None:
        self._monitor = self._init = 0
        self.holders = []
        for fd in self._namespaces:
            os.close(fd)
        self._namespaces = []

    # --- who enters

    def spawn(self, become: Callable[[], None], leads_session: bool = False) -> int:
        """Runs `become`, which never returns, in a new process inside; returns its pid, as it is seen from here.

        The process leads a group of its own, or a session, stands in the work folder, holds no right, and is a child of
        ours.

        Raises:
            SandboxError: there is no entering.
        """
        self.start()
        read, write = os.pipe()
        door = os.fork()
        if door == 0:
            self._enter(become, leads_session, read, write)
        os.close(write)
        try:
            said = _read(read)
        finally:
            os.close(read)
        os.waitpid(door, 0)  # from now on we are the parent of who went through
        if not said.isdigit():
            why = said.decode("utf-8", "replace") or "it has ended"
            raise SandboxError("the session's sandbox cannot be entered: %s" % why)
        return int(said)

    def _enter(self, become: Callable[[], None], leads_session: bool, read: int, write: int) -> None:
        try:
            os.close(read)
            limits.yield_memory()  # here already: what cannot be traced may not say this of itself
            for fd in self._namespaces:
                _setns(fd)
            _give_up_rights()
            os.chdir(self.work_dir)
            pid = os.fork()  # only a child is in the namespace of process ids
            if pid == 0:
                os.close(write)
                try:
                    if leads_session:
                        os.setsid()
                    else:
                        os.setpgid(0, 0)
                    rlimits.hold(0, self._held)
                    become()
                finally:
                    os._exit(127)
            if not leads_session:  # who leads a group cannot begin a session
                try:
                    os.setpgid(pid, pid)
                except OSError:  # it was faster
                    pass
            os.write(write, b"%d" % pid)
            os._exit(0)
        except BaseException as exc:
            os.write(write, str(exc).encode("utf-8", "replace"))
        finally:
            os._exit(1)

    def put(self, path: str) -> str:
        """Copies a file into /tmp; returns its path inside."""
        name = os.path.basename(path)
        shutil.copy(path, os.path.join(self.tmp_dir, name))
        return "/tmp/" + name

    def become_kernel(self, fds: List[int]) -> None:
        """Is a fresh interpreter from now on, and then a kernel, which takes the descriptors: see `inside`."""
        read, write = os.pipe()
        os.write(write, json.dumps({"fds": fds, "shell": self._spec["shell"]}).encode("ascii"))
        os.close(write)
        for fd in [read] + fds:
            os.set_inheritable(fd, True)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.execve(sys.executable, [sys.executable, "-s", _INSIDE, str(read)], self.environ)


def _become_holder(program: str, args: int, info: int, said: int, error: int) -> None:
    try:
        os.setpgid(0, 0)
        # The end of a session begins with SIGTERM for all: the holder is to stay until the others had their time.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(said, 1)
        os.dup2(error, 2)
        for fd in (args, info):
            os.set_inheritable(fd, True)
        own = ["--args", str(args), "--info-fd", str(info)]
        os.execv(program, [program, *own, "--", "/bin/sh", "-c", _HOLD])
    except OSError as exc:
        os.write(2, str(exc).encode("utf-8", "replace"))
    finally:
        os._exit(127)


def _read(fd: int, within_s: float = START_S) -> bytes:
    """Returns what comes first; empty at the end, or when nothing comes."""
    deadline = time.monotonic() + within_s
    while select.select([fd], [], [], max(deadline - time.monotonic(), 0.0))[0]:
        return os.read(fd, 1 << 16)
    return b""


def _same(fd: int, kind: str) -> bool:
    ours, theirs = os.stat("/proc/self/ns/" + kind), os.fstat(fd)
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def _call(function: Any, *arguments: Any) -> None:
    if function(*arguments) != 0:
        import ctypes

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _setns(fd: int) -> None:
    _call(procs.clib.setns, fd, 0)


def _give_up_rights() -> None:
    """Drops the rights that come with entering, for good.

    From here until it executes something else, nobody inside may trace the process, or read what it holds open: it is a
    copy of the runner.
    """
    import ctypes

    libc = procs.clib
    _call(libc.prctl, _PR_SET_DUMPABLE, 0, 0, 0, 0)
    for capability in range(64):
        if libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            break  # there are no more
    libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
    _call(libc.prctl, _PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _call(libc.capset, header, (ctypes.c_uint32 * 6)())


def probe(spec: Dict[str, Any], folder: str) -> None:
    """Makes a sandbox and runs a command in it, for whoever wants to know whether that works here.

    Raises:
        SandboxError, OSError: it does not.
    """
    procs.become_subreaper()
    sandbox = Sandbox(spec, folder, folder, dict(os.environ), {})
    pid = sandbox.spawn(lambda: os.execv("/bin/sh", ["/bin/sh", "-c", "test -w . && test ! -w /usr"]))
    _, status = os.waitpid(pid, 0)
    if status:
        raise SandboxError("a command in the sandbox ended with status %d" % status)
