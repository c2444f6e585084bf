"""Vim's keys for the code editor: hands keys to the machine, and does what it answers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual import events
from textual.widgets.text_area import Selection

from . import languages, line_commands
from .line_commands import Change
from .text_find import Finder, PatternError, Query
from .vim import Act, Edit, Effect, Group, Look, Mode, Move, Replay, Say, Select, Text, Undo, Vim
from .vim_messages import VimActed, VimShown

if TYPE_CHECKING:
    from .code_editor import CodeEditor


class VimKeys:
    """Vim's keys for one editor."""

    def __init__(self, editor: CodeEditor) -> None:
        self.vim = Vim()
        self._editor = editor
        self._depth = 0
        """Steps to undo before an insertion began."""
        self._told = ""
        self._cursor: tuple[int, int] | None = None
        """Where the cursor is in a visual mode, on a character rather than behind it."""

    @property
    def shown(self) -> str:
        """The mode and what of a command is typed."""
        return self.vim.shown

    def step_back(self) -> bool:
        """Does what escape does; returns whether that was anything."""
        if not self.vim.waits:
            return False
        self._press("escape", None)
        return True

    def text_replaced(self) -> None:
        """Takes that another text is shown."""
        self.vim.text_replaced()
        self._tell()

    def take(self, event: events.Key) -> bool:
        """Takes a key; returns False when it is the editor's."""
        character = event.character if event.is_printable else None
        if self.vim.mode is not Mode.INSERT and event.key == "tab":
            return True
        return self._press(event.key, character)

    def _press(self, key: str, character: str | None) -> bool:
        effects = self.vim.press(key, character, self._text())
        if effects is None:
            return False
        for effect in effects:
            self._do(effect)
        if self.vim.mode not in (Mode.VISUAL, Mode.VISUAL_LINE):
            self._cursor = None
        self._tell()
        return True

    def _text(self) -> Text:
        editor = self._editor
        return Text(
            editor.document.lines,
            self._cursor or editor.cursor_location,
            editor.indent_width,
            editor.buffer.tabs,
            max(1, editor.size.height - 1),
        )

    def _tell(self) -> None:
        if self.shown != self._told:
            self._told = self.shown
            self._editor.post_message(VimShown(self.shown))

    def _do(self, effect: Effect) -> None:
        editor = self._editor
        match effect:
            case Edit(start, end, text, cursor):
                editor.apply(Change(start, end, text, (cursor, cursor)))
            case Move(cursor):
                editor.move_cursor(cursor, record_width=False)
            case Select(start, end, cursor):
                self._cursor = cursor
                # the cursor's end of the selection is the one that is scrolled to
                backwards = cursor == start and start != end
                editor.selection = Selection(end, start) if backwards else Selection(start, end)
            case Undo(steps):
                for _ in range(min(abs(steps), 1_000)):
                    editor.undo() if steps > 0 else editor.redo()
                editor.selection = Selection.cursor(min(editor.selection))
            case Group(begins):
                if begins:
                    editor.history.checkpoint()
                    self._depth = editor.undo_depth
                else:
                    editor.group_undo(self._depth)
            case Replay(keys):
                self._replay(keys)
            case Look(pattern):
                self._look(pattern)
            case Say(text):
                editor.post_message(VimActed("say", text))
            case Act(name, argument):
                self._act(name, argument)

    def _replay(self, keys: tuple[tuple[str, str], ...]) -> None:
        self.vim.replaying(True)
        try:
            for key, character in keys:
                if not self._press(key, character or None):
                    self._editor.type_key(key, character or None)
        finally:
            self.vim.replaying(False)

    def _look(self, pattern: str) -> None:
        try:
            self._editor.finder = Finder(Query(pattern, regex=True)) if pattern else None
        except PatternError:
            # it is being typed
            self._editor.finder = None

    def _act(self, name: str, argument: str) -> None:
        editor = self._editor
        if name == "copy":
            editor.app.copy_to_clipboard(argument)
        elif name in ("center", "top", "bottom"):
            y = editor.cursor_row_on_screen
            lines = editor.size.height - 1
            editor.scroll_to(y=y - {"center": lines // 2, "top": 0, "bottom": lines}[name], animate=False)
        elif name == "comment":
            first, last = (int(word) for word in argument.split())
            selection = (first, 0), (last, len(editor.document[last]))
            change = line_commands.toggle_comment(editor.document.lines, selection, languages.language(editor.language))
            editor.apply(change)
            editor.move_cursor((first, 0))
        elif name == "indent":
            row = editor.cursor_location[0]
            width, tabs = editor.indent_width, editor.buffer.tabs
            speech = languages.language(editor.language)
            indent = line_commands.indent_after(editor.document[row - 1], speech, width, tabs) if row else ""
            old = editor.document[row]
            if indent != old and not old.strip():
                place = (row, len(indent))
                editor.apply(Change((row, 0), (row, len(old)), indent, (place, place)))
        else:
            editor.post_message(VimActed(name, argument))
