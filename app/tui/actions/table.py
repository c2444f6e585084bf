"""The one table of what can be done: keys, footer, palette, help and documentation all come from here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from ..focus import pane_of
from . import console, details, editor, events, everywhere, files, history, images, map, running, sessions, terminal
from .action import Action
from .keys import NO_KEY

if TYPE_CHECKING:
    from textual.binding import Binding
    from textual.dom import DOMNode

PANES: Final = (
    "everywhere",
    "sessions",
    "editor",
    "console",
    "terminal",
    "files",
    "events",
    "map",
    "details",
    "history",
    "images",
)
"""Where keys can work: everywhere, or in the pane that has the focus."""

ACTIONS: Final[tuple[Action, ...]] = (
    *everywhere.ROWS,
    *sessions.ROWS,
    *editor.ROWS,
    *running.ROWS,
    *console.ROWS,
    *terminal.ROWS,
    *files.ROWS,
    *events.ROWS,
    *map.ROWS,
    *details.ROWS,
    *history.ROWS,
    *images.ROWS,
)

FOOTER_ORDER: Final = {
    action.id: place for place, action in enumerate(sorted(ACTIONS, key=lambda action: action.target == "everywhere"))
}
"""Id -> where an action stands in the footer: those of the pane first, then those of everywhere."""


def of(target: str) -> Iterator[Action]:
    """Yields the actions of a pane, or of `everywhere`."""
    return (action for action in ACTIONS if action.target == target)


def changing(action: str, namespace: DOMNode | None) -> Action | None:
    """Returns the row that changes something, when this is one: done on a pane (`namespace`) or on the screen."""
    return _CHANGING.get((pane_of(namespace) or "everywhere", action))


def bindings(target: str) -> list[Binding]:
    """Returns Textual bindings of a pane, or of `everywhere`."""
    from textual.binding import Binding

    return [
        Binding(
            action.key or NO_KEY,
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


_CHANGING: Final = {(action.target, action.action): action for action in ACTIONS if action.changes}
