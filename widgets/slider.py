"""A slider of one line: an amount between nothing and all there is, with a mark where what is free ends."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import ClassVar

from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from .glyphs import UNICODE, Glyphs


class Slider(Widget, can_focus=True):
    """Moves with the arrow keys, by clicking and by dragging.

    | Component class | What |
    | --- | --- |
    | `slider--value` | what is asked for and free |
    | `slider--waits` | what is asked for beyond that |
    | `slider--free` | what could be asked for and would start at once |
    | `slider--track` | what is given away already |
    | `slider--mark` | where that begins |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "slider--value",
        "slider--waits",
        "slider--free",
        "slider--track",
        "slider--mark",
    }
    DEFAULT_CSS = "Slider { height: 1; width: 1fr; }"
    ALLOW_SELECT = False

    class Changed(Message):
        """The user moved it."""

        def __init__(self, slider: Slider, value: Decimal) -> None:
            super().__init__()
            self.slider = slider
            self.value = value

        @property
        def control(self) -> Slider:
            return self.slider

    def __init__(self, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        super().__init__(id=id)
        self._glyphs = glyphs
        self._value = self._total = self._free = Decimal(0)
        self._step = Decimal(1)

    def set_range(self, total: Decimal, free: Decimal, step: Decimal) -> None:
        """Sets what there is, what of it is free, and by how much a key moves; no total = nothing to choose."""
        total, free = max(Decimal(0), total), max(Decimal(0), min(free, total))
        if (total, free, step) != (self._total, self._free, self._step):
            self._total, self._free, self._step = total, free, step
            self.disabled = not total
            self.refresh()

    @property
    def value(self) -> Decimal:
        """What is asked for; may be more than there is, where the user typed it."""
        return self._value

    def show_value(self, value: Decimal) -> None:
        """Shows an amount that was chosen elsewhere; nobody is told."""
        if value != self._value:
            self._value = max(Decimal(0), value)
            self.refresh()

    def _choose(self, value: Decimal) -> None:
        value = max(Decimal(0), min(self._total, value))
        if value != self._value:
            self._value = value
            self.refresh()
            self.post_message(self.Changed(self, value))

    def on_key(self, event: events.Key) -> None:
        steps = {"right": 1, "plus": 1, "left": -1, "minus": -1, "pageup": 4, "pagedown": -4}
        if event.key in steps:
            self._choose(self._value + steps[event.key] * self._step)
        elif event.key == "home":
            self._choose(Decimal(0))
        elif event.key == "end":
            # all that starts at once; pressed again, all there is
            self._choose(self._total if self._value >= self._free else self._free)
        else:
            return
        event.stop()
        event.prevent_default()

    def on_mouse_down(self, event: events.MouseDown) -> None:
        self.capture_mouse()
        self._drag(event.x)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        if self.app.mouse_captured is self:
            self._drag(event.x)

    def on_mouse_up(self) -> None:
        self.release_mouse()

    def _drag(self, x: int) -> None:
        width = max(1, self.size.width - 1)
        part = Decimal(max(0, min(width, x))) / width
        steps = (self._total * part / self._step).quantize(Decimal(1), ROUND_HALF_UP)
        self._choose(self._total if x >= width else steps * self._step)

    def _cells(self, amount: Decimal) -> int:
        """Returns how many cells an amount takes: more than nothing takes one, all of it takes all."""
        if not self._total or amount <= 0:
            return 0
        width = self.size.width
        return max(1, min(width, int(amount * width / self._total)))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        asked, free = self._cells(self._value), self._cells(self._free)
        glyphs = self._glyphs
        parts = [
            (min(asked, free), glyphs.bar_full, "value"),
            (max(0, asked - free), glyphs.asked, "waits"),
            (max(0, free - asked), glyphs.rule, "free"),
            (max(0, width - max(asked, free)), glyphs.bar_empty, "track"),
        ]
        cells = [(char, style) for count, char, style in parts for _ in range(count)]
        if 0 < free < width and asked < free:
            cells[free - 1] = glyphs.bar_left if len(glyphs.bar_left) == 1 else "|", "mark"
        segments = [
            Segment(char, self.get_component_rich_style(f"slider--{style}", partial=True)) for char, style in cells
        ]
        return Strip(segments).simplify().adjust_cell_length(width).apply_style(self.rich_style)
