"""What `config.toml` says: settings, or the first thing that is wrong; or all that is wrong, each with its line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..model.errors import ConfigError
from ..policies import ContextSettings
from ..tui_settings import TuiSettings
from .reading import Path, Problem, Table, read
from .tables import FACES, TOP

MOST_LINES = 5_000
"""In a file that is longer than this no lines are looked up."""


def read_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """Returns field of `config.Settings` -> value for what `table` says. `FACES` are not looked at.

    Raises:
        ConfigError: an unknown key (the nearest valid one is named), a wrong value, or a contradiction; the message
            begins with the key.
    """
    return _strictly({key: value for key, value in table.items() if key not in FACES})


def read_tui_settings(table: Mapping[str, Any]) -> TuiSettings:
    """Returns what `[tui]` and `[keys]` say.

    Raises:
        ConfigError: as `read_settings`.
    """
    found = _strictly(_some(table, ("tui", "keys")))
    return TuiSettings(**found.get("tui", {}), keys=found.get("keys", {}))


def read_contexts(table: Mapping[str, Any]) -> Mapping[str, ContextSettings]:
    """Returns what `[contexts]` say.

    Raises:
        ConfigError: as `read_settings`.
    """
    found: Mapping[str, ContextSettings] = _strictly(_some(table, ("contexts",))).get("contexts", {})
    return found


def _some(table: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    return {key: table[key] for key in keys if key in table}


def _strictly(table: Mapping[str, Any]) -> dict[str, Any]:
    problems: list[Problem] = []
    found: dict[str, Any] = read(TOP, table, problems)
    if problems:
        raise ConfigError(problems[0].message)
    return found


def problems_of(table: Mapping[str, Any], top: Table = TOP) -> list[Problem]:
    """Returns all that is wrong with `table`, in its order."""
    problems: list[Problem] = []
    read(top, table, problems)
    return problems


def lines_of(text: str, paths: Sequence[Path]) -> dict[Path, int]:
    """Returns for each path the line, from 1 on, on which it, or what of it there is, begins.

    The beginning of a TOML file that ends after a statement is TOML too: the first such beginning that holds a key
    ends with it.
    """
    import tomllib

    lines = text.splitlines(keepends=True)
    found: dict[Path, tuple[int, int]] = {}
    if len(lines) > MOST_LINES or not paths:
        return {}
    begin = 1
    for count in range(1, len(lines) + 1):
        try:
            table = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue  # in the middle of a value of several lines
        for path in paths:
            depth = _depth(table, path)
            if depth > found.get(path, (0, 0))[0]:
                found[path] = (depth, begin)
        begin = count + 1
    return {path: line for path, (_, line) in found.items()}


def _depth(table: Any, path: Path) -> int:
    """Returns how many steps of `path` lead somewhere in `table`."""
    for depth, name in enumerate(path):
        if not isinstance(table, Mapping) or name not in table:
            return depth
        table = table[name]
    return len(path)
