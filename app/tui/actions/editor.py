"""The keys of the editor, beside those that work everywhere and those of typing."""

from __future__ import annotations

from typing import Final

from .action import Action


def _row(
    name: str,
    key: str,
    action: str,
    description: str,
    tooltip: str,
    title: str,
    key_display: str = "",
    show: bool = False,
) -> Action:
    return Action(
        f"editor-{name}", key, "editor", action, description, tooltip, show, key_display=key_display, title=title
    )


ROWS: Final[tuple[Action, ...]] = (
    _row(
        "find", "ctrl+f", "find", "find", "Look for text; what is selected is the first answer", "find text", "^f", True
    ),
    _row(
        "replace",
        "alt+f",
        "replace",
        "replace",
        "Look for text and put something else in its place",
        "replace text",
    ),
    _row("find-next", "alt+g", "find_step(1)", "next match", "Go to the next match", "find the next match"),
    _row("find-previous", "alt+p", "find_step(-1)", "match before", "Go to the match before", "find the match before"),
    _row("find-case", "alt+c", "find_turn('case')", "case", "Tell upper from lower case, or not", "find: case"),
    _row(
        "find-word", "alt+b", "find_turn('word')", "words", "Find whole words only, or parts too", "find: whole words"
    ),
    _row(
        "find-regex",
        "alt+x",
        "find_turn('regex')",
        "regex",
        "Take what is looked for as a regular expression, or as it is",
        "find: regular expression",
    ),
    _row(
        "replace-one",
        "alt+y",
        "replace_one",
        "replace one",
        "Replace the match and go to the next",
        "replace this match",
    ),
    _row(
        "replace-all",
        "alt+l",
        "replace_all",
        "replace all",
        "Replace every match, as one step to undo",
        "replace every match",
    ),
    _row(
        "line",
        "ctrl+l",
        "go_to_line",
        "line",
        "Go to a line, or to a line and a column",
        "go to line",
        "^l",
        True,
    ),
    _row(
        "comment",
        "ctrl+underscore,ctrl+slash",
        "editor('toggle_comment')",
        "comment",
        "Make comments of the lines, or take the marks away",
        "comment: toggle",
        "^/",
        True,
    ),
    _row(
        "duplicate", "alt+d", "editor('duplicate')", "duplicate", "Write the line or selection again", "duplicate line"
    ),
    _row("line-up", "alt+up", "editor('move_lines(-1)')", "move up", "Move the lines up", "move line up"),
    _row("line-down", "alt+down", "editor('move_lines(1)')", "move down", "Move the lines down", "move line down"),
    _row("join", "alt+j", "editor('join_lines')", "join", "Join the line with the next", "join lines"),
    _row("bracket", "alt+m", "editor('matching_bracket')", "bracket", "Go to the other bracket", "go to other bracket"),
    _row("trim", "alt+k", "trim", "trim", "Take the spaces at the ends of lines away", "trim spaces at ends of lines"),
    _row("select-all", "alt+a", "editor('select_all')", "select all", "Select the whole text", "select all"),
    _row("wrap", "alt+z", "editor('toggle_wrap')", "wrap", "Wrap long lines, or let them run on", "wrap lines: toggle"),
    _row(
        "guides",
        "alt+i",
        "toggle_guides",
        "guides",
        "Show or hide the lines of indentation",
        "indent guides: toggle",
    ),
    _row(
        "pairs",
        "alt+9",
        "toggle_auto_close",
        "pairs",
        "Let a bracket or quote that is typed bring its partner, or not",
        "auto-close brackets: toggle",
    ),
    _row("tab-new", "alt+t", "new_tab", "new tab", "Open an empty text", "new tab"),
    _row(
        "tab-close",
        "alt+w",
        "close_tab",
        "close tab",
        "Close the text; asks where something would be lost",
        "close tab",
    ),
    _row(
        "tab-next",
        "ctrl+pagedown,alt+full_stop",
        "next_tab",
        "next tab",
        "Go to the tab on the right",
        "next tab",
        "^pgdn",
    ),
    _row(
        "tab-previous",
        "ctrl+pageup,alt+comma",
        "previous_tab",
        "tab before",
        "Go to the tab on the left",
        "previous tab",
        "^pgup",
    ),
    _row("save-as", "alt+s", "save_as", "save as", "Save the text under another name", "save as"),
    _row(
        "external",
        "alt+e",
        "external",
        "$EDITOR",
        "Hand the text to the editor of $VISUAL or $EDITOR and take it back",
        "open in $EDITOR",
    ),
    _row("vim", "alt+v", "toggle_vim", "vim keys", "Give the editor vim's keys, or take them away", "vim keys: toggle"),
)
