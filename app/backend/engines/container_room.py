"""The part of a session's folder that is inside its container, and what is read of it.

Whoever runs in there writes what he likes: nothing that the backend goes by lies in it, and no link or pipe in it may
lead the backend elsewhere.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..runner.files import EXIT, JOURNAL, LOG, SOCKET
from .box import Mount

_ROOM: Final = "inside"
_SHARED: Final = (SOCKET, EXIT, LOG)
"""What the runner makes and the backend finds in the session's folder, by links of ours. Of the process ids that it
notes none is true outside."""
_LAST_BYTES: Final = 4096
_LAST_CHARS: Final = 300


def room_of(session_dir: Path) -> Path:
    """Returns the folder that the runner takes for the session's."""
    return session_dir / _ROOM


def make_room(session_dir: Path) -> Path:
    """Makes that folder and returns it.

    Raises:
        OSError: the disk refused.
    """
    room = room_of(session_dir)
    for folder in (room, room / JOURNAL, session_dir / JOURNAL):  # an engine that made the second would own it
        folder.mkdir(mode=0o700, exist_ok=True)
    for name in _SHARED:
        with suppress(FileExistsError):
            (session_dir / name).symlink_to(Path(_ROOM, name))
    return room


def mounts_of(session_dir: Path) -> tuple[Mount, ...]:
    """Returns what of the session's folder is inside, under its own path. A folder that is mounted cannot be replaced
    from there by a link to another one."""
    journal = str(session_dir / JOURNAL)
    return Mount(str(room_of(session_dir)), str(session_dir), writable=True), Mount(journal, journal, writable=True)


def clear_room(session_dir: Path) -> None:
    """Removes what a container that is gone has left there, but for what is said of its end. Blocks on the disk."""
    with suppress(OSError), os.scandir(room_of(session_dir)) as left:
        for one in left:
            if one.is_dir(follow_symlinks=False):
                shutil.rmtree(one.path, ignore_errors=True)
            elif one.name not in (EXIT, LOG):
                Path(one).unlink()


def last_line(session_dir: Path) -> str:
    """Returns the end of the last line of the runner's log as printable text; empty when there is none."""
    data = b""
    with suppress(OSError):
        fd = os.open(room_of(session_dir) / LOG, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            about = os.fstat(fd)
            if stat.S_ISREG(about.st_mode):
                data = os.pread(fd, _LAST_BYTES, max(0, about.st_size - _LAST_BYTES))
        finally:
            os.close(fd)
    return last_line_of(data)


def last_line_of(output: bytes) -> str:
    """The same of what a container has written."""
    lines = output.decode(errors="replace").strip().splitlines()
    return re.sub(r"[^\x20-\x7e]", "?", lines[-1])[:_LAST_CHARS] if lines else ""
