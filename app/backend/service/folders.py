"""The folders of sessions: `<state>/sessions/<id>/` with `work/` in it, all of mode 0700."""

from __future__ import annotations

import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Container, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from ...model.errors import LaunchFailed
from ..ports import UPLOAD_PREFIX
from ..runner.files import JOURNAL
from ..runner.sandbox import TMP

log = logging.getLogger(__name__)
_RECORD: Final = "session.json"


class Folders:
    """Makes, names and removes them."""

    def __init__(self, root: Path, keep_ended_s: float) -> None:
        """Takes the folder of them all, and how long the journal of an ended session is kept."""
        self._root = root
        self._keep_ended_s = keep_ended_s
        self._noting = threading.Lock()

    def session(self, session_id: str) -> Path:
        return self._root / session_id

    def work(self, session_id: str) -> Path:
        return self._root / session_id / "work"

    def written(self, session_id: str) -> list[Path]:
        """Returns the folders that the session's processes write to: the work folder, and /tmp where it is isolated."""
        return _written(self._root / session_id)

    def make(self, session_id: str) -> tuple[Path, Path]:
        """Makes and returns (session folder, work folder).

        Raises:
            LaunchFailed: the disk refused, and why.
        """
        folder, work = self.session(session_id), self.work(session_id)
        try:
            try:
                folder.mkdir(mode=0o700)
            except FileNotFoundError:
                self._root.mkdir(parents=True, mode=0o700)
                folder.mkdir(mode=0o700)
            work.mkdir(mode=0o700)
        except OSError as exc:
            raise LaunchFailed(f"the session's folder {folder} cannot be made: {exc.strerror}") from None
        return folder, work

    def journal(self, session_id: str) -> Path:
        """Returns the folder of the session's journal."""
        return self._root / session_id / JOURNAL

    def note(self, session_id: str, record: str) -> None:
        """Keeps the session's record beside its processes, for the day on which the database is lost. Blocks.

        Raises:
            LaunchFailed: the disk refused, and why; what was kept before is still there.
        """
        file = self._root / session_id / _RECORD
        fresh = file.with_name(_RECORD + ".new")
        try:
            with self._noting:
                try:
                    with open(fresh, "wb", opener=_open_private) as out:
                        out.write(record.encode())
                    fresh.replace(file)
                except OSError:
                    fresh.unlink(missing_ok=True)  # a full disk has taken a part of it, or only its name
                    raise
        except OSError as exc:
            raise LaunchFailed(f"the session's record {file} cannot be written: {exc.strerror}") from None

    def exists(self, session_id: str) -> bool:
        """Whether the session has a folder."""
        return self.session(session_id).exists()

    def noted(self, session_id: str) -> str | None:
        """Returns what `note` wrote; None when there is nothing to be read. Blocks."""
        try:
            return (self._root / session_id / _RECORD).read_text("utf-8")
        except (OSError, ValueError):
            return None

    def unfinished(self) -> list[str]:
        """Returns the ids of the sessions that have a work folder: they live, or were not cleaned up. Blocks."""
        try:
            return [folder.name for folder in self._root.iterdir() if (folder / "work").exists()]
        except OSError:
            return []

    def remove_unfinished(self, session_ids: Iterable[str]) -> None:
        """Removes uploads that a killed daemon has not finished. Blocks."""
        for session_id in session_ids:
            for folder in self.work(session_id).glob(f"{UPLOAD_PREFIX}*"):
                _remove(folder)

    def remove(self, session_id: str) -> None:
        """Removes all that there is of a session. Blocks; raises nothing."""
        _remove(self.session(session_id))

    def remove_work(self, session_id: str) -> None:
        """Removes what the session's processes have written, also what was made read-only. Blocks; raises nothing."""
        for folder in self.written(session_id):
            _remove(folder)

    def ended(self, live: Container[str]) -> list[Path]:
        """Returns the folders of sessions that are not among `live`. Blocks for the reading of one folder."""
        try:
            return [folder for folder in self._root.iterdir() if folder.name not in live and folder.is_dir()]
        except OSError:
            return []

    def remove_old(self, folders: list[Path], now: float) -> None:
        """Removes those of `folders` that nothing was written to for long, of the others the work folder. Blocks."""
        for folder in self.remove_expired(folders, now):
            for written in _written(folder):
                _remove(written)

    def remove_expired(self, folders: list[Path], now: float) -> list[Path]:
        """Removes those of `folders` that nothing was written to for long; returns the others. Blocks."""
        kept = []
        for folder in folders:
            try:
                age_s = now - max(item.lstat().st_mtime for item in (folder, *folder.glob("*")))
            except OSError:
                continue
            if age_s > self._keep_ended_s:
                _remove(folder)
            else:
                kept.append(folder)
        return kept


def _open_private(path: str, flags: int) -> int:
    """Opens what may hold secrets, such as the environment that a user gave."""
    return os.open(path, flags, 0o600)


def _written(folder: Path) -> list[Path]:
    return [folder / "work", folder / TMP]


def _remove(folder: Path) -> None:
    def unlock(function: Callable[..., Any], path: str, _: BaseException) -> None:
        # Users make folders read-only; as their owner we may undo that.
        try:
            parent = Path(path).parent
            parent.chmod(parent.stat().st_mode | stat.S_IRWXU)
            if not Path(path).is_symlink() and Path(path).is_dir():
                Path(path).chmod(stat.S_IRWXU)
                shutil.rmtree(path, ignore_errors=True)
            else:
                Path(path).unlink()
        except OSError as exc:
            log.warning("%s cannot be removed: %s", path, exc.strerror)

    def unlock_old(
        function: Callable[..., Any], path: str, info: tuple[type[BaseException], BaseException, TracebackType]
    ) -> None:
        unlock(function, path, info[1])

    if not folder.exists() and not folder.is_symlink():
        return
    try:
        if sys.version_info >= (3, 12):
            shutil.rmtree(folder, onexc=unlock)
        else:
            shutil.rmtree(folder, onerror=unlock_old)
    except RecursionError:  # folders in folders, a thousand times: rm(1) does not mind
        subprocess.run(["rm", "-rf", "--", folder], stdin=subprocess.DEVNULL, capture_output=True, check=False)
