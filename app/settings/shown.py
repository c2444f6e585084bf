"""The settings that are in force, each with where it comes from; and a file to begin with, in which all are told."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from ..tui_settings import of_environment
from .file import problems_of
from .reading import Entry, Key, Named, Path, Table, dotted
from .tables import TOP
from .toml import toml_key, toml_value

_WIDTH: Final = 100
_HEAD: Final = """\
# bai-tui reads this file when it starts; `bai-tui config validate` tells what is wrong with it, and
# `bai-tui config show` what is in force. What stands behind "#" is what holds without it.
"""
Origin = Literal["default", "file", "environment"]


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting."""

    path: Path
    value: Any
    """As it would be written in the file; None = not set, and there is no default."""
    origin: Origin
    variable: str = ""
    """Of the environment."""
    meaning: str = ""

    @property
    def key(self) -> str:
        return ".".join(toml_key(name) for name in self.path)

    @property
    def text(self) -> str:
        return "" if self.value is None else toml_value(self.value)


def shown(table: Mapping[str, Any], *, environment: bool = True) -> list[Shown]:
    """Returns the settings that are in force with a file that says `table`, which is valid.

    Args:
        environment: What the environment says counts.
    """
    rows = list(_rows(TOP, table, ()))
    forced = of_environment() if environment else {}
    fields = {path: key.field for path, key in documented() if path[0] == "tui"}
    for index, row in enumerate(rows):
        field = fields.get(row.path, "")
        if field in forced:
            variable, value = forced[field]
            rows[index] = replace(row, value=value, origin="environment", variable=variable)
    return rows


def _rows(entry: Entry, written: Any, path: Path) -> Iterator[Shown]:
    """Yields the rows of `entry`, for which `written` stands in the file; None = nothing does."""
    if isinstance(entry, Key):
        yield _row(entry, written, path)
    elif isinstance(entry, Table):
        for key, inner in entry.keys.items():
            yield from _rows(inner, None if written is None else written.get(key), (*path, key))
    else:
        for name, value in (written or {}).items():
            yield from _rows(entry.each, value, (*path, name))


def _row(key: Key, written: Any, path: Path) -> Shown:
    if written is not None:
        return Shown(path, key.kind.written(key.kind.check(written)), "file", meaning=key.meaning)
    return Shown(path, key.written_default, "default", meaning=key.meaning)


def documented(entry: Entry = TOP, path: Path = ()) -> Iterator[tuple[Path, Key]]:
    """Yields every key that can be written; `NAME` and the like stand for names that users choose."""
    if isinstance(entry, Key):
        yield path, entry
    elif isinstance(entry, Named):
        yield from documented(entry.each, (*path, entry.name))
    else:
        for key, inner in entry.keys.items():
            yield from documented(inner, (*path, key))


def template() -> str:
    """Returns a file that says nothing: every key is there behind a "#", with what it means."""
    return _HEAD + "".join(_part(TOP, ()))


def _part(table: Table, path: Path) -> Iterator[str]:
    for key, entry in table.keys.items():
        if isinstance(entry, Key):
            yield "\n" + _comment(entry.meaning)
            default = entry.written_default
            yield f"#{key} = {toml_value(default)}\n" if default is not None else f"#{key} =\n"
    for key, entry in table.keys.items():
        here = (*path, key)
        if isinstance(entry, Key):
            continue
        yield f"\n\n{_comment(entry.meaning)}"
        if isinstance(entry, Table):
            yield f"{'' if _may_be_empty(here) else '#'}[{dotted(here)}]\n"
            yield from _part(entry, here)
        elif isinstance(entry.each, Table):
            yield f"#[{dotted(here)}.{entry.name}]\n"
            if entry.each.keys is not table.keys and not set(entry.each.keys) <= set(table.keys):
                yield from _part(entry.each, (*here, entry.name))
        else:
            yield f"[{dotted(here)}]\n{_comment(entry.each.meaning)}"


def _may_be_empty(path: Path) -> bool:
    table: dict[str, Any] = {}
    for name in reversed(path):
        table = {name: table}
    return not problems_of(table)


def _comment(text: str) -> str:
    return textwrap.fill(text.replace("`", ""), _WIDTH, initial_indent="# ", subsequent_indent="# ") + "\n"
