"""A list of suggestions at the cursor, and what the marked one means beside it. Neither moves the text nor has focus.

Whoever owns the editor passes keys on to `CompletionPopup.take_key`, and hears of `Picked` and `Highlighted`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Offset, Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Static

from .text import fit, one_line

ROWS: Final = 9
"""Suggestions that are seen at a time."""
_LEAST_CELLS: Final = 16
_MOST_CELLS: Final = 44
_KIND_CHARS: Final = 12
_DOC_CELLS: Final = 72
_DOC_ROWS: Final = 14
LETTERS: Final = {
    "function": "f",
    "class": "c",
    "module": "m",
    "keyword": "k",
    "property": "p",
    "param": "=",
    "magic": "%",
    "path": "/",
    "instance": "v",
    "word": "w",
}
"""Kind -> the letter before a suggestion."""


@dataclass(frozen=True, slots=True)
class PopupItem:
    """A line of the list."""

    label: str
    kind: str = ""


class CompletionPopup(Widget, can_focus=False):
    """A list that stays beside a place of the screen.

    | Component class | What |
    | --- | --- |
    | `popup--item` | a suggestion |
    | `popup--typed` | its beginning that was typed already |
    | `popup--kind` | the letter and the word of its kind |
    | `popup--cursor` | the marked one |
    | `popup--note` | the line below the list |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "popup--item",
        "popup--typed",
        "popup--kind",
        "popup--cursor",
        "popup--note",
    }
    DEFAULT_CSS = """
    CompletionPopup {
        overlay: screen;
        display: none;
        width: auto;
        height: auto;
        background: $surface-lighten-1;
        & > .popup--item { color: $foreground; background: $surface-lighten-1; }
        & > .popup--typed { color: $accent; text-style: bold; background: $surface-lighten-1; }
        & > .popup--kind { color: $foreground 60%; background: $surface-lighten-1; }
        & > .popup--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
        & > .popup--note { color: $warning; background: $surface-lighten-1; }
    }
    """

    class Picked(Message):
        """A suggestion was clicked."""

        def __init__(self, popup: CompletionPopup, index: int) -> None:
            super().__init__()
            self.popup = popup
            self.index = index

        @property
        def control(self) -> CompletionPopup:
            """The list."""
            return self.popup

    class Highlighted(Message):
        """Another suggestion is marked."""

        def __init__(self, popup: CompletionPopup, index: int) -> None:
            super().__init__()
            self.popup = popup
            self.index = index

        @property
        def control(self) -> CompletionPopup:
            """The list."""
            return self.popup

        def can_replace(self, message: Message) -> bool:
            return isinstance(message, CompletionPopup.Highlighted)

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.items: Sequence[PopupItem] = ()
        self.cursor = 0
        """Index of the marked suggestion."""
        self.moved = False
        """The user has moved the cursor since the list opened."""
        self._typed = ""
        self._note = ""
        self._top = 0
        self._cells = _LEAST_CELLS
        self._anchor = Region(0, 0, 1, 1)
        self._above = False

    @property
    def is_open(self) -> bool:
        """Whether the list is to be seen."""
        return bool(self.display)

    def open(self, items: Sequence[PopupItem], anchor: Region, *, typed: str = "", note: str = "") -> None:
        """Shows suggestions, or others than before.

        Args:
            anchor: Where the word stands that they take the place of: the list is below it, or above.
            typed: What of the labels was typed.
            note: A line below the list.
        """
        again = self.is_open and anchor == self._anchor
        self._anchor, self._typed, self._note = anchor, typed, one_line(note)
        marked = self.items[self.cursor].label if self.moved and again and self.cursor < len(self.items) else None
        items = [PopupItem(one_line(item.label), one_line(item.kind)[:_KIND_CHARS]) for item in items]
        self.items = items
        self.cursor = next((at for at, item in enumerate(items) if item.label == marked), 0)
        if not again:
            self.moved = False
            self._above = False
            self._cells = _LEAST_CELLS
        self._top = 0
        self._scroll()
        widest = max((cell_len(item.label) + len(item.kind) + 6 for item in items[:200]), default=0)
        # never narrower while it is open: what jumps cannot be read
        self._cells = min(_MOST_CELLS, max(self._cells, widest, cell_len(self._note) + 2))
        self.display = True
        self.refresh(layout=True)
        self._place()
        if items:
            self.post_message(self.Highlighted(self, self.cursor))

    def close(self) -> None:
        """Takes the list away."""
        if self.is_open:
            self.display = False
            self.items = ()
            self.moved = False

    def _rows(self) -> int:
        return min(ROWS, len(self.items)) + bool(self._note)

    def _place(self) -> None:
        screen = self.screen.size
        rows = self._rows()
        below = screen.height - self._anchor.bottom
        self._above = self._above or (rows > below and self._anchor.y > below)
        y = self._anchor.y - rows if self._above else self._anchor.bottom
        x = min(self._anchor.x, screen.width - self._cells)
        self.absolute_offset = Offset(max(0, x - 3), max(0, y))

    def get_content_width(self, container: object, viewport: object) -> int:
        return self._cells

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return self._rows()

    # -- moving --------------------------------------------------------------------------------------------------

    def move(self, step: int, *, around: bool = True) -> None:
        """Marks another suggestion; past an end it goes on at the other one, or stops there."""
        if not self.items:
            return
        last = len(self.items) - 1
        to = self.cursor + step
        if around and (to < 0 or to > last):
            to = last if to < 0 else 0
        self.cursor = min(max(0, to), last)
        self.moved = True
        self._scroll()
        self.refresh()
        self.post_message(self.Highlighted(self, self.cursor))

    def _scroll(self) -> None:
        self._top = min(max(self._top, self.cursor - ROWS + 1), self.cursor)

    def take_key(self, key: str) -> bool:
        """Moves the cursor for a key that does so; returns whether it was one."""
        steps = {"up": -1, "down": 1, "ctrl+p": -1, "ctrl+n": 1}
        pages = {"pageup": -ROWS, "pagedown": ROWS}
        if key in steps:
            self.move(steps[key])
        elif key in pages:
            self.move(pages[key], around=False)
        else:
            return False
        return True

    def on_click(self, event: events.Click) -> None:
        event.stop()
        at = self._top + event.y
        if event.y < min(ROWS, len(self.items)) and at < len(self.items):
            self.cursor = at
            self.refresh()
            self.post_message(self.Picked(self, at))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        event.stop()
        self.move(1, around=False)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        event.stop()
        self.move(-1, around=False)

    # -- painting ------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        cells = self._cells
        shown = min(ROWS, len(self.items))
        if y >= shown:
            note = fit(" " + self._note, cells) if y == shown and self._note else " " * cells
            return Strip([Segment(note, self.get_component_rich_style("popup--note"))], cells)
        at = self._top + y
        item = self.items[at]
        marked = at == self.cursor
        style = self.get_component_rich_style("popup--cursor" if marked else "popup--item")
        quiet = style if marked else self.get_component_rich_style("popup--kind")
        typed = style + Style(bold=True) if marked else self.get_component_rich_style("popup--typed")
        room = max(4, cells - 5 - len(item.kind))
        text = fit(item.label, room)
        same = len(self._typed) if text.lower().startswith(self._typed.lower()) else 0
        return Strip(
            [
                Segment(f" {LETTERS.get(item.kind, ' ')} ", quiet),
                Segment(text[:same], typed),
                Segment(text[same:], style),
                Segment(f" {item.kind} ", quiet),
            ],
            cells,
        ).adjust_cell_length(cells, style)


class DocPanel(Static, can_focus=False):
    """What a name stands for: signature, documentation, a value; beside a list, or below the cursor."""

    DEFAULT_CSS = """
    DocPanel {
        overlay: screen;
        display: none;
        width: auto;
        height: auto;
        padding: 0 1;
        background: $surface-lighten-1;
        color: $foreground;
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__("", id=id, markup=False)

    @property
    def is_open(self) -> bool:
        """Whether the panel is to be seen."""
        return bool(self.display)

    def close(self) -> None:
        """Takes the panel away."""
        self.display = False

    def open(self, head: str, body: str, anchor: Region, *, beside: Region | None = None, foot: str = "") -> None:
        """Shows what is known of a name.

        Args:
            head: Its name with signature, or its type.
            anchor: Where the name stands.
            beside: Where the list is, which must not be covered; None = there is none.
            foot: A last line, such as which key shows more.
        """
        screen = self.screen.size
        room, left = screen.width, anchor.x
        if beside is not None:
            right = screen.width - beside.right
            room = max(right, beside.x)
            left = beside.right if right >= beside.x else 0
            if room < 24:
                self.close()
                return
        cells = max(10, min(_DOC_CELLS, room) - 2)
        top = anchor.bottom if beside is None else beside.y
        below = screen.height - top
        rows = max(3, min(_DOC_ROWS, below if beside is not None else max(below, anchor.y)))
        lines = [*_wrapped(head, cells)[:4]]
        heads = len(lines)
        if body.strip():
            lines += ["", *(part for line in body.strip("\n").split("\n") for part in _wrapped(line, cells))]
        more = len(lines) > rows - bool(foot)
        if more:
            lines = [*lines[: rows - 1 - bool(foot)], "…"]
        content = Content.assemble(("\n".join(lines[:heads]), "bold"))
        if len(lines) > heads:
            content = Content.assemble(content, "\n", Content("\n".join(lines[heads:])))
        if foot:
            content = Content.assemble(content, "\n", (foot, "$foreground 60%"))
            lines.append(foot)
        width = min(cells, max(cell_len(line) for line in lines)) + 2
        self.styles.width, self.styles.height = width, len(lines)
        self.update(content)
        if beside is not None:
            x = left if left else max(0, beside.x - width)
            y = top if top + len(lines) <= screen.height else max(0, screen.height - len(lines))
        else:
            x = min(left, max(0, screen.width - width))
            y = top if len(lines) <= below else max(0, anchor.y - len(lines))
        self.absolute_offset = Offset(x, y)
        self.display = True


def _wrapped(text: str, cells: int) -> list[str]:
    """Returns a foreign line in pieces that are no wider."""
    import textwrap

    plain = one_line(text.expandtabs(4))
    indent = " " * min(len(plain) - len(plain.lstrip()), cells // 2)
    return textwrap.wrap(plain, cells, subsequent_indent=indent, drop_whitespace=True) or [""]
