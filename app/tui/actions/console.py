"""The keys of the console."""

from __future__ import annotations

from typing import Final

from .action import Action

ROWS: Final = (
    Action(
        "console-follow",
        "f,end,G,shift+g",
        "console",
        "follow",
        "follow",
        "Go to the newest output and stay there",
    ),
    Action(
        "console-clear",
        "ctrl+l",
        "console",
        "clear",
        "clear",
        "Forget the lines shown here; the session keeps its journal",
        key_display="^l",
    ),
    Action("console-down", "j,down", "console", "scroll_down", "down", "Scroll down a line", show=False, palette=False),
    Action("console-up", "k,up", "console", "scroll_up", "up", "Scroll up a line", show=False, palette=False),
    Action(
        "console-page-down",
        "space,pagedown",
        "console",
        "page_down",
        "page down",
        "Scroll down a screenful",
        show=False,
        palette=False,
    ),
    Action(
        "console-page-up",
        "b,pageup",
        "console",
        "page_up",
        "page up",
        "Scroll up a screenful",
        show=False,
        palette=False,
    ),
    Action(
        "console-top", "g,home", "console", "scroll_home", "top", "Go to the oldest output", show=False, palette=False
    ),
    Action(
        "console-new",
        "n",
        "console",
        "screen.launch",
        "new",
        "Pick an image and launch a session",
        show=False,
        palette=False,
    ),
    Action(
        "console-help",
        "question_mark",
        "console",
        "screen.help",
        "help",
        "Explain this pane",
        palette=False,
        key_display="?",
    ),
    Action(
        "console-quit",
        "q",
        "console",
        "app.leave",
        "leave",
        "Leave; sessions and their runs go on",
        show=False,
        palette=False,
    ),
)
