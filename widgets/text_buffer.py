"""What belongs to one tab of the editor: the text with its history, cursor, scroll and language.

The editor shows one of them at a time and hands it back as it was left, so that undo, cursor and colours survive a
change of tabs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from textual.widgets.text_area import Selection

from . import languages
from ._textual_private import MAX_UNDO_STEPS, EditHistory, FastDocument
from .highlight import Lexing, lexing

_LOOKED_AT_LINES: Final = 400


class TextBuffer:
    """A text that is edited.

    Args:
        text: What it begins as; line ends are kept.
        language: See `languages`; empty = plain text.
        read_only: Whether it may only be looked at.
    """

    def __init__(self, text: str = "", language: str = "python", *, read_only: bool = False) -> None:
        self.document = FastDocument(text)
        self.history = EditHistory(max_checkpoints=MAX_UNDO_STEPS, checkpoint_timer=2.0, checkpoint_max_characters=100)
        self.selection = Selection()
        self.scroll: tuple[int, int] = (0, 0)
        """Columns and rows that are scrolled away."""
        self.read_only = read_only
        self.wrap: bool | None = None
        """Whether long lines are wrapped; None = as the editor does."""
        self.revision = 0
        """Goes up with each change of the text."""
        self.marks: dict[int, str] = {}
        """Row -> sign of one cell beside its number; it moves with its line."""
        self.lexing: Lexing | None = None
        self._language = language
        self._lexed = ""
        self.indent_width, self.tabs = self.found_indent()

    def reset(self, text: str) -> None:
        """Begins anew with another text: there is nothing to undo."""
        self.document = FastDocument(text)
        self.history.clear()
        self.selection = Selection()
        self.scroll = (0, 0)
        self.revision += 1
        self.marks.clear()
        self.lexing = None
        self._lexed = ""
        self.indent_width, self.tabs = self.found_indent()

    @property
    def text(self) -> str:
        """The text, with its line ends."""
        return self.document.text

    @property
    def language(self) -> str:
        """Name of the language."""
        return self._language

    @language.setter
    def language(self, name: str) -> None:
        if name != self._language:
            self._language = name
            self.lexing = None
            self._lexed = ""

    def mark(self, row: int, sign: str) -> None:
        """Sets the sign of a row; empty takes it away. Whoever shows the text paints it."""
        if sign:
            self.marks[row] = sign
        else:
            self.marks.pop(row, None)

    def lines(self) -> Sequence[str]:
        """Returns the lines; not a copy."""
        return self.document.lines

    def found_indent(self) -> tuple[int, bool]:
        """Returns (cells of a level, whether it is a tab) as the text is written."""
        return languages.tab_width(self.document.lines[:_LOOKED_AT_LINES], languages.language(self._language))

    def start_lexing(self) -> None:
        """Begins to colour; the first time costs the import of Pygments."""
        if self._lexed != self._language:
            self._lexed = self._language
            lexer = languages.lexer(self._language)
            self.lexing = None if lexer is None else lexing(lexer, self)

    def edited(self, first: int, last: int, new_last: int) -> None:
        """Takes that lines `first` to `last` became `first` to `new_last`."""
        self.revision += 1
        if self.marks and new_last != last:
            moved = new_last - last
            self.marks = {row + moved if row > last else row: sign for row, sign in self.marks.items()}
        if self.lexing is not None:
            self.lexing.edited(first, last, new_last)
