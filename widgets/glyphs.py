"""The shapes of the interface, once in Unicode and once in plain ASCII for poor fonts.

Every state has a shape and a word of its own, so that the screen reads without colour.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ..app.model.sessions import ANSWERING, STARTING, SessionStatus


@dataclass(frozen=True, slots=True)
class Glyphs:
    """One set of shapes; every one is a single cell wide."""

    running: str = "●"
    busy: str = "◐"
    asks: str = "?"
    pending: str = "○"
    preparing: str = "◌"
    failed: str = "✕"
    ended: str = "·"
    cursor: str = "▌"
    bar_full: str = "█"
    bar_part: str = "▏▎▍▌▋▊▉"
    """Eighths of a full cell, growing; empty = whole cells only."""
    bar_empty: str = "░"
    bar_left: str = "▕"
    bar_right: str = "▏"
    share_on: str = "▰"
    share_off: str = "▱"
    branch: str = "└"
    ok: str = "✓"
    ellipsis: str = "…"
    dot: str = "·"
    rule: str = "─"
    between: str = "│"
    """Parts tabs."""
    guide: str = "│"
    """A level of indentation."""
    close: str = "×"
    spinner: str = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
    down: str = "▾"
    folded: str = "▸"
    """Before what is put away."""
    used: str = "▀"
    """What is really used, below what was asked for."""
    others: str = "▔"
    """What is used below cells that nobody was given."""
    over: str = "▲"
    """More is used than was asked for."""
    edge: str = "▏"
    """Where a part of a bar begins."""
    asked: str = "▒"
    """Asked for and not used."""
    left: str = "↓"
    """Before time that runs out."""
    columns: str = "▁▂▃▄▅▆▇█"
    """Heights of a sparkline, growing."""
    marked: str = "✓"
    pinned: str = "◆"
    rising: str = "▴"
    """Beside the column that rows are sorted by, least first."""
    falling: str = "▾"


UNICODE: Final = Glyphs()
ASCII: Final = Glyphs(
    running="*",
    busy="@",
    pending="o",
    preparing=":",
    failed="x",
    ended=".",
    cursor=">",
    bar_full="#",
    bar_part="",
    bar_empty="-",
    bar_left="[",
    bar_right="]",
    share_on="#",
    share_off="-",
    branch="\\",
    ok="+",
    ellipsis="~",
    dot="-",
    rule="-",
    between="|",
    guide="|",
    close="x",
    spinner="|/-\\",
    down="v",
    folded=">",
    used="=",
    others="~",
    over="!",
    edge="|",
    asked="+",
    left="-",
    columns="_.:-=+*#",
    marked="+",
    pinned="^",
    rising="^",
    falling="v",
)

_WORDS: Final = {
    SessionStatus.PENDING: "pending",
    SessionStatus.SCHEDULED: "scheduled",
    SessionStatus.PREPARING: "preparing",
    SessionStatus.PULLING: "pulling",
    SessionStatus.PREPARED: "prepared",
    SessionStatus.CREATING: "creating",
    SessionStatus.RUNNING: "running",
    SessionStatus.RUNNING_DEGRADED: "degraded",
    SessionStatus.RESTARTING: "restarting",
    SessionStatus.TERMINATING: "ending",
    SessionStatus.TERMINATED: "ended",
    SessionStatus.ERROR: "failed",
    SessionStatus.CANCELLED: "cancelled",
}


def state_words() -> list[str]:
    """Returns the words of all states."""
    return [*_WORDS.values(), "busy", "asks"]


def status_word(status: SessionStatus | None, text: str = "", *, busy: bool = False, asks: bool = False) -> str:
    """Returns the word of a state, at most 10 letters; `text` for a state that this program does not know."""
    if status in ANSWERING and asks:
        return "asks"
    if status in ANSWERING and busy:
        return "busy"
    return _WORDS[status] if status is not None else (text.lower()[:10] or "unknown")


def status_glyph(glyphs: Glyphs, status: SessionStatus | None, *, busy: bool = False, asks: bool = False) -> str:
    """Returns the shape of a state."""
    if status in ANSWERING:
        return glyphs.asks if asks else glyphs.busy if busy else glyphs.running
    if status is SessionStatus.PENDING:
        return glyphs.pending
    if status in STARTING or status is SessionStatus.RESTARTING:
        return glyphs.preparing
    if status is SessionStatus.ERROR:
        return glyphs.failed
    return glyphs.ended


def status_class(status: SessionStatus | None, *, busy: bool = False, asks: bool = False) -> str:
    """Returns the name of the style of a state: `asks`, `busy`, `alarm`, `running`, `waiting`, `failed`, `ended`."""
    if status in ANSWERING:
        degraded = status is SessionStatus.RUNNING_DEGRADED
        return "asks" if asks else "busy" if busy else "alarm" if degraded else "running"
    if status is SessionStatus.ERROR:
        return "failed"
    if status is SessionStatus.PENDING or status in STARTING or status is SessionStatus.RESTARTING:
        return "waiting"
    return "ended"
