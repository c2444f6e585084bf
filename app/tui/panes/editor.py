"""The editor with its keys: tabs, looking for text, Vim's commands; `editor_files` has opening and saving."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from ....widgets import languages
from ....widgets.code_editor import CodeEditor
from ....widgets.find_bar import FindBar
from ....widgets.line_commands import Change
from ....widgets.text import one_line
from ....widgets.text_find import Finder, PatternError
from ....widgets.vim_messages import VimActed, VimShown
from ..actions import bindings
from ..documents import Document
from ..samples import SAMPLES
from .editor_files import EditorFiles
from .running import RunsCode
from .tab_title import tab_title

if TYPE_CHECKING:
    from ..workbench import Workbench

_COUNT_AFTER_S: Final = 0.15


class EditorPane(RunsCode, EditorFiles):
    """The open texts: one is seen, the others are tabs in the title."""

    BINDINGS: ClassVar[list[BindingType]] = [*bindings("editor")]
    pane_name: ClassVar[str] = "editor"

    def __init__(self, bench: Workbench, *, id: str) -> None:
        super().__init__(id=id)
        self.bench = bench
        self.editor = CodeEditor(guide=bench.glyphs.guide, id="editor")
        self.editor.show_first(self.documents.current.buffer)
        self.find_bar = FindBar(id="find-bar")
        self._counting: Timer | None = None
        self._where = ""
        self._titled: tuple[Content, str] | None = None
        self._session: str | None = None
        self.start_running()

    def compose(self) -> ComposeResult:
        yield self.editor
        yield self.find_bar
        yield self.popup
        yield self.panel

    def on_mount(self) -> None:
        self.editor.use_vim(self.bench.settings.vim)
        self.editor.auto_close = self.documents.options.auto_close
        self.editor.indent_guides = self.documents.options.guides
        self.call_after_refresh(self._restored)

    def _restored(self) -> None:
        self.editor.show_buffer(self.documents.current.buffer)
        self.look_at_disk()

    def focus_target(self) -> Widget:
        return self.editor

    @property
    def code(self) -> str:
        """What there is to run."""
        return self.editor.text

    # -- the border ------------------------------------------------------------------------------------------------

    def show_session(self, session_id: str | None) -> None:
        """Names what is open, and where it would run."""
        bench = self.bench
        view = None if session_id is None else bench.store.view(session_id)
        self._where = "" if view is None else f"{one_line(view.name)} {bench.glyphs.dot} {one_line(view.image)}"
        self._session = session_id
        current = self.documents.current
        current.session = session_id or ""
        if view is not None and not current.path:
            self._follow_language(current, self._spoken(view.image))
        self.show_tabs()

    def _follow_language(self, document: Document, spoken: str) -> None:
        """Has what is begun now, and the sample while nobody changed it, in the language of the session."""
        buffer = document.buffer
        sample = SAMPLES.get(buffer.language)
        if not buffer.document.chars:
            self.editor.language = spoken
        elif (
            self.editor.buffer is buffer
            and spoken != buffer.language
            and spoken in SAMPLES
            and sample is not None
            and buffer.document.chars == len(sample)
            and buffer.text == sample
        ):
            self.editor.load_text(SAMPLES[spoken])
            self.editor.language = spoken

    def _spoken(self, image: str) -> str:
        """Returns the language of an image, as the server tells it or its name says."""
        return languages.of_image(image, self.bench.sync.connection.language_of(image))

    def show_tabs(self) -> None:
        """Writes tabs, mode and session into the border."""
        glyphs = self.bench.glyphs
        title = tab_title(
            [(document.key, document.name, document.changed) for document in self.documents.all],
            self.documents.current.key,
            self.size.width or 80,
            changed=glyphs.running,
            between=f" {glyphs.between} ",
            close=glyphs.close,
        )
        vim = self.editor.vim
        state = [word for word in (vim.shown if vim is not None else "", "read-only" * self.editor.read_only) if word]
        below = f" {glyphs.dot} ".join([*state, self._where] if self._where else state)
        if (title, below) != self._titled:
            # a border title that is set paints its pane anew
            self._titled = title, below
            self.border_title, self.border_subtitle = title, Content(below)

    def on_resize(self) -> None:
        self.show_tabs()

    @on(TextArea.Changed, "#editor")
    def _edited(self) -> None:
        self.show_tabs()
        if self.find_bar.is_open:
            self._count_later()

    @on(TextArea.SelectionChanged, "#editor")
    def _moved(self, event: TextArea.SelectionChanged) -> None:
        self.editor.buffer.selection = event.selection
        self.editor.buffer.scroll = int(self.editor.scroll_offset.x), int(self.editor.scroll_offset.y)

    # -- tabs ------------------------------------------------------------------------------------------------------

    def show_document(self, document: Document) -> None:
        """Shows one of the open texts."""
        self.documents.current = document
        if self.editor.buffer is not document.buffer:
            self.editor.show_buffer(document.buffer)
            document.session = self._session or ""
        self.show_tabs()
        self.look_at_disk()

    def action_next_tab(self) -> None:
        """Goes to the tab on the right, round the end."""
        self.show_document(self.documents.step(1))

    def action_previous_tab(self) -> None:
        """Goes to the tab on the left, round the end."""
        self.show_document(self.documents.step(-1))

    def action_show_tab(self, key: int) -> None:
        """Goes to a tab."""
        for document in self.documents.all:
            if document.key == key:
                self.show_document(document)
                self.screen.set_focus(self.editor)
                return

    def action_new_tab(self) -> None:
        """Opens an empty text, in the language of the selected session."""
        view = None if self._session is None else self.bench.store.view(self._session)
        language = "python" if view is None else self._spoken(view.image)
        self.show_document(self.documents.new(language=language))
        self.screen.set_focus(self.editor)

    def on_click(self, event: events.Click) -> None:
        """Closes a tab that is clicked with the middle button."""
        action = str(event.style.meta.get("@click", ""))
        found = re.search(r"(?:show|close)_tab\((\d+)\)", action)
        if event.button == 2 and found is not None:
            event.stop()
            self.action_close_tab(int(found[1]))

    # -- looking for text ------------------------------------------------------------------------------------------

    def action_find(self) -> None:
        """Asks what to look for; what is selected is the first answer."""
        self._open_find(replaces=self.find_bar.has_class("-replaces") and self.find_bar.is_open)

    def action_replace(self) -> None:
        """Asks what to look for and what to put in its place."""
        self._open_find(replaces=True)

    def _open_find(self, *, replaces: bool) -> None:
        selected = self.editor.selected_text
        # while it is open, what is selected is what was found
        taken = selected if selected and "\n" not in selected and not self.find_bar.is_open else None
        self.find_bar.open(replaces=replaces, text=taken)

    def step_back(self) -> bool:
        """Does what escape does within the pane; returns whether that was anything."""
        if self.completer.step_back():
            return True
        if self.find_bar.is_open and (self.find_bar.has_focus_within or self.editor.vim is None):
            self.find_bar.close()
            self.editor.finder = None
            self.screen.set_focus(self.editor)
            return True
        return self.editor.has_focus and self.editor.step_back()

    @on(FindBar.Asked)
    def _find_asked(self, event: FindBar.Asked) -> None:
        if not self.find_bar.is_open:
            return
        try:
            self.editor.finder = Finder(event.query)
        except PatternError as error:
            self.editor.finder = None
            self.find_bar.tell(0, 0, str(error))
            return
        self._show_match(self.editor.finder.after(self.editor.document.lines, min(self.editor.selection)))
        self._count_later()

    def _show_match(self, match: tuple[tuple[int, int], tuple[int, int]] | None) -> None:
        if match is not None:
            start, end = match
            self.editor.go_to(*start)
            self.editor.selection = Selection(start, end)

    def _count_later(self) -> None:
        if self._counting is None:
            self._counting = self.set_timer(_COUNT_AFTER_S, self._count, name="count matches")

    def _count(self) -> None:
        self._counting = None
        finder = self.editor.finder
        if finder is not None:
            self.find_bar.tell(*finder.count(self.editor.document.lines, min(self.editor.selection)))

    @on(FindBar.Stepped)
    def _find_stepped(self, event: FindBar.Stepped) -> None:
        self.action_find_step(event.step)

    def action_find_step(self, step: int) -> None:
        """Goes to the next match (1) or the previous one (-1)."""
        finder = self.editor.finder
        if finder is None:
            self.action_find()
            return
        start, end = sorted(self.editor.selection)
        lines = self.editor.document.lines
        self._show_match(
            finder.after(lines, end if start != end else start) if step > 0 else finder.before(lines, start)
        )
        self._count_later()

    def action_find_turn(self, name: str) -> None:
        """Turns `case`, `word` or `regex` on or off."""
        if self.find_bar.is_open:
            self.find_bar.turn(name)

    @on(FindBar.Replaced)
    def _replace_asked(self, event: FindBar.Replaced) -> None:
        if event.every:
            self.action_replace_all()
        else:
            self.action_replace_one()

    def action_replace_one(self) -> None:
        """Replaces the match at the cursor and goes to the next."""
        finder, editor = self.editor.finder, self.editor
        if finder is None or self.find_bar.has_class("-replaces") is False:
            self.action_replace()
            return
        start, end = sorted(editor.selection)
        if finder.after(editor.document.lines, start, wrap=False) == (start, end):
            try:
                new = finder.replacement(editor.selected_text, self.find_bar.replacement)
            except PatternError as error:
                self.find_bar.tell(0, 0, str(error))
                return
            editor.replace_range(start, end, new)
        self.action_find_step(1)

    def action_replace_all(self) -> None:
        """Replaces every match as one step to undo."""
        finder, editor = self.editor.finder, self.editor
        if finder is None or self.find_bar.has_class("-replaces") is False:
            self.action_replace()
            return
        try:
            first, last, new, count = finder.replaced(editor.document.lines, self.find_bar.replacement)
        except PatternError as error:
            self.find_bar.tell(0, 0, str(error))
            return
        if count:
            row, column = editor.cursor_location
            end = (last, len(editor.document[last]))
            place = (row, column)
            editor.apply(Change((first, 0), end, "\n".join(new), (place, place)))
        self.hint(f"{count:,} replaced" if count else "nothing to replace")
        self._count_later()

    # -- other commands --------------------------------------------------------------------------------------------

    def action_go_to_line(self) -> None:
        """Asks for a line, or a line and a column, and goes there."""
        from ..dialogs import PathPrompt

        async def check(typed: str) -> str | None:
            found = re.fullmatch(r"\s*(\d{1,9})\s*(?:[:,\s]\s*(\d{1,9}))?\s*", typed)
            if found is None:
                return "write a line, or a line and a column such as 12:5"
            self.editor.go_to(int(found[1]) - 1, int(found[2] or 1) - 1)
            return None

        row, column = self.editor.cursor_location
        title = f"Go to line, of {self.editor.document.line_count:,}"
        prompt = PathPrompt(title, f"{row + 1}:{column + 1}", check, completes=False)
        self.app.push_screen(prompt)

    async def action_editor(self, name: str) -> None:
        """Does an action of the editor itself."""
        await self.editor.run_action(name)

    def action_toggle_vim(self) -> None:
        """Gives the editor Vim's keys, or takes them away."""
        self.editor.use_vim(self.editor.vim is None)
        self.show_tabs()
        if self.editor.vim is not None:
            self.hint("vim's keys: U is redo, since ^r runs")

    def action_toggle_guides(self) -> None:
        """Shows or hides the lines of indentation."""
        self.editor.indent_guides = self.documents.options.guides = not self.editor.indent_guides

    def action_toggle_auto_close(self) -> None:
        """Lets a bracket that is typed bring its partner, or not."""
        self.editor.auto_close = self.documents.options.auto_close = not self.editor.auto_close
        self.hint("brackets bring their partner" if self.editor.auto_close else "brackets come alone")

    def action_trim(self) -> None:
        """Takes the spaces at the ends of lines away."""
        self.editor.trim()

    @on(VimShown)
    def _vim_shown(self) -> None:
        self.show_tabs()

    @on(VimActed)
    async def _vim_acted(self, event: VimActed) -> None:
        name, argument = event.name, event.argument
        if name == "say":
            self.hint(argument)
        elif name in ("next-tab", "previous-tab"):
            self.show_document(self.documents.step(1 if name == "next-tab" else -1))
        elif name == "new":
            self.action_new_tab()
        elif name in ("write", "write-quit", "save-as", "edit", "reload", "quit", "quit!"):
            self.run_file_command(name, argument)
        elif name == "set":
            self._set(argument)

    def _set(self, option: str) -> None:
        """Does what `:set` does."""
        on_, name = not option.startswith("no"), option.removeprefix("no")
        if name == "wrap":
            if self.editor.soft_wrap != on_:
                self.editor.action_toggle_wrap()
        elif name in ("number", "nu"):
            self.editor.show_line_numbers = on_
        elif name.startswith("ft=") or name.startswith("filetype="):
            self.editor.language = name.partition("=")[2]
        else:
            self.hint("there are set wrap, nowrap, number, nonumber and ft=LANGUAGE")
