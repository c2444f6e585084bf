"""The keys of the terminal. While its shell runs, every other key is for the shell."""

from __future__ import annotations

from typing import Final

from .action import Action

ROWS: Final = (
    Action(
        "terminal-leave",
        "ctrl+right_square_bracket",
        "terminal",
        "leave",
        "leave the terminal",
        "Go back to the session list; every other key is for the program in the terminal",
        priority=True,
        palette=False,
        key_display="^]",
    ),
    Action(
        "terminal-restart",
        "enter",
        "terminal",
        "restart",
        "new shell",
        "Start another shell after the one that has ended",
        priority=True,
        palette=False,
        changes=True,
    ),
    Action(
        "terminal-page-up",
        "shift+pageup",
        "terminal",
        "look_back(1)",
        "look back",
        "Look at what was scrolled off; typing goes back to the end",
        priority=True,
        show=False,
        palette=False,
    ),
    Action(
        "terminal-page-down",
        "shift+pagedown",
        "terminal",
        "look_back(-1)",
        "look on",
        "Go back towards the end of the terminal",
        priority=True,
        show=False,
        palette=False,
    ),
)
