"""Asking an interpreter what it is, by running it once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TIMEOUT_S = 10.0
_MOST_OUTPUT = 1 << 18
_MARK = "bai-tui-probe "

SCRIPT = """
import json, os, sys
try:
    from importlib.util import find_spec
    ipython = find_spec("IPython") is not None
except Exception:
    ipython = False
print("\\nMARK" + json.dumps({
    "version": list(sys.version_info),
    "implementation": sys.implementation.name,
    "executable": sys.executable or "",
    "prefix": sys.prefix,
    "abiflags": getattr(sys, "abiflags", ""),
    "machine": os.uname()[4],
    "ipython": ipython,
    "path": sys.path,
}))
""".replace("MARK", _MARK)


@dataclass(frozen=True, slots=True)
class Interpreter:
    """What an interpreter says about itself."""

    version: tuple[int, int, int]
    release: str
    """`final`, or `alpha`, `beta`, `candidate`."""
    implementation: str
    """`cpython`, `pypy`, ..."""
    executable: str
    """Its own path as it knows it; another than the one that was run when that was a wrapper. May be empty."""
    prefix: str
    abiflags: str
    machine: str
    ipython: bool
    """Whether IPython is installed for it."""
    path: tuple[str, ...]
    """Where it imports from."""

    @classmethod
    def parse(cls, data: Any) -> Interpreter:
        """Reads what the script printed or a cache kept.

        Raises:
            ValueError: anything else.
        """
        try:
            major, minor, micro, release = data["version"][:4]
            texts = [data[name] for name in ("implementation", "executable", "prefix", "abiflags", "machine")]
            if not all(isinstance(text, str) for text in [release, *texts, *data["path"]]):
                raise TypeError
            return cls(
                version=(int(major), int(minor), int(micro)),
                release=release,
                implementation=texts[0],
                executable=texts[1],
                prefix=texts[2],
                abiflags=texts[3],
                machine=texts[4],
                ipython=bool(data["ipython"]),
                path=tuple(data["path"]),
            )
        except (KeyError, TypeError, ValueError, IndexError):
            raise ValueError("this is not what a Python interpreter answers") from None

    def dump(self) -> dict[str, Any]:
        """Returns the form that `parse` reads."""
        return {
            "version": [*self.version, self.release],
            "implementation": self.implementation,
            "executable": self.executable,
            "prefix": self.prefix,
            "abiflags": self.abiflags,
            "machine": self.machine,
            "ipython": self.ipython,
            "path": list(self.path),
        }


class ProbeFailed(Exception):
    """It is no interpreter that sessions could run in; `lasting` when it will be so until the file changes."""

    def __init__(self, reason: str, *, lasting: bool) -> None:
        super().__init__(reason)
        self.lasting = lasting


async def probe(path: Path, environ: Mapping[str, str], *, timeout_s: float = TIMEOUT_S) -> Interpreter:
    """Runs the interpreter at `path` once, isolated from the user's own settings for it.

    Safe to cancel: the process and its children are ended.

    Raises:
        ProbeFailed: it does not start, answers something else, or not in time.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            path,
            "-I",  # not known to Python 2, which thereby is left out
            "-c",
            SCRIPT,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd="/",
            env=dict(environ),
            start_new_session=True,
        )
    except OSError as exc:
        raise ProbeFailed(f"{path} cannot be started: {exc.strerror or exc}", lasting=False) from None
    try:
        async with asyncio.timeout(timeout_s):
            output = await _read(process)
            code = await process.wait()
    except TimeoutError:
        raise ProbeFailed(f"{path} did not answer within {timeout_s:g} s", lasting=False) from None
    finally:
        await _end(process)
    answer = output.decode(errors="replace").rpartition(_MARK)
    if code or not answer[1]:
        raise ProbeFailed(f"{path} is no Python 3 that answers (exit code {code})", lasting=True)
    try:
        found = Interpreter.parse(json.loads(answer[2]))
    except ValueError as exc:
        raise ProbeFailed(f"{path}: {exc}", lasting=True) from None
    return found


async def _read(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    output = b""
    while len(output) <= _MOST_OUTPUT and (chunk := await process.stdout.read(1 << 16)):
        output += chunk
    if len(output) > _MOST_OUTPUT:
        raise ProbeFailed("it prints without end", lasting=True)
    return output


async def _end(process: asyncio.subprocess.Process) -> None:
    """Ends what is left of a probe, children of a wrapper too."""
    if process.returncode is not None:
        return
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    transport = getattr(process, "_transport", None)
    if transport is not None:
        transport.close()  # a grandchild that moved away may hold the pipe open
    await asyncio.shield(process.wait())
