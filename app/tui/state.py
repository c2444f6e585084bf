"""What the TUI remembers from start to start, per endpoint.

Each part of the program has a dataclass of its own for what it wants to find again (a *section*); this module keeps
them in `tui.json`, and longer texts in files of their own beside it. Files are written whole and swapped in, so that
a crash leaves the old or the new one. Nothing here raises for a file that is not what it should be: the program then
starts as at the first time.
"""

from __future__ import annotations

import contextlib
import copy
import json
import logging
import os
import threading
import zlib
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeVar, cast

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    class Section(DataclassInstance, Protocol):
        """A dataclass of plain values (numbers, text, booleans, lists and mappings of them), all with defaults."""

        SECTION: ClassVar[str]
        """Its name in the file."""


log = logging.getLogger(__name__)
S = TypeVar("S", bound="Section")

_VERSION = 2


class Memory:
    """The remembered things of one endpoint.

    Args:
        folder: `Paths.state`; None = nothing is remembered beyond this run.
        place: What tells endpoints apart: `local`, or a URL.
    """

    def __init__(self, folder: Path | None, place: str) -> None:
        self._folder = folder
        self._place = place
        safe = "".join(char if char.isalnum() else "-" for char in place)[:80]
        self._stem = f"draft-{safe}-{zlib.crc32(place.encode()):08x}"
        self._sections: dict[str, Section] = {}
        self._texts: dict[str, str] = {}
        self._unsaved: set[str] = set()
        """Names of texts that changed since they were written."""
        self._saved: dict[str, Any] | None = None
        self._saving = threading.Lock()
        """Leaving saves while a save that a thread does now and then may be under way."""
        entry = self._all().get(place)
        self._found: dict[str, Any] = entry if isinstance(entry, dict) else {}

    def of(self, kind: type[S]) -> S:
        """Returns the one section of that kind: what is changed in it is saved."""
        section = self._sections.get(kind.SECTION)
        if section is None:
            section = self._sections[kind.SECTION] = kind()
            # the first version of the file had no sections
            found = self._found.get(kind.SECTION, self._found)
            for field in fields(kind) if isinstance(found, dict) else ():
                value, default = found.get(field.name), getattr(section, field.name)
                if isinstance(value, type(default)) and isinstance(value, bool) == isinstance(default, bool):
                    setattr(section, field.name, copy.deepcopy(value))
        return cast("S", section)

    def text(self, name: str) -> str | None:
        """Returns a text that was kept, None when there is none."""
        if name in self._texts:
            return self._texts[name]
        if self._folder is None:
            return None
        try:
            text = self._texts[name] = self._path(name).read_text(encoding="utf-8", errors="surrogateescape")
            return text
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("the draft %s cannot be read: %s", self._path(name), error)
            return None

    def keep_text(self, name: str, text: str) -> None:
        """Keeps a text under a name (letters, digits, dots) until it is forgotten."""
        self._texts[name] = text
        self._unsaved.add(name)

    def forget_text(self, name: str) -> None:
        """Removes a text that was kept."""
        self._texts.pop(name, None)
        self._unsaved.discard(name)
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._path(name).unlink()

    def save(self) -> None:
        """Writes what changed since the last call; blocks, and may be called from a thread.

        Raises:
            OSError: the folder cannot be written.
        """
        if self._folder is None:
            return
        with self._saving:
            unsaved, self._unsaved = self._unsaved, set()
            if unsaved:
                self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            for name in unsaved:
                if (text := self._texts.get(name)) is not None:
                    _write(self._path(name), text)
            entry = {name: asdict(section) for name, section in list(self._sections.items())}
            if entry == self._saved:
                return
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            everything = self._all()
            before = everything.get(self._place)
            kept = (
                {key: value for key, value in before.items() if isinstance(value, dict)}
                if isinstance(before, dict)
                else {}
            )
            everything[self._place] = kept | entry
            _write(self._folder / "tui.json", json.dumps({"version": _VERSION, "endpoints": everything}, indent=1))
            self._saved = copy.deepcopy(entry)

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{self._stem}{name}"

    def _all(self) -> dict[str, Any]:
        if self._folder is None:
            return {}
        file = self._folder / "tui.json"
        try:
            body = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read and is begun anew: %s", file, error)
            return {}
        endpoints = body.get("endpoints") if isinstance(body, dict) else None
        return endpoints if isinstance(endpoints, dict) else {}


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
        temporary.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
