"""Which colour and which letter a session has on the map: its own for as long as it lives. Pure."""

from __future__ import annotations

import string
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

COLOURS: Final = 8
"""How many there are; `map--part-0` to `map--part-7` in the style sheet."""
_LETTERS: Final[str] = string.ascii_lowercase + string.ascii_uppercase + string.digits


@dataclass(frozen=True, slots=True)
class Mark:
    """What tells a session's cells from others'."""

    colour: int
    letter: str
    """Stands where its name has no room, and without colour."""


class Marks:
    """The marks of all sessions that hold something."""

    def __init__(self) -> None:
        self._marks: dict[str, Mark] = {}
        self._used = [0] * COLOURS

    def of(self, session_id: str) -> Mark:
        """Returns the mark of a session; one that holds nothing has the first."""
        return self._marks.get(session_id) or Mark(0, "?")

    def assign(self, sessions: Iterable[tuple[str, str]]) -> None:
        """Takes the (id, name) of all that hold something: new ones get what is used least, others keep theirs."""
        names = dict(sessions)
        for gone in self._marks.keys() - names.keys():
            self._used[self._marks.pop(gone).colour] -= 1
        taken = {mark.letter for mark in self._marks.values()}
        for session_id, name in names.items():
            if session_id in self._marks:
                continue
            colour = self._used.index(min(self._used))
            self._used[colour] += 1
            letter = _letter(name, taken)
            taken.add(letter)
            self._marks[session_id] = Mark(colour, letter)


def _letter(name: str, taken: set[str]) -> str:
    """Returns a free letter: the first one of the name that is, else any; when all are taken, the name's first."""
    own = [char for char in name if char in _LETTERS]
    for char in own + list(_LETTERS):
        if char not in taken:
            return char
    return own[0] if own else _LETTERS[0]
