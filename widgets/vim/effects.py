"""What the machine sees, and what it answers with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

Place = tuple[int, int]
"""(row, column), from 0."""


class Mode(StrEnum):
    """What keys mean."""

    NORMAL = "normal"
    INSERT = "insert"
    VISUAL = "visual"
    VISUAL_LINE = "visual-line"
    LINE = "line"
    """A line after `:`, `/` or `?` is typed."""


@dataclass(frozen=True, slots=True)
class Text:
    """The text as it stands when a key is pressed."""

    lines: Sequence[str]
    cursor: Place
    indent_width: int = 4
    tabs: bool = False
    page: int = 20
    """Lines that are to be seen."""


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace the text between two places, as one step to undo, and put the cursor."""

    start: Place
    end: Place
    text: str
    cursor: Place


@dataclass(frozen=True, slots=True)
class Move:
    """Put the cursor; nothing is selected."""

    cursor: Place


@dataclass(frozen=True, slots=True)
class Select:
    """Select from one place to another, the second excluded; the cursor is at `cursor`."""

    start: Place
    end: Place
    cursor: Place


@dataclass(frozen=True, slots=True)
class Undo:
    """Take steps back, or forward where negative."""

    steps: int


@dataclass(frozen=True, slots=True)
class Group:
    """What is edited between a beginning and an end is one step to undo."""

    begins: bool


@dataclass(frozen=True, slots=True)
class Replay:
    """Press these keys again."""

    keys: tuple[tuple[str, str], ...]
    """(key, character or empty)."""


@dataclass(frozen=True, slots=True)
class Look:
    """Show what is looked for; empty = nothing any more."""

    pattern: str


@dataclass(frozen=True, slots=True)
class Say:
    """Tell the user something, in a sentence."""

    text: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something beyond the text: `write`, `quit`, `edit`, `copy`, `center`, `scroll`, `next-tab`, `set`."""

    name: str
    argument: str = ""


Effect = Edit | Move | Select | Undo | Group | Replay | Look | Say | Act
