"""A signature is good for one request: those that came are remembered, also by the backend after this one.

A signature covers method, target, date and host, not the body, and it is good for 15 minutes either way. Whoever has
seen one (in a log of a proxy, in a capture, on a port that another program has taken) could send it again, with
another body even. So each one that was accepted is kept for the length of both windows, in memory and in a file: two
generations of fixed records, of which the older goes when the younger is full or half an hour old.

What cannot be told any more is refused, never let through. A signature may be forgotten for want of room only, and
then a mark is kept: requests of that access key that are dated before it are refused. Each key has its own mark, so
that a flood under one key takes nothing from the others.

The file is written without a sync: it outlives the process, not the machine. After a reboot, and wherever the file
is missing or damaged, requests dated before the start of the backend are refused.
"""

from __future__ import annotations

import errno
import logging
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Final

from ...model.errors import AuthFailed
from ...model.signing import MAX_CLOCK_SKEW_S

log = logging.getLogger(__name__)

GENERATION_S: Final = 2 * MAX_CLOCK_SKEW_S
"""A request dated 15 minutes ahead can be sent again for half an hour."""
CAPACITY: Final = 131_072
"""Signatures of one generation: 4 MiB of file and about 12 MiB of memory when it is full."""
_RECORD: Final = struct.Struct("<d8s12sI")
"""Unix time of the request, tag of its access key, beginning of its signature, CRC-32 of what is before."""
_HEAD: Final = struct.Struct("<8s20sI")
"""Magic, tag of the boot of the machine, CRC-32 of what is before. As long as a record."""
_MAGIC: Final = b"baireq\x00\x01"
_MARK: Final = bytes(12)
"""In place of a signature: requests of the key are refused up to the date."""
_EVERY_KEY: Final = bytes(8)
"""In place of the tag of a key, in a mark."""
_NAMES: Final = ("requests.0", "requests.1")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")

assert _RECORD.size == _HEAD.size == 32  # else a record would be read where there is none


class Replayed(AuthFailed):
    """The signature has been used."""


def _boot() -> bytes:
    try:
        text = _BOOT_ID.read_bytes()
    except OSError:
        text = b"unknown"
    return blake2b(text, digest_size=20).digest()


def _tag(access_key: str) -> bytes:
    return blake2b(access_key.encode("utf-8", "surrogateescape"), digest_size=8).digest()


class _Generation:
    """Signatures that came within half an hour, and where they are written down."""

    __slots__ = ("began_s", "fd", "newest", "seen")

    def __init__(self, began_s: float) -> None:
        self.began_s = began_s
        """Of the monotonic clock."""
        self.seen: set[bytes] = set()
        self.newest: dict[bytes, float] = {}
        """Tag of a key -> the newest date of its requests."""
        self.fd = -1
        """Of its file, while that is written to."""

    def add(self, tag: bytes, mac: bytes, date_s: float) -> None:
        self.seen.add(mac)
        if date_s > self.newest.get(tag, 0.0):
            self.newest[tag] = date_s

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


class Replays:
    """What was accepted already. One call costs microseconds; nothing here waits but for the page cache.

    Args:
        folder: where to write it down (mode 0700); None = in memory only, for tests.
        now_s: Unix time, and `monotonic_s` a clock that is never set.
        capacity: signatures of one generation.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        now_s: float | None = None,
        monotonic_s: Callable[[], float] = time.monotonic,
        capacity: int = CAPACITY,
    ) -> None:
        self._folder = folder
        self._monotonic_s = monotonic_s
        self._capacity = capacity
        self._marks: dict[bytes, float] = {}
        """Tag of a key -> requests dated no later than this are refused."""
        self._floor_s = 0.0
        """The same for every key."""
        self._tags: dict[str, bytes] = {}
        self._torn = False
        """The files lack something that is in memory."""
        self._current = _Generation(monotonic_s())
        self._previous = _Generation(monotonic_s())
        if folder is not None:
            self._restore(folder, time.time() if now_s is None else now_s)

    def accept(self, access_key: str, mac_hex: str, date_s: float, *, now_s: float) -> None:
        """Remembers the signature of a request whose signature has been verified.

        Args:
            date_s: Unix time that the request bears; it is within the window of `now_s`.

        Raises:
            Replayed: it was accepted before, or it is too old for anybody to tell.
        """
        tag = self._tags.get(access_key)
        if tag is None:
            tag = self._tags[access_key] = _tag(access_key)
        mac = bytes.fromhex(mac_hex[:24])
        if mac in self._current.seen or mac in self._previous.seen:
            raise Replayed(
                "this request was made before: a signature is good for one request, so sign each anew, "
                "with the time in its Date header to the microsecond"
            )
        if date_s <= self._floor_s or date_s <= self._marks.get(tag, 0.0):
            raise Replayed(
                "this request was made before the backend can tell what was made: sign it anew "
                "(the clock of its Date header may be slow)"
            )
        if len(self._current.seen) >= self._capacity or self._monotonic_s() - self._current.began_s >= GENERATION_S:
            self._turn(now_s)
            if date_s <= self._marks.get(tag, 0.0):
                raise Replayed("this request is older than what the backend remembers: sign it anew")
        self._current.add(tag, mac, date_s)
        self._write(tag, mac, date_s)

    def __len__(self) -> int:
        return len(self._current.seen) + len(self._previous.seen)

    def close(self) -> None:
        self._current.close()

    # --- generations

    def _turn(self, now_s: float) -> None:
        """Lets go of the older generation and begins a new one."""
        full = len(self._current.seen) >= self._capacity
        horizon_s = now_s - MAX_CLOCK_SKEW_S
        if not full and any(date_s >= horizon_s for date_s in self._previous.newest.values()):
            # the clock was set back: what is dated ahead of it can come again when it gets there
            self._current.began_s = self._monotonic_s()
            return
        lost, kept = self._previous, self._current
        marks = {tag: date_s for tag, date_s in self._marks.items() if date_s >= horizon_s}
        for tag, date_s in lost.newest.items():
            if date_s >= horizon_s:
                marks[tag] = max(date_s, marks.get(tag, 0.0))
        if full:
            log.warning("%d signed requests in a short time: older ones are not told apart any more", self._capacity)
        self._marks, self._previous, self._current = marks, kept, _Generation(self._monotonic_s())
        kept.close()
        if self._folder is not None:
            self._begin_file(self._folder)

    # --- files

    def _restore(self, folder: Path, now_s: float) -> None:
        """Reads what the backend before this one has accepted."""
        young, whole = self._read(folder / _NAMES[0])
        old, old_whole = self._read(folder / _NAMES[1])
        self._current, self._previous = young, old
        old.close()
        if young.fd < 0 or not (whole and old_whole):
            # nobody knows what is missing; a backend that has run here left the younger file
            self._floor_s = now_s
            self._torn = True
            self._remove_files(folder)
            self._begin_file(folder)
        self._marks.pop(_EVERY_KEY, None)

    def _read(self, path: Path) -> tuple[_Generation, bool]:
        """Returns what a file holds, and whether that is all that was ever written to it; a missing one is in order."""
        generation = _Generation(self._monotonic_s())
        try:
            fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return generation, True
        except OSError as exc:
            log.warning("what was requested before cannot be read from %s: %s", path, exc.strerror)
            return generation, False
        generation.fd = fd
        try:
            os.fchmod(fd, 0o600)
            # no more than what this program writes to one file
            raw = os.pread(fd, (2 * CAPACITY + 2) * _RECORD.size, 0)
        except OSError as exc:
            log.warning("what was requested before cannot be read from %s: %s", path, exc.strerror)
            return generation, False
        if not _is_head(raw):
            log.warning("%s is of before the start of this machine, or damaged: older requests are refused", path)
            return generation, False
        in_order = True
        for record in _records(raw):
            if record is None:
                in_order = False
                continue
            date_s, tag, mac = record
            if mac == _MARK:
                self._marks[tag] = max(date_s, self._marks.get(tag, 0.0))
                self._floor_s = max(self._floor_s, self._marks.get(_EVERY_KEY, 0.0))
            else:
                generation.add(tag, mac, date_s)
        if over := len(raw) % _RECORD.size:
            # cut within a record: its request was not let through
            os.ftruncate(fd, len(raw) - over)
        if not in_order:
            log.warning("%s is damaged: requests of before now are refused", path)
        return generation, in_order

    def _begin_file(self, folder: Path) -> None:
        """Makes the younger file the older one and begins a new one, with marks for what the files lack."""
        young, old = (folder / name for name in _NAMES)
        try:
            if young.exists():
                young.replace(old)
            fd = os.open(young, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            self._current.fd = fd
            os.fchmod(fd, 0o600)  # whatever the umask
            self._put(_sealed(_HEAD.pack(_MAGIC, _boot(), 0)))
        except OSError as exc:
            self._tear(folder, exc)
            return
        if self._torn:
            self._torn = False
            marks = dict(self._marks)
            for generation in (self._previous, self._current):
                for tag, date_s in generation.newest.items():
                    marks[tag] = max(date_s, marks.get(tag, 0.0))
            self._write(_EVERY_KEY, _MARK, self._floor_s)
        else:
            marks = self._marks
        for tag, date_s in marks.items():
            self._write(tag, _MARK, date_s)

    def _write(self, tag: bytes, mac: bytes, date_s: float) -> None:
        if self._folder is None or self._current.fd < 0:
            return
        try:
            self._put(_sealed(_RECORD.pack(date_s, tag, mac, 0)))
        except OSError as exc:
            self._tear(self._folder, exc)

    def _put(self, record: bytes) -> None:
        if os.write(self._current.fd, record) != len(record):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _tear(self, folder: Path, exc: OSError) -> None:
        """Goes on in memory. The files are removed: without them the next backend refuses what is older than itself."""
        log.error(
            "what is requested cannot be written down in %s (%s): it is kept in memory only for up to half an hour, "
            "and a backend started meanwhile refuses older requests",
            folder,
            exc.strerror,
        )
        self._torn = True
        self._current.close()
        self._remove_files(folder)

    def _remove_files(self, folder: Path) -> None:
        self._current.close()
        for name in _NAMES:
            try:
                (folder / name).unlink(missing_ok=True)
            except OSError as exc:
                log.error("%s cannot be removed: %s", folder / name, exc.strerror)


def _sealed(record: bytes) -> bytes:
    return record[:-4] + zlib.crc32(record[:-4]).to_bytes(4, "little")


def _is_head(raw: bytes) -> bool:
    if len(raw) < _HEAD.size:
        return False
    magic, boot, crc = _HEAD.unpack_from(raw)
    return bool(magic == _MAGIC and boot == _boot() and crc == zlib.crc32(raw[: _HEAD.size - 4]))


def _records(raw: bytes) -> Iterator[tuple[float, bytes, bytes] | None]:
    """Yields the whole records behind the head, None for a damaged one."""
    size = _RECORD.size
    for start in range(_HEAD.size, len(raw) - size + 1, size):
        date_s, tag, mac, crc = _RECORD.unpack_from(raw, start)
        yield (date_s, tag, mac) if crc == zlib.crc32(raw[start : start + size - 4]) else None
