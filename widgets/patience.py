"""Ends what the user's own pattern makes endless: a regular expression can take for ever on thirty characters."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TooLong(Exception):
    """It took longer than it may."""


@contextmanager
def patience(seconds: float) -> Iterator[None]:
    """Runs a block for so many seconds of processor time at most; matching of patterns can be broken off, too.

    Elsewhere than in the main thread, and on systems without such timers, the block takes as long as it takes.

    Raises:
        TooLong: The time was up.
    """
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def over(_number: int, _frame: FrameType | None) -> None:
        raise TooLong

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
