"""What `config.toml` says: settings, or the first thing that is wrong; or all that is wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..model.errors import ConfigError
from ..policies import ContextSettings
from ..tui_settings import TuiSettings
from .reading import Problem, Table, read
from .tables import FACES, TOP


def read_settings(table: Mapping[str, Any]) -> dict[str, Any]:
    """Returns field of `backend_settings.Settings` -> value for what `table` says. `FACES` are not looked at.

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
