"""Why a session ended, in words. Pure."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from typing import Final

from ...widgets.glyphs import Glyphs
from ...widgets.image_words import progress_text
from ...widgets.rows import ImageProgress
from ...widgets.text import one_line
from ..client.views import SessionView
from ..model.sessions import SessionStatus
from ..model.slots import CUDA_SHARES, GPU_ALIAS

_WORDS: Final[Mapping[str, str]] = {
    "user-requested": "ended by its user",
    "self-terminated": "ended by itself",
    "force-terminated": "forced to end by its user",
    "task-finished": "its command succeeded",
    "task-failed": "its command failed",
    "task-timeout": "its command took too long",
    "idle-timeout": "unused for too long",
    "idle-session-lifetime": "its lifetime was over",
    "idle-utilization": "it used too little of what it had",
    "wall-time": "its time was over",
    "pending-timeout": "waited too long in the queue",
    "dependency-failed": "a session that it depended on failed",
    "failed-to-start": "could not be started",
    "restarting failed": "could not be restarted",
    "overuse": "used more than it had",
    "launch-failed": "could not be started",
}
_NEVER_STARTED: Final = frozenset({"failed-to-start", "launch-failed"})
_BAR_CELLS: Final = 24
_EXIT: Final = re.compile(r"exit status (-?\d+)")
_SIGNALS: Final[Mapping[int, str]] = {
    signal.SIGKILL: "killed: by the system when memory is short, or by force",
    signal.SIGTERM: "told to end",
    signal.SIGINT: "interrupted",
    signal.SIGSEGV: "crashed: it touched memory that is not its own",
    signal.SIGABRT: "aborted itself",
}


def exit_words(code: int) -> str:
    """Returns an exit status in words: what a shell or a system means by it, where that is known."""
    number = -code if code < 0 else code - 128 if code > 128 else 0
    if number:
        try:
            name = signal.Signals(number).name
        except ValueError:
            return f"exit status {code}"
        about = _SIGNALS.get(number)
        return f"{name}: {about}" if about else name
    known = {0: "success", 1: "a general failure", 2: "wrong usage", 126: "not executable", 127: "command not found"}
    return f"exit status {code}" + (f": {known[code]}" if code in known else "")


def why_ended(view: SessionView) -> str:
    """Returns why a session ended, in a few words."""
    info = (view.status_info or "").replace(CUDA_SHARES, GPU_ALIAS).strip()
    head, _, rest = info.partition(":")
    rest = _EXIT.sub(lambda match: exit_words(int(match[1])), rest.strip())
    words = _WORDS.get(head.strip())
    if words is None:
        if info:
            return info
        if view.result == "SUCCESS":
            return _WORDS["task-finished"]
        if view.status is SessionStatus.ERROR:
            return "failed without a reason: see the server's log"
        return "cancelled before it started" if view.status is SessionStatus.CANCELLED else ""
    if view.status is SessionStatus.CANCELLED and head == "user-requested":
        words = "cancelled by its user before it started"
    return f"{words}: {rest}" if rest else words


def failed_to_start(info: str) -> bool:
    """Whether a reason is that a session could not be started."""
    return info.partition(":")[0] in _NEVER_STARTED


def silence(view: SessionView, progress: ImageProgress | None, glyphs: Glyphs, now_s: float, log_key: str) -> list[str]:
    """Returns why a session has said nothing, in lines; none where nothing keeps it from that.

    Args:
        progress: how far its image is, which is being built or pulled.
        now_s: clock time.
        log_key: what shows the log of its image, in the session list.
    """
    log = f"{log_key} in the session list shows the log"
    if progress is not None or view.status is SessionStatus.PULLING:
        told = "" if progress is None else progress_text(progress, glyphs, now_s, width=_BAR_CELLS, percents=True)
        first = f"its image {one_line(view.image)} is being made ready"
        return [first, *([one_line(told)] if told else []), "", f"it starts when that is done; {log}"]
    if view.status is SessionStatus.ERROR:
        return [*map(one_line, why_ended(view).splitlines()), "", log]
    return []
