"""The editor's text between starts: what it is, which file it is of, whether it differs from that."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

TEXT_NAME = ".py"
"""Under which the text is kept."""


@dataclass(slots=True)
class Draft:
    """What is remembered of the editor, apart from its text."""

    SECTION: ClassVar[str] = "editor"

    file: str = ""
    """Path of the open file; empty = none."""
    changed: bool = False
    """The text differs from the file."""
    row: int = 0
    column: int = 0

    @property
    def file_name(self) -> str:
        """What the editor's title says."""
        return Path(self.file).name if self.file else "scratch"
