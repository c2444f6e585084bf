"""A code editor: what keys do to the text that `CodeView` shows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, Final

from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.reactive import reactive
from textual.widgets.text_area import Selection

from . import languages, line_commands
from ._textual_private import Edit, Location
from .code_view import CodeView
from .line_commands import PAIRS, Change
from .vim_messages import VimShown

if TYPE_CHECKING:
    from .vim_keys import VimKeys

_CLOSERS: Final = frozenset(PAIRS.values())


class CodeEditor(CodeView):
    """Edits code."""

    BINDINGS: ClassVar[list[BindingType]] = [
        # TextArea has keys for the edges of a line only
        Binding("ctrl+home", "document_edge(-1)", show=False),
        Binding("ctrl+end", "document_edge(1)", show=False),
        Binding("ctrl+shift+home", "document_edge(-1, True)", show=False),
        Binding("ctrl+shift+end", "document_edge(1, True)", show=False),
    ]
    auto_close: reactive[bool] = reactive(False)
    """Whether a bracket or quote that is typed brings its partner."""

    class CompletionsAsked(Message):
        """The user wants to know how the word before the cursor may go on."""

        def __init__(self, editor: CodeEditor) -> None:
            super().__init__()
            self.editor = editor

        @property
        def control(self) -> CodeEditor:
            """The editor."""
            return self.editor

    def __init__(self, text: str = "", **options: Any) -> None:
        self.completes = False
        """Whether somebody answers `CompletionsAsked`: tab behind a word then asks, and indents elsewhere."""
        self.keys_first: Callable[[events.Key], bool] | None = None
        """Sees each key before the editor, as an open popup needs; returns whether it took it."""
        self.vim: VimKeys | None = None
        """Vim's keys, while they are wanted; see `use_vim`."""
        super().__init__(text, **options)

    def use_vim(self, wanted: bool) -> None:
        """Gives the editor Vim's keys, or takes them away."""
        if wanted != (self.vim is not None):
            # not on the way to the first frame of those who do without
            from .vim_keys import VimKeys

            self.vim = VimKeys(self) if wanted else None
            self.post_message(VimShown("" if self.vim is None else self.vim.shown))

    def step_back(self) -> bool:
        """Does what escape does within the editor; returns whether that was anything."""
        if self.vim is not None and self.vim.step_back():
            return True
        if self.finder is not None and self.vim is not None:
            self.finder = None
            return True
        return False

    def text_replaced(self) -> None:
        super().text_replaced()
        if self.vim is not None:
            self.vim.text_replaced()

    def apply(self, change: Change | None) -> bool:
        """Makes a change, as one step to undo; returns whether there was one to make and the text may change."""
        if change is None or self.read_only:
            return False
        self.history.checkpoint()
        self.edit(Edit(change.text, change.start, change.end, False))
        self.history.checkpoint()
        self.selection = Selection(*change.selection)
        self.record_cursor_width()
        return True

    def replace_range(self, start: Location, end: Location, text: str) -> None:
        """Replaces text as one step to undo; the cursor goes behind it."""
        self.apply(Change(start, end, text, (start, start)))
        self.selection = Selection.cursor(self.document_end_of(start, text))

    @staticmethod
    def document_end_of(start: Location, text: str) -> Location:
        """Returns where a text ends that begins at a place."""
        lines = text.split("\n")
        return start[0] + len(lines) - 1, (start[1] if len(lines) == 1 else 0) + len(lines[-1])

    # -- commands ------------------------------------------------------------------------------------------------

    @property
    def _speech(self) -> languages.Language:
        return languages.language(self.buffer.language)

    @property
    def _selected(self) -> line_commands.Selection:
        return self.selection.start, self.selection.end

    def action_toggle_comment(self) -> None:
        """Makes comments of the selected lines, or takes the marks away."""
        if not self.apply(line_commands.toggle_comment(self.document.lines, self._selected, self._speech)):
            self.app.bell()
            return
        row, column = self.cursor_location
        if self.selection.is_empty and row + 1 < self.document.line_count:
            # one key again and again goes down the lines
            self.move_cursor((row + 1, min(column, len(self.document[row + 1]))))

    def action_duplicate(self) -> None:
        """Writes the line or the selection once more."""
        self.apply(line_commands.duplicate(self.document.lines, self._selected))

    def action_move_lines(self, direction: int) -> None:
        """Moves the selected lines up (-1) or down (1)."""
        self.apply(line_commands.move(self.document.lines, self._selected, direction))

    def action_join_lines(self) -> None:
        """Joins the line with the next, or the selected lines with each other."""
        first, last = line_commands.rows_of(self._selected)
        self.apply(line_commands.join(self.document.lines, first, max(last, first + 1)))

    def action_shift(self, levels: int) -> None:
        """Moves the selected lines levels to the right, or to the left where negative."""
        self.apply(
            line_commands.shift(self.document.lines, self._selected, levels, self.indent_width, self.buffer.tabs)
        )

    def action_toggle_wrap(self) -> None:
        """Wraps long lines, or lets them run on."""
        self.buffer.wrap = not self.soft_wrap
        self.soft_wrap = self.buffer.wrap
        self.forget_rows()

    def action_matching_bracket(self) -> None:
        """Goes to the partner of the bracket at the cursor."""
        if self.matching_bracket_location is not None:
            self.move_cursor(self.matching_bracket_location)

    def action_document_edge(self, direction: int, select: bool = False) -> None:
        """Goes to the beginning of the text (-1) or to its end (1)."""
        self.move_cursor(self.document.start if direction < 0 else self.document.end, select=select)

    def action_complete(self) -> None:
        """Asks how the word before the cursor may go on."""
        self.post_message(self.CompletionsAsked(self))

    def trim(self) -> None:
        """Takes the spaces at the ends of lines away, but not those before the cursor; one step to undo."""
        row, column = self.cursor_location
        found = line_commands.trimmed(self.document.lines)
        if not found or self.read_only:
            return
        first, last = found[0][0], found[-1][0]
        lines = [line.rstrip(" \t") for line in self.document.lines[first : last + 1]]
        if first <= row <= last:
            lines[row - first] = lines[row - first].ljust(min(column, len(self.document[row])))
        end = (last, len(self.document[last]))
        self.apply(Change((first, 0), end, "\n".join(lines), self._selected))

    # -- keys ----------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Takes the keys that mean more in code than in text; TextArea has the others."""
        if self.keys_first is not None and self.keys_first(event):
            event.stop()
            event.prevent_default()
            return
        if event.key.startswith("alt+"):
            # terminals send its letter along; it is a command of whoever has the key, and nothing to be typed
            event.prevent_default()
        elif self.vim is not None and self.vim.take(event):
            event.stop()
            event.prevent_default()
            self._restart_blink()
        elif event.key == "escape":
            # the screen's way back, not TextArea's next widget
            event.prevent_default()
        elif not self.read_only and self._take(event):
            event.stop()
            event.prevent_default()
            self._restart_blink()

    def type_key(self, key: str, character: str | None) -> None:
        """Types a key, as a repetition does."""
        event = events.Key(key, character)
        if self._take(event):
            return
        if key == "backspace":
            self.action_delete_left()
        elif key == "delete":
            self.action_delete_right()
        elif key in ("left", "right", "up", "down"):
            getattr(self, f"action_cursor_{key}")()
        elif key == "tab":
            self._replace_via_keyboard(
                "\t" if self.buffer.tabs else " " * self._find_columns_to_next_tab_stop(), *self.selection
            )
        elif character is not None and event.is_printable:
            self._replace_via_keyboard(character, *self.selection)

    def _take(self, event: events.Key) -> bool:
        key = event.key
        if key == "enter":
            lines = self.document.lines
            self.apply(line_commands.new_line(lines, self._selected, self._speech, self.indent_width, self.buffer.tabs))
        elif key == "shift+tab":
            self.action_shift(-1)
        elif key == "tab":
            before = self.text_before_cursor
            if self.selection.start[0] != self.selection.end[0]:
                self.action_shift(1)
            elif (
                self.completes and self.selection.is_empty and before and (before[-1].isalnum() or before[-1] in "_.%")
            ):
                self.action_complete()
            else:
                return False
        elif event.character is not None and event.is_printable:
            return self._typed(event.character)
        else:
            return False
        return True

    def _typed(self, character: str) -> bool:
        """Takes a character that brings something with it."""
        if self.auto_close and self._paired(character):
            return True
        if self._speech.closes and self.selection.is_empty and character.isalpha():
            row, column = self.cursor_location
            line = self.document[row][:column] + character + self.document[row][column:]
            left = line_commands.closing_word(line, column + 1, self._speech, self.indent_width, self.buffer.tabs)
            if left:
                place = (row, column + 1 - left)
                self.apply(Change((row, 0), (row, len(line) - 1), line[left:], (place, place)))
                return True
        return False

    def _paired(self, character: str) -> bool:
        """Takes a bracket or quote; returns False when it is a character like others."""
        (row, column), end = sorted(self.selection)
        line = self.document[row]
        before, after = line[column - 1 : column], line[column : column + 1]
        if self.selection.is_empty and character in _CLOSERS and after == character:
            self.move_cursor((row, column + 1))
            return True
        partner = PAIRS.get(character)
        if partner is None:
            return False
        if not self.selection.is_empty:
            inner = self.selected_text
            stop = (end[0], end[1] + (1 if end[0] == row else 0))
            self.apply(Change((row, column), end, character + inner + partner, ((row, column + 1), stop)))
            return True
        if (after and not after.isspace() and after not in _CLOSERS) or (
            character == partner and (before.isalnum() or before == character)
        ):
            return False
        self.apply(Change((row, column), (row, column), character + partner, ((row, column + 1), (row, column + 1))))
        return True

    def action_delete_left(self) -> None:
        """Deletes the character before the cursor; within the indentation, the level."""
        row, column = self.cursor_location
        before = self.text_before_cursor
        after = self.document[row][column : column + 1]
        if self.selection.is_empty and not self.read_only:
            if self.auto_close and before and after and PAIRS.get(before[-1]) == after:
                self.apply(Change((row, column - 1), (row, column + 1), "", ((row, column - 1), (row, column - 1))))
                return
            if len(before) > 1 and not before.strip(" ") and not self.buffer.tabs:
                start = (len(before) - 1) // self.indent_width * self.indent_width
                self._delete_via_keyboard((row, start), (row, column))
                return
        super().action_delete_left()
