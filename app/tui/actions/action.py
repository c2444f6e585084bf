"""A row of the action table, and the rows that several panes share."""

from __future__ import annotations

from dataclasses import dataclass


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
    changes: bool = False
    """Starts, changes or ends a session: refused while the read-only switch is on."""


def of_session(prefix: str, target: str) -> tuple[Action, ...]:
    """Returns what can be done to the selected session, in the list and in the panes that show it."""
    first = prefix == "list"
    return (
        Action(
            f"{prefix}-extend",
            "plus,equals_sign",
            target,
            "extend" if first else "screen.at('sessions', 'extend')",
            "keep",
            "Let the selected session end half an hour later than idle checks would end it",
            palette=first,
            key_display="+",
            title="keep: extend the session's idle time",
            changes=True,
        ),
        Action(
            f"{prefix}-take-back",
            "minus",
            target,
            "take_back" if first else "screen.at('sessions', 'take_back')",
            "keep no longer",
            "Take back what + gave: idle checks count again as if it had not been pressed",
            show=False,
            palette=first,
            key_display="-",
            title="keep no longer: take the extension back",
            changes=True,
        ),
        Action(
            f"{prefix}-later",
            "left_square_bracket",
            target,
            "prioritize(-1)" if first else "screen.at('sessions', 'prioritize(-1)')",
            "later",
            "Lower the priority of the selected session, which waits, by 5",
            show=False,
            palette=first,
            key_display="[",
            title="later: lower the session's priority",
            changes=True,
        ),
        Action(
            f"{prefix}-sooner",
            "right_square_bracket",
            target,
            "prioritize(1)" if first else "screen.at('sessions', 'prioritize(1)')",
            "sooner",
            "Raise the priority of the selected session, which waits, by 5",
            show=False,
            palette=first,
            key_display="]",
            title="sooner: raise the session's priority",
            changes=True,
        ),
    )


def help_and_leave(prefix: str) -> tuple[Action, ...]:
    """Returns the keys that explain a pane in which one does not type, and lead out of the program."""
    return (
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


def of_instrument(prefix: str, hide: str) -> tuple[Action, ...]:
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
        *of_session(prefix, prefix),
        *help_and_leave(prefix),
    )
