"""Reads a mapping by a table of keys: every value is checked where it is written, and all that is wrong is told.

Knows nothing of what the keys mean. A value that is wrong counts as not written, so that the rest can be read.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

from ..model.errors import BaiTuiError
from .values import Kind

_UNITS: Final = ("_s", "_bytes", "_lines")
"""Ends of fields that their keys do not have: `half_life` is `half_life_s`."""


UNSET: Final = object()
"""In place of a default: there is none."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key with a value."""

    field: str
    """Of the dataclass that the table is read into."""
    kind: Kind
    meaning: str
    """In Markdown, without a full stop."""
    default: Any = UNSET
    """Checked value."""

    @property
    def written_default(self) -> Any:
        """The default as it would be written; None = there is none."""
        return None if self.default is UNSET else self.kind.written(self.default)


@dataclass(frozen=True, slots=True)
class Table:
    """A table with keys that are known."""

    field: str
    build: Callable[..., Any]
    """Called with field=value for what is written."""
    keys: Mapping[str, Entry]
    meaning: str = ""
    contradictions: Callable[[Any, Mapping[str, Any]], Iterable[str]] | None = None
    """Returns sentences about what has been built, and the table as written; each begins with a whole key."""
    needed: tuple[str, ...] = ()
    """Keys that must be there."""


@dataclass(frozen=True, slots=True)
class Named:
    """A table whose keys are names that the user chooses, each with a table, or a value, of the same kind."""

    field: str
    each: Table | Key
    meaning: str = ""
    name: str = "NAME"
    """What stands for such a name in texts."""
    check_name: Callable[[str], str | None] | None = None
    """Returns what is wrong with a name."""


Entry = Key | Table | Named
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is wrong."""

    path: Path
    """Where: names of tables, then a key; may be only the beginning of it."""
    message: str
    """One sentence that names the key, without the file."""


def keys_of(kind: type, **entries: tuple[Kind, str]) -> dict[str, Entry]:
    """Returns keys that are called as the fields of the dataclass `kind` are, without their unit."""
    known = {}
    for item in fields(kind):
        name = item.name
        for unit in _UNITS:
            name = name.removesuffix(unit)
        default = item.default if item.default is not MISSING else UNSET
        known[name] = (item.name, default)
    return {key: Key(known[key][0], entry[0], entry[1], known[key][1]) for key, entry in entries.items()}


def read(table: Table, written: Any, problems: list[Problem], path: Path = ()) -> Any:
    """Returns what `table.build` makes of `written`; appends to `problems` what is wrong."""
    before = len(problems)
    values = _values(table, written, problems, path)
    built = table.build(**values)
    if table.contradictions is not None and isinstance(written, Mapping) and len(problems) == before:
        for sentence in table.contradictions(built, written):
            problems.append(Problem((*path, _last(sentence, path)), sentence))
    return built


def _last(sentence: str, path: Path) -> str:
    """Returns the key that a sentence of a contradiction begins with."""
    return sentence.split(maxsplit=1)[0].removeprefix(f"{dotted(path)}.")


def dotted(path: Path) -> str:
    """Returns a key as it is written."""
    return ".".join(path)


def _values(table: Table, written: Any, problems: list[Problem], path: Path) -> dict[str, Any]:
    if not isinstance(written, Mapping):
        problems.append(_no_table(path))
        return {}
    values: dict[str, Any] = {}
    for key, value in written.items():
        here = (*path, key)
        entry = table.keys.get(key)
        if entry is None:
            problems.append(Problem(here, f"unknown key {dotted(here)!r}{_nearest(key, path, table.keys)}"))
        elif isinstance(entry, Key):
            _checked(entry, value, problems, here, into=values)
        else:
            values[entry.field] = _inner(entry, value, problems, here)
    for key in table.needed:
        if key not in written:
            problems.append(Problem(path, f"{dotted((*path, key))} is missing: {dotted(path)} cannot be used without"))
    return values


def _inner(entry: Table | Named, value: Any, problems: list[Problem], path: Path) -> Any:
    return read(entry, value, problems, path) if isinstance(entry, Table) else _named(entry, value, problems, path)


def _named(entry: Named, written: Any, problems: list[Problem], path: Path) -> dict[str, Any]:
    if not isinstance(written, Mapping):
        example = dotted(path) if isinstance(entry.each, Key) else f"{dotted(path)}.{entry.name}"
        problems.append(Problem(path, f"{dotted(path)} must be a table: write [{example}] and its keys below"))
        return {}
    found: dict[str, Any] = {}
    for name, value in written.items():
        here = (*path, name)
        if entry.check_name is not None and (wrong := entry.check_name(name)):
            problems.append(Problem(here, f"{dotted(here)}: {wrong}"))
        elif isinstance(entry.each, Table):
            found[name] = read(entry.each, value, problems, here)
        else:
            _checked(entry.each, value, problems, here, into=found, field=name)
    return found


def _checked(
    key: Key, value: Any, problems: list[Problem], path: Path, *, into: dict[str, Any], field: str = ""
) -> None:
    try:
        into[field or key.field] = key.kind.check(value)
    except BaiTuiError as exc:
        problems.append(Problem(path, f"{dotted(path)}: {exc.message}"))


def _no_table(path: Path) -> Problem:
    name = dotted(path)
    return Problem(path, f"{name} must be a table: write [{name}] and its keys below")


def _nearest(key: str, path: Path, keys: Mapping[str, Entry]) -> str:
    near = difflib.get_close_matches(key, keys, n=1, cutoff=0.5)
    return f": did you mean {dotted((*path, near[0]))!r}?" if near else f"; it knows {', '.join(keys)}"
