"""The editor with its keys: what is open, opening and saving."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import TextArea

from ....widgets.code_editor import CodeEditor
from ....widgets.text import one_line
from ..actions import bindings
from ..files import FileError, read_text, write_text
from ..messages import LocationAsked

if TYPE_CHECKING:
    from ..workbench import Workbench


class EditorPane(Vertical):
    """One text and its file."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("editor")]
    pane_name: ClassVar[str] = "editor"

    def __init__(self, bench: Workbench, *, id: str) -> None:
        super().__init__(id=id)
        self.bench = bench
        self.editor = CodeEditor(bench.text, id="editor")
        self._restored = False
        self._titles: tuple[str, str] | None = None

    def compose(self) -> ComposeResult:
        yield self.editor

    def on_mount(self) -> None:
        self.call_after_refresh(self._restore_cursor)

    def _restore_cursor(self) -> None:
        kept = self.bench.draft
        self.editor.move_cursor((kept.row, kept.column))
        self._restored = True

    def focus_target(self) -> Widget:
        return self.editor

    @property
    def code(self) -> str:
        """What there is to run."""
        return self.editor.text

    def show_session(self, session_id: str | None) -> None:
        """Names what is open, and where it would run."""
        bench = self.bench
        view = None if session_id is None else bench.store.view(session_id)
        where = "" if view is None else f"{one_line(view.name)} {bench.glyphs.dot} {one_line(view.image)}"
        name = bench.file_name + (f" {bench.glyphs.running}" if bench.file_changed else "")
        if (name, where) != self._titles:
            # a border title that is set paints its pane anew
            self._titles = name, where
            self.border_title, self.border_subtitle = Content(name), Content(where)

    def _show_name(self) -> None:
        if self._titles is not None:
            where = self._titles[1]
            name = self.bench.file_name + (f" {self.bench.glyphs.running}" if self.bench.file_changed else "")
            if name != self._titles[0]:
                self._titles = name, where
                self.border_title = Content(name)

    @on(TextArea.Changed, "#editor")
    def _edited(self) -> None:
        if self._restored:
            self.bench.edited(self.editor.text)
            self._show_name()

    @on(TextArea.SelectionChanged, "#editor")
    def _moved(self, event: TextArea.SelectionChanged) -> None:
        if self._restored:
            self.bench.draft.row, self.bench.draft.column = event.selection.end

    # -- files -----------------------------------------------------------------------------------------------------

    def action_open_file(self) -> None:
        from ..dialogs import PathPrompt

        def opened(path: str | None) -> None:
            if path is not None:
                self.screen.set_focus(self.editor)

        self.app.push_screen(PathPrompt("Open a file", self.bench.draft.file, self._open), opened)

    async def _open(self, path: str) -> str | None:
        """Opens a file; returns what is wrong with the path, else None."""
        try:
            text = await asyncio.to_thread(read_text, path)
        except FileError as error:
            return str(error)
        self.editor.load_text(text)
        self.bench.file_is(path, self.editor.text)
        self._show_name()
        return None

    async def open_at(self, asked: LocationAsked) -> str | None:
        """Opens a file at a place; returns what is wrong, else None."""
        wrong = await self._open(asked.path)
        if wrong is None:
            self.editor.move_cursor((asked.row, asked.column), center=True)
        return wrong

    def action_save_file(self) -> None:
        if self.bench.draft.file:
            self.run_worker(self._save_again(), name="save", group="save", exclusive=True)
        else:
            self._save_as()

    async def _save_again(self) -> None:
        if await self._save(self.bench.draft.file) is not None:
            self._save_as()

    async def _save(self, path: str) -> str | None:
        """Saves the editor's text; returns what is wrong with the path, else None."""
        text = self.editor.text
        try:
            await asyncio.to_thread(write_text, path, text)
        except FileError as error:
            return str(error)
        self.bench.file_is(path, text)
        # what was typed meanwhile is not in the file
        self.bench.edited(self.editor.text)
        self._show_name()
        return None

    def _save_as(self) -> None:
        from ..dialogs import PathPrompt

        self.app.push_screen(PathPrompt("Save as", self.bench.draft.file, self._save))
