"""Copies of files of sessions that are open in the editor: where they lie, and where they came from.

They outlive the program, as the editor's tabs do; where one came from is told by its path alone.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path, PurePosixPath
from typing import Final

_KEPT_S: Final = 14 * 86400
"""Copies of a session that were not touched for so long are removed."""


class Copies:
    """A folder of copies, one folder a session.

    Args:
        state: Folder of what the program remembers; None = copies are kept for this run only.
    """

    def __init__(self, state: Path | None) -> None:
        self._root = state / "session-files" if state is not None else None
        self._swept = False

    def folder_for(self, session_id: str, path: PurePosixPath) -> Path:
        """Returns the folder, which is made, for the copy of a file (a path from the work folder). Blocks."""
        if self._root is None:
            self._root = Path(tempfile.mkdtemp(prefix="bai-tui-"))
        folder = self._root.joinpath(session_id, *path.parent.parts)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self._root / session_id).touch()
        self._sweep()
        return folder

    def origin_of(self, copy: str) -> tuple[str, PurePosixPath] | None:
        """Returns (session id, path from its work folder) of a copy; None for a file that is none."""
        if self._root is None or not Path(copy).is_relative_to(self._root):
            return None
        session_id, *parts = Path(copy).relative_to(self._root).parts
        return (session_id, PurePosixPath(*parts)) if parts else None

    def _sweep(self) -> None:
        assert self._root is not None
        if self._swept:
            return
        self._swept = True
        for folder in self._root.iterdir():
            if time.time() - folder.stat().st_mtime > _KEPT_S:
                shutil.rmtree(folder, ignore_errors=True)
