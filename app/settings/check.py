"""All that is wrong with the text of a `config.toml`, each with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .file import problems_of
from .reading import Problem
from .text import lines_of

Further = Callable[[Mapping[str, Any]], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class Placed:
    """Something that is wrong with a file."""

    line: int | None
    """From 1 on; None = not known."""
    message: str
    """One sentence."""

    def __str__(self) -> str:
        """Returns it as it follows the name of the file."""
        return f": {self.message}" if self.line is None else f":{self.line}: {self.message}"


def check(text: str, further: Further | None = None) -> list[Placed]:
    """Returns all that is wrong; of what is no TOML at all, the first thing.

    Args:
        further: Finds what the table of keys cannot know, in a file that is fine as far as that goes key by key.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        said = str(exc)
        found = re.search(r"line (\d+)", said)
        what = said.partition(" (at ")[0]
        return [Placed(int(found[1]) if found else None, f"this is not valid TOML: {what}")]
    problems = problems_of(table)
    if further is not None:
        known = {problem.path for problem in problems}
        problems += [problem for problem in further(table) if problem.path not in known]
    lines = lines_of(text, [problem.path for problem in problems])
    placed = [Placed(lines.get(problem.path), problem.message) for problem in problems]
    return sorted(placed, key=lambda problem: problem.line or 0)
