"""Files that users write by hand: whether they are other than they were when they were read."""

from __future__ import annotations

import os
from pathlib import Path

_Mark = tuple[tuple[str, int, int, int], ...]


class Written:
    """A file, or a folder with the files right in it; neither need exist. Reads names, sizes and times."""

    def __init__(self, place: Path | None) -> None:
        self._place = place
        self._mark: _Mark | None = None

    def note(self) -> None:
        """Keeps how it is now. To be called before it is read: what is written meanwhile counts as a change then."""
        self._mark = self._now()

    @property
    def changed(self) -> bool:
        """Whether it is other than it was when that was noted; never before that."""
        return self._mark is not None and self._mark != self._now()

    def _now(self) -> _Mark:
        if self._place is None:
            return ()
        try:
            with os.scandir(self._place) as entries:
                return tuple(sorted(_mark_of(entry.name, entry.path) for entry in entries))
        except NotADirectoryError:
            return (_mark_of(self._place.name, os.fspath(self._place)),)
        except OSError:
            return ()


def _mark_of(name: str, path: str) -> tuple[str, int, int, int]:
    try:
        status = os.stat(path)  # noqa: PTH116 - without a Path for each file
    except OSError:
        return name, 0, 0, 0
    return name, status.st_mtime_ns, status.st_size, status.st_ino
