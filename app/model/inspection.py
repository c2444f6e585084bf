"""What a kernel says of code that is being written: completions, and what a name stands for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

INSPECTS: Final = "inspect"
"""The capability of servers that tell what a name stands for."""


@dataclass(frozen=True, slots=True)
class Completions:
    """What could stand in place of the text from `start` up to the cursor."""

    matches: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    """What each match is, in Jupyter's words (function, class, module, instance, keyword, property, param, magic,
    path); "" where that is not known. As many as there are matches."""
    start: int = 0
    """Where the text begins that a match takes the place of, in characters of the code."""
    busy: bool = False
    """Code runs in the kernel, so it was not asked."""


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the name at the cursor stands for."""

    found: bool = False
    busy: bool = False
    """Code runs in the kernel, so it was not asked."""
    name: str = ""
    type: str = ""
    """One of the words of `Completions.types`, or of a value the name of its class."""
    signature: str = ""
    """`(a, b=1)` of what can be called; empty where it does not tell."""
    doc: str = ""
    text: str = ""
    """A value in short, or the source where details were asked for."""
