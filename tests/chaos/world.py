"""A HOME of its own with a real daemon in it, and the rude things that can be done to the processes there."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import re
import select
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bai_tui.app.backend.runner import procs
from bai_tui.app.config import Paths
from bai_tui.app.local import RunningBackend, read_running, running_backend
from bai_tui.app.model.endpoint import Endpoint

_START_S: Final = 40.0
_COMPLAINTS: Final = re.compile(r"Traceback|never retrieved|was destroyed but it is pending|never awaited|CRITICAL")
_AFTER: Final = 14
_GONE: Final = (FileNotFoundError, ProcessLookupError, PermissionError)


def wait_for_end(pid: int, within_s: float = 15.0) -> bool:
    """Waits until a process has ended; False when it lives on. Blocks."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([fd], [], [], within_s)[0])
    finally:
        os.close(fd)


@dataclass
class World:
    """One user of one machine."""

    home: Path
    settings: str
    """Text of `config.toml`."""

    def __post_init__(self) -> None:
        base = self.home
        self.paths = Paths(
            config=base / ".config/bai-tui",
            data=base / ".local/share/bai-tui",
            state=base / ".local/state/bai-tui",
            cache=base / ".cache/bai-tui",
        )
        self._seen: dict[int, int] = {}
        self.paths.config.mkdir(parents=True)
        (self.paths.config / "config.toml").write_text(self.settings)

    def environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("BACKEND_", "XDG_", "BAI_TUI_DEBUG")) and name != procs.MARKER
        }
        return {**kept, "HOME": str(self.home), "TERM": "dumb", "CUDA_VISIBLE_DEVICES": ""}

    # --- the daemon

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts `bai-tui ARGUMENTS`."""
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "bai_tui", *arguments],
            env=self.environment(),
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    async def call(self, *commands: tuple[str, ...]) -> list[tuple[int, str, str]]:
        """Runs `bai-tui` commands at the same time; returns exit code, stdout and stderr of each."""
        processes = [self.command(*command) for command in commands]
        try:
            said = await asyncio.gather(*(asyncio.to_thread(one.communicate, timeout=_START_S) for one in processes))
        finally:
            for one in processes:
                if one.poll() is None:
                    one.kill()
                    one.wait()
        return [(one.returncode, out, err) for one, (out, err) in zip(processes, said, strict=True)]

    def running(self) -> RunningBackend | None:
        return read_running(self.paths)

    def endpoint(self) -> Endpoint | None:
        return running_backend(self.paths)

    def daemons(self) -> list[int]:
        """Returns the pids of all backends of this world."""
        return [pid for pid in self.processes() if b"--ready-fd" in _read(pid, "cmdline").split(b"\0")]

    def signal_daemon(self, number: int, *, wait: bool = True) -> int | None:
        """Sends a signal to the daemon; returns its pid, None when there is none. Waits for its end where asked."""
        found = self.running()
        if found is None:
            return None
        self.children()
        procs.send_signal(found.pid, number)
        if wait and not wait_for_end(found.pid):
            raise AssertionError(f"the daemon {found.pid} did not end after signal {number}")
        return found.pid

    def children(self) -> list[int]:
        """Returns the processes below the daemon, and remembers them."""
        backend = self.running()
        found = procs.descendants(backend.pid) if backend is not None else []
        self._seen.update((pid, procs.start_time(pid)) for pid in found)
        return found

    # --- sessions

    def folder(self, session_id: str) -> Path:
        return self.paths.state / "sessions" / session_id

    def written(self) -> dict[str, str]:
        """Returns session id -> status as the database has it, whatever the daemon says."""
        with contextlib.closing(
            sqlite3.connect(f"file:{self.paths.data / 'bai-tui.db'}?mode=ro", uri=True)
        ) as database:
            return dict(database.execute("SELECT id, status FROM sessions"))

    def runner(self, session_id: str) -> Mapping[str, Any] | None:
        """Returns what the runner of a session says of itself and its kernel, None when there is none alive."""
        try:
            said: dict[str, Any] = json.loads((self.folder(session_id) / "runner.json").read_bytes())
        except (OSError, ValueError):
            return None
        return said if procs.is_alive(int(said["pid"]), int(said["start_time"])) else None

    # --- what is left

    def processes(self, session_ids: Iterable[str] = ()) -> dict[int, str]:
        """Returns pid -> command line of every living process that is known to be of this world.

        Those with its HOME, in its folders, marked with one of the sessions, or once seen below a daemon (zygotes have
        nothing of the others).
        """
        marks = [f"HOME={self.home}".encode(), *(f"{procs.MARKER}={one}".encode() for one in session_ids)]
        found = {}
        for pid in procs.table():
            if pid == os.getpid():
                continue
            variables = set(_read(pid, "environ").split(b"\0"))
            ours = any(mark in variables for mark in marks) or _cwd(pid).startswith(str(self.home))
            if ours or procs.is_alive(pid, self._seen.get(pid, -1)):
                found[pid] = _read(pid, "cmdline").replace(b"\0", b" ").decode(errors="replace").strip()
        return found

    def groups(self) -> list[Path]:
        """Returns the control groups of this world's sessions."""
        owner = hashlib.sha256(str((self.paths.state / "engine").absolute()).encode()).hexdigest()[:8]
        folders = (Path(folder) for folder, _, _ in os.walk("/sys/fs/cgroup"))
        return [folder for folder in folders if folder.name.startswith(f"bai-tui-{owner}")]

    def litter(self) -> list[str]:
        """Returns the files that should not be there once every session has ended and no daemon runs."""
        found = []
        sessions = self.paths.state / "sessions"
        for path in sorted(self.home.rglob("*")):
            mode = path.lstat().st_mode
            if stat.S_ISSOCK(mode) or stat.S_ISFIFO(mode):
                found.append(f"{path} (a socket or pipe)")
            elif path.name.endswith((".new", ".tmp")):
                found.append(f"{path} (half written)")
            elif sessions in path.parents and stat.S_ISREG(mode):
                inside = path.relative_to(sessions).parts[1:]
                if inside[:1] == ("work",):
                    found.append(f"{path} (of a work folder)")
        found += [f"{folder} (a work folder)" for folder in sessions.glob("*/work")]
        if (self.paths.state / "serve.json").exists():
            found.append("serve.json")
        return found

    def complaints(self) -> list[str]:
        """Returns the lines that no daemon and no runner should write into its log, with those after them."""
        found = []
        for file in [*sorted(self.paths.state.glob("serve.log*")), *self.paths.state.glob("sessions/*/runner.log")]:
            lines = file.read_text(errors="replace").splitlines()
            for number, line in enumerate(lines, 1):
                if _COMPLAINTS.search(line):
                    name = file.relative_to(self.paths.state)
                    found += [f"{name}:{number}: {each}" for each in lines[number - 1 : number + _AFTER]]
        return found

    def descriptors(self) -> Counter[str]:
        """Returns how many descriptors of each kind the daemon has open."""
        backend = self.running()
        assert backend is not None
        kinds: Counter[str] = Counter()
        folder = Path(f"/proc/{backend.pid}/fd")
        for name in os.listdir(folder):
            with contextlib.suppress(*_GONE):
                kinds[_kind(os.readlink(folder / name), self.home)] += 1
        return kinds

    def zombies(self) -> list[int]:
        """Returns the children of the daemon that it has not reaped."""
        backend = self.running()
        if backend is None:
            return []
        return [pid for pid in _all_pids() if (s := procs.stat(pid)) and s.ppid == backend.pid and s.state == "Z"]

    def end_everything(self, session_ids: Iterable[str] = ()) -> None:
        """Kills whatever runs in this world, and what is marked with one of the sessions."""
        ids = list(session_ids)
        self.children()
        for _ in range(20):
            left = self.processes(ids)
            if not left:
                return
            for pid in left:
                procs.send_signal(pid, signal.SIGCONT)
                procs.send_signal(pid, signal.SIGKILL)
            time.sleep(0.05)  # what was killed takes a moment to be gone


def _all_pids() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())


def _kind(target: str, home: Path) -> str:
    target = target.replace(str(home), "~")
    target = re.sub(r"sessions/[0-9a-f-]{36}", "sessions/ID", target)
    return re.sub(r"[0-9]{3,}", "N", target)


def _cwd(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _read(pid: int, name: str) -> bytes:
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""
