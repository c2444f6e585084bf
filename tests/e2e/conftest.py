"""The official client of 2023 in an environment of its own, and a real backend in a world of its own."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CLIENT = ROOT / ".cache" / "official-client"
"""Where `./dev official-client` puts it, too."""
PINS = ("backend.ai-client==23.9.10", "backend.ai-cli==23.9.10", "yarl<1.10", "setuptools<81")
OUTSIDE = dict(os.environ)
"""The environment before any test got a world of its own: packages are installed with the user's settings."""
RUN_S = 90
"""The first start of the client takes seconds, on a loaded machine a dozen."""


def _python311() -> str | None:
    here = sys.version_info[0], sys.version_info[1]
    if here == (3, 11):
        return sys.executable
    return shutil.which("python3.11", path=OUTSIDE.get("PATH"))


@pytest.fixture(scope="session")
def client() -> Path:
    """The path of `backend.ai`; installed once per checkout."""
    program, complete = CLIENT / "bin" / "backend.ai", CLIENT / ".complete"
    CLIENT.parent.mkdir(exist_ok=True)
    with open(CLIENT.parent / "official-client.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if complete.exists() and program.exists():
            return program
        python = _python311()
        if python is None:
            pytest.skip("the official client 23.9.10 needs Python 3.11, which is not here")
        subprocess.run([python, "-m", "venv", "--clear", str(CLIENT)], check=True, env=OUTSIDE)
        pip = [str(CLIENT / "bin" / "python"), "-m", "pip", "install", "-qq", "--no-input"]
        subprocess.run([*pip, "--disable-pip-version-check", *PINS], check=True, env=OUTSIDE)
        complete.touch()
        return program


@dataclass(frozen=True)
class Backend:
    """A running daemon and the ways to talk to it."""

    home: Path
    variables: Mapping[str, str]
    client: Path

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in OUTSIDE.items() if not name.startswith(("BACKEND_", "SORNA_", "XDG_"))}
        mark = {name: value for name, value in os.environ.items() if name.startswith("BAI_TUI_TEST")}
        return {**kept, **mark, "HOME": str(self.home), "TERM": "dumb", "PYTHONUNBUFFERED": "1"}

    def ours(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bai_tui", *arguments],
            env=self._environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )

    def official(self, *arguments: str, typed: str = "", cwd: Path | None = None) -> str:
        """Runs `backend.ai` and returns all that it printed, in order; its exit codes lie and are not looked at."""
        done = subprocess.run(
            [str(self.client), *arguments],
            env={**self._environment(), **self.variables},
            cwd=cwd or self.home,
            input=typed,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=RUN_S,
        )
        assert "Traceback" not in done.stdout, done.stdout
        return done.stdout

    def popen(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(self.client), *arguments],
            env={**self._environment(), **self.variables},
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="session")
def backend(client: Path) -> Iterator[Backend]:
    """A daemon with one mock GPU and a HOME of its own; everything of it is gone afterwards."""
    home = Path(tempfile.mkdtemp(prefix="e", dir=os.environ["BAI_TUI_TEST_ROOT"]))
    bare = Backend(home, {}, client)
    started = bare.ours("serve", "--detach", "--port", "0", "--mock-gpus", "1")
    try:
        assert started.returncode == 0, started.stderr
        exports = [line.removeprefix("export ") for line in bare.ours("env").stdout.splitlines()]
        variables = dict(line.split("=", 1) for line in exports)
        yield Backend(home, variables, client)
    finally:
        stopped = bare.ours("serve", "--stop", "--kill-sessions")
    assert stopped.returncode == 0, stopped.stderr
    shutil.rmtree(home, ignore_errors=True)
