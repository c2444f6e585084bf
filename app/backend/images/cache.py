"""What interpreters answered last time, so that they need not be run again."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .interpreters import Candidate
from .probe import Interpreter

_VERSION = 1


class ProbeCache:
    """Answers by file, kept in `interpreters.json`.

    An entry holds as long as the file (real path, time, size) and the folders that it imports from are as they were:
    an IPython that is installed later is noticed. A cache that cannot be read counts as empty, one that cannot be
    written is done without. Reads and writes files: use it in a thread.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "interpreters.json"
        self._entries: dict[str, dict[str, Any]] = {}

    def load(self) -> None:
        """Reads the file."""
        try:
            data = json.loads(self._file.read_bytes())
            if data["version"] == _VERSION:
                self._entries = {str(key): dict(entry) for key, entry in data["entries"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._entries = {}

    def get(self, candidate: Candidate) -> Interpreter | str | None:
        """Returns what it answered, the reason why it is none, or None when it has to be asked."""
        entry = self._entries.get(_key(candidate))
        try:
            if entry is None or entry["file"] != _file_mark(candidate.path):
                return None
            if any(_folder_mark(folder) != mark for folder, mark in entry["folders"].items()):
                return None
            return str(entry["failure"]) if "failure" in entry else Interpreter.parse(entry["answer"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def put(self, candidate: Candidate, answer: Interpreter | str) -> None:
        """Keeps an answer, or the reason why there is none."""
        try:
            entry: dict[str, Any] = {"file": _file_mark(candidate.path), "folders": {}}
        except OSError:
            return
        if isinstance(answer, str):
            entry["failure"] = answer
        else:
            entry["answer"] = answer.dump()
            entry["folders"] = {folder: _folder_mark(folder) for folder in answer.path}
        self._entries[_key(candidate)] = entry

    def save(self, seen: Sequence[Candidate]) -> None:
        """Writes the entries of `seen`, whole or not at all."""
        keys = {_key(candidate) for candidate in seen}
        kept = {key: entry for key, entry in self._entries.items() if key in keys}
        part = self._file.with_suffix(f".{os.getpid()}.part")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.touch(mode=0o600)  # whatever the umask: paths of this user are nobody else's
            part.write_text(json.dumps({"version": _VERSION, "entries": kept}), encoding="utf-8")
            part.replace(self._file)
        except (OSError, UnicodeEncodeError):
            with contextlib.suppress(OSError):
                part.unlink()


def _key(candidate: Candidate) -> str:
    return f"{os.path.realpath(candidate.path)}|{candidate.venv or ''}"


def _file_mark(path: Path) -> list[int]:
    status = path.stat()
    return [status.st_mtime_ns, status.st_size]


def _folder_mark(folder: str) -> int:
    """Returns the time of the last change of a folder's list of files; 0 when there is none."""
    try:
        return os.stat(folder).st_mtime_ns if os.path.isabs(folder) else 0  # noqa: PTH116, PTH117
    except OSError:
        return 0
