"""The one table of what can be done: keys, footer, palette and help all come from here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from textual.binding import Binding

PANES: Final = {"everywhere": "everywhere", "sessions": "sessions", "editor": "editor", "console": "console"}


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
    Action("back", "escape", "everywhere", "screen.back", "back", "Go back one step", show=False, palette=False),
    Action("list-new", "n", "sessions", "screen.launch", "new", "Pick an image and launch a session", palette=False),
    Action(
        "list-kill",
        "x,delete",
        "sessions",
        "screen.kill",
        "kill",
        "End the selected session: at once when idle, with a second press when it runs code; takes an ended one off",
    ),
    Action("list-down", "j,down", "sessions", "down", "down", "Go to the next session", show=False, palette=False),
    Action("list-up", "k,up", "sessions", "up", "up", "Go to the previous session", show=False, palette=False),
    Action("list-first", "g,home", "sessions", "first", "first", "Go to the first session", show=False, palette=False),
    Action("list-last", "shift+g,end", "sessions", "last", "last", "Go to the last session", show=False, palette=False),
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
        "f,end,shift+g",
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
)

ABOUT: Final = {
    "sessions": (
        "Every session that you have, oldest first. The shape and the word say its state: running, busy (it runs "
        "code), asks (a run waits for input), pending (with the reason), preparing, failed, ended."
    ),
    "editor": "Python to run. The text is kept when you leave. Escape leads to the session list.",
    "console": (
        "What the selected session said, run by run. At the end it follows new output; scroll up and what you read "
        "stays where it is. Drag with the mouse to select, ctrl+c copies."
    ),
}
"""What a pane is, for help."""


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


def key_label(action: Action) -> str:
    """Returns the keys as help shows them."""
    names = {"question_mark": "?", "shift+g": "G"}
    return " ".join(names.get(key, key.replace("ctrl+", "^")) for key in action.key.split(","))


def clashes() -> list[tuple[str, str, str]]:
    """Returns (key, id, id) of actions that want the same key in one pane; empty when all is well."""
    found: list[tuple[str, str, str]] = []
    for target in PANES:
        taken: dict[str, str] = {}
        for action in (*of(target), *(other for other in of("everywhere") if target != "everywhere")):
            for key in action.key.split(","):
                if key in taken:
                    found.append((key, taken[key], action.id))
                taken.setdefault(key, action.id)
    return found
