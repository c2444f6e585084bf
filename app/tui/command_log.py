"""What the user did, as the commands that do the same: so that people learn them. Pure but for the message."""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from textual.message import Message

from .messages import CommandLogged

KEPT: Final = 1_000
"""Commands; the oldest goes first."""


@dataclass(frozen=True, slots=True)
class Command:
    at_s: float
    """Unix time."""
    argv: tuple[str, ...]
    """Without the program's name."""

    @property
    def line(self) -> str:
        """As one would type it."""
        return shlex.join(("bai-tui", *self.argv))


class CommandLog:
    """The newest commands, oldest first."""

    def __init__(self, post: Callable[[Message], object], clock: Callable[[], float]) -> None:
        self._post = post
        self._clock = clock
        self.commands: deque[Command] = deque(maxlen=KEPT)

    def did(self, argv: Sequence[str]) -> None:
        """Notes a command."""
        self.commands.append(Command(self._clock(), tuple(argv)))
        self._post(CommandLogged())
