"""How a path that is typed may go on: the names in its folder."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from textual.suggester import Suggester

_LOOKED_AT = 20_000
"""Names of a folder that are looked at: more would be read for longer than people wait."""


class PathSuggester(Suggester):
    """Suggests the first name that fits, by the alphabet; a folder with a slash behind it."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        """Returns `value` and what may follow, or None. Cancelling it only forgets the answer."""
        return await asyncio.to_thread(continued, value)


def continued(path: str) -> str | None:
    """Returns a path and what may follow; None where no name begins so, or none was begun. Hidden ones need a dot."""
    folder, name = os.path.split(path)
    if not name:
        return None
    best = ""
    best_is_folder = False
    try:
        with os.scandir(Path(folder).expanduser()) as entries:
            for _, entry in zip(range(_LOOKED_AT), entries, strict=False):
                if entry.name.startswith(name) and entry.name.isprintable() and (not best or entry.name < best):
                    best, best_is_folder = entry.name, entry.is_dir()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: the home of a user that there is not
        return None
    rest = best[len(name) :] + (os.sep if best_is_folder else "")
    return path + rest if best and rest else None
