"""The keys of the map of the machine."""

from __future__ import annotations

from typing import Final

from .action import Action, of_instrument

ROWS: Final = (
    *of_instrument("map", "m"),
    Action(
        "map-next",
        "right,l",
        "map",
        "screen.along(1)",
        "next",
        "Select the next session that has a part of the machine",
        show=False,
        palette=False,
    ),
    Action(
        "map-previous",
        "left,h",
        "map",
        "screen.along(-1)",
        "previous",
        "Select the previous session that has a part of the machine",
        show=False,
        palette=False,
    ),
)
