"""Keeps one line that is logged again and again from filling the log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

_EVERY_S: Final = 60.0


class Seldom(logging.Filter):
    """Lets each message through once a minute: without file descriptors asyncio tells so a hundred times a second."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is to be logged."""
        text, now = record.getMessage().partition("\n")[0], self._clock()
        if now - self._told.get(text, -_EVERY_S) < _EVERY_S:
            return False
        self._told = {known: when for known, when in self._told.items() if now - when < _EVERY_S} | {text: now}
        return True
