"""The one table of what can be done: keys, footer, palette and help all come from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.binding import Binding

PANES: Final = {
    "everywhere": "everywhere",
    "sessions": "sessions",
    "editor": "editor",
    "console": "console",
    "map": "map",
    "details": "details",
}


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to do."""

    id: str
    key: str
    """Keys, comma separated; the first is shown."""
    target: str
    """The pane in which the keys work, or `everywhere`."""
    action: str
    """Textual's action."""
    description: str
    """A word or two, for the footer."""
    tooltip: str
    """A sentence, for help and palette."""
    show: bool = True
    """Whether it is in the footer."""
    priority: bool = False
    """Works even where the focused widget has a use for the key."""
    palette: bool = True
    key_display: str = ""
    title: str = ""
    """What the palette calls it, with the words that one would search for; empty = the description."""


def _of_session(prefix: str, target: str) -> tuple[Action, ...]:
    """Returns what can be done to the selected session, in the list and in the panes that show it."""
    first = prefix == "list"
    return (
        Action(
            f"{prefix}-extend",
            "plus,equals_sign",
            target,
            "screen.extend",
            "keep",
            "Let the selected session end half an hour later than idle checks would end it",
            palette=first,
            key_display="+",
            title="keep: extend the session's idle time",
        ),
        Action(
            f"{prefix}-take-back",
            "minus",
            target,
            "screen.take_back",
            "keep no longer",
            "Take back what + gave: idle checks count again as if it had not been pressed",
            show=False,
            palette=first,
            key_display="-",
            title="keep no longer: take the extension back",
        ),
        Action(
            f"{prefix}-later",
            "left_square_bracket",
            target,
            "screen.prioritize(-1)",
            "later",
            "Lower the priority of the selected session, which waits, by 5",
            show=False,
            palette=first,
            key_display="[",
            title="later: lower the session's priority",
        ),
        Action(
            f"{prefix}-sooner",
            "right_square_bracket",
            target,
            "screen.prioritize(1)",
            "sooner",
            "Raise the priority of the selected session, which waits, by 5",
            show=False,
            palette=first,
            key_display="]",
            title="sooner: raise the session's priority",
        ),
    )


def _of_instrument(prefix: str, hide: str) -> tuple[Action, ...]:
    """Returns the keys of a pane that one only reads."""
    return (
        Action(f"{prefix}-down", "j,down", prefix, "scroll_down", "down", "Scroll down a line", False, palette=False),
        Action(f"{prefix}-up", "k,up", prefix, "scroll_up", "up", "Scroll up a line", False, palette=False),
        Action(
            f"{prefix}-page-down",
            "space,pagedown",
            prefix,
            "page_down",
            "page down",
            "Scroll down a screenful",
            show=False,
            palette=False,
        ),
        Action(
            f"{prefix}-page-up",
            "b,pageup",
            prefix,
            "page_up",
            "page up",
            "Scroll up a screenful",
            show=False,
            palette=False,
        ),
        Action(
            f"{prefix}-hide",
            hide,
            prefix,
            "screen.map" if prefix == "map" else "screen.back",
            "hide" if prefix == "map" else "back",
            "Hide the map" if prefix == "map" else "Go back to the session list",
            palette=False,
        ),
        *_of_session(prefix, prefix),
        Action(
            f"{prefix}-help",
            "question_mark",
            prefix,
            "screen.help",
            "help",
            "Explain this pane",
            palette=False,
            key_display="?",
        ),
        Action(
            f"{prefix}-quit",
            "q",
            prefix,
            "app.leave",
            "leave",
            "Leave; sessions and their runs go on",
            show=False,
            palette=False,
        ),
    )


ACTIONS: Final = (
    Action(
        "run",
        "ctrl+r,f5",
        "everywhere",
        "screen.run",
        "run",
        "Run the editor's text in the selected session; with no session, start one and run there",
        priority=True,
        key_display="^r",
    ),
    Action(
        "interrupt",
        "f6",
        "everywhere",
        "screen.interrupt",
        "interrupt",
        "Interrupt the run of the selected session, as ctrl+c would in a terminal",
        priority=True,
    ),
    Action(
        "new",
        "ctrl+n",
        "everywhere",
        "screen.launch",
        "new",
        "Pick an image and launch a session",
        priority=True,
        show=False,
        key_display="^n",
    ),
    Action(
        "open",
        "ctrl+o",
        "everywhere",
        "screen.open_file",
        "open",
        "Open a file in the editor",
        priority=True,
        show=False,
        key_display="^o",
    ),
    Action(
        "save",
        "ctrl+s",
        "everywhere",
        "screen.save_file",
        "save",
        "Save the editor's text",
        priority=True,
        show=False,
        key_display="^s",
    ),
    Action(
        "pane-sessions",
        "f2",
        "everywhere",
        "screen.pane('sessions')",
        "sessions",
        "Go to the session list",
        priority=True,
        show=False,
    ),
    Action(
        "pane-editor",
        "f3",
        "everywhere",
        "screen.pane('editor')",
        "editor",
        "Go to the editor",
        priority=True,
        show=False,
    ),
    Action(
        "pane-console",
        "f4",
        "everywhere",
        "screen.pane('console')",
        "console",
        "Go to the console",
        priority=True,
        show=False,
    ),
    Action(
        "map",
        "f7",
        "everywhere",
        "screen.map",
        "map",
        "Show or hide the map: who has how much of each GPU, of cores and memory, and what is really used",
        priority=True,
    ),
    Action(
        "pane-details",
        "f8",
        "everywhere",
        "screen.pane('details')",
        "details",
        "Go to the details of the selected session: why it waits, what it uses, what limits it",
        priority=True,
        show=False,
    ),
    Action(
        "zoom",
        "f9",
        "everywhere",
        "screen.zoom",
        "zoom",
        "Give the focused pane the whole screen, and back",
        priority=True,
    ),
    Action(
        "help",
        "f1",
        "everywhere",
        "screen.help",
        "help",
        "Explain the focused pane and list every key",
        priority=True,
        show=False,
    ),
    Action(
        "quit",
        "ctrl+q",
        "everywhere",
        "app.leave",
        "leave",
        "Leave; sessions and their runs go on",
        priority=True,
        show=False,
        key_display="^q",
    ),
    Action(
        "back",
        "escape",
        "everywhere",
        "screen.back",
        "back",
        "Go back one step",
        show=False,
        priority=True,
        palette=False,
    ),
    Action("list-new", "n", "sessions", "screen.launch", "new", "Pick an image and launch a session", palette=False),
    Action(
        "list-kill",
        "x,delete",
        "sessions",
        "screen.kill",
        "kill",
        "End the selected session: at once when idle, with a second press when it runs code; takes an ended one off",
    ),
    *_of_session("list", "sessions"),
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
    Action(
        "console-follow",
        "f,end,G,shift+g",
        "console",
        "screen.follow",
        "follow",
        "Go to the newest output and stay there",
    ),
    Action(
        "console-clear",
        "ctrl+l",
        "console",
        "screen.clear_console",
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
    *_of_instrument("map", "m"),
    Action(
        "map-next",
        "right,l",
        "map",
        "screen.along(1)",
        "next",
        "Select the next session that has a part of the machine",
        show=False,
        palette=False,
    ),
    Action(
        "map-previous",
        "left,h",
        "map",
        "screen.along(-1)",
        "previous",
        "Select the previous session that has a part of the machine",
        show=False,
        palette=False,
    ),
    *_of_instrument("details", "i"),
)


def of(target: str) -> Iterator[Action]:
    """Yields the actions of a pane, or of `everywhere`."""
    return (action for action in ACTIONS if action.target == target)


def bindings(target: str) -> list[Binding]:
    """Returns Textual bindings of a pane, or of `everywhere`."""
    from textual.binding import Binding

    return [
        Binding(
            action.key,
            action.action,
            action.description,
            show=action.show,
            key_display=action.key_display or None,
            priority=action.priority,
            id=action.id,
            tooltip=action.tooltip,
        )
        for action in of(target)
    ]
