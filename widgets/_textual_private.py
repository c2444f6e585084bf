"""Everything of ours that leans on private parts of Textual 8.2, and nothing else.

Textual's TextArea works through the whole document for each key in four places: the text is joined for every row that
is painted, the width of every line is measured, bracket matching may walk to the far end, and highlighting starts
anew. The overrides here make each of them as long as the edit. `tests/widgets/test_textual_private.py` holds
fingerprints of what is overridden or called, and fails when Textual changes it.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

from rich.cells import cell_len
from textual.document._document import Document, EditResult, Location
from textual.document._document_navigator import DocumentNavigator
from textual.document._wrapped_document import WrappedDocument
from textual.geometry import Size
from textual.widgets import TextArea

LEANS_ON: Final = (
    (Document, "replace_range"),
    (Document, "get_size"),
    (TextArea, "_set_document"),
    (TextArea, "_build_highlight_map"),
    (TextArea, "_yield_character_locations"),
    (TextArea, "_yield_character_locations_reverse"),
    (TextArea, "find_matching_bracket"),
    (TextArea, "get_line"),
    (TextArea, "render_line"),
)
"""What the overrides below rely on, for the test."""

BRACKET_REACH_CHARS: Final = 8_000
"""How far a matching bracket is looked for."""


class FastDocument(Document):
    """A document that remembers its text and the widths of its lines between edits, and what was edited."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._joined: str | None = None
        self._widths: list[int] | None = None
        self._tab_width = 0
        self.pending: list[tuple[int, int, int]] = []
        """Edits since the last look: (first line, last line before, last line after)."""

    @property
    def text(self) -> str:
        if self._joined is None:
            self._joined = super().text
        return self._joined

    def get_size(self, tab_width: int) -> Size:
        if self._widths is None or self._tab_width != tab_width:
            self._tab_width = tab_width
            self._widths = [cell_len(line.expandtabs(tab_width)) for line in self._lines]
        return Size(max(self._widths, default=0), len(self._lines))

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        (first, _), (last, _) = sorted((start, end))
        before = len(self._lines)
        result = super().replace_range(start, end, text)
        self._joined = None
        last = min(last, before - 1)
        new_last = last + len(self._lines) - before
        if self._widths is not None:
            self._widths[first : last + 1] = [
                cell_len(line.expandtabs(self._tab_width)) for line in self._lines[first : new_last + 1]
            ]
        self.pending.append((first, last, new_last))
        return result


class FastTextArea(TextArea):
    """A TextArea whose cost per key does not grow with the document."""

    def _set_document(self, text: str, language: str | None) -> None:
        document = FastDocument(text)
        self.document = document
        self.wrapped_document = WrappedDocument(document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)
        self.text_replaced()
        self._build_highlight_map()
        self.move_cursor((0, 0))
        self._rewrap_and_refresh_virtual_size()

    def _build_highlight_map(self) -> None:
        self._line_cache.clear()
        document = self.document
        if isinstance(document, FastDocument):
            edits, document.pending = document.pending, []
            for first, last, new_last in edits:
                self.text_edited(first, last, new_last)

    def _yield_character_locations(self, start: Location) -> Iterable[tuple[str, Location]]:
        return islice(super()._yield_character_locations(start), BRACKET_REACH_CHARS)

    def _yield_character_locations_reverse(self, start: Location) -> Iterable[tuple[str, Location]]:
        return islice(super()._yield_character_locations_reverse(start), BRACKET_REACH_CHARS)

    def forget_lines(self) -> None:
        """Makes every visible line be rendered again."""
        self._line_cache.clear()
        self.refresh()

    # -- for the child class -------------------------------------------------------------------------------------

    def text_replaced(self) -> None:
        """Called when the document is another one."""

    def text_edited(self, first: int, last: int, new_last: int) -> None:
        """Called when the lines `first` to `last` became `first` to `new_last`."""
