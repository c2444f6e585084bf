"""The part of the editor that runs code: which lines, and what has become of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual import on
from textual.widget import Widget
from textual.widgets import TextArea

from ....widgets.code_editor import CodeEditor
from ....widgets.completion_popup import CompletionPopup, DocPanel
from ....widgets.transcript import RunState
from .. import snippets
from ..completing import Completer
from ..messages import CodeAsked, Hinted

if TYPE_CHECKING:
    from ....widgets.text_buffer import TextBuffer
    from ...model.inspection import Inspection
    from ..snippets import Snippet
    from ..workbench import Workbench


@dataclass(slots=True, eq=False)
class Asked:
    """Lines that were run from here."""

    session_id: str | None
    """None while there was none to run it in."""
    code: str
    after: int
    """Number of the newest run when it was asked for."""
    buffer: TextBuffer
    """The text that the lines are of; another may be shown when the run ends."""
    sign: str = ""


class LineSign(str):
    """A sign beside a line, and which code it is of."""

    asked: Asked


class RunsCode(Widget):
    """Runs cells, statements, selections, all above; signs beside the lines say how each stands. A base of the pane."""

    bench: Workbench
    editor: CodeEditor
    _session: str | None

    def start_running(self) -> None:
        """Begins without anything that runs; call it when there is an editor."""
        self._runs: list[Asked] = []
        self.popup, self.panel = CompletionPopup(id="completions"), DocPanel(id="doc-panel")
        self.completer = Completer(
            self.editor,
            self.popup,
            self.panel,
            self.bench,
            lambda: self._session,
            self._hint,
            self.bench.keys.first("editor-inspect"),
        )

    def _hint(self, text: str) -> None:
        self.post_message(Hinted(text))

    def put(self, code: str) -> None:
        """Puts code into the text at the cursor, in place of what is selected."""
        start, end = sorted(self.editor.selection)
        self.editor.replace_range(start, end, code)

    @property
    def _lines(self) -> list[str]:
        return self.editor.document.lines

    def take_all(self) -> str:
        """Returns the whole text, to be run now."""
        found = snippets.whole(self._lines)
        if not found.is_empty:
            self._note(found)
        return self.editor.text

    def action_run_statement(self) -> None:
        editor = self.editor
        if not editor.selection.is_empty:
            self._run(snippets.selection(self._lines, editor.selection.start, editor.selection.end), "the selection")
            return
        found = snippets.statement(self._lines, editor.cursor_location[0], editor.language)
        self._run(found, "the statement")
        if not found.is_empty:
            row = found.end
            while row < len(self._lines) - 1 and not self._lines[row].strip():
                row += 1
            editor.move_cursor((min(row, len(self._lines) - 1), 0))

    def action_run_cell(self, next: bool) -> None:
        editor = self.editor
        row = editor.cursor_location[0]
        found = snippets.cell(self._lines, row, editor.language)
        below = snippets.next_cell(self._lines, row, editor.language) if next else None
        markdown = snippets.cell_at(self._lines, row, editor.language).markdown
        if not (markdown and below is not None):
            self._run(found, "the cell")
        if below is not None:
            editor.move_cursor((below, 0))

    def action_run_above(self) -> None:
        row = self.editor.cursor_location[0]
        self._run(snippets.above(self._lines, row, self.editor.language), "what is above")

    def action_go_to_cell(self, direction: int) -> None:
        row, language = self.editor.cursor_location[0], self.editor.language
        find = snippets.next_cell if direction > 0 else snippets.previous_cell
        to = find(self._lines, row, language)
        if to is None:
            self.post_message(Hinted("no other cell: a line such as # %% begins one"))
        else:
            self.editor.move_cursor((to, 0))

    def _run(self, snippet: Snippet, what: str) -> None:
        if snippet.is_empty:
            self.post_message(Hinted(f"{what} is empty: there is nothing to run"))
            return
        self._note(snippet)
        self.post_message(CodeAsked(snippet.code))

    # -- completion and inspection -----------------------------------------------------------------------------------

    def action_complete(self) -> None:
        self.completer.ask()

    def action_inspect(self) -> None:
        def show_all(told: Inspection) -> None:
            from ..code_screens import NameScreen

            self.app.push_screen(NameScreen(told))

        self.completer.inspect(show_all)

    @on(CodeEditor.CompletionsAsked)
    def _completions_asked(self) -> None:
        self.completer.ask()

    @on(TextArea.Changed, "#editor")
    def _code_edited(self) -> None:
        self.completer.edited()

    @on(TextArea.SelectionChanged, "#editor")
    def _cursor_moved(self) -> None:
        self.completer.moved()

    @on(CompletionPopup.Highlighted)
    def _suggestion_marked(self) -> None:
        self.completer.marked()

    @on(CompletionPopup.Picked)
    def _suggestion_clicked(self, event: CompletionPopup.Picked) -> None:
        self.completer.take(event.index)
        self.screen.set_focus(self.editor)

    def on_descendant_blur(self) -> None:
        """Closes the list when the keys go elsewhere."""
        self.completer.close()

    # -- signs beside the lines --------------------------------------------------------------------------------------

    def _note(self, snippet: Snippet) -> None:
        session_id, buffer = self._session, self.editor.buffer
        after = 0 if session_id is None else self.bench.runs.of(session_id).feed.transcript.numbers
        for row, sign in list(buffer.marks.items()):
            if isinstance(sign, LineSign) and sign.asked not in self._runs:
                # of a failure that was looked at by now
                buffer.mark(row, "")
        asked = Asked(session_id, snippet.code, after, buffer)
        self._runs.append(asked)
        end = snippet.end
        while end > snippet.first + 1 and not self._lines[end - 1].strip():
            end -= 1
        self._sign(asked, self.bench.glyphs.preparing, range(snippet.first, end))

    def _sign(self, asked: Asked, sign: str, rows: range | None = None) -> None:
        """Sets the sign of the lines of `asked`; those that have moved are found by their sign."""
        if sign == asked.sign and rows is None:
            return
        asked.sign = sign
        marks = asked.buffer.marks
        for row in rows if rows is not None else [row for row, old in marks.items() if _is_of(old, asked)]:
            made = LineSign(sign)
            made.asked = asked
            # an empty one takes the sign away
            asked.buffer.mark(row, made)
        self.editor.refresh()

    def show_runs(self, session_id: str | None) -> None:
        """Brings the signs up to date with the runs of the session that is shown."""
        for asked in list(self._runs):
            if asked.session_id is None or self.bench.store.real_id(asked.session_id) != asked.session_id:
                asked.session_id = (
                    session_id if asked.session_id is None else self.bench.store.real_id(asked.session_id)
                )
            if asked.session_id is None or asked.session_id != session_id:
                continue
            sign, over = self._stand(asked)
            self._sign(asked, sign)
            if over:
                self._runs.remove(asked)

    def _stand(self, asked: Asked) -> tuple[str, bool]:
        """Returns the sign of what has become of code, and whether that is all: it has ended, or was taken back."""
        console = self.bench.runs.of(asked.session_id or "")
        glyphs = self.bench.glyphs
        for run in reversed(console.feed.transcript.runs):
            if run.number <= asked.after:
                break
            if run.ours and run.code == asked.code:
                if not run.going:
                    return ("" if run.state is RunState.OK else glyphs.failed), True
                begun = run.state is RunState.RUNNING or console.stream is not None
                return (glyphs.running if begun else glyphs.preparing), False
        waits = console.streaming or any(queued.code == asked.code for queued in console.queue.waiting)
        return (glyphs.preparing, False) if waits else ("", True)


def _is_of(sign: str, asked: Asked) -> bool:
    return isinstance(sign, LineSign) and sign.asked is asked
