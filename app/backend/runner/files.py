"""What the runner keeps in the session's folder: journal, socket, who it is, and how it ended."""

import json
import os
import shutil
import socket
import sys
import time
from typing import Any, Dict, Optional

from . import procs
from .journal import Journal
from .wire import Folder

SOCKET = "runner.sock"
RUNNER = "runner.json"
EXIT = "exit.json"
JOURNAL = "journal"
LOG = "runner.log"
JUPYTER = "jupyter"
"""The folder of a Jupyter kernel's sockets."""


def private(path: str, flags: int) -> int:
    """Opens a file that is for its owner only, whatever the umask: an opener for `open`."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)


class SessionFiles:
    """The open files of a session. `session_dir` is of mode 0700, which guards the socket."""

    def __init__(self, session_id: str, session_dir: str, journal_bytes: int) -> None:
        self.session_id = session_id
        self.session_dir = session_dir
        self.exit: Optional[Dict[str, Any]] = None
        """What `finish` writes as the end; None = the runner gave up by itself."""
        self.journal = Journal(os.path.join(session_dir, JOURNAL), journal_bytes)
        folder = Folder(session_dir)
        try:
            self.listener = socket.socket(socket.AF_UNIX)
            try:
                os.unlink(os.path.join(session_dir, SOCKET))
            except FileNotFoundError:
                pass
            self.listener.bind(folder.address(SOCKET))
            os.chmod(os.path.join(session_dir, SOCKET), 0o600)
            self.listener.listen(16)
            self.listener.setblocking(False)
        finally:
            folder.close()
        log = os.open(os.path.join(session_dir, LOG), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.close(log)

    @property
    def can_be_found(self) -> bool:
        """Whether the socket is still where backends look for it."""
        return os.path.exists(os.path.join(self.session_dir, SOCKET))

    def _write(self, name: str, value: Dict[str, Any]) -> None:
        path = os.path.join(self.session_dir, name)
        try:
            with open(path + ".new", "w", opener=private) as file:
                json.dump(value, file)
            os.replace(path + ".new", path)
        except OSError as exc:
            try:
                os.unlink(path + ".new")  # a full disk has taken a part of it, or only its name
            except OSError:
                pass
            try:
                sys.stderr.write("%s cannot be written: %s\n" % (path, exc))
            except OSError:
                pass  # the log is on the same full disk: no reason to end the session

    def write_script(self, name: str, text: str) -> str:
        """Writes an executable file; returns its path."""
        path = os.path.join(self.session_dir, name)
        with open(path, "w", encoding="utf-8", opener=private) as file:
            file.write(text if text.startswith("#!") else "#!/bin/sh\n" + text)
        os.chmod(path, 0o700)
        return path

    def write_runner(self, pid: int, kernel_pid: int, kernel_start_time: int, kept: Dict[str, Any]) -> None:
        """Notes who is running, for a backend that was killed before it could, and for whoever looks for leftovers.

        `kept` is the backend's own, which it wants to find there.
        """
        known = {
            "session_id": self.session_id,
            "pid": pid,
            "start_time": procs.start_time(pid),
            "boot": procs.boot(),
            "kernel_pid": kernel_pid,
            "kernel_start_time": kernel_start_time,
        }
        self._write(RUNNER, dict(kept, **known))

    def finish(self) -> None:
        """Notes how the session ended; the socket is closed."""
        self.journal.close()
        end = self.exit or {"code": None, "reason": "the launch was given up"}
        self._write(EXIT, dict(end, time=time.time()))
        self.listener.close()
        shutil.rmtree(os.path.join(self.session_dir, JUPYTER), True)
        try:
            os.unlink(os.path.join(self.session_dir, SOCKET))
        except OSError:
            pass
