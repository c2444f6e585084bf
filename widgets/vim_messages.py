"""What Vim's keys tell those around the editor."""

from __future__ import annotations

from textual.message import Message


class VimActed(Message):
    """A command of Vim is for those around the editor: `write`, `quit`, `edit`, `next-tab`, `say`, ..."""

    def __init__(self, name: str, argument: str = "") -> None:
        super().__init__()
        self.name = name
        self.argument = argument


class VimShown(Message):
    """The mode, or what of a command is typed, is another."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text
