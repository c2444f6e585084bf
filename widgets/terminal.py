"""Shows a terminal and takes its keys, its mouse and what is pasted into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from rich.cells import get_character_cell_size
from rich.segment import Segment
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from .terminal_keys import RELEASED, WHEEL_DOWN, WHEEL_UP, encode_key, encode_mouse, encode_paste
from .terminal_view import strip_of, text_of

if TYPE_CHECKING:
    from .terminal_emulator import TerminalEmulator

PAINT_S: Final = 1 / 30
"""Between two paints while output comes and comes."""
_WHEEL_ROWS: Final = 3
_BUTTONS: Final = {1: 0, 2: 1, 3: 2}
Cell = tuple[int, int]
"""(number of a row, column)."""


class Terminal(Widget, can_focus=True):
    """A terminal that fills its widget.

    While it has the focus and `is_open`, every key is for the program, whatever it does elsewhere: only bindings with
    priority of the widget itself come first.

    | Component class | What |
    | --- | --- |
    | `terminal--note` | what is said while there is no terminal |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"terminal--note"}
    DEFAULT_CSS: ClassVar[str] = """
    Terminal { width: 1fr; height: 1fr; }
    Terminal > .terminal--note { text-style: dim; }
    """
    ALLOW_SELECT: ClassVar[bool] = False

    class Typed(Message):
        """Something is to be sent to the program."""

        def __init__(self, terminal: Terminal, data: bytes) -> None:
            super().__init__()
            self.terminal = terminal
            self.data = data

        @property
        def control(self) -> Terminal:
            return self.terminal

    class Sized(Message):
        """The screen has another size."""

        def __init__(self, terminal: Terminal, rows: int, columns: int) -> None:
            super().__init__()
            self.terminal = terminal
            self.rows = rows
            self.columns = columns

        @property
        def control(self) -> Terminal:
            return self.terminal

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Terminal.Sized) and message.terminal is self.terminal

    class Copied(Message):
        """Text was selected with the mouse."""

        def __init__(self, terminal: Terminal, text: str) -> None:
            super().__init__()
            self.terminal = terminal
            self.text = text

        @property
        def control(self) -> Terminal:
            return self.terminal

    class Scrolled(Message):
        """The reader looks at rows that were scrolled off, or at the screen again."""

        def __init__(self, terminal: Terminal, back: int) -> None:
            super().__init__()
            self.terminal = terminal
            self.back = back
            """Rows above the newest; 0 = at the screen."""

        @property
        def control(self) -> Terminal:
            return self.terminal

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, Terminal.Scrolled) and message.terminal is self.terminal

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.is_open = False
        """Whether there is a program that keys can go to."""
        self._note = ""
        self._emulator: TerminalEmulator | None = None
        self._back = 0
        """Rows above the newest that the reader looks at."""
        self._scrolled = 0
        """How many rows had been scrolled off when that was so."""
        self._anchor: Cell | None = None
        """Where the mouse was pressed to select."""
        self._end: Cell | None = None
        self._held = RELEASED
        """The button that the program was told of as pressed."""
        self._told_at: Cell | None = None
        """Where the mouse was then."""
        self._later: Timer | None = None
        self._stale = False
        """More has come since the last paint."""

    # --- what it shows

    def show(self, emulator: TerminalEmulator | None, *, is_open: bool = True, note: str = "") -> None:
        """Shows a terminal, or a note where there is none.

        Args:
            is_open: see the attribute.
        """
        is_open = is_open and emulator is not None
        if is_open != self.is_open:
            self.is_open = is_open
            self.refresh_bindings()
        if note != self._note:
            self._note = note
            self.refresh()
        if emulator is self._emulator:
            return
        if self._emulator is not None:
            self._emulator.changed = self._emulator.rung = None
        self._emulator = emulator
        self._back = 0
        self._anchor = self._end = None
        if emulator is not None:
            emulator.changed, emulator.rung = self._changed, self.app.bell
            self._fit(self.size)
        self.refresh()

    def check_consume_key(self, key: str, character: str | None) -> bool:
        """Takes every key from what is around."""
        return self.is_open

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size)

    def _fit(self, size: Size) -> None:
        if self._emulator is None or not size.width or not size.height:
            return
        screen = self._emulator.screen
        if (screen.lines, screen.columns) != (size.height, size.width):
            self._anchor = self._end = None
            self._emulator.resize(size.height, size.width)
        self.post_message(self.Sized(self, size.height, size.width))

    def _changed(self) -> None:
        """Paints soon: at once when nothing was painted just now."""
        if self._later is None:
            self._later = self.set_timer(PAINT_S, self._paint_rest, name="paint of a terminal")
            self._paint()
        else:
            self._stale = True

    def _paint_rest(self) -> None:
        self._later = None
        if self._stale:
            self._changed()

    def _paint(self) -> None:
        self._stale = False
        emulator = self._emulator
        if emulator is None:
            return
        scrolled = emulator.screen.scrolled
        if self._back:
            # the rows under the reader stay where they are
            self._look_back(self._back + scrolled - self._scrolled)
        if self._anchor is not None and self._end is not None and scrolled != self._scrolled:
            by = scrolled - self._scrolled
            self._anchor = (self._anchor[0] - by, self._anchor[1])
            self._end = (self._end[0] - by, self._end[1])
        self._scrolled = scrolled
        self.refresh()

    def render_line(self, y: int) -> Strip:
        width, base = self.size.width, self.rich_style
        emulator = self._emulator
        if emulator is None:
            note = self.get_component_rich_style("terminal--note")
            return Strip([Segment(self._note if not y else "", note)]).adjust_cell_length(width, base)
        number = y - self._back
        screen = emulator.screen
        cursor = None
        if number == screen.cursor.y and not screen.cursor.hidden and self.has_focus:
            cursor = min(screen.cursor.x, width - 1)
        return strip_of(
            emulator.row(number),
            width,
            base,
            selected=self._selected(number, width),
            cursor=cursor,
            reverse_all=5 in screen.private,
        )

    # --- scrolling

    def _look_back(self, back: int) -> None:
        emulator = self._emulator
        if emulator is None:
            return
        before, self._back = self._back, min(max(back, 0), -emulator.first_row)
        self._scrolled = emulator.screen.scrolled
        if before != self._back:
            self.post_message(self.Scrolled(self, self._back))
            self.refresh()

    # --- keys

    def type(self, data: bytes) -> None:
        """Sends to the program; the reader looks at the screen again."""
        if data and self.is_open:
            self._anchor = self._end = None
            self._look_back(0)
            self.post_message(self.Typed(self, data))

    @property
    def can_look_back(self) -> bool:
        """Whether there are rows above the screen that the reader may look at."""
        return self._emulator is not None and not self._emulator.screen.is_alternate

    def look_back_pages(self, pages: int) -> None:
        """Looks further up, or down (negative)."""
        self._look_back(self._back + pages * max(self.size.height - 1, 1))

    def on_key(self, event: events.Key) -> None:
        if self.is_open and self._emulator is not None:
            event.stop()
            event.prevent_default()
            self.type(encode_key(event.key, event.character, self._emulator.screen.private))

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.paste(event.text)

    def paste(self, text: str) -> None:
        """Sends text as pasted, which programs can tell from typed text where they have asked for that."""
        if self._emulator is not None:
            self.type(encode_paste(text, self._emulator.screen.private))

    def on_focus(self) -> None:
        self._tell_focus(b"\x1b[I")

    def on_blur(self) -> None:
        self._tell_focus(b"\x1b[O")

    def _tell_focus(self, data: bytes) -> None:
        self.refresh()
        if self.is_open and self._emulator is not None and 1004 in self._emulator.screen.private:
            self.post_message(self.Typed(self, data))

    # --- mouse

    def _tell_mouse(self, event: events.MouseEvent, button: int, *, pressed: bool = True, moved: bool = False) -> bool:
        """Tells the program of the mouse; returns whether it wanted to hear of it."""
        emulator = self._emulator
        if emulator is None or not self.is_open or not emulator.screen.mouse or self._back or event.shift:
            return False
        mode = emulator.screen.mouse
        wanted = mode >= 1003 or (mode == 1002 and button != RELEASED) if moved else (pressed or mode != 9)
        if wanted:
            y, x = self._cell(event)
            if moved and self._told_at == (y, x):
                return True
            self._told_at = (y, x)
            data = encode_mouse(
                button,
                x,
                y,
                emulator.screen.private,
                pressed=pressed,
                moved=moved,
                alt=event.meta,
                ctrl=event.ctrl,
            )
            self.post_message(self.Typed(self, data))
        event.stop()
        return True

    def on_mouse_down(self, event: events.MouseDown) -> None:
        button = _BUTTONS.get(event.button, 0)
        if self._tell_mouse(event, button):
            self._held = button
            self.capture_mouse()
        elif event.button == 1 and self._emulator is not None:
            self._anchor, self._end = self._cell(event), None
            self.capture_mouse()
            self.refresh()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self._anchor is not None and event.button:
            self._end = self._cell(event)
            self.refresh()
        else:
            self._tell_mouse(event, self._held, moved=True)

    def on_mouse_up(self, event: events.MouseUp) -> None:
        self.release_mouse()
        if self._held != RELEASED:
            self._tell_mouse(event, self._held, pressed=False)
            self._held = RELEASED
        elif self._anchor is not None:
            text = self.selected_text
            if text:
                self.post_message(self.Copied(self, text))
            else:
                self._anchor = self._end = None

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        self._wheel(event, WHEEL_UP)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        self._wheel(event, WHEEL_DOWN)

    def _wheel(self, event: events.MouseEvent, button: int) -> None:
        emulator = self._emulator
        if emulator is None or self._tell_mouse(event, button):
            return
        event.stop()
        event.prevent_default()
        up = button == WHEEL_UP
        if emulator.screen.is_alternate and self.is_open:
            # as xterm does it for programs that know no mouse, such as less
            key = encode_key("up" if up else "down", None, emulator.screen.private)
            self.post_message(self.Typed(self, key * _WHEEL_ROWS))
        else:
            self._look_back(self._back + (_WHEEL_ROWS if up else -_WHEEL_ROWS))

    # --- selection

    def _cell(self, event: events.MouseEvent) -> Cell:
        offset = event.get_content_offset_capture(self)
        x = min(max(offset.x, 0), self.size.width - 1)
        y = min(max(offset.y, 0), self.size.height - 1)
        return (y - self._back, x)

    def _span(self) -> tuple[Cell, Cell] | None:
        if self._anchor is None or self._end is None or self._anchor == self._end:
            return None
        return min(self._anchor, self._end), max(self._anchor, self._end)

    def _selected(self, number: int, width: int) -> tuple[int, int] | None:
        span = self._span()
        if span is None or not span[0][0] <= number <= span[1][0]:
            return None
        (first, begin), (last, end) = span
        return (begin if number == first else 0, end + 1 if number == last else width)

    @property
    def selected_text(self) -> str:
        """What is selected; rows that were only too long for the screen are one line."""
        span, emulator = self._span(), self._emulator
        if span is None or emulator is None:
            return ""
        parts: list[str] = []
        for number in range(max(span[0][0], emulator.first_row), span[1][0] + 1):
            begin, end = self._selected(number, self.size.width) or (0, 0)
            row = _columns(text_of(emulator.row(number)), begin, end)
            joined = emulator.goes_on(number) and number < span[1][0]
            parts.append(row if joined else row.rstrip() + "\n")
        return "".join(parts).rstrip("\n")


def _columns(text: str, begin: int, end: int) -> str:
    """Returns the characters that begin in some columns of a row."""
    column, found = 0, []
    for char in text:
        if begin <= column < end:
            found.append(char)
        column += get_character_cell_size(char)
    return "".join(found)
