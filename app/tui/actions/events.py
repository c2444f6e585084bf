"""The keys of the log of events and commands."""

from __future__ import annotations

from typing import Final

from .action import Action, help_and_leave

ROWS: Final = (
    Action(
        "events-copy", "y,enter", "events", "copy", "copy", "Copy the line under the cursor: a command to type again"
    ),
    Action(
        "events-kind",
        "t",
        "events",
        "kind",
        "what",
        "Show events and commands, commands only, or events only",
        title="log: events, commands or both",
    ),
    Action(
        "events-session",
        "s",
        "events",
        "one_session",
        "whose",
        "Show what happened to the selected session only, or to all",
        title="log: the selected session, or all",
    ),
    Action("events-down", "j,down", "events", "down", "down", "Go to the next line", show=False, palette=False),
    Action("events-up", "k,up", "events", "up", "up", "Go to the line before", show=False, palette=False),
    Action(
        "events-page-down",
        "space,pagedown",
        "events",
        "page(1)",
        "page down",
        "Go down a screenful",
        show=False,
        palette=False,
    ),
    Action(
        "events-page-up", "b,pageup", "events", "page(-1)", "page up", "Go up a screenful", show=False, palette=False
    ),
    Action("events-first", "g,home", "events", "first", "first", "Go to the oldest line", show=False, palette=False),
    Action(
        "events-last",
        "G,end,shift+g",
        "events",
        "last",
        "last",
        "Go to the newest line and stay there",
        show=False,
        palette=False,
    ),
    *help_and_leave("events"),
)
