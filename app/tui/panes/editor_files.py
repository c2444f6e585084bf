"""The files of the editor: open, save, close, what others wrote meanwhile, and the user's own editor."""

from __future__ import annotations

import asyncio
import os
import shlex
import subprocess
import tempfile
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from textual import events
from textual.app import SuspendNotSupported
from textual.containers import Vertical

from ....widgets.line_commands import Change
from ..documents import Document, Documents
from ..files import FileError, absolute, read_file, stamp_of, write_text
from ..messages import FileSaved, Hinted, LocationAsked

if TYPE_CHECKING:
    from ....widgets.code_editor import CodeEditor
    from ..workbench import Workbench


_OVERWRITE: Final = ("o", "overwrite", "write this text in its place")
_RELOAD: Final = ("r", "reload", "take what others wrote; undo brings this text back")
_SAVE: Final = ("s", "save", "save it, then close it")
_DISCARD: Final = ("d", "discard", "close it without saving")


class EditorFiles(Vertical):
    """What the editor does with files; `EditorPane` shows it."""

    bench: Workbench
    editor: CodeEditor

    @property
    def documents(self) -> Documents:
        """The open texts."""
        return self.bench.documents

    def show_document(self, document: Document) -> None:
        """Shows one of the open texts."""
        raise NotImplementedError

    def show_tabs(self) -> None:
        """Writes tabs, mode and session into the border."""
        raise NotImplementedError

    def hint(self, text: str) -> None:
        """Says something for some seconds."""
        self.post_message(Hinted(text))

    # -- opening ---------------------------------------------------------------------------------------------------

    def action_open_file(self) -> None:
        """Asks for a file and opens it in a tab."""
        from ..dialogs import PathPrompt

        def opened(path: str | None) -> None:
            if path is not None:
                self.screen.set_focus(self.editor)

        current = self.documents.current.path
        start = current or f"{Path.cwd()}{os.sep}"
        self.app.push_screen(PathPrompt("Open a file", start, self.open), opened)

    async def open(self, path: str) -> str | None:
        """Opens a file in a tab, or goes to the tab that it has; returns what is wrong with the path, else None."""
        known = self.documents.find(absolute(path))
        if known is not None:
            self.show_document(known)
            return None
        try:
            file = await asyncio.to_thread(read_file, path)
        except FileError as error:
            return str(error)
        self.show_document(self.documents.opened(file))
        if not file.writable:
            self.hint("read-only: save as writes it under another name")
        return None

    async def open_at(self, asked: LocationAsked) -> str | None:
        """Opens a file at a place, or goes there in code that was run; returns what is wrong, else None."""
        if asked.code and not asked.path:
            return self._show_code(asked)
        wrong = await self.open(asked.path)
        if wrong is None:
            self.editor.go_to(asked.row, asked.column)
        return wrong

    def _show_code(self, asked: LocationAsked) -> str | None:
        code, documents = asked.code.strip("\n"), self.documents
        lines = asked.code[: len(asked.code) - len(asked.code.lstrip("\n"))].count("\n")
        for document in (documents.current, *documents.all):
            text = document.buffer.text
            at = 0 if text.startswith(code) else text.find(f"\n{code}") + 1
            if at or text.startswith(code):
                self.show_document(document)
                self.editor.go_to(text.count("\n", 0, at) + asked.row - lines, asked.column)
                return None
        return "the editor has this code no more"

    # -- saving ----------------------------------------------------------------------------------------------------

    def action_save_file(self) -> None:
        """Saves the text that is looked at; asks for a path where it has none."""
        self._save_document(self.documents.current)

    def _save_document(self, document: Document, *, then_close: bool = False) -> None:
        if not document.path or document.buffer.read_only:
            self._save_as(document, then_close=then_close)
        else:
            self._work(self._save_again(document, then_close), "save")

    def action_save_as(self) -> None:
        """Asks for another path and saves there."""
        self._save_as(self.documents.current)

    def _save_as(self, document: Document, *, then_close: bool = False) -> None:
        from ..dialogs import PathPrompt

        async def check(path: str) -> str | None:
            wrong = await self._save(document, path)
            if wrong is None and then_close:
                self._close(document)
            return wrong

        start = document.path or f"{Path.cwd()}{os.sep}"
        self.app.push_screen(PathPrompt("Save as", start, check))

    async def _save_again(self, document: Document, then_close: bool = False) -> None:
        stamp = await asyncio.to_thread(stamp_of, document.path)
        if stamp is not None and document.stamp is not None and stamp != document.stamp:
            self._ask_about_change(document, at_save=True)
            return
        wrong = await self._save(document, document.path)
        if wrong is not None:
            self.hint(wrong)
            self._save_as(document)
        elif then_close:
            self._close(document)

    async def _save(self, document: Document, path: str) -> str | None:
        """Saves a text; returns what is wrong with the path, else None. Undo goes on over it."""
        path = absolute(path)
        other = self.documents.find(path)
        if other is not None and other is not document:
            return f"{path} is open in another tab: close that first"
        text = document.buffer.text
        if path != document.path and await asyncio.to_thread(stamp_of, path) is not None:
            sure = await self._asks("Save as", f"{path} exists.", [_OVERWRITE])
            if sure != "o":
                return f"{path} exists: nothing was written"
        try:
            stamp = await asyncio.to_thread(partial(write_text, path, text, bom=document.bom))
        except FileError as error:
            return str(error)
        moved = path != document.path
        document.is_file(path, text, stamp)
        if moved:
            document.buffer.read_only = False
            if document is self.documents.current:
                self.editor.read_only = False
                self.editor.language = document.buffer.language
        self.show_tabs()
        self.post_message(FileSaved(path))
        return None

    async def _asks(self, title: str, question: str, choices: list[tuple[str, str, str]]) -> str:
        """Asks the user; returns the letter of the answer, empty for none."""
        from ..choice_box import Choice, ChoiceBox

        answers = [Choice(letter, word, about, letter) for letter, word, about in choices]
        return await self.app.push_screen_wait(ChoiceBox(title, [], answers, ask=question))

    # -- what others wrote -----------------------------------------------------------------------------------------

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        self.look_at_disk()

    def on_app_focus(self) -> None:
        self.look_at_disk()

    def look_at_disk(self) -> None:
        """Looks whether others wrote the file that is looked at."""
        if self.documents.current.path:
            self._work(self._look_at_disk(self.documents.current), "look at disk")

    async def _look_at_disk(self, document: Document) -> None:
        stamp = await asyncio.to_thread(stamp_of, document.path)
        if stamp is None or document not in self.documents.all:
            return
        if stamp == document.stamp:
            if not document.baseline_known:
                await self._learn_baseline(document)
            return
        if not document.changed:
            await self._reload(document)
        elif stamp != document.refused:
            document.refused = stamp
            self._ask_about_change(document)

    async def _learn_baseline(self, document: Document) -> None:
        """Reads what the file of a text holds that was changed before this start."""
        try:
            file = await asyncio.to_thread(read_file, document.path)
        except FileError:
            # it counts as changed until it is saved
            return
        document.is_file(document.path, file.text, file.stamp)
        self.show_tabs()

    def _ask_about_change(self, document: Document, *, at_save: bool = False) -> None:
        self._work(self._settle_change(document, at_save), "changed on disk")

    async def _settle_change(self, document: Document, at_save: bool) -> None:
        question = f"{document.path} was changed by others since it was read, and here too."
        answer = await self._asks(document.name, question, [_RELOAD, _OVERWRITE])
        if answer == "r":
            await self._reload(document)
        elif answer == "o":
            wrong = await self._save(document, document.path)
            if wrong is not None:
                self.hint(wrong)

    async def _reload(self, document: Document) -> None:
        """Takes the text as it is in the file; one step to undo."""
        try:
            file = await asyncio.to_thread(read_file, document.path)
        except FileError as error:
            self.hint(str(error))
            return
        if document is not self.documents.current:
            self.show_document(document)
        editor = self.editor
        if file.text != editor.text:
            selection = editor.selection.start, editor.selection.end
            text = file.text.replace("\r\n", "\n") if editor.document.newline == "\r\n" else file.text
            scroll = editor.scroll_offset
            read_only, editor.read_only = editor.read_only, False
            editor.apply(Change((0, 0), editor.document.end, text, selection))
            editor.read_only = read_only
            editor.scroll_to(scroll.x, scroll.y, animate=False)
            self.hint(f"{document.name} was changed by others and read again: ^z takes that back")
        document.is_file(document.path, file.text, file.stamp)
        self.show_tabs()

    # -- closing ---------------------------------------------------------------------------------------------------

    def action_close_tab(self, key: int | None = None) -> None:
        """Closes a tab; asks where something would be lost."""
        document = next((one for one in self.documents.all if one.key == key), self.documents.current)
        if document.worth_asking:
            self._work(self._ask_to_close(document), "close tab")
        else:
            self._close(document)

    async def _ask_to_close(self, document: Document) -> None:
        answer = await self._asks(document.name, "It has changes that are saved nowhere.", [_SAVE, _DISCARD])
        if answer == "s":
            self._save_document(document, then_close=True)
        elif answer == "d":
            self._close(document)

    def _close(self, document: Document) -> None:
        self.documents.close(document)
        self.show_document(self.documents.current)

    # -- commands of Vim -------------------------------------------------------------------------------------------

    def run_file_command(self, name: str, argument: str) -> None:
        """Does what `:w`, `:e`, `:q` and their kin do."""
        document = self.documents.current
        if name in ("write", "save-as", "write-quit"):
            if argument:
                self._work(self._write_to(document, argument, name == "write-quit"), "save")
            elif name == "save-as":
                self._save_as(document)
            else:
                self._save_document(document, then_close=name == "write-quit")
        elif name == "edit" and argument:
            self._work(self._edit(argument), "open")
        elif name in ("edit", "reload"):
            if not document.path:
                self.hint("this text has no file")
            elif document.changed and name == "edit":
                self.hint("it has changes that are not saved: :e! drops them")
            else:
                self._work(self._reload(document), "reload")
        elif name == "quit" and document.changed:
            self.hint("it has changes that are not saved: :q! drops them, :wq saves")
        elif name in ("quit", "quit!"):
            self._close(document)

    async def _write_to(self, document: Document, path: str, then_close: bool) -> None:
        wrong = await self._save(document, path)
        if wrong is not None:
            self.hint(wrong)
        elif then_close:
            self._close(document)

    async def _edit(self, path: str) -> None:
        base = Path(self.documents.current.path).parent if self.documents.current.path else Path.cwd()
        wrong = await self.open(path if path.startswith("~") else str(base / path))
        if wrong is not None:
            self.hint(wrong)

    # -- the user's own editor -------------------------------------------------------------------------------------

    def action_external(self) -> None:
        """Hands the text to `$VISUAL` or `$EDITOR` and takes it back."""
        if self.editor.read_only:
            self.hint("read-only: save as writes it under another name")
            return
        command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
        name = self.documents.current.name
        if "." not in name:
            name += ".py" if self.editor.language == "python" else ".txt"
        row, _ = self.editor.cursor_location
        with tempfile.TemporaryDirectory(prefix="bai-tui-") as folder:
            file = Path(folder) / name
            try:
                file.write_bytes(self.editor.text.encode("utf-8", "surrogateescape"))
                with self.app.suspend():
                    words = shlex.split(command)
                    at = [f"+{row + 1}"] if Path(words[0]).name in ("vi", "vim", "nvim", "nano", "emacs") else []
                    status = subprocess.run([*words, *at, str(file)], check=False).returncode
                text = read_file(str(file)).text
            except SuspendNotSupported:
                self.hint("there is no terminal to hand over: $EDITOR cannot be started here")
                return
            except (OSError, ValueError, IndexError) as error:
                self.hint(f"{command} cannot be started: {error}")
                return
            except FileError as error:
                self.hint(f"what {command} left cannot be read: {error}")
                return
        if status != 0:
            self.hint(f"{command} ended with {status}: the text is as it was")
        elif text != self.editor.text:
            selection = self.editor.selection.start, self.editor.selection.end
            self.editor.apply(Change((0, 0), self.editor.document.end, text, selection))

    def _work(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self.run_worker(work, name=name, group=f"editor {name}", exit_on_error=False)
