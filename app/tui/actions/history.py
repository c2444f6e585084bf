"""The keys of the history: of the screen that shows the sessions that ended."""

from __future__ import annotations

from typing import Final

from .action import Action


def _row(id: str, key: str, action: str, word: str, sentence: str, *, show: bool = False, label: str = "") -> Action:
    return Action(f"history-{id}", key, "history", action, word, sentence, show=show, palette=False, key_display=label)


ROWS: Final = (
    _row("open", "enter", "open", "output", "Show what the session wrote", show=True),
    Action(
        "history-again",
        "a",
        "history",
        "again",
        "again",
        "Launch another session with the same image and slots",
        palette=False,
        changes=True,
    ),
    Action(
        "history-filter",
        "slash",
        "history",
        "filter",
        "filter",
        "Show some sessions only, as in the session list",
        priority=True,
        palette=False,
        key_display="/",
    ),
    _row("sort", "s", "sort", "sort", "Pick the column to sort by; picked again, the order turns round"),
    _row("reverse", "S,shift+s", "reverse", "reverse", "Turn the order of the sessions round"),
    _row("columns", "c", "columns", "columns", "Choose the columns that are shown"),
    _row("mark", "space", "mark", "mark", "Mark the session for `a`, or take its mark back"),
    _row("mark-range", "ctrl+space,ctrl+@", "mark_range", "mark to here", "Mark the sessions up to this one",
         label="^space"),
    _row("unmark", "backspace", "clear_marks", "unmark", "Take all marks back"),
    _row("down", "j,down", "down", "down", "Go to the next session"),
    _row("up", "k,up", "up", "up", "Go to the previous session"),
    _row("first", "g,home", "first", "first", "Go to the first session"),
    _row("last", "G,end,shift+g", "last", "last", "Go to the last session that is loaded; more of them are asked for"),
    _row("page-down", "pagedown", "page(1)", "page down", "Go down a screenful"),
    _row("page-up", "pageup", "page(-1)", "page up", "Go up a screenful"),
    _row("switch", "tab", "switch", "switch", "Go to the output, and back to the list"),
    _row("close", "q,h", "close", "back", "Go back to the session list", show=True),
)  # fmt: skip
