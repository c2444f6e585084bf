"""A code editor: Textual's TextArea with Pygments' colours, lexed as far as one can see and no further."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.style import Style
from rich.text import Text
from textual import events
from textual.timer import Timer
from textual.widgets.text_area import Selection

from ._textual_private import FastDocument, FastTextArea
from .highlight import STYLES, LineLexer, python_lexer

_PAINT_BUDGET_S: Final = 0.006
"""Time that one paint may spend on lexing; what is left follows in slices between frames."""
_SLICE_S: Final = 0.008
_LEAVES_BLOCK: Final = frozenset({"return", "pass", "break", "continue", "raise"})
_LEXER_AFTER_S: Final = 0.1
_NAMES: Final = frozenset(STYLES.values())


class _DocumentSource:
    def __init__(self, document: FastDocument) -> None:
        self._document = document

    def lines(self) -> Sequence[str]:
        return self._document.lines

    def text(self) -> str:
        if self._document.newline == "\n":
            return self._document.text
        return "\n".join(self._document.lines)


class CodeEditor(FastTextArea):
    """Edits Python.

    | Component class | What |
    | --- | --- |
    | `code--keyword`, `code--string`, ... | one for each style name of `highlight.STYLES` |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"code--{name}" for name in _NAMES}

    def __init__(self, text: str = "", *, id: str | None = None, classes: str | None = None) -> None:
        self._lexer: LineLexer | None = None
        self._colours: dict[str, Style] = {}
        self._catching_up: Timer | None = None
        super().__init__(
            text,
            soft_wrap=False,
            show_line_numbers=True,
            tab_behavior="indent",
            id=id,
            classes=classes,
        )

    def on_mount(self) -> None:
        # the lexer's import waits for the first frames
        self.set_timer(_LEXER_AFTER_S, self._start_lexer, name="lexer")

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._colours.clear()

    def _start_lexer(self) -> None:
        if isinstance(self.document, FastDocument):
            self._lexer = LineLexer(python_lexer(), _DocumentSource(self.document))
            self.forget_lines()

    def text_replaced(self) -> None:
        if self._lexer is not None:
            self._start_lexer()

    def text_edited(self, first: int, last: int, new_last: int) -> None:
        if self._lexer is not None:
            self._lexer.edited(first, last, new_last)

    # -- keys ----------------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        """Takes the keys that mean more in code than in text; TextArea has the others."""
        if event.key == "escape":
            # the screen's way back, not TextArea's next widget
            event.prevent_default()
        elif self.read_only:
            return
        elif event.key == "enter":
            start, end = sorted(self.selection)
            self.replace("\n" + self._indent_after(start), start, end, maintain_selection_offset=False)
        elif event.key == "shift+tab":
            self._shift_lines(-1)
        elif event.key == "tab" and self.selection.start[0] != self.selection.end[0]:
            self._shift_lines(1)
        else:
            return
        if event.key != "escape":
            event.stop()
            event.prevent_default()

    def _indent_after(self, location: tuple[int, int]) -> str:
        """Returns how a line begins that follows what stands before `location`."""
        row, column = location
        before = self.document[row][:column]
        indent = before[: len(before) - len(before.lstrip())]
        code = before.strip()
        if "#" in code and not ("'" in code or '"' in code):
            code = code.partition("#")[0].rstrip()
        if code.endswith(":"):
            return indent + " " * self.indent_width
        if code.partition(" ")[0] in _LEAVES_BLOCK:
            return indent[: -self.indent_width]
        return indent

    def _shift_lines(self, levels: int) -> None:
        """Moves the lines of the selection, or that of the cursor, a level to the right or left."""
        (first, _), (last, column) = sorted(self.selection)
        if last > first and column == 0:
            last -= 1
        width = self.indent_width
        old = [self.document[row] for row in range(first, last + 1)]
        if levels > 0:
            new = [" " * width + line if line.strip() else line for line in old]
        else:
            new = [line[min(width, len(line) - len(line.lstrip(" "))) :].removeprefix("\t") for line in old]
        if new == old:
            return
        moved = {first + at: len(new[at]) - len(old[at]) for at in range(len(old))}
        ends = [(row, max(0, column + moved.get(row, 0)) if column else 0) for row, column in self.selection]
        self.replace("\n".join(new), (first, 0), (last, len(old[-1])))
        self.selection = Selection(ends[0], ends[1])

    # -- colours -------------------------------------------------------------------------------------------------

    def get_line(self, line_index: int) -> Text:
        line = super().get_line(line_index)
        lexer = self._lexer
        if lexer is None:
            return line
        if lexer.done <= line_index and not lexer.lex_to(self._last_visible(line_index), self._budget()):
            self._catch_up_later()
        colours = self._colours
        for start, end, name in lexer.spans(line_index):
            style = colours.get(name)
            if style is None:
                style = colours[name] = self.get_component_rich_style(f"code--{name}", partial=True)
            line.stylize(style, start, end)
        return line

    def _budget(self) -> float:
        # once a paint has used its time up, its other rows do not get as much again
        return 0.0 if self._catching_up is not None else _PAINT_BUDGET_S

    def _last_visible(self, line_index: int) -> int:
        bottom = int(self.scroll_offset.y) + self.size.height
        return max(line_index, min(bottom, self.document.line_count) - 1)

    def _catch_up_later(self) -> None:
        if self._catching_up is None:
            self._catching_up = self.set_timer(0.001, self._catch_up, name="highlight")

    def _catch_up(self) -> None:
        self._catching_up = None
        if self._lexer is None:
            return
        if self._lexer.lex_to(self._last_visible(0), _SLICE_S):
            self.forget_lines()
        else:
            self._catch_up_later()
