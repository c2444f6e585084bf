"""The keys of the editor, beside those that work everywhere and those of typing."""

from __future__ import annotations

from typing import Final

from .action import Action

ROWS: Final[tuple[Action, ...]] = ()
