"""Code that was run, kept per endpoint from start to start, and found again by a few letters of it.

A file of JSON lines, private to its owner and bounded: a line is added for each run, and now and then the file is
written anew without what was run again later. Several programs may add to one file.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

MAX_ENTRIES: Final = 2_000
MAX_CODE_CHARS: Final = 64_000
"""Longer code is not kept: it is in a file."""
_SLACK: Final = 1_000
"""Lines that a file may have too many before it is written anew."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Code that was run."""

    code: str
    time_s: float
    """When it was run last, in seconds since the epoch."""
    session: str = ""
    image: str = ""
    count: int = 1
    """How often, as far as that is remembered."""


@dataclass(frozen=True, slots=True)
class Hit:
    """An entry that fits a query."""

    entry: Entry
    line: int
    """The line of the code that fits best."""
    offsets: tuple[int, ...]
    """Which characters of that line fit."""


class CodeHistory:
    """The history of one endpoint. Its methods block on a disk and may be called from a thread, one at a time.

    Args:
        folder: Where it is kept; None = in memory only.
        place: What tells endpoints apart: `local`, or a URL.
    """

    def __init__(self, folder: Path | None, place: str) -> None:
        safe = "".join(char if char.isalnum() else "-" for char in place)[:80]
        self.path = None if folder is None else folder / f"history-{safe}-{zlib.crc32(place.encode()):08x}.jsonl"
        self._unsaved: list[Entry] = []
        """Entries of this program in memory, where there is no file or it could not be written."""

    def add(self, entry: Entry) -> None:
        """Adds what was run just now; code that is blank, or too long, is not kept.

        Raises:
            OSError: the file cannot be written; the entry is kept in memory.
        """
        code = entry.code.strip("\n")
        if not code.strip() or len(code) > MAX_CODE_CHARS:
            return
        entry = Entry(code, entry.time_s, entry.session, entry.image)
        if self.path is None:
            self._unsaved.append(entry)
            del self._unsaved[:-MAX_ENTRIES]
            return
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with _locked(self.path) as descriptor:
                os.write(descriptor, _line(entry))
        except OSError:
            self._unsaved.append(entry)
            raise

    def load(self) -> list[Entry]:
        """Returns what was run, newest first, each code once; lines that are none are passed over."""
        lines = self._read()
        entries = _merged([*lines, *self._unsaved])
        if self.path is not None and len(lines) > MAX_ENTRIES + _SLACK:
            self._compact()
        return entries

    def remove(self, code: str) -> None:
        """Forgets a piece of code.

        Raises:
            OSError: the file cannot be written.
        """
        self._unsaved = [entry for entry in self._unsaved if entry.code != code]
        if self.path is not None and self.path.exists():
            self._compact(without=code)

    def _read(self) -> list[Entry]:
        if self.path is None:
            return []
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            log.warning("what was run before cannot be read: %s", error)
            return []
        return [entry for line in raw.split(b"\n") if (entry := _parsed(line)) is not None]

    def _compact(self, without: str | None = None) -> None:
        assert self.path is not None
        try:
            with _locked(self.path) as descriptor:
                kept = [entry for entry in _merged(self._read()) if entry.code != without]
                text = b"".join(_line(entry) for entry in reversed(kept))
                # in place: another program that waits for the lock goes on with the same file
                os.ftruncate(descriptor, 0)
                os.write(descriptor, text)
        except OSError as error:
            log.warning("what was run before cannot be written: %s", error)
            if without is not None:
                raise


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def _line(entry: Entry) -> bytes:
    body = {"t": round(entry.time_s, 3), "code": entry.code, "session": entry.session, "image": entry.image}
    if entry.count > 1:
        body["n"] = entry.count
    return json.dumps(body).encode("ascii") + b"\n"


def _parsed(line: bytes) -> Entry | None:
    try:
        body = json.loads(line)
        code, time_s, times = body["code"], float(body["t"]), body.get("n", 1)
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not isinstance(code, str) or not isinstance(times, int):
        return None
    return Entry(code, time_s, str(body.get("session") or ""), str(body.get("image") or ""), max(1, times))


def _merged(entries: Sequence[Entry]) -> list[Entry]:
    """Returns entries newest first, each code once, with how often it was run."""
    found: dict[str, Entry] = {}
    for entry in entries:
        before = found.pop(entry.code, None)
        times = entry.count + (before.count if before is not None else 0)
        found[entry.code] = Entry(entry.code, entry.time_s, entry.session, entry.image, times)
    return list(reversed(found.values()))[:MAX_ENTRIES]


def search(entries: Sequence[Entry], query: str) -> list[Hit]:
    """Returns the entries that fit, best first: each word of the query must be in the code, or its letters in a line.

    Capital letters in a word count; small ones stand for both.
    """
    words = query.split()
    if not words:
        return [Hit(entry, _first_line(entry.code), ()) for entry in entries]
    found: list[tuple[float, int, Hit]] = []
    for age, entry in enumerate(entries):
        fit = _fit(entry.code, words)
        if fit is not None:
            score, line, offsets = fit
            # as good and much older loses against a little worse and new
            found.append((score + age / 200, age, Hit(entry, line, offsets)))
    found.sort(key=lambda item: item[:2])
    return [hit for _, _, hit in found]


def _first_line(code: str) -> int:
    return next((number for number, line in enumerate(code.split("\n")) if line.strip()), 0)


def _fit(code: str, words: Sequence[str]) -> tuple[float, int, tuple[int, ...]] | None:
    """Returns (how bad, line, characters of it) of the line in which most words are, or None."""
    lower = code.lower()
    loose = [word for word in words if word not in (code if word != word.lower() else lower)]
    if not loose and len(words) == 1:
        return _place(code, code if words[0] != words[0].lower() else lower, words[0])
    lines = code.split("\n")
    best: tuple[float, int, tuple[int, ...]] | None = None
    for number, line in enumerate(lines):
        badness, offsets = 0.0, set[int]()
        for word in words:
            exact, at = _within(line, word)
            badness += exact
            offsets.update(at)
        if offsets and (best is None or badness < best[0]):
            best = badness, number, tuple(sorted(offsets))
    if best is None or any(all(_within(line, word)[0] >= _MISSED for line in lines) for word in loose):
        return None
    return best


_MISSED: Final = 10.0


def _place(code: str, text: str, word: str) -> tuple[float, int, tuple[int, ...]]:
    at = text.index(word)
    line = code.count("\n", 0, at)
    column = at - (code.rfind("\n", 0, at) + 1)
    begins = at == 0 or not (text[at - 1].isalnum() or text[at - 1] == "_")
    return (0.0 if begins else 0.5), line, tuple(range(column, column + len(word)))


def _within(line: str, word: str) -> tuple[float, tuple[int, ...]]:
    """Returns (how badly a word fits a line, the characters that fit); `_MISSED` when it does not."""
    text = line if word != word.lower() else line.lower()
    at = text.find(word)
    if at >= 0:
        begins = at == 0 or not (text[at - 1].isalnum() or text[at - 1] == "_")
        return (0.0 if begins else 0.5), tuple(range(at, at + len(word)))
    offsets: list[int] = []
    at = -1
    for character in word:
        at = text.find(character, at + 1)
        if at < 0:
            return _MISSED, ()
        offsets.append(at)
    spread = offsets[-1] - offsets[0] - len(word) + 1
    return (1.0 + spread / 10, tuple(offsets)) if spread <= 3 * len(word) else (_MISSED, ())
