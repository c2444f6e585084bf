"""Claim 5: from exec of `bai-tui` to the first painted list, in a terminal."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from pathlib import Path

from . import environment
from .harness import Case, Claim, interleave
from .ours import COMMAND, Backend

OURS, PEER = "bai-tui", "minimal Textual app"
SESSION = "first-row-of-the-list"
COLUMNS, ROWS = 120, 40
LIMIT_S = 60.0
PROGRAMS = {
    "posting": ((), "Collection"),
    "harlequin": (("--locale", ""), "Data Catalog"),
    "euporie-console": ((), "In ["),
}
"""Peers beside ours: arguments without which a question covers the screen, and words of their first full frame."""


def time_to_text(argv: list[str], environ: dict[str, str], text: str) -> float:
    """Starts `argv` in a new terminal; returns the milliseconds until `text` has been painted. Ends it then.

    Raises:
        RuntimeError: it ended, or `LIMIT_S` passed, before that.
    """
    wanted, seen = text.encode(), b""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execve(argv[0], argv, environ)
    try:
        while wanted not in seen:
            left = began + LIMIT_S - time.perf_counter()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                raise RuntimeError(f"{argv[0]} painted no {text!r} within {LIMIT_S:g} s: {seen[-500:]!r}")
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                raise RuntimeError(f"{argv[0]} ended without painting {text!r}: {seen[-500:]!r}") from None
        return (time.perf_counter() - began) * 1e3
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


async def measure(ours: Backend, *, rounds: int) -> Claim:
    """The backend runs and has one session, whose name is what the list must show."""
    session = await ours.create(SESSION)
    environ = {
        "HOME": str(ours.home),
        "PATH": os.environ["PATH"],
        "TERM": "xterm-256color",
        "COLORTERM": "truecolor",
        "LANG": "C.UTF-8",
    }
    minimal = [sys.executable, str(Path(__file__).with_name("minimal_app.py"))]
    bare = [sys.executable, "-c", "import textual.app; print('imported')"]

    async def start_ours() -> float:
        return await asyncio.to_thread(time_to_text, [str(COMMAND)], environ, SESSION)

    async def start_minimal() -> float:
        return await asyncio.to_thread(time_to_text, minimal, environ, "first-row-of-the-list")

    async def start_import() -> float:
        return await asyncio.to_thread(time_to_text, bare, environ, "imported")

    elsewhere = {**environ, "HOME": str(ours.home / "peers")}
    (ours.home / "peers").mkdir()

    def start(program: Path, arguments: tuple[str, ...], words: str) -> Case:
        async def start_program() -> float:
            return await asyncio.to_thread(time_to_text, [str(program), *arguments], elsewhere, words)

        return start_program

    cases: dict[str, Case] = {OURS: start_ours, PEER: start_minimal, "python and `import textual.app`": start_import}
    missing = []
    for name, (arguments, words) in PROGRAMS.items():
        program = await asyncio.to_thread(environment.program, name)
        if program is None:
            missing.append(name)
        else:
            cases[environment.PROGRAMS[name][0].replace("==", " ")] = start(program, arguments, words)
    try:
        samples = await interleave(cases, rounds, warm_up=2)
    finally:
        await ours.end(session)
    claim = Claim(
        title="5. Start to first painted list",
        unit="ms",
        how=f"From exec in a terminal of {COLUMNS}x{ROWS} until the name of a session has been painted; the backend "
        "runs already. Of the three programs: until words of their own list, catalog or prompt have been. Files are in "
        "the page cache, bytecode is compiled, for all.",
        samples=samples,
        ours=OURS,
    )
    times = claim.sample(OURS).median / claim.sample(PEER).median
    claim.goals.append((f"at most 1.6 times the {PEER}: {times:.2f} times", times <= 1.6))
    claim.goals += [
        (f"before {sample.name}: {claim.ratio(sample.name):.1f} times", claim.ratio(sample.name) >= 1)
        for sample in claim.samples[3:]
    ]
    claim.notes += [f"{name} is not to be had here." for name in missing]
    return claim
