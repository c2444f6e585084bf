"""What only the screen knows of `[tui]` and `[keys]`: the names of themes and actions, and which keys clash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..model.errors import ConfigError
from ..settings.file import read_tui_settings
from ..settings.reading import Problem


def problems_of_tui(table: Mapping[str, Any]) -> Iterator[Problem]:
    """Yields what is wrong with them in `table`, a `config.toml`; nothing when the table of keys finds some."""
    from .actions.keymap import problems_of_keys
    from .actions.table import ACTIONS

    try:
        settings = read_tui_settings(table)
    except ConfigError:
        return  # which has been told
    if settings.theme and (wrong := unknown_theme(settings.theme)):
        yield Problem(("tui", "theme"), f"tui.theme: {wrong}")
    for problem in problems_of_keys(settings.keys, ACTIONS):
        yield Problem(("keys", problem.action), f"keys.{problem.action}: {problem.message}")


def unknown_theme(name: str) -> str | None:
    """Returns what is wrong with the name of a theme, None when there is one."""
    from difflib import get_close_matches

    from textual.theme import BUILTIN_THEMES

    from ...styles.themes import THEMES

    known = sorted({*BUILTIN_THEMES, *(theme.name for theme in THEMES)})
    if name in known:
        return None
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"there is no theme {name!r}" + (
        f": did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"
    )
