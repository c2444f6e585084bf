"""The text of `config.toml`, comments and all: where a key is, and how a table goes into it and out of it.

The standard library tells no positions. But the beginning of a TOML file that ends after a statement is TOML, too, so
the statements can be told apart by trying.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ..model.errors import ConfigError
from .reading import Path
from .toml import toml_key, toml_value

_MOST_LINES: Final = 5_000
"""A file that is longer than this is not looked into."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """A line, or several that belong together."""

    begin: int
    """Index of the first line."""
    end: int
    """Index after the last."""
    alone: Mapping[str, Any]
    """What it says by itself."""
    so_far: Mapping[str, Any]
    """What the file says up to here."""
    is_header: bool


def _statements(lines: Sequence[str]) -> Iterator[_Statement]:
    begin = 0
    if len(lines) > _MOST_LINES:
        return
    for end in range(1, len(lines) + 1):
        try:
            so_far = tomllib.loads("".join(lines[:end]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        text = "".join(lines[begin:end])
        yield _Statement(begin, end, tomllib.loads(text), so_far, text.lstrip().startswith("["))
        begin = end


def lines_of(text: str, paths: Sequence[Path]) -> dict[Path, int]:
    """Returns for each path the line, from 1 on, on which it, or what of it there is, begins."""
    found: dict[Path, tuple[int, int]] = {}
    for statement in _statements(text.splitlines(keepends=True)) if paths else ():
        for path in paths:
            depth = _depth(statement.so_far, path)
            if depth > found.get(path, (0, 0))[0]:
                found[path] = (depth, statement.begin + 1)
    return {path: line for path, (_, line) in found.items()}


def _depth(table: Any, path: Path) -> int:
    """Returns how many steps of `path` lead somewhere in `table`."""
    for depth, name in enumerate(path):
        if not isinstance(table, Mapping) or name not in table:
            return depth
        table = table[name]
    return len(path)


def _only(table: Any, path: Path) -> bool:
    """Whether `table` has `path`, and nothing beside it."""
    return not path or (isinstance(table, Mapping) and list(table) == [path[0]] and _only(table[path[0]], path[1:]))


def with_table(text: str, path: Path, values: Mapping[str, Any]) -> str:
    """Returns `text` with a table more, at its end.

    Raises:
        ConfigError: the table above it is written in a way that nothing can be added to; write it by hand.
    """
    rows = "".join(f"{toml_key(key)} = {toml_value(value)}\n" for key, value in values.items())
    before = text if not text or text.endswith("\n") else f"{text}\n"
    after = f"{before}{before and chr(10)}[{'.'.join(map(toml_key, path))}]\n{rows}"
    wanted = tomllib.loads(text)
    inner: dict[str, Any] = wanted
    for name in path[:-1]:
        inner = inner.setdefault(name, {})
    inner[path[-1]] = dict(values)
    return _held_against(wanted, after, path)


def without_table(text: str, path: Path) -> str:
    """Returns `text` without a table; comments in front of it and behind it stay.

    Raises:
        ConfigError: it is written in a way that it cannot be cut out of; take it out by hand.
    """
    lines = text.splitlines(keepends=True)
    gone: set[int] = set()
    inside, any_header = False, False
    for statement in _statements(lines):
        if statement.is_header:
            any_header, inside = True, _only(statement.alone, path)
        ours = inside if any_header else _only(statement.alone, path)
        if ours and (statement.alone or statement.is_header):
            gone.update(range(statement.begin, statement.end))
    after = "".join(line for index, line in enumerate(lines) if index not in gone)
    wanted = tomllib.loads(text)
    inner: Any = wanted
    for name in path[:-1]:
        inner = inner.get(name, {})
    inner.pop(path[-1], None)
    return _held_against(wanted, after, path)


def _held_against(wanted: Mapping[str, Any], after: str, path: Path) -> str:
    try:
        found = tomllib.loads(after)
    except tomllib.TOMLDecodeError:
        found = {"": None}
    if _without_empty(found) != _without_empty(wanted):
        name = ".".join(path)
        raise ConfigError(f"{name} is written in a way that no program can change: do it with `bai-tui config edit`")
    return after


def _without_empty(table: Any) -> Any:
    """Returns a table without the empty ones in it: [a.b] makes an `a`, too."""
    if not isinstance(table, Mapping):
        return table
    inner = {key: _without_empty(value) for key, value in table.items()}
    return {key: value for key, value in inner.items() if value != {}}
