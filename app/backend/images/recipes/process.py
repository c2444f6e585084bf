"""An installer as a process that leaves nothing behind: its lines, its end, and the end of all that it started."""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import os
import re
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from .output import clean

BUILD_VARIABLE = "BAI_TUI_BUILD"
"""Says in the environment of each process of a build which one it is, so that it is found when its starter is gone."""
_KEPT_LINES = 200
_LARGEST_LOG_BYTES = 16 << 20
_LONGEST_LINE = 1 << 16
_PROC = Path("/proc")


class Log:
    """A file of mode 0600 with what the installers of one build were told and said. A full disk does not stop it."""

    def __init__(self, file: Path) -> None:
        """Opens it anew.

        Raises:
            OSError: it cannot be written.
        """
        self.file = file
        self._stream: BinaryIO = os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", 0)
        self._left_bytes = _LARGEST_LOG_BYTES

    def write(self, lines: Sequence[str]) -> None:
        """Adds lines; those beyond the largest size are dropped."""
        data = "".join(f"{line}\n" for line in lines).encode(errors="replace")[: self._left_bytes]
        self._left_bytes -= len(data)
        with contextlib.suppress(OSError):
            self._stream.write(data)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._stream.close()


async def run(
    words: Sequence[str], environ: Mapping[str, str], build: str, log: Log, hear: Callable[[str], None]
) -> tuple[int, Sequence[str]]:
    """Runs a command in a session of its own to its end; returns its exit code and what it said at last.

    Cancelled, it and everything that it started is killed.

    Args:
        build: the mark by which `end_build` finds what is left of it.
        hear: gets each line, clean, in the event loop.

    Raises:
        OSError: it cannot be started.
    """
    await asyncio.to_thread(log.write, [clean(f"$ {' '.join(words)}")])
    process = await asyncio.create_subprocess_exec(
        *words,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd="/",
        env={**environ, BUILD_VARIABLE: build},
        start_new_session=True,
    )
    said: deque[str] = deque(maxlen=_KEPT_LINES)
    try:
        assert process.stdout is not None
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        rest = ""
        while chunk := await process.stdout.read(1 << 16):
            *whole, rest = re.split(r"[\r\n]+", rest + decoder.decode(chunk))
            if len(rest) > _LONGEST_LINE:
                whole, rest = [*whole, rest], ""
            lines = [line for one in whole if (line := clean(one))]
            await asyncio.to_thread(log.write, lines)
            for line in lines:
                said.append(line)
                hear(line)
        if line := clean(rest):
            said.append(line)
        code = await process.wait()
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await asyncio.shield(process.wait())
    await asyncio.to_thread(log.write, [*([line] if rest else []), f"# exit code {code}"])
    return code, list(said)


def end_build(build: str) -> None:
    """Kills every process of a build that is left, whoever started it. Reads /proc: use it in a thread."""
    mark = f"{BUILD_VARIABLE}={build}".encode()
    for _ in range(100):  # what is killed may have started another one in between
        left = [pid for pid, text in _texts("environ") if mark in text.split(b"\0")]
        for pid in left:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if not left:
            return


def runs_in(folder: Path) -> bool:
    """Whether a process runs a program of `folder`, such as the kernel of a session. Reads /proc."""
    start = f"{folder}/".encode()
    return any(word.startswith(start) for _, text in _texts("cmdline") for word in text.split(b"\0"))


def _texts(name: str) -> list[tuple[int, bytes]]:
    texts = []
    for entry in os.listdir(_PROC):  # noqa: PTH208 - names, without a Path for each of thousands
        if entry.isdecimal() and int(entry) != os.getpid():
            with contextlib.suppress(OSError):  # it ended, or it is somebody else's
                texts.append((int(entry), (_PROC / entry / name).read_bytes()))
    return texts
