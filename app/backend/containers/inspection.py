"""Which Python an image of the container engine has: found out by running it once, and remembered.

Only a look says it: images tell what they are made for, not what is in them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .answers import EngineImage
from .client import ContainerClient
from .errors import ContainerError, EngineGone
from .ulimits import own_ulimits

_VERSION = 1
_RUN_S = 20.0
"""How long a look may take from start to end; the first use of a large image is slow."""
_CLEAR_S = 10.0
_AT_ONCE = 2
_LABEL = "bai-tui.look"
"""On containers that look into an image; its value tells whose."""
_MARK = "bai-tui-look "
_NONE_FOUND = 4
"""The search ends with this."""
_NOT_STARTED = -1
OLDEST = (3, 6)
"""What the runner can work with."""

_SCRIPT = f"""
import json, os, sys
if sys.version_info < {OLDEST}:
    sys.exit(3)
try:
    from importlib.util import find_spec
    ipython = find_spec("IPython") is not None
except Exception:
    ipython = False
print("{_MARK}" + json.dumps({{
    "executable": sys.executable,
    "version": ".".join(map(str, sys.version_info[:3])),
    "implementation": sys.implementation.name,
    "machine": os.uname()[4],
    "ipython": ipython,
}}))
"""
# The search goes on behind one that is too old, is no Python or lacks its library.
_SEARCH = f"""
for one in python3 python python3.14 python3.13 python3.12 python3.11 python3.10 python3.9 python3.8 python3.7 \
python3.6 /usr/local/bin/python3 /usr/bin/python3 /opt/conda/bin/python /opt/*/bin/python3 /usr/libexec/platform-python
do "$one" -I -c "$0" 2>/dev/null && exit
done
exit {_NONE_FOUND}
"""


@dataclass(frozen=True, slots=True)
class PythonInside:
    """The Python of an image that sessions can run in."""

    executable: str
    """Absolute path inside."""
    version: str
    """`3.12.4`"""
    implementation: str
    """`cpython`, `pypy`, ..."""
    machine: str
    """As `uname -m` says it inside."""
    ipython: bool
    """Whether IPython is installed for it."""


class NoPython(ContainerError):
    """No session can run in an image: it has no Python that is new enough, or none that starts here."""


class Inspector:
    """Looks into images, each once: what was found is kept in a file by the image's id."""

    def __init__(self, client: ContainerClient, cache_dir: Path) -> None:
        """Looks at nothing yet.

        Args:
            cache_dir: where answers are kept; made when needed.
        """
        self._client = client
        self._file = cache_dir / "containers.json"
        self._owner = hashlib.sha256(os.fsencode(cache_dir)).hexdigest()[:16]
        self._known: dict[str, PythonInside | str] | None = None
        self._gate = asyncio.Semaphore(_AT_ONCE)
        self._locks: dict[str, asyncio.Lock] = {}

    async def known(self, image_id: str) -> PythonInside | str | None:
        """Returns what an earlier look found, the reason why there is none, or None when nobody looked yet."""
        return (await self._load()).get(image_id)

    async def python(self, image: EngineImage) -> PythonInside:
        """Returns the Python of an image, from memory when somebody looked before; else a container is run, without a
        network, for about as long as starting it takes.

        Safe to cancel: the container is removed.

        Raises:
            NoPython: sessions cannot run in it; remembered.
            ContainerError: it could not be looked into.
        """
        lock = self._locks.setdefault(image.id, asyncio.Lock())
        async with lock:
            found = await self.known(image.id)
            if found is None:
                async with self._gate:
                    found = await self._look(image)
                (await self._load())[image.id] = found
                await asyncio.to_thread(self._save, dict(await self._load()))
        self._locks.pop(image.id, None)
        if isinstance(found, str):
            raise NoPython(found)
        return found

    async def forget_all_but(self, image_ids: Iterable[str]) -> None:
        """Forgets images that are gone, and removes what looks have left that were cut off."""
        known, kept = await self._load(), set(image_ids)
        if gone := known.keys() - kept:
            for image_id in gone:
                del known[image_id]
            await asyncio.to_thread(self._save, dict(known))
        if not self._locks:
            for left in await self._client.containers({_LABEL: self._owner}):
                await self._client.remove(left.id, force=True)

    async def _look(self, image: EngineImage) -> PythonInside | str:
        named = image.labels.get("ai.backend.runtime-path", "")
        try:
            async with asyncio.timeout(_RUN_S):
                for path in filter(None, (named, "python3")):
                    said, _ = await self._run(image, [path, "-I", "-c", _SCRIPT])
                    if isinstance(said, PythonInside):
                        return said
                said, code = await self._run(image, ["sh", "-c", _SEARCH, _SCRIPT])
        except TimeoutError:
            raise ContainerError(f"{_name(image)} does not answer within {_RUN_S:g} s") from None
        if isinstance(said, PythonInside):
            return said
        if "exec format error" in said.lower():
            return f"it is made for {image.architecture or 'another architecture'}, which this machine cannot run"
        if code not in (_NONE_FOUND, _NOT_STARTED):
            raise ContainerError(f"{_name(image)} could not be looked into (exit code {code}): {said}")
        return "it has no Python 3.6 or newer that sessions could run in"

    async def _run(self, image: EngineImage, words: Sequence[str]) -> tuple[PythonInside | str, int]:
        """Runs a command in a container of its own; returns what it found, or says, and its exit code."""
        made = await self._client.create(self._config(image, words))
        try:
            try:
                await self._client.start(made)
            except EngineGone:
                raise
            except ContainerError as exc:
                if not _is_about_the_program(exc):
                    raise
                return exc.message, _NOT_STARTED
            code = await self._client.wait(made)
            return _read(await self._client.output(made)), code
        finally:
            await self._clear(made)

    async def _clear(self, container: str) -> None:
        async def remove() -> None:
            with contextlib.suppress(ContainerError, TimeoutError):
                async with asyncio.timeout(_CLEAR_S):
                    await self._client.remove(container, force=True)

        cleared = asyncio.ensure_future(remove())
        try:
            await asyncio.shield(cleared)
        except asyncio.CancelledError:
            await asyncio.wait([cleared])  # within the time limit of it
            raise

    def _config(self, image: EngineImage, words: Sequence[str]) -> dict[str, Any]:
        return {
            "Image": image.id,
            "Entrypoint": list(words[:1]),
            "Cmd": list(words[1:]),
            "WorkingDir": "/",
            "Labels": {_LABEL: self._owner},
            "NetworkDisabled": True,
            "Healthcheck": {"Test": ["NONE"]},
            "HostConfig": {
                "NetworkMode": "none",
                "ReadonlyRootfs": True,
                "CapDrop": ["ALL"],  # as sessions have it: nobody knows yet what this image runs
                "SecurityOpt": ["no-new-privileges"],
                "Ulimits": [{"Name": name, "Soft": soft, "Hard": hard} for name, (soft, hard) in own_ulimits().items()],
            },
        }

    async def _load(self) -> dict[str, PythonInside | str]:
        if self._known is None:
            known = await asyncio.to_thread(_read_file, self._file)
            if self._known is None:  # else somebody was faster
                self._known = known
        return self._known

    def _save(self, known: dict[str, PythonInside | str]) -> None:
        """Writes the file, whole or not at all; does without when that cannot be."""
        entries = {key: one if isinstance(one, str) else asdict(one) for key, one in known.items()}
        part = self._file.with_suffix(f".{os.getpid()}.part")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.touch(mode=0o600)
            part.write_text(json.dumps({"version": _VERSION, "images": entries}), encoding="utf-8")
            part.replace(self._file)
        except OSError:
            with contextlib.suppress(OSError):
                part.unlink()


def _name(image: EngineImage) -> str:
    return image.tags[0] if image.tags else image.id


def _is_about_the_program(exc: ContainerError) -> bool:
    """Whether a container was not started since its program is not there or cannot be run."""
    text = exc.message.lower()
    words = ("executable file", "no such file or directory", "exec format error", "exec:")
    return "no such container" not in text and any(word in text for word in words)


def _read(output: bytes) -> PythonInside | str:
    text = output.decode(errors="replace")
    _, mark, rest = text.rpartition(_MARK)
    try:
        told = json.loads(rest.splitlines()[0]) if mark else {}
        return _python_of(told)
    except (ValueError, KeyError, TypeError, IndexError):
        return text.strip()[-200:]


def _python_of(told: Any) -> PythonInside:
    executable, version, implementation, machine = texts = [
        told[name] for name in ("executable", "version", "implementation", "machine")
    ]
    if not all(isinstance(text, str) and text for text in texts):
        raise ValueError("this is not what was asked for")
    return PythonInside(executable, version, implementation, machine, bool(told["ipython"]))


def _read_file(file: Path) -> dict[str, PythonInside | str]:
    try:
        data = json.loads(file.read_bytes())
        if data["version"] != _VERSION:
            return {}
        return {str(key): one if isinstance(one, str) else _python_of(one) for key, one in data["images"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}
