"""The benchmarks' own Python environments, below `.cache`: bai-tui and its peers side by side in `bench-venv`, and one
for each program that wants other versions of what we use."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "bench-venv"
PEERS = ("jupyter_server>=2.14,<3", "jupyter_client>=8.6,<9", "ipykernel>=6.29,<8", "pyzmq>=26", "psutil>=6")

_TREE_SITTER = "tree-sitter>=0.25,<0.26"
"""Of 0.26 the text areas of Textual and posting die with a segmentation fault."""

OPTIONAL = (("ray>=2.40,<3",), ("textual-fastdatatable>=0.19,<0.20",), ("textual[syntax]", _TREE_SITTER))
"""Peers that are not to be had everywhere, each installed by itself; a claim says so when its peer is missing."""
PROGRAMS = {
    "posting": ("posting==2.11.1", _TREE_SITTER),
    "harlequin": ("harlequin==2.17.0",),
    "euporie-console": ("euporie==2.10.4",),
}
"""Peers that are programs: command -> what it is installed from, into an environment of its own. Optional as well."""


def python() -> Path:
    """Returns the interpreter of the benchmarks' environment, which it makes at the first call (about a minute)."""
    wanted = repr((PEERS, OPTIONAL, str(ROOT))) + (ROOT / "pyproject.toml").read_text()
    with _made(FOLDER, wanted) as fresh:
        if fresh:
            _install(FOLDER, "--editable", str(ROOT), *PEERS)
            for peer in OPTIONAL:
                _install(FOLDER, *peer, check=False)
    return FOLDER / "bin" / "python"


def program(command: str) -> Path | None:
    """Returns a peer of `PROGRAMS`, installed at the first call; None when it is not to be had here."""
    folder = ROOT / ".cache" / f"bench-{command}"
    with _made(folder, repr(PROGRAMS[command])) as fresh:
        if fresh:
            _install(folder, *PROGRAMS[command], check=False)
    found = folder / "bin" / command
    return found if found.exists() else None


@contextmanager
def _made(folder: Path, wanted: str) -> Iterator[bool]:
    """Holds the lock of an environment; yields whether it is new and empty. Marked as complete when nothing raised."""
    stamp = folder / ".complete"
    digest = hashlib.sha256(wanted.encode()).hexdigest()
    folder.parent.mkdir(exist_ok=True)
    with open(folder.parent / "bench.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fresh = not (stamp.is_file() and stamp.read_text() == digest)
        if fresh:
            print(f"making .cache/{folder.name} (once)", file=sys.stderr)
            venv.create(folder, with_pip=True, clear=True)
        yield fresh
        stamp.write_text(digest)


def _install(folder: Path, *wanted: str, check: bool = True) -> None:
    pip: list[str | Path] = [
        folder / "bin" / "python",
        "-m",
        "pip",
        "install",
        "-qq",
        "--disable-pip-version-check",
        "--no-input",
    ]
    subprocess.run([*pip, *wanted], check=check)


def is_current() -> bool:
    """Returns whether this process runs in that environment."""
    return os.path.realpath(sys.prefix) == os.path.realpath(FOLDER)
