"""Shows a buffer of code: a TextArea that lexes and paints as far as one sees, whatever the size of the text."""

from __future__ import annotations

from typing import ClassVar, Final

from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Offset, Region
from textual.reactive import reactive
from textual.strip import Strip
from textual.timer import Timer
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from ._textual_private import FastTextArea, Location
from .code_painter import BRACKET, CURRENT, CURSOR, GUIDE, MATCH, SELECTED, Layer, Look, Painter, Row, guides
from .highlight import MAX_LINE_CHARS, STYLES, Span
from .text_buffer import TextBuffer
from .text_find import Finder

_PAINT_BUDGET_S: Final = 0.006
"""Time that one paint may spend on lexing; what is left follows in slices between frames."""
_SLICE_S: Final = 0.008
_LEXER_AFTER_S: Final = 0.1
_NAMES: Final = frozenset(STYLES.values())
_NO_SPANS: Final[list[Span]] = []
_GUIDE_REACH_LINES: Final = 30


class CodeView(FastTextArea, inherit_bindings=False):
    """Shows a text that is edited: a buffer in Pygments' colours, with signs, guides and matches.

    | Component class | What |
    | --- | --- |
    | `code--keyword`, `code--string`, ... | one for each style name of `highlight.STYLES` |
    | `code--guide` | the lines of indentation |
    | `code--match` | what was looked for |
    | `code--current-match` | the match that the cursor is at |
    | `code--mark` | a sign beside a line number |
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        binding
        for binding in TextArea.BINDINGS
        # function keys are the screen's, and pages to the left or right are nobody's
        if not (isinstance(binding, Binding) and binding.key in ("f6", "f7"))
    ]
    DEFAULT_CSS = """
    CodeView {
        & > .code--guide { color: $foreground 20%; }
        & > .code--match { background: $warning 35%; }
        & > .code--current-match { background: $warning; color: $background; }
        & > .code--mark { color: $accent; text-style: bold; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"code--{name}" for name in _NAMES} | {
        "code--guide",
        "code--match",
        "code--current-match",
        "code--mark",
    }

    indent_guides: reactive[bool] = reactive(True)
    """Whether levels of indentation have a line."""

    def __init__(
        self,
        text: str = "",
        *,
        language: str = "python",
        wrap: bool = False,
        guide: str = "│",
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        self.buffer = TextBuffer(text, language)
        """The text that is shown, with what belongs to it."""
        self.painter = Painter()
        self._guide = guide
        self._wraps = wrap
        self._finder: Finder | None = None
        self._lexes = False
        self._catching_up: Timer | None = None
        self._found: tuple[int, Finder | None, dict[int, list[tuple[int, int]]]] = (-1, None, {})
        super().__init__(
            "",
            soft_wrap=wrap,
            show_line_numbers=True,
            tab_behavior="indent",
            id=id,
            classes=classes,
        )
        self._adopt(self.buffer)

    def on_mount(self) -> None:
        # the lexer's import waits for the first frames
        self.set_timer(_LEXER_AFTER_S, self._start_lexing, name="lexer")

    # -- buffers -------------------------------------------------------------------------------------------------

    def show_buffer(self, buffer: TextBuffer) -> None:
        """Shows a text as it was left; the one that was shown keeps its cursor, scroll and history."""
        if buffer is not self.buffer:
            self.leave_buffer()
        self._adopt(buffer)
        self.read_only = buffer.read_only
        self._rewrap_and_refresh_virtual_size()
        scroll_x, scroll_y = buffer.scroll
        self.selection = buffer.selection
        self.record_cursor_width()
        self.scroll_to(scroll_x, scroll_y, animate=False, immediate=True)
        self.post_message(self.Changed(self))

    def show_first(self, buffer: TextBuffer) -> None:
        """Takes the text to begin with, before there is a screen."""
        self._adopt(buffer)

    def _adopt(self, buffer: TextBuffer) -> None:
        self.buffer = buffer
        self.history = buffer.history
        self.indent_width = buffer.indent_width
        self.indent_type = "tabs" if buffer.tabs else "spaces"
        self.put_document(buffer.document)
        self.set_reactive(FastTextArea.soft_wrap, self._wraps if buffer.wrap is None else buffer.wrap)

    def leave_buffer(self) -> None:
        """Notes in the buffer where cursor and scroll stand."""
        self.buffer.selection = self.selection
        self.buffer.scroll = int(self.scroll_offset.x), int(self.scroll_offset.y)
        self.history.checkpoint()

    def load_text(self, text: str) -> None:
        """Replaces the text and its history."""
        self.buffer.reset(text)
        self.show_buffer(self.buffer)
        self._start_lexing()

    @property
    def language(self) -> str:  # Textual's is that of its own highlighting, which is not used
        """Name of the text's language, see `languages`."""
        return self.buffer.language

    @language.setter
    def language(self, name: str | None) -> None:
        if name is None:
            # Textual's constructor
            return
        self.buffer.language = name
        if self._lexes:
            self._start_lexing()

    @property
    def revision(self) -> int:
        """Goes up with each change of the text."""
        return self.buffer.revision

    def _start_lexing(self) -> None:
        self._lexes = True
        self.buffer.start_lexing()
        self.forget_rows()

    def text_replaced(self) -> None:
        if self._lexes:
            self.buffer.start_lexing()
        self.painter.forget()

    def text_edited(self, first: int, last: int, new_last: int) -> None:
        self.buffer.edited(first, last, new_last)

    # -- for others ----------------------------------------------------------------------------------------------

    @property
    def text_before_cursor(self) -> str:
        """What stands left of the cursor in its line."""
        row, column = self.cursor_location
        return self.document[row][:column]

    @property
    def cursor_region(self) -> Region:
        """Where the cursor is on the screen: one cell."""
        return Region.from_offset(self.cursor_screen_offset, (1, 1))

    @property
    def finder(self) -> Finder | None:
        """What is looked for, and shown; None = nothing."""
        return self._finder

    @finder.setter
    def finder(self, finder: Finder | None) -> None:
        self._finder = finder
        self.refresh()

    def go_to(self, row: int, column: int = 0, *, length: int = 0) -> None:
        """Puts the cursor to a place and that into the middle of the screen where it was out of sight.

        Args:
            length: Characters that are selected there.
        """
        row = min(max(0, row), self.document.line_count - 1)
        column = min(max(0, column), len(self.document[row]))
        top = int(self.scroll_offset.y)
        self.selection = Selection((row, column), (row, min(len(self.document[row]), column + length)))
        self.record_cursor_width()
        self.history.checkpoint()
        y = self.wrapped_document.location_to_offset((row, column)).y
        if not top <= y < top + self.size.height:
            self.scroll_cursor_visible(center=True)

    # -- painting ------------------------------------------------------------------------------------------------

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self.painter.look = None

    def forget_rows(self) -> None:
        """Makes every visible row be painted again."""
        self.painter.forget()
        self.refresh()

    def _look(self) -> Look:
        theme = self._theme
        none = Style()
        names = {name: self.get_component_rich_style(f"code--{name}", partial=True) for name in _NAMES}

        def part(name: str) -> Style:
            return self.get_component_rich_style(f"code--{name}", partial=True)

        return Look(
            base=theme.base_style or self.rich_style,
            cursor_row=theme.cursor_line_style or none,
            gutter=theme.gutter_style or none,
            cursor_gutter=theme.cursor_line_gutter_style or none,
            mark=part("mark"),
            names=names,
            flags={
                GUIDE: part("guide"),
                MATCH: part("match"),
                CURRENT: part("current-match"),
                SELECTED: theme.selection_style or none,
                BRACKET: theme.bracket_matching_style or none,
                CURSOR: theme.cursor_style or none,
            },
            guide=self._guide,
        )

    def render_lines(self, crop: Region) -> list[Strip]:
        if self.painter.look is None:
            self._theme.apply_css(self)
        self.painter.use(self._look())
        lexer = self.buffer.lexing
        if lexer is not None:
            last = self._last_visible()
            if lexer.done <= last and not lexer.lex_to(last, self._budget()):
                self._catch_up_later()
        return super().render_lines(crop)

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        scroll_x, scroll_y = int(self.scroll_offset.x), int(self.scroll_offset.y)
        wrapped = self.wrapped_document
        if y + scroll_y >= wrapped.height:
            return self.painter.blank(width)
        line, section = wrapped.locate(y + scroll_y)
        return self.painter.strip((line, section), self._row(line, section, 0 if self.soft_wrap else scroll_x, width))

    def _row(self, line: int, section: int, scroll_x: int, width: int) -> Row:
        text = self.document.get_line(line)
        breaks = self.wrapped_document.get_offsets(line)
        start = breaks[section - 1] if section else 0
        end = breaks[section] if section < len(breaks) else len(text)
        lexer = self.buffer.lexing
        (top, left), (bottom, right) = sorted(self.selection)
        row, column = self.cursor_location
        layers: list[Layer] = []
        if self.indent_guides and not section:
            if not text:
                text = " " * self._depth_around(line)
                end = len(text)
            depth = len(text) - len(text.lstrip(" "))
            if depth > self.indent_width:
                layers += guides(text, depth, self.indent_width)
        if self._finder is not None and len(text) < MAX_LINE_CHARS:
            for begin, finish in self._matches(line):
                current = (top, left) == (line, begin) and (bottom, right) == (line, finish)
                layers.append((begin, finish, CURRENT if current else MATCH))
        goes_on = False
        if self.selection.is_empty:
            partner = self.matching_bracket_location
            if partner is not None and self.match_cursor_bracket and self._has_cursor:
                if partner[0] == line:
                    layers.append((partner[1], partner[1] + 1, BRACKET))
                if row == line:
                    layers.append((column, column + 1, BRACKET))
        elif top <= line <= bottom:
            from_, to = left if line == top else 0, right if line == bottom else len(text)
            if from_ < to:
                layers.append((from_, to, SELECTED))
            goes_on = line < bottom and end == len(text)
        if row == line and self.cursor_drawn:
            layers.append((column, column + 1, CURSOR))
        gutter, sign = "", ""
        if self.show_line_numbers:
            number = str(line + self.line_number_start) if not section else ""
            gutter = f"{number:>{self.gutter_width - 2}}  "
            sign = self.buffer.marks.get(line, "") if not section else ""
        return Row(
            text,
            start,
            end,
            _NO_SPANS if lexer is None else lexer.spans(line),
            tuple(layers),
            gutter,
            sign,
            row == line and self.highlight_cursor_line and self._has_cursor,
            goes_on,
            scroll_x,
            width,
            self.indent_width,
        )

    def _depth_around(self, line: int) -> int:
        """Returns the indentation that an empty line stands in."""
        lines = self.document.lines

        def first(rows: range) -> int:
            for row in rows:
                if text := lines[row]:
                    return len(text) - len(text.lstrip(" "))
            return 0

        return min(
            first(range(line - 1, max(-1, line - _GUIDE_REACH_LINES), -1)),
            first(range(line + 1, min(len(lines), line + _GUIDE_REACH_LINES))),
        )

    def _matches(self, line: int) -> list[tuple[int, int]]:
        finder = self._finder
        if finder is None:
            return []
        if not finder.across:
            return finder.in_line(self.document[line])
        if self._found[:2] != (self.revision, finder):
            rows: dict[int, list[tuple[int, int]]] = {}
            for (top, left), (bottom, right) in finder.matches(self.document.lines):
                for row in range(top, bottom + 1):
                    end = right if row == bottom else len(self.document[row])
                    rows.setdefault(row, []).append((left if row == top else 0, end))
            self._found = self.revision, finder, rows
        return self._found[2].get(line, [])

    def _budget(self) -> float:
        # once a paint has used its time up, the next ones do not get as much again before the rest has come
        return 0.0 if self._catching_up is not None else _PAINT_BUDGET_S

    def _last_visible(self) -> int:
        bottom = int(self.scroll_offset.y) + self.size.height - 1
        return self.wrapped_document.locate(max(0, min(bottom, self.wrapped_document.height - 1)))[0]

    def _catch_up_later(self) -> None:
        if self._catching_up is None:
            self._catching_up = self.set_timer(0.001, self._catch_up, name="highlight")

    def _catch_up(self) -> None:
        self._catching_up = None
        lexer = self.buffer.lexing
        if lexer is None:
            return
        if lexer.lex_to(self._last_visible(), _SLICE_S):
            self.refresh()
        else:
            self._catch_up_later()

    def offset_of(self, location: Location) -> Offset | None:
        """Returns where a place of the text is on the screen; None when it is scrolled away."""
        x, y = self.wrapped_document.location_to_offset(location)
        x -= int(self.scroll_offset.x)
        y -= int(self.scroll_offset.y)
        if not (0 <= y < self.size.height and 0 <= x < self.size.width - self.gutter_width):
            return None
        return Offset(self.content_region.x + x + self.gutter_width, self.content_region.y + y)
