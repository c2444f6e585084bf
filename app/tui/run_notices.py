"""Tells that a long run has ended to somebody who looks elsewhere: by the bell, and by the desktop where there is one.

What it says is untrusted text: no control character of it reaches a terminal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Final

from ...widgets.lines import Run, RunState
from ...widgets.text import one_line, took

_FRESH_S: Final = 30.0
"""A run that ended longer ago is history."""
_ENDS: Final[Mapping[RunState, str]] = {
    RunState.OK: "is done",
    RunState.FAILED: "failed",
    RunState.INTERRUPTED: "was interrupted",
    RunState.ENDED: "ended with its session",
    RunState.LOST: "was lost sight of",
}
_OSC_9: Final = frozenset({"iTerm.app", "WezTerm", "ghostty"})


class RunNotices:
    """Which runs go on, to notice when they end.

    Args:
        after_s: A run that took longer is told of; 0 = none is.
    """

    def __init__(self, after_s: float) -> None:
        self._after_s = after_s
        self._going: dict[str, Run] = {}

    def look(self, session_id: str, run: Run | None, now_s: float) -> Run | None:
        """Takes the newest run of a session; returns the one that just ended after so long that it is told of.

        What ended before it was ever seen going, as everything in a journal that is read late, is not.
        """
        before = self._going.get(session_id)
        if run is not None and run.going:
            self._going[session_id] = run
        else:
            self._going.pop(session_id, None)
        if before is None or before.ended_s is None or not self._after_s:
            return None
        long = before.ended_s - before.started_s > self._after_s
        return before if long and now_s - before.ended_s < _FRESH_S else None


def sentence(session: str, run: Run) -> str:
    """Returns what is told of a run that ended."""
    seconds = took((run.ended_s or run.started_s) - run.started_s)
    code = f" (exit {run.exit_code})" if run.state is RunState.FAILED and run.exit_code is not None else ""
    ended = _ENDS.get(run.state, "ended")
    return f"{one_line(session)}: [{run.number}] {one_line(run.title)} {ended}{code} after {seconds}"


def sequence(text: str, environ: Mapping[str, str]) -> str:
    """Returns what makes this terminal show a notice of the desktop's; empty where it is not known to."""
    text = one_line(text).replace(";", ",")
    program, term = environ.get("TERM_PROGRAM", ""), environ.get("TERM", "")
    if program in _OSC_9 or "KITTY_WINDOW_ID" in environ or "ghostty" in term or "kitty" in term:
        found = f"\x1b]9;{text}\x1b\\"
    elif term.startswith(("foot", "rxvt")):
        found = f"\x1b]777;notify;bai-tui;{text}\x1b\\"
    else:
        return ""
    if environ.get("TMUX"):
        found = "\x1bPtmux;" + found.replace("\x1b", "\x1b\x1b") + "\x1b\\"
    return found


async def by_program(text: str, environ: Mapping[str, str] | None = None, platform: str = sys.platform) -> bool:
    """Shows a notice by a program of this machine's desktop; returns whether there was one."""
    environ = os.environ if environ is None else environ
    if platform == "darwin":
        argv = ["osascript", "-e", "on run what", "-e", 'display notification (item 1 of what) with title "bai-tui"']
        argv += ["-e", "end run", text]
    elif environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        argv = ["notify-send", "--app-name=bai-tui", "--", "bai-tui", text]
    else:
        return False
    if shutil.which(argv[0]) is None:
        return False
    with contextlib.suppress(OSError, TimeoutError):
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(3.0):
                return await process.wait() == 0
        except TimeoutError:
            process.kill()
            raise
    return False
