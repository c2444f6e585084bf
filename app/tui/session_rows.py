"""What the list shows of a session: the server's view and what we know beside it in, a row out. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ...widgets.rows import ImageProgress, SessionRow
from ..client.views import SessionView
from ..model.sessions import ANSWERING, LIVE, STARTING, TERMINAL, SessionStatus
from ..model.slots import CUDA_SHARES, GPU_ALIAS

IDLE_WHY: Final[Mapping[str, str]] = {
    "network_timeout": "unused",
    "session_lifetime": "its lifetime",
    "utilization": "too little used",
}
"""Idle check -> why it ends a session, in a word or two."""
_ENDED_AS_ASKED: Final = frozenset({"", "user-requested", "self-terminated", "force-terminated", "task-finished"})
"""Reasons that need no telling."""

_FAILED: Final = "failed-to-start:"


@dataclass(slots=True)
class Extra:
    """What we know that the server does not say."""

    running_here: bool = False
    asks: bool = False
    alarm: str = ""
    ending: bool = False
    note: str = ""
    ends_at_s: float | None = None
    ends_why: str = ""
    kill_at_s: float | None = None


_NOTHING: Final = Extra()


def row_of(view: SessionView, extra: Extra | None, progress: ImageProgress | None = None) -> SessionRow:
    """Returns the row of a session.

    Args:
        progress: how far its image is, which is being built or pulled.
    """
    extra = extra or _NOTHING
    status = view.status
    if extra.ending and status in LIVE:
        status = SessionStatus.TERMINATING
    busy = (view.busy or extra.running_here) and status in ANSWERING
    spared = busy and extra.ends_why == IDLE_WHY["network_timeout"]
    return SessionRow(
        id=view.id,
        name=view.name,
        status=status,
        status_text=view.status_text,
        image=view.image,
        image_gone=bool(view.image_gone) and status in LIVE,
        slots=view.occupying_slots or view.requested_slots,
        since_s=None if view.created_at is None else view.created_at.timestamp(),
        busy=busy,
        asks=extra.asks and status in ANSWERING,
        note=extra.note or _note(view),
        progress=progress if status in STARTING else None,
        alarm=extra.alarm if status not in TERMINAL else "",
        ends_at_s=extra.ends_at_s if status in ANSWERING and not spared else None,
        ends_why=extra.ends_why,
        kill_at_s=extra.kill_at_s if status not in TERMINAL else None,
        priority=view.priority,
        type=view.type,
        tag=view.tag or "",
        owner=view.access_key or "",
        project=view.group_name or "",
    )


def first_end(view: SessionView) -> tuple[float | None, str]:
    """Returns in how many seconds an idle check ends a session if nothing happens, and why; None = none does."""
    running = [
        (check.remaining_s, IDLE_WHY.get(name, name.replace("_", " ")))
        for name, check in view.idle_checks.items()
        if check.remaining_s is not None and not check.in_grace
    ]
    if running:
        return min(running)
    if view.idle_checks or view.busy or view.idle_remaining_s is None:
        return None, ""
    return view.idle_remaining_s, IDLE_WHY["network_timeout"]


def _note(view: SessionView) -> str:
    """Returns what the second line says in place of image and slots."""
    # a cluster tells why it waits elsewhere than in the status
    waits = view.waiting.text if view.status is SessionStatus.PENDING and view.waiting is not None else ""
    info = (view.status_info or waits).replace(CUDA_SHARES, GPU_ALIAS)
    if view.status in STARTING or view.status in (SessionStatus.PENDING, SessionStatus.RUNNING_DEGRADED):
        return info
    if view.status is SessionStatus.ERROR:
        # there is little room: what it tells comes first
        return info.removeprefix(_FAILED).lstrip() or "failed without a reason: see the backend's log"
    if view.status in TERMINAL and info not in _ENDED_AS_ASKED:
        return info
    return ""
