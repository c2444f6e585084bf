"""Writing the user's alias table: one entry changes, whatever else stands in the file stays as it is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...config import private_folder
from ...model.errors import BadRequest, ConfigError, ImageNotFound
from ...model.images import ImageReference
from ...settings.toml import toml_key, toml_value
from ...settings.writing import read_text, swap_in
from .aliases import AliasTable, parse_aliases

_HEADER = re.compile(r"\s*\[\s*(?:aliases|\"aliases\"|'aliases')\s*\]\s*(?:#.*)?")
_ANY_HEADER = re.compile(r"\s*\[")
_ENTRY = re.compile(r"\s*((?:[A-Za-z0-9_-]+)|\"(?:[^\"\\]|\\.)*\"|'[^']*')\s*=")
_NEW_FILE = "# Your own names for images; they stand before those that bai-tui ships.\n\n[aliases]\n"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Some lines of the file."""

    alias: str
    """As it is written, without quotes."""
    first: int
    end: int
    """The line behind the last one."""


def write_alias(file: Path, alias: str, target: str, shipped: AliasTable) -> None:
    """Writes `alias = target` into the table in `file`, in place of an entry of the same name. Reads and writes files.

    Raises:
        BadRequest: no reference, or it would lead back to itself.
        ConfigError: the table cannot be read, edited or written.
    """
    name, leads = ImageReference.parse(alias), ImageReference.parse(target)
    private_folder(file.parent)  # nobody may have configured anything yet
    text = read_text(file)
    table = parse_aliases(text, str(file))
    if circle := _circle({**shipped, **table, str(name): (str(leads),)}, str(name)):
        raise BadRequest(f"the alias {alias!r} would lead back to itself: {' -> '.join(circle)}")
    lines = (text or _NEW_FILE).splitlines(keepends=True)
    _end_last_line(lines)
    line = f"{toml_key(alias.strip())} = {toml_value(target.strip())}"
    there = [entry for entry in _entries(lines) if str(ImageReference.parse(entry.alias)) == str(name)]
    if there:
        entry = there[0]
        lines[entry.first : entry.end] = [line + _comment(lines[entry.first : entry.end])]
    else:
        lines.insert(_place(lines), line + "\n")
    _swap(file, text, lines, {**table, str(name): (str(leads),)})


def remove_alias(file: Path, alias: str, shipped: AliasTable) -> None:
    """Takes an entry out of the table in `file`. Reads and writes files.

    Raises:
        ImageNotFound: it is not there; the message says so of shipped ones.
        BadRequest: no reference.
        ConfigError: the table cannot be read, edited or written.
    """
    name = str(ImageReference.parse(alias))
    text = read_text(file)
    table = dict(parse_aliases(text, str(file)))
    if name not in table:
        if name in shipped:
            raise ImageNotFound(
                f"the alias {name!r} is shipped with bai-tui and cannot be removed: write one of your own, which "
                "stands before it"
            )
        raise ImageNotFound(f"there is no alias {name!r} in {file}")
    del table[name]
    lines = text.splitlines(keepends=True)
    for entry in reversed([one for one in _entries(lines) if str(ImageReference.parse(one.alias)) == name]):
        del lines[entry.first : entry.end]
    _swap(file, text, lines, table)


def _circle(table: AliasTable, start: str) -> Sequence[str]:
    """Returns the way from an alias back to itself; empty when there is none."""
    ways = [[start, target] for target in table.get(start, ())]
    seen = set()
    while ways:
        way = ways.pop()
        if way[-1] == start:
            return way
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, target] for target in table.get(way[-1], ())]
    return ()


def _entries(lines: Sequence[str]) -> Iterator[_Entry]:
    """Yields the entries of the table, as far as it is written in the plain way: a header, and entries below."""
    inside = False
    number = 0
    while number < len(lines):
        line = lines[number]
        if _ANY_HEADER.match(line):
            inside = _HEADER.fullmatch(line.rstrip("\r\n")) is not None
        found = _ENTRY.match(line) if inside else None
        end = _end(lines, number) if found else number + 1
        if found:
            yield _Entry(next(iter(tomllib.loads(f"{found[1]} = 0"))), number, end)
        number = end


def _end(lines: Sequence[str], first: int) -> int:
    """Returns the line behind an entry that begins at `first`: its list may go over several."""
    for end in range(first + 1, len(lines) + 1):
        try:
            tomllib.loads("".join(lines[first:end]))
        except tomllib.TOMLDecodeError:
            continue
        return end
    return len(lines)


def _comment(lines: Sequence[str]) -> str:
    """Returns what stands behind an entry of one line, with the end of the line."""
    value = re.match(r"""[^#"']*(?:(?:"(?:[^"\\]|\\.)*"|'[^']*')[^#"']*)*""", lines[0])
    rest = lines[0][value.end() :].strip() if value and len(lines) == 1 else ""
    return f"  {rest}\n" if rest else "\n"


def _place(lines: list[str]) -> int:
    """Returns where a new entry goes: behind the last one, or below the header, which is added when it is missing."""
    if entries := list(_entries(lines)):
        return entries[-1].end
    for number, line in enumerate(lines):
        if _HEADER.fullmatch(line.rstrip("\r\n")):
            return number + 1
    lines += ["\n", "[aliases]\n"]
    return len(lines)


def _end_last_line(lines: list[str]) -> None:
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"


def _swap(file: Path, before: str, lines: Sequence[str], wanted: AliasTable) -> None:
    text = "".join(lines)
    try:
        now = parse_aliases(text, str(file))
    except ConfigError:
        now = {}
    if now != wanted:
        raise ConfigError(f"{file} is written in a way that cannot be edited from here: write the alias there yourself")
    swap_in(file, text, before=before)
