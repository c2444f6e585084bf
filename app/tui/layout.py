"""How the screen was left, to be found so again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar


@dataclass(slots=True)
class Layout:
    """What is remembered of the main screen."""

    SECTION: ClassVar[str] = "layout"

    session: str = ""
    """Id of the selected session."""
    theme: str = ""
    map: str = ""
    """`shown` or `hidden` as the user wants it; empty = where it has room."""
    map_lines: int = 0
    """Height of the map when it was seen last: it has its place from the first frame on."""
