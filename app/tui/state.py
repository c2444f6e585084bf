"""What the TUI remembers from start to start, per endpoint: the editor's text and file, cursor, session, theme.

`tui.json` holds everything but the text, which lies beside it in a draft of its own. Files are written whole and
swapped in, so that a crash leaves the old or the new one. Nothing here raises for a file that is not what it should
be: the program then starts as at the first time.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import threading
import zlib
from dataclasses import asdict, dataclass, fields
from pathlib import Path

log = logging.getLogger(__name__)

_VERSION = 1


@dataclass(slots=True)
class Remembered:
    """What is restored."""

    text: str | None = None
    """The editor's text; None = never started before."""
    file: str = ""
    """Path of the open file; empty = none."""
    changed: bool = False
    """The text differs from the file."""
    row: int = 0
    column: int = 0
    session: str = ""
    """Id of the selected session."""
    theme: str = ""
    map: str = ""
    """`shown` or `hidden` as the user wants it; empty = where it has room."""
    map_lines: int = 0
    """Height of the map when it was seen last: it has its place from the first frame on."""


class StateFile:
    """The remembered things of one endpoint.

    Args:
        folder: `Paths.state`.
        place: What tells endpoints apart: `local`, or a URL.
    """

    def __init__(self, folder: Path, place: str) -> None:
        self._folder = folder
        self._place = place
        self._file = folder / "tui.json"
        safe = "".join(char if char.isalnum() else "-" for char in place)[:80]
        self._draft = folder / f"draft-{safe}-{zlib.crc32(place.encode()):08x}.py"
        self._saved: Remembered | None = None
        self._saving = threading.Lock()
        """Leaving saves while a save that a thread does now and then may be under way."""

    def load(self) -> Remembered:
        """Reads what was remembered; all defaults where nothing was, or where it cannot be read."""
        found = Remembered()
        entry = self._all().get(self._place)
        if isinstance(entry, dict):
            for field in fields(Remembered):
                value = entry.get(field.name)
                default = getattr(found, field.name)
                if field.name != "text" and isinstance(value, type(default)):
                    setattr(found, field.name, value)
        try:
            found.text = self._draft.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            if not isinstance(error, FileNotFoundError):
                log.warning("the draft %s cannot be read: %s", self._draft, error)
        return found

    def save(self, state: Remembered) -> None:
        """Writes what changed since the last call.

        Raises:
            OSError: the folder cannot be written.
        """
        with self._saving:
            self._save(state)

    def _save(self, state: Remembered) -> None:
        if state == self._saved:
            return
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if state.text is not None and (self._saved is None or self._saved.text != state.text):
            _write(self._draft, state.text)
        everything = self._all()
        entry = asdict(state)
        del entry["text"]
        everything[self._place] = entry
        _write(self._file, json.dumps({"version": _VERSION, "endpoints": everything}, indent=1))
        self._saved = state

    def _all(self) -> dict[str, object]:
        try:
            body = json.loads(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            log.warning("%s cannot be read and is begun anew: %s", self._file, error)
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
