"""A box to tick that is told from one that is not by its shape, where Textual's tells by colour alone."""

from __future__ import annotations

from textual.widgets import Checkbox


class Tick(Checkbox):
    """Shows `[x]` when it is on, `[ ]` when it is off."""

    DEFAULT_CSS = """
    Tick, Tick:focus { background: transparent; border: none; padding: 0; }
    Tick > .toggle--button, Tick.-on > .toggle--button { color: $foreground; background: transparent; }
    """
    BUTTON_LEFT = ""
    BUTTON_RIGHT = ""
    BUTTON_INNER = "[ ]"

    def watch_value(self) -> None:
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        super().watch_value()
