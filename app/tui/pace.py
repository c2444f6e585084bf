"""Lets the screen have its share while a flood comes in: keys and paints go through several turns of the loop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

SLICE_S: Final = 0.008
"""Work that may be done in one go: half a frame of the screen."""
BREATH_S: Final = 0.003
"""How long others may go on then, as often as they want."""


class Pace:
    """Slows a reader down to what leaves a key and its paint some milliseconds."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def step(self) -> None:
        """Lets others go on; for after each piece of work. A cancelled step loses nothing."""
        if time.perf_counter() - self._since < SLICE_S:
            await asyncio.sleep(0)  # one turn of the loop for the others
            return
        # a turn of the loop is not enough: a key takes several until it is painted
        await asyncio.sleep(BREATH_S)
        self._since = time.perf_counter()
