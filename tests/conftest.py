"""What holds for every test: a world of its own (HOME, XDG folders, environment), and nothing left running.

A developer's configuration, keypair, backend or colours never reach a test, and no test reaches them.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("dev", deadline=None)
settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")

pytest_plugins = ["bai_tui.tests.containers.fixtures"]
"""The container engine of the tests: rooms share it, so that it is made once."""

ROOT_VARIABLE = "BAI_TUI_TEST_ROOT"
"""Folder of this test run: short, since the paths of unix sockets end at 107 bytes. Marks our processes as well."""

GONE = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What one meets when a process that is looked at ends meanwhile, or is another user's."""

FOREIGN_PREFIXES = ("BACKEND_", "SORNA_", "BAI_TUI_", "TEXTUAL", "XDG_", "JUPYTER_", "CONDA_", "CUDA_", "NVIDIA_")
FOREIGN_NAMES = (
    "NO_COLOR",
    "FORCE_COLOR",
    "CLICOLOR",
    "CLICOLOR_FORCE",
    "COLORTERM",
    "COLUMNS",
    "LINES",
    "IPYTHONDIR",
    "MPLBACKEND",
    "MPLCONFIGDIR",
    "PAGER",
    "PYTHONSTARTUP",
    "PYTHONUNBUFFERED",
    "VIRTUAL_ENV",
)


def pytest_collection_finish() -> None:
    """Takes what was collected out of the sight of the garbage collector, which else looks through thousands of tests
    again and again while they run: a third of the time of those that start a screen."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 100)


def pytest_configure(config: pytest.Config) -> None:
    """Makes the folder of this run; workers of xdist inherit it."""
    if not hasattr(config, "workerinput"):
        os.environ[ROOT_VARIABLE] = tempfile.mkdtemp(prefix="bt-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(ROOT_VARIABLE), ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Ends what tests left running, detached processes too, and fails the run for it."""
    if hasattr(session.config, "workerinput"):
        return
    left = _processes_below(os.environ[ROOT_VARIABLE])
    for pid, command in left.items():
        print(f"\nleft running by a test: {pid} {command}")  # noqa: T201
        with contextlib.suppress(*GONE):
            os.kill(pid, signal.SIGKILL)
    if left and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty HOME whose XDG folders have their default places; the environment of a plain colour terminal, UTC."""
    folder = Path(tempfile.mkdtemp(prefix="h", dir=os.environ[ROOT_VARIABLE]))
    root = os.environ[ROOT_VARIABLE]
    for name in list(os.environ):
        if (name.startswith(FOREIGN_PREFIXES) or name in FOREIGN_NAMES) and name != "TEXTUAL_SNAPSHOT_TEMPDIR":
            monkeypatch.delenv(name)  # that one is the snapshot plugin's own word to itself
    monkeypatch.setenv(ROOT_VARIABLE, root)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # only tests that ask for one take a GPU of this machine
    time.tzset()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def no_child_left(home: Path) -> Iterator[None]:
    """Fails a test that leaves a child process running (those of fixtures with a wider scope existed before)."""
    before = _children()
    yield
    deadline = time.monotonic() + 5
    while (left := _children() - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    commands = [f"{pid} {_command(pid)}" for pid in left]
    for pid in left:
        with contextlib.suppress(*GONE):
            os.kill(pid, signal.SIGKILL)
    assert not commands, f"the test left child processes running: {commands}"


def _children() -> set[int]:
    """Living children of this process; one that has ended and waits to be reaped does not count."""
    found: set[int] = set()
    for listing in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(*GONE):
            found.update(int(pid) for pid in listing.read_text().split())
    return {pid for pid in found if _alive(pid)}


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return "(ended)"


def _processes_below(root: str) -> dict[int, str]:
    """Processes other than this one whose environment or working directory names `root`."""
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        with contextlib.suppress(*GONE):
            here = os.readlink(folder / "cwd")
            if root in here or os.fsencode(root) in (folder / "environ").read_bytes():
                pid = int(folder.name)
                if _alive(pid):
                    found[pid] = _command(pid)
    return found
