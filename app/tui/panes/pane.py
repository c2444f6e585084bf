"""What the main screen expects of each pane."""

from __future__ import annotations

from typing import ClassVar, Protocol

from textual.widget import Widget


class Pane(Protocol):
    """A part of the main screen that can have the focus.

    Its keys are the rows of the action table with its name as target; their actions are its own methods, or those of
    the screen (`screen.…`). It calls the workbench and tells the screen by messages; it never reaches for another
    pane.
    """

    pane_name: ClassVar[str]
    """As in `actions.PANES`."""

    def focus_target(self) -> Widget:
        """Returns the widget that has the focus when the pane has it."""

    def show_session(self, session_id: str | None) -> None:
        """Shows another session, or that there is none; called as well when the one shown got its real id."""
