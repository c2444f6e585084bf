"""Claim 17: finding images does not delay the readiness of a backend, and what was found once is known at the next."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Sequence
from pathlib import Path

from bai_tui.app.client.api import ApiClient
from bai_tui.app.config import Paths
from bai_tui.app.local import running_backend

from .harness import Claim, Sample
from .ours import COMMAND, environ

LIST, READY = "list complete", "ready"
FIRST, LATER = "first start", "later start"
ALONE = "one interpreter only"
OURS = f"{LIST}, {LATER}"
PEER = "`uv python list`, nothing known"
DELAY = 1.1
"""Readiness with many interpreters may take so many times that with one; less than the spread of either."""


def _environments(folder: Path, count: int) -> Sequence[Path]:
    """Makes virtual environments, each with an interpreter that has to be asked what it is; returns their folders of
    commands."""
    for number in range(count):
        venv.create(folder / f"env-{number:03d}", with_pip=False, symlinks=True)
    return sorted(folder.glob("*/bin"))


async def _start(home: Path, places: Sequence[Path]) -> tuple[float, float, int]:
    """Starts a backend and stops it again; returns what it took in ms: to ready, to the whole list of images; and how
    many interpreters are in it."""
    # The user's own interpreters are left out, which differ from machine to machine; the system's are in every case.
    variables = {**environ(home), "PATH": os.pathsep.join(map(str, places)), "PYENV_ROOT": str(home / "none")}
    folders = (home / part / "bai-tui" for part in (".config", ".local/share", ".local/state", ".cache"))

    def command(*words: str) -> None:
        done = subprocess.run([COMMAND, *words], env=variables, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(f"bai-tui {' '.join(words)}: {done.stderr or done.stdout}")

    began = time.perf_counter()
    await asyncio.to_thread(command, "serve", "--detach", "--port", "0")
    ready = time.perf_counter()
    try:
        endpoint = running_backend(Paths(*folders))
        if endpoint is None:
            raise RuntimeError(f"no backend runs below {home}")
        async with ApiClient(endpoint) as client:
            images = await client.images()
        listed = time.perf_counter()
    finally:
        await asyncio.to_thread(command, "serve", "--stop")
    return (ready - began) * 1e3, (listed - ready) * 1e3, len(images)


def _ask_uv(uv: str, home: Path, places: Sequence[Path]) -> float:
    variables = {**environ(home), "PATH": os.pathsep.join(map(str, places)), "UV_PYTHON_DOWNLOADS": "never"}
    words = [uv, "python", "list", "--only-installed", "--all-versions", "--no-cache", "--offline"]
    began = time.perf_counter()
    subprocess.run(words, env=variables, capture_output=True, check=True, timeout=60)
    return (time.perf_counter() - began) * 1e3


def _uv() -> str | None:
    """Returns uv, which comes with bai-tui or is on PATH."""
    own = Path(sys.prefix) / "bin" / "uv"
    return str(own) if own.exists() else shutil.which("uv")


async def measure(home: Path, *, interpreters: int, rounds: int) -> Claim:
    """Starts backends in homes of their own, with no session, and asks each for its images once."""
    many = await asyncio.to_thread(_environments, home / "environments", interpreters)
    few, uv = many[:1], _uv()
    values: dict[str, list[float]] = {}
    found = 0
    for number in range(-1, rounds):  # the first round warms up
        for places, which in ((many, ""), (few, f", {ALONE}")):
            new = home / f"{len(places)}-{number}"
            new.mkdir()
            for start in (FIRST, LATER):
                ready_ms, list_ms, count = await _start(new, places)
                if number >= 0:
                    values.setdefault(f"{LIST}, {start}{which}", []).append(list_ms)
                    values.setdefault(f"{READY}, {start}{which}", []).append(ready_ms)
                found = max(found, count)
            if uv and places is many and number >= 0:
                values.setdefault(PEER, []).append(await asyncio.to_thread(_ask_uv, uv, new, places))
    if found <= interpreters // 2:
        raise RuntimeError(f"of {interpreters} interpreters only {found} were found")
    claim = Claim(
        title=f"17. Finding images, {interpreters} interpreters",
        unit="ms",
        how=(
            "`bai-tui serve --detach` in a HOME of its own, whose PATH leads to virtual environments only; "
            "ready: that command has returned. List complete: from then on until the list of images has been "
            "answered, which waits for the look over the machine. The first start has to ask each interpreter what "
            "it is."
        ),
        samples=[Sample(name, tuple(one)) for name, one in sorted(values.items())],
        ours=OURS,
    )
    for start in (FIRST, LATER):
        one = claim.sample(f"{READY}, {start}, {ALONE}").median
        ratio = claim.sample(f"{READY}, {start}").median / one
        goal = f"{READY}, {start}: at most {DELAY:g} times that with {ALONE}: {ratio:.2f} times"
        claim.goals.append((goal, ratio <= DELAY))
    claim.goal_at_most(250)
    claim.notes.append(f"{found} images are in the list.")
    if not uv:
        claim.notes.append("NOT MEASURED beside `uv python list`: uv is not here.")
    return claim
