"""Everything of ours that leans on private parts of Textual 8.2, and nothing else.

Textual's TextArea works through the whole document for each key in many places: the text is joined for every row that
is painted, the width of every line is measured, the rows of wrapped lines are counted, bracket matching may walk to
the far end, and highlighting starts anew. The overrides here make each of them as long as the edit.
`tests/widgets/test_textual_private.py` holds fingerprints of what is overridden or called, and fails when Textual
changes it.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from functools import lru_cache, wraps
from itertools import islice
from typing import Any, Final

from rich.cells import cell_len
from textual import constants, events
from textual._styles_cache import StylesCache
from textual._wrap import compute_wrap_offsets
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.color import Color
from textual.document._document import Document, EditResult, Location
from textual.document._document_navigator import DocumentNavigator
from textual.document._edit import Edit
from textual.document._history import EditHistory
from textual.document._wrapped_document import WrappedDocument
from textual.expand_tabs import expand_tabs_inline, get_tab_widths
from textual.filter import LineFilter
from textual.geometry import Offset, Size
from textual.scroll_view import ScrollView
from textual.widget import Widget
from textual.widgets import TextArea

__all__ = [
    "Edit",
    "EditHistory",
    "FastDocument",
    "FastTextArea",
    "FastWrapped",
    "Location",
    "add_filter",
    "let_widgets_go",
    "read_alt",
    "set_virtual_size",
    "write_to_terminal",
]

LEANS_ON: Final = (
    (Document, "replace_range"),
    (Document, "get_size"),
    (Document, "get_text_range"),
    (EditHistory, "record"),
    (EditHistory, "_pop_undo"),
    (WrappedDocument, "wrap"),
    (WrappedDocument, "wrap_range"),
    (WrappedDocument, "location_to_offset"),
    (WrappedDocument, "offset_to_location"),
    (WrappedDocument, "get_sections"),
    (WrappedDocument, "get_target_document_column"),
    (TextArea, "_set_document"),
    (TextArea, "_watch_language"),
    (TextArea, "_build_highlight_map"),
    (TextArea, "_yield_character_locations"),
    (TextArea, "_yield_character_locations_reverse"),
    (TextArea, "find_matching_bracket"),
    (TextArea, "render_lines"),
    (TextArea, "render_line"),
    (TextArea, "_render_line"),
    (TextArea, "edit"),
    (TextArea, "_undo_batch"),
    (TextArea, "_redo_batch"),
    (TextArea, "_on_key"),
    (TextArea, "_on_paste"),
    (XTermParser, "_sequence_to_key_events"),
    (XTermParser, "parse"),
    (Widget, "_scroll_update"),
    (StylesCache, "get_inner_outer"),
)
"""What the overrides below and the painter rely on, for the test."""

BRACKET_REACH_CHARS: Final = 8_000
"""How far a matching bracket is looked for."""
MAX_UNDO_STEPS: Final = 2_000

_PICTURES: Final = (
    {code: 0x2400 + code for code in range(0x20) if code != 9} | {0x7F: 0x2421} | dict.fromkeys(range(128, 160), 65533)
)
"""What stands for a control character on the screen: one cell wide, and never sent to the terminal as it is."""

LineEdit = tuple[int, int, int]
"""(first line, last line before, last line after) of an edit."""


def joined(edits: Sequence[LineEdit]) -> LineEdit | None:
    """Returns one edit that covers several that were made one after the other; None for none."""
    whole: LineEdit | None = None
    for first, last, new_last in edits:
        if whole is None:
            whole = (first, last, new_last)
            continue
        reach = max(whole[2], last)
        whole = (min(whole[0], first), whole[1] + reach - whole[2], reach + new_last - last)
    return whole


class FastDocument(Document):
    """A document that remembers its text and the widths of its lines between edits, and what was edited.

    Lines end at `\\n` (or, if all do, at `\\r\\n`) only: form feeds and the line separators of Unicode stay within a
    line, so that a file is written as it was read.
    """

    def __init__(self, text: str) -> None:
        super().__init__("")
        crlf = text.count("\r\n")
        self._newline = "\r\n" if crlf and crlf == text.count("\n") else "\n"
        self._lines = text.split(self._newline)
        self._joined: str | None = text
        self._widths: list[int] | None = None
        self._widest = 0
        self._tab_width = 0
        self.chars: int = len(text)
        """Characters of the text."""
        self.uncoloured: list[LineEdit] = []
        """Edits since the highlighting looked."""
        self.unwrapped: list[LineEdit] = []
        """Edits since the wrapping looked."""

    @property
    def text(self) -> str:
        if self._joined is None:
            self._joined = self._newline.join(self._lines)
        return self._joined

    def copied_text(self) -> str:
        """Returns the text without noting it here: what a thread may call while the text is edited."""
        return self._newline.join(self._lines.copy())

    def get_line(self, index: int) -> str:
        """Returns a line as it is shown: a picture in place of each control character."""
        line = self._lines[index]
        return line if line.isprintable() else line.translate(_PICTURES)

    def get_size(self, tab_width: int) -> Size:
        if self._widths is None or self._tab_width != tab_width:
            self._tab_width = tab_width
            self._widths = [self._cells(line) for line in self._lines]
            self._widest = max(self._widths)
        return Size(self._widest, len(self._lines))

    def _cells(self, line: str) -> int:
        if line.isascii() and line.isprintable():
            return len(line)
        return cell_len(line.translate(_PICTURES).expandtabs(self._tab_width))

    def get_text_range(self, start: Location, end: Location) -> str:
        (top, left), (bottom, right) = sorted((start, end))
        lines = self._lines
        if top == bottom:
            return lines[top][left:right] if top < len(lines) else ""
        last = lines[bottom][:right] if bottom < len(lines) else ""
        pieces = [lines[top][left:], *lines[top + 1 : bottom]]
        if bottom < len(lines):
            pieces.append(last)
        return self._newline.join(pieces)

    def replace_range(self, start: Location, end: Location, text: str) -> EditResult:
        lines = self._lines
        count = len(lines)
        (first, left), (last, right) = (
            (row, column) if row < count else (count - 1, len(lines[-1])) for row, column in sorted((start, end))
        )
        replaced = self.get_text_range((first, left), (last, right))
        before, after = lines[first][:left], lines[last][right:]
        fresh = (text.replace("\r\n", "\n") if self._newline == "\r\n" else text).split("\n")
        added = sum(map(len, fresh)) + len(self._newline) * (len(fresh) - 1)
        fresh[0] = before + fresh[0]
        end_location = (first + len(fresh) - 1, len(fresh[-1]))
        fresh[-1] += after
        lines[first : last + 1] = fresh
        self.chars += added - len(replaced)
        self._joined = None
        if self._widths is not None:
            old = max(self._widths[first : last + 1])
            new = [self._cells(line) for line in fresh]
            self._widths[first : last + 1] = new
            widest = max(new)
            if widest >= self._widest:
                self._widest = widest
            elif old == self._widest:
                self._widest = max(self._widths)
        done = (first, last, end_location[0])
        self.uncoloured.append(done)
        self.unwrapped.append(done)
        return EditResult(end_location, replaced)


_WHOLE: Final[list[int]] = []
"""Where a line is broken that fits; never changed."""


class FastWrapped(WrappedDocument):
    """Where lines are broken. Without wrapping it knows nothing and costs nothing; with it, rows are counted as far
    down as somebody asked since the last edit."""

    document: FastDocument

    def __init__(self, document: FastDocument, width: int = 0, tab_width: int = 4) -> None:
        self._breaks: list[list[int]] = []
        self._starts: list[int] = []
        """First row of each line, as far as it is known."""
        self._rows = 0
        super().__init__(document, width, tab_width)

    def wrap(self, width: int, tab_width: int | None = None) -> None:
        self._width = width
        if tab_width:
            self._tab_width = tab_width
        self.document.unwrapped.clear()
        self._breaks = [self._breaks_of(line) for line in self.document.lines] if width else []
        self._rows = sum(map(len, self._breaks)) + len(self._breaks)
        self._starts = []

    def _breaks_of(self, line: str) -> list[int]:
        if len(line) <= self._width and line.isascii() and line.isprintable():
            return _WHOLE
        line = line.translate(_PICTURES)
        return compute_wrap_offsets(
            line, self._width, self._tab_width, precomputed_tab_sections=get_tab_widths(line, self._tab_width)
        )

    def wrap_range(self, start: Location, old_end: Location, new_end: Location) -> None:
        edit = joined(self.document.unwrapped)
        self.document.unwrapped.clear()
        if edit is None or not self._width:
            return
        first, last, new_last = edit
        old = self._breaks[first : last + 1]
        new = [self._breaks_of(line) for line in self.document.lines[first : new_last + 1]]
        self._breaks[first : last + 1] = new
        self._rows += sum(map(len, new)) + len(new) - sum(map(len, old)) - len(old)
        del self._starts[first + 1 :]

    @property
    def wrapped(self) -> bool:
        return self._rows > len(self._breaks)

    @property
    def height(self) -> int:
        return self._rows if self._width else self.document.line_count

    @property
    def lines(self) -> list[list[str]]:
        return [self.get_sections(row) for row in range(self.document.line_count)]

    def locate(self, row: int) -> tuple[int, int]:
        """Returns (line, section) of a row of the screen that exists."""
        if not self._width:
            return row, 0
        starts, breaks = self._starts, self._breaks
        if not starts or starts[-1] + len(breaks[len(starts) - 1]) < row:
            self._count(row, len(breaks))
        line = bisect_right(starts, row) - 1
        return line, row - starts[line]

    def _count(self, row: int, line: int) -> None:
        """Counts rows until both the row and the line are known, whichever comes first."""
        starts, breaks = self._starts, self._breaks
        at = starts[-1] + len(breaks[len(starts) - 1]) + 1 if starts else 0
        while len(starts) < len(breaks) and at <= row and len(starts) <= line:
            starts.append(at)
            at += len(breaks[len(starts) - 1]) + 1

    def get_offsets(self, line_index: int) -> list[int]:
        if not 0 <= line_index < self.document.line_count:
            raise ValueError(f"there is no line {line_index}")
        return self._breaks[line_index] if self._width else _WHOLE

    def get_sections(self, line_index: int) -> list[str]:
        line = self.document.get_line(line_index)
        breaks = self.get_offsets(line_index)
        return [line[start:end] for start, end in zip([0, *breaks], [*breaks, len(line)], strict=True)]

    def get_tab_widths(self, line_index: int) -> list[int]:
        return [width for _, width in get_tab_widths(self.document.get_line(line_index), self._tab_width)]

    def offset_to_location(self, offset: Offset) -> Location:
        x, y = max(0, offset[0]), max(0, offset[1])
        line, section = self.locate(min(y, self.height - 1))
        return line, self.get_target_document_column(line, x, section)

    def location_to_offset(self, location: Location) -> Offset:
        line, column = location
        line = min(max(0, line), self.document.line_count - 1)
        breaks = self.get_offsets(line)
        section = bisect_right(breaks, column)
        start = breaks[section - 1] if section else 0
        if not self._width:
            row = line
        else:
            self._count(self._rows, line)
            row = self._starts[line] + section
        text = self.document.get_line(line)[start:column]
        if not (text.isascii() and text.isprintable()):
            return Offset(cell_len(expand_tabs_inline(text, self._tab_width)), row)
        return Offset(len(text), row)


class FastTextArea(TextArea):
    """A TextArea whose cost per key does not grow with the document."""

    document: FastDocument
    wrapped_document: FastWrapped

    def new_history(self) -> EditHistory:
        """Returns an empty history of edits."""
        return EditHistory(max_checkpoints=MAX_UNDO_STEPS, checkpoint_timer=2.0, checkpoint_max_characters=100)

    def _set_document(self, text: str, language: str | None) -> None:
        self.put_document(FastDocument(text))
        self.move_cursor((0, 0))
        self._rewrap_and_refresh_virtual_size()

    def put_document(self, document: FastDocument) -> None:
        """Shows a document; cursor, scroll and history are the caller's."""
        self.document = document
        self.wrapped_document = FastWrapped(document, tab_width=self.indent_width)
        self.navigator = DocumentNavigator(self.wrapped_document)
        document.uncoloured.clear()
        self._matching_bracket_location = None
        self.text_replaced()

    def _watch_language(self, language: str | None) -> None:
        self.language_changed()

    def _build_highlight_map(self) -> None:
        edit = joined(self.document.uncoloured)
        self.document.uncoloured.clear()
        if edit is not None:
            self.text_edited(*edit)

    def _replace_via_keyboard(self, insert: str, start: Location, end: Location) -> EditResult | None:
        # terminals paste lines that end in carriage returns
        return super()._replace_via_keyboard(insert.replace("\r\n", "\n").replace("\r", "\n"), start, end)

    def _yield_character_locations(self, start: Location) -> Iterable[tuple[str, Location]]:
        return islice(super()._yield_character_locations(start), BRACKET_REACH_CHARS)

    def _yield_character_locations_reverse(self, start: Location) -> Iterable[tuple[str, Location]]:
        return islice(super()._yield_character_locations_reverse(start), BRACKET_REACH_CHARS)

    def group_undo(self, since: int) -> None:
        """Makes one step to undo of those after the first `since`."""
        stack = self.history._undo_stack
        steps = [stack.pop() for _ in range(max(0, len(stack) - since))]
        if steps:
            stack.append([edit for step in reversed(steps) for edit in step])
        self.history.checkpoint()

    @property
    def undo_depth(self) -> int:
        """Steps that can be undone."""
        return len(self.history._undo_stack)

    @property
    def cursor_drawn(self) -> bool:
        """Whether the cursor is to be seen in this moment."""
        return bool(self._has_cursor and self._draw_cursor)

    @property
    def cursor_row_on_screen(self) -> int:
        """The row of the cursor within the document as it is wrapped."""
        return self._cursor_offset[1]

    # -- for the child class -------------------------------------------------------------------------------------

    def text_replaced(self) -> None:
        """Called when the document is another one."""

    def text_edited(self, first: int, last: int, new_last: int) -> None:
        """Called when the lines `first` to `last` became `first` to `new_last`."""

    def language_changed(self) -> None:
        """Called when another language was set."""


def add_filter(app: App[Any], line_filter: LineFilter) -> None:
    """Lets a filter of ours see every line that any widget paints."""
    app._filters.append(line_filter)


def write_to_terminal(app: App[Any], sequence: str) -> None:
    """Sends a sequence of ours to the terminal, between two frames and never within one; nothing without a terminal."""
    driver = app._driver
    if driver is not None and not driver.is_headless:
        driver.write(sequence)
        driver.flush()


def set_virtual_size(view: ScrollView, size: Size) -> None:
    """Tells a view how much there is to scroll through, without a new layout of the whole screen for every line.

    Textual makes one whenever the size changes; it is needed only where a scrollbar comes or goes.
    """
    old, shown = view.virtual_size, view.container_size
    if old == size:
        return
    same = (old.height > shown.height) == (size.height > shown.height)
    if shown and same and old.width == size.width:
        view.set_reactive(ScrollView.virtual_size, size)
        view._scroll_update(size)
    else:
        view.virtual_size = size


def let_widgets_go() -> None:
    """Has Textual keep nothing of widgets that are gone. Twice is once.

    Its cache of colours holds the last thousand widgets too, each with all that it had painted: a megabyte for each
    time that help was open.
    """
    kept: Any = StylesCache.get_inner_outer
    if not hasattr(kept, "cache_clear"):
        return
    colours = lru_cache(1024)(lambda base, background: kept.__wrapped__(None, base, background))

    @wraps(kept)
    def get_inner_outer(_: StylesCache, base_background: Color, background: Color) -> Any:
        return colours(base_background, background)

    StylesCache.get_inner_outer = get_inner_outer  # type: ignore[method-assign, assignment]  # there is no other place for it


ESCAPE_S: Final = 0.025
"""How long after an escape what follows belongs to it: terminals send within less, people do not."""
_ALT_TAKEN: Final = re.compile(r"\x1b[0-9bf=-]\Z").match
"""What Textual takes for the arrow keys and signs of a certain terminal's settings: all others mean alt by it."""


def read_alt() -> None:
    """Has alt told with every key, where Textual tells it with letters and digits only, and the escape key without
    delay. Twice is once.

    Without it alt+. is a dot, alt+f is ctrl+right, alt+9 writes a sign, and whoever is quick to type a colon after
    escape, as in vim, has typed the colon alone.
    """
    if "ESCDELAY" not in os.environ:
        constants.ESCAPE_DELAY = ESCAPE_S  # type: ignore[misc]  # which Textual reads for each escape
    read = XTermParser._sequence_to_key_events
    if hasattr(read, "__wrapped__"):
        return

    @wraps(read)
    def with_alt(parser: XTermParser, sequence: str, alt: bool = False) -> Iterable[events.Key]:
        if _ALT_TAKEN(sequence):
            sequence, alt = sequence[1:], True
        for event in read(parser, sequence, alt):
            # without a character: a field that has the focus would write it instead of leaving the key to others
            yield events.Key("alt+" + event.key.removeprefix("alt+"), None) if alt else event

    XTermParser._sequence_to_key_events = with_alt  # type: ignore[assignment, method-assign]  # no other way in
