"""What the work folders of sessions hold, against what they may: warned near the limit, ended above it.

No single file can be larger than that, which is for the engine to see to. Here many files are added up, now and then:
what is written between two looks is written. A look at a large folder takes long, and the next one comes the later.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from ...model.sessions import ANSWERING, Session, SessionStatus
from ..scheduler.units import human_bytes
from .batch import EndSession
from .entries import Entry, Register
from .folders import Folders
from .states import States

WARN_PCT: Final = 90.0
_LOOK_S: Final = 1.0
_SHARE: Final = 20
"""A look is followed by so many times its length without one: at most a twentieth of a core for each session."""
_LATEST_S: Final = 60.0
_BREATH_ENTRIES: Final = 500
_BREATH_S: Final = 0.001
_BLOCK_BYTES: Final = 512
_WATCHED: Final = ANSWERING | {SessionStatus.RESTARTING}


def watching(quota_bytes: int) -> str:
    """Returns what a watcher of the work folder is worth, with its hole."""
    return (
        f"warns at {WARN_PCT:g} % of {human_bytes(Decimal(quota_bytes))} in work folder and /tmp, ends the session "
        "above; looks once a second, up to once a minute where there are very many files; what is written until then "
        "is written, and folders that their owner may not read and files without a name are not counted"
    )


def disk_usage_bytes(folders: Iterable[Path], *, enough_bytes: int, breath_s: float = _BREATH_S) -> int:
    """Returns how much of the disk the contents of folders take; stops counting above `enough_bytes`. Blocks.

    Follows no symbolic link and leaves no file system; counts a file with several names once. Opens one folder at a
    time, however deep they are nested; what cannot be read, or is moved while it is looked at, is left out.

    Args:
        breath_s: pause after every few hundred entries, for others to use the processor and the disk.
    """
    total = 0
    seen: set[int] = set()
    for folder in folders:
        for number, about in enumerate(_walk(folder)):
            if about.st_nlink > 1 and not stat.S_ISDIR(about.st_mode):
                if about.st_ino in seen:
                    continue
                seen.add(about.st_ino)
            total += about.st_blocks * _BLOCK_BYTES
            if total > enough_bytes:
                return total
            if breath_s and number % _BREATH_ENTRIES == _BREATH_ENTRIES - 1:
                time.sleep(breath_s)  # in a thread: leaves the disk to others
    return total


_OPEN: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def _walk(folder: Path) -> Iterator[os.stat_result]:
    """Yields what is known of every entry below a folder."""
    try:
        fd = os.open(folder, _OPEN)
    except OSError:
        return
    try:
        top = os.fstat(fd)
        above: list[tuple[int, list[str]]] = []
        """Inode of each folder on the way here, and the folders in it that are still to be looked at."""
        here, waiting = top.st_ino, list[str]()
        yield from _entries(fd, top.st_dev, waiting)
        while True:
            if waiting:
                try:
                    below = os.open(waiting.pop(), _OPEN, dir_fd=fd)
                except OSError:
                    continue
                os.close(fd)
                fd = below
                above.append((here, waiting))
                here, waiting = os.fstat(fd).st_ino, []
                yield from _entries(fd, top.st_dev, waiting)
            elif above:
                parent = os.open("..", _OPEN, dir_fd=fd)
                os.close(fd)
                fd = parent
                here, waiting = above.pop()
                if os.fstat(fd).st_ino != here:
                    return  # it was moved, and we with it
            else:
                return
    except OSError:
        return
    finally:
        os.close(fd)


def _entries(fd: int, device: int, folders: list[str]) -> Iterator[os.stat_result]:
    """Yields what is known of the entries of a folder, and adds its folders to `folders`."""
    with os.scandir(fd) as entries:
        for entry in entries:
            try:
                about = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            if about.st_dev != device:
                continue
            if stat.S_ISDIR(about.st_mode):
                folders.append(entry.name)
            yield about


@dataclass(slots=True)
class _Look:
    """What is known of one session."""

    due_s: float = 0.0
    used_bytes: int = 0
    warned: bool = False
    measuring: asyncio.Lock = field(default_factory=asyncio.Lock)


class WorkQuota:
    """Looks after the work folders of all sessions that run."""

    def __init__(
        self,
        quota_bytes: int,
        register: Register,
        folders: Folders,
        states: States,
        end: EndSession,
        *,
        interval_s: float = _LOOK_S,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`quota_bytes` 0 = there is no limit, and nothing is looked at."""
        self.quota_bytes = quota_bytes
        self._register = register
        self._folders = folders
        self._states = states
        self._end = end
        self._interval_s = interval_s
        self._timer = timer
        self._looks: dict[str, _Look] = {}
        self._executor: ThreadPoolExecutor | None = None

    async def run(self) -> None:
        """Looks until cancelled; returns at once where there is no quota."""
        if not self.quota_bytes:
            return
        # not the default pool: somebody's million files must not keep others from theirs
        executor = self._executor = ThreadPoolExecutor(1, thread_name_prefix="work-quota")
        try:
            while True:
                await self.look()
                await asyncio.sleep(self._interval_s)  # nothing tells of growing files
        finally:
            self._executor = None
            executor.shutdown(wait=False, cancel_futures=True)

    async def look(self) -> None:
        """Looks once at every session whose turn it is."""
        running = {entry.session.id: entry for entry in self._register.started() if _is_watched(entry)}
        for gone in self._looks.keys() - running.keys():
            del self._looks[gone]
        for session_id, entry in running.items():
            look = self._looks.setdefault(session_id, _Look())
            if look.due_s <= self._timer():
                await self._measure(session_id, look)
                if _is_watched(entry):  # it may have ended meanwhile
                    self._judge(entry, look)

    async def _measure(self, session_id: str, look: _Look) -> None:
        async with look.measuring:
            began_s = self._timer()
            places = self._folders.written(session_id)
            loop = asyncio.get_running_loop()
            look.used_bytes = await loop.run_in_executor(self._executor, self._count, places)
            ended_s = self._timer()
            look.due_s = ended_s + min(max(self._interval_s / 2, _SHARE * (ended_s - began_s)), _LATEST_S)

    def _count(self, places: Iterable[Path]) -> int:
        return disk_usage_bytes(places, enough_bytes=2 * self.quota_bytes)

    def _judge(self, entry: Entry, look: _Look) -> None:
        used_bytes, quota_bytes = look.used_bytes, self.quota_bytes
        text = (
            f"the work folder holds {human_bytes(Decimal(used_bytes))} of its {human_bytes(Decimal(quota_bytes))} "
            f"({100 * used_bytes / quota_bytes:.0f} %)"
        )
        if used_bytes > quota_bytes:
            self._end(
                entry,
                f"overuse: {text}; let the code write less, or raise work_quota under [sandbox] in config.toml",
            )
        elif used_bytes < (WARN_PCT - 5) / 100 * quota_bytes:
            look.warned = False
        elif used_bytes >= WARN_PCT / 100 * quota_bytes and not look.warned:
            look.warned = True
            self._states.tell(
                entry.session,
                "bai_overuse_warning",
                reason=text,
                extra={"resource": "disk", "device": "", "used_bytes": used_bytes, "limit_bytes": quota_bytes},
            )

    async def room_bytes(self, session: Session) -> int | None:
        """Returns how much more may be uploaded into the work folder; None = whatever fits on the disk."""
        if not self.quota_bytes:
            return None
        look = self._looks.setdefault(session.id, _Look())
        with contextlib.suppress(TimeoutError):
            # where that takes too long, the last look counts
            async with asyncio.timeout(_LOOK_S):
                await self._measure(session.id, look)
        return max(self.quota_bytes - look.used_bytes, 0)


def _is_watched(entry: Entry) -> bool:
    return entry.session.status in _WATCHED
