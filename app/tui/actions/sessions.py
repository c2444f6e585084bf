"""The keys of the session list."""

from __future__ import annotations

from typing import Final

from .action import Action, of_session

ROWS: Final = (
    Action("list-new", "n", "sessions", "screen.launch", "new", "Pick an image and launch a session", palette=False),
    Action(
        "list-kill",
        "x,delete",
        "sessions",
        "kill",
        "kill",
        "End the selected session: at once when idle, with a second press when it runs code; takes an ended one off",
    ),
    *of_session("list", "sessions"),
    Action(
        "list-map",
        "m",
        "sessions",
        "screen.map",
        "map",
        "Show or hide the map of the machine",
        show=False,
        palette=False,
    ),
    Action(
        "list-details",
        "i",
        "sessions",
        "screen.pane('details')",
        "details",
        "Go to the details of the selected session",
        show=False,
        palette=False,
    ),
    Action("list-down", "j,down", "sessions", "down", "down", "Go to the next session", show=False, palette=False),
    Action("list-up", "k,up", "sessions", "up", "up", "Go to the previous session", show=False, palette=False),
    Action("list-first", "g,home", "sessions", "first", "first", "Go to the first session", show=False, palette=False),
    Action(
        "list-last", "G,end,shift+g", "sessions", "last", "last", "Go to the last session", show=False, palette=False
    ),
    Action(
        "list-page-down",
        "pagedown",
        "sessions",
        "page(1)",
        "page down",
        "Go down a screenful",
        show=False,
        palette=False,
    ),
    Action("list-page-up", "pageup", "sessions", "page(-1)", "page up", "Go up a screenful", show=False, palette=False),
    Action(
        "list-open",
        "enter",
        "sessions",
        "screen.enter_session",
        "open",
        "Go to the editor with this session, or to its prompt when it asks for input",
        palette=False,
    ),
    Action(
        "list-help",
        "question_mark",
        "sessions",
        "screen.help",
        "help",
        "Explain this pane",
        palette=False,
        key_display="?",
    ),
    Action("list-quit", "q", "sessions", "app.leave", "leave", "Leave; sessions and their runs go on", palette=False),
)
