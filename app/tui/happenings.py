"""What happened: the events that the server pushed, and what the user did as the commands that do the same.

Both in one order of time, so that one sees what came of what was done, and learns the commands.
"""

from __future__ import annotations

import shlex
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from textual.message import Message

from ..client.views import EventView
from .messages import Happened

KEPT: Final = 2_000
"""Entries; the oldest goes first."""

_WORDS: Final[Mapping[str, str]] = {
    "session_enqueued": "waits for its turn",
    "session_scheduled": "was given its share",
    "session_preparing": "is prepared",
    "session_pulling": "waits for its image",
    "session_creating": "is created",
    "session_started": "runs",
    "session_terminating": "is being ended",
    "session_terminated": "has ended",
    "session_cancelled": "was cancelled",
    "session_success": "has done its work",
    "session_failure": "has failed",
    "bai_idle_warning": "will be ended: nobody uses it",
    "bai_overuse_warning": "uses more than its share",
    "bai_device_lost": "has lost a device",
    "bai_device_returned": "has its device again",
    "bai_image_gone": "runs in an image that is gone",
    "bai_image_back": "has its image again",
}
_BAD: Final = frozenset({"session_failure", "bai_device_lost"})
_WARNING: Final = frozenset({"session_cancelled", "bai_idle_warning", "bai_overuse_warning", "bai_image_gone"})
_SILENT: Final = frozenset({"bai_connected", "bai_lagged", "server_close"})
"""They speak of the stream, not of sessions."""


class Kind(StrEnum):
    EVENT = "event"
    COMMAND = "command"


@dataclass(frozen=True, slots=True)
class Happening:
    """A line of the log."""

    at_s: float
    """Unix time."""
    kind: Kind
    text: str
    """One line; foreign words in it are not made safe yet."""
    session_id: str | None = None
    level: str = ""
    """`warning`, `error`, or nothing."""


class Happenings:
    """The newest of what happened, oldest first.

    Args:
        clock: Unix time.
    """

    def __init__(self, post: Callable[[Message], object], clock: Callable[[], float]) -> None:
        self._post = post
        self._clock = clock
        self._entries: deque[Happening] = deque(maxlen=KEPT)
        self.count = 0
        """How many there were, with those that are gone."""

    def __iter__(self) -> Iterator[Happening]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def event(self, event: EventView) -> None:
        """Takes an event of the server."""
        if event.name in _SILENT:
            return
        self._add(Happening(self._clock(), Kind.EVENT, event_text(event), event.session_id, _level(event)))

    def did(self, *argv: str, session_id: str | None = None) -> None:
        """Takes what the user did, as the arguments of `bai-tui` that do the same."""
        self._add(Happening(self._clock(), Kind.COMMAND, shlex.join(("bai-tui", *argv)), session_id))

    def _add(self, entry: Happening) -> None:
        self._entries.append(entry)
        self.count += 1
        self._post(Happened())


def event_text(event: EventView) -> str:
    """Returns an event in words: who, what, why, and with which exit status."""
    who = event.session_name or (event.session_id or "")[:8]
    what = _WORDS.get(event.name, event.name.replace("_", " "))
    why = f": {event.reason}" if event.reason and event.reason != "user-requested" else ""
    code = "" if event.exit_code is None else f" (exit {event.exit_code})"
    return f"{who} {what}{why}{code}".strip()


def _level(event: EventView) -> str:
    if event.name in _BAD or (event.exit_code or 0) != 0:
        return "error"
    return "warning" if event.name in _WARNING else ""
