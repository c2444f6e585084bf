"""The benchmarks' own Python environment: bai-tui and its peers side by side, in `.cache/bench-venv`."""

from __future__ import annotations

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "bench-venv"
PEERS = ("jupyter_server>=2.14,<3", "jupyter_client>=8.6,<9", "ipykernel>=6.29,<8", "pyzmq>=26", "psutil>=6")

OPTIONAL = ("ray>=2.40,<3",)
"""Peers that are not to be had everywhere; a claim says so when its peer is missing."""


def python() -> Path:
    """Returns the interpreter of the benchmarks' environment, which it makes at the first call (about a minute)."""
    interpreter = FOLDER / "bin" / "python"
    stamp = FOLDER / ".complete"
    wanted = hashlib.sha256(
        repr((PEERS, OPTIONAL, str(ROOT))).encode() + (ROOT / "pyproject.toml").read_bytes()
    ).hexdigest()
    FOLDER.parent.mkdir(exist_ok=True)
    with open(FOLDER.parent / "bench.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (stamp.is_file() and stamp.read_text() == wanted):
            print("making .cache/bench-venv with the peers (once)", file=sys.stderr)
            venv.create(FOLDER, with_pip=True, clear=True)
            install: list[str | Path] = [
                interpreter,
                "-m",
                "pip",
                "install",
                "-qq",
                "--disable-pip-version-check",
                "--no-input",
            ]
            subprocess.run([*install, "--editable", str(ROOT), *PEERS], check=True)
            subprocess.run([*install, *OPTIONAL], check=False)
            stamp.write_text(wanted)
    return interpreter


def is_current() -> bool:
    """Returns whether this process runs in that environment."""
    return os.path.realpath(sys.prefix) == os.path.realpath(FOLDER)
