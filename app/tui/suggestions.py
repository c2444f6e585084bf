"""What could follow the cursor: a kernel's completions and the words of the text, filtered as one types. Pure."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from ..model.inspection import Completions

MOST: Final = 500
"""Suggestions that are offered at a time."""
_REACH_LINES: Final = 2_000
"""How far from the cursor words of the text are looked for."""
_ASKED_LINES: Final = 150
"""Lines above the cursor that a kernel is shown: it needs those of one statement and of imports."""
_WORD: Final = re.compile(r"[^\W\d]\w*")
_END: Final = re.compile(r"[^\W\d]\w*$|(?<=\.)$")
_PYTHON: Final = tuple(keyword.kwlist)
_BUILTINS: Final = tuple(name for name in dir(builtins) if not name.startswith("_"))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Something that may stand from `Offer.start` to the cursor."""

    text: str
    kind: str = ""
    """As in `model.inspection.Completions.types`; `word` for a word of the text."""

    @property
    def label(self) -> str:
        """What the list shows: the last part of a dotted name or path."""
        if self.kind == "path":
            return self.text.rstrip("/").rpartition("/")[2] + ("/" if self.text.endswith("/") else "")
        return self.text.rpartition(".")[2] or self.text


@dataclass(frozen=True, slots=True)
class Offer:
    """Suggestions for a place in a text."""

    row: int
    start: int
    """Column of the first character that a suggestion takes the place of."""
    suggestions: tuple[Suggestion, ...]
    note: str = ""
    """What is to be said with it, such as why the kernel was not asked."""


def word_start(line: str, column: int) -> int | None:
    """Returns where the name begins that is being typed, or the place behind a dot; None when nothing is."""
    match = _END.search(line[:column])
    return None if match is None else match.start()


def asked_code(lines: Sequence[str], row: int) -> str:
    """Returns the part of a text that a kernel is shown: it ends with `row`."""
    return "\n".join(lines[max(0, row - _ASKED_LINES) : row + 1])


def of_kernel(found: Completions, code: str, row: int, column: int) -> Offer:
    """Returns what a kernel offered for `code`, whose last line was `row` with the cursor in `column`."""
    begins = len(code) - len(code.rpartition("\n")[2])
    start = min(max(0, found.start - begins), column)
    types = (*found.types, *("",) * (len(found.matches) - len(found.types)))
    suggestions = {match: Suggestion(match, kind) for match, kind in zip(found.matches, types, strict=False) if match}
    return Offer(row, start, tuple(suggestions.values())[:MOST])


def of_text(lines: Sequence[str], row: int, column: int, language: str) -> Offer | None:
    """Returns the names of the text itself, nearest first, and what Python always knows; None where none fits.

    Nothing is offered behind a dot: only a kernel knows what a value has.
    """
    line = lines[row]
    start = word_start(line, column)
    if start is None or start == column or line[:start].endswith("."):
        return None
    typed = line[start:column]
    end = column + (len(match.group()) if (match := re.match(r"\w*", line[column:])) else 0)
    here = line[:start] + " " * (end - start) + line[end:]
    found: dict[str, Suggestion] = {}
    # each name once, in the order of its nearest place
    for name in dict.fromkeys(chain(_WORD.findall(here), _words(lines, row))):
        if len(name) > 1 and fits(name, typed) is not None:
            found[name] = Suggestion(name, "word")
    if language == "python":
        for name in _PYTHON:
            if fits(name, typed) is not None:
                found[name] = Suggestion(name, "keyword")
        for name in _BUILTINS:
            if name not in found and fits(name, typed) is not None:
                found[name] = Suggestion(name, "class" if isinstance(getattr(builtins, name), type) else "function")
    found.pop(typed, None)
    return Offer(row, start, tuple(found.values())[:MOST]) if found else None


def _words(lines: Sequence[str], row: int) -> Iterable[str]:
    """Yields the names around a row, nearest lines first."""
    for away in range(1, _REACH_LINES):
        above, below = row - away, row + away
        if above < 0 and below >= len(lines):
            return
        if above >= 0:
            yield from _WORD.findall(lines[above])
        if below < len(lines):
            yield from _WORD.findall(lines[below])


def fits(text: str, typed: str) -> int | None:
    """Returns how badly a text fits what was typed: 0 as its beginning, more for its letters apart; None = not at all.

    Of dotted names what stands before the last dot must be the same.
    """
    holder, dot, beginning = typed.rpartition(".")
    if dot:
        if not text.startswith(holder + dot):
            return None
        text = text[len(holder) + 1 :]
    if text.startswith(beginning):
        return 0
    lower, wanted = text.lower(), beginning.lower()
    if lower.startswith(wanted):
        return 1
    if wanted != beginning or not lower or lower[0] != wanted[0]:
        return 2 if len(wanted) > 1 and wanted in lower else None
    at = 0
    for letter in wanted:
        at = lower.find(letter, at) + 1
        if at == 0:
            return None
    return 3


def narrow(suggestions: Iterable[Suggestion], typed: str) -> tuple[Suggestion, ...]:
    """Returns those that fit what was typed, best first; among equals the order stays."""
    judged = ((fits(suggestion.text, typed), suggestion) for suggestion in suggestions)
    fitting = [(badness, suggestion) for badness, suggestion in judged if badness is not None]
    fitting.sort(key=lambda item: item[0])
    return tuple(suggestion for _, suggestion in fitting)


def shared_beginning(suggestions: Sequence[Suggestion]) -> str:
    """Returns what all of them begin with."""
    texts = [suggestion.text for suggestion in suggestions]
    first, last = min(texts, default=""), max(texts, default="")
    same = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    return first[:same]
