"""The map of the machine: a bar per GPU, one for all cores, one for all memory; in each a run of cells per session.

The upper line of a bar says what was given to whom, the lower one what of that is really used. Line API: a round of
measuring paints the lines that read differently now, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.content import Content
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from .bars import cut, lit
from .glyphs import UNICODE, Glyphs
from .marks import COLOURS, Mark, Marks
from .rows import OTHERS, BarUse, MapBar, MapPart
from .text import count, fit, one_line, share, size

STACKED_BELOW: Final = 32
"""Cells below which label and figures stand above the bar instead of beside it."""
Measure = Callable[[MapBar, Sequence[MapPart]], BarUse]
TINT: Final = 0.32
"""How much of its colour a run has on the ground while it is not the selected one."""


@dataclass(frozen=True, slots=True)
class _Cells:
    """Where a part is painted."""

    part: MapPart
    start: int
    count: int


class GpuMap(ScrollView, can_focus=True):
    """Shows bars in the order given.

    | Component class | What |
    | --- | --- |
    | `map--part-0` ... `map--part-7` | colour of a session; its text is what stands on it when it is selected |
    | `map--label`, `map--value`, `map--quiet` | name of a bar; figures; what only adds to them |
    | `map--free` | cells that nobody has, and the frame |
    | `map--over`, `map--lost` | use beyond what was asked for; a device that is gone |
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        *(f"map--part-{number}" for number in range(COLOURS)),
        "map--label",
        "map--value",
        "map--quiet",
        "map--free",
        "map--over",
        "map--lost",
    }
    DEFAULT_CSS = "GpuMap { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }"
    ALLOW_SELECT = False

    class Chosen(Message):
        """The cells of a session were clicked."""

        def __init__(self, gpu_map: GpuMap, session_id: str) -> None:
            super().__init__()
            self.gpu_map = gpu_map
            self.session_id = session_id

        @property
        def control(self) -> GpuMap:
            return self.gpu_map

    def __init__(self, measure: Measure, *, glyphs: Glyphs = UNICODE, id: str | None = None) -> None:
        """
        Args:
            measure: Tells what is really used of a bar, and of those parts of it that are asked for.
        """
        super().__init__(id=id)
        self._glyphs = glyphs
        self._bars: Sequence[MapBar] = ()
        self._measure = measure
        self._use: dict[str, BarUse] = {}
        """Of the bars in view."""
        self._held: dict[str, list[tuple[MapBar, MapPart]]] = {}
        """Session id -> what it has, in the order of the bars."""
        self._marks = Marks()
        self._selected: str | None = None
        self._cells: dict[str, tuple[list[_Cells], int]] = {}
        self._fitted = (0, 0, -1)
        """Width, height and number of bars for which the following holds."""
        self._stacked = False
        self._per_bar = 2
        """Lines that are painted of a bar."""
        self._bar_height = 2
        """Lines from a bar to the next: with a gap where all have room."""
        self._label = self._width = self._figures = 0
        """Cells of the label, of the bar without its frame, and of the figures."""
        self._styles: dict[tuple[str, bool], Style] = {}
        self._pointed: tuple[MapBar, MapPart | None] | None = None

    # -- what it shows ---------------------------------------------------------------------------------------------

    @property
    def bars(self) -> Sequence[MapBar]:
        return self._bars

    def set_bars(self, bars: Sequence[MapBar]) -> None:
        """Shows other bars, or other parts of them."""
        if list(bars) == list(self._bars):
            return
        self._bars = bars
        self._held = {}
        for bar in bars:
            for part in bar.parts:
                if part.session_id != OTHERS:
                    self._held.setdefault(part.session_id, []).append((bar, part))
        self._marks.assign((session_id, held[0][1].name) for session_id, held in self._held.items())
        self._fitted = (0, 0, -1)
        self._resize_virtual()
        self._tell()
        self.refresh()

    def use_changed(self) -> None:
        """Shows what is really used now; asks for and paints only the bars in view, where they read differently."""
        self._refit()
        before, self._use = self._use, {}
        height = self._bar_height
        top, bottom = self.scroll_offset.y // height, (self.scroll_offset.y + self.size.height) // height
        for place, bar in enumerate(self._bars[top : bottom + 1], top):
            if before.get(bar.id) != self._use_of(bar):
                self.refresh_lines(place * height, self._per_bar)
        self._tell()

    def select(self, session_id: str | None) -> None:
        """Highlights the cells of a session, or of none."""
        if session_id == self._selected:
            return
        changed = {bar.id for one in (self._selected, session_id) for bar, _ in self._held.get(one or "", ())}
        self._selected = session_id
        for place, bar in enumerate(self._bars):
            if bar.id in changed:
                self.refresh_lines(place * self._bar_height, self._per_bar)
        self._tell()

    def holders(self) -> list[str]:
        """Returns the ids of the sessions that have cells, in the order in which one reads them."""
        return list(self._held)

    # -- geometry --------------------------------------------------------------------------------------------------

    def _refit(self) -> None:
        """Takes the size that the widget has now; the rest of the class reads what is worked out here."""
        width, height = self.scrollable_content_region.width, self.size.height
        if (width, height, len(self._bars)) == self._fitted:
            return
        self._fitted = width, height, len(self._bars)
        self._cells.clear()
        self._use.clear()
        self._stacked = width < STACKED_BELOW
        self._per_bar = 3 if self._stacked else 2
        gaps = len(self._bars) * (self._per_bar + 1) - 1 <= height
        self._bar_height = self._per_bar + 1 if gaps else self._per_bar
        if self._stacked:
            self._label, self._figures, self._width = 0, 0, max(1, width - 2)
            return
        longest = max((len(bar.note) for bar in self._bars), default=0)
        self._label = max(7, min(longest + 2, width // 5))
        self._figures = 11 if width < 50 else 14
        self._width = width - self._label - self._figures - 3

    def _laid_out(self, bar: MapBar) -> tuple[list[_Cells], int]:
        """Returns the cells of a bar's parts, and how many are free at its end."""
        found = self._cells.get(bar.id)
        if found is None:
            widths, free = cut([part.amount for part in bar.parts], bar.capacity, self._width)
            cells, start = [], 0
            for part, width in zip(bar.parts, widths, strict=True):
                if width:
                    cells.append(_Cells(part, start, width))
                start += width
            found = self._cells[bar.id] = (cells, free)
        return found

    def _use_of(self, bar: MapBar) -> BarUse:
        """Returns what is used of a bar, asking for the parts that have cells only: others are not to be seen."""
        use = self._use.get(bar.id)
        if use is None:
            use = self._use[bar.id] = self._measure(bar, [cells.part for cells in self._laid_out(bar)[0]])
        return use

    def _resize_virtual(self) -> None:
        if not self.size.height:
            # without a place yet: bars that scroll nowhere would leave a scrollbar behind
            return
        self._refit()
        height = max(0, len(self._bars) * self._bar_height - (self._bar_height - self._per_bar))
        self.virtual_size = Size(self.scrollable_content_region.width, height)

    def on_resize(self) -> None:
        self._resize_virtual()
        self._tell()
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    # -- mouse -----------------------------------------------------------------------------------------------------

    def _at(self, event: events.MouseEvent) -> tuple[MapBar, MapPart | None] | None:
        """Returns the bar under the mouse, and the part of it where there is one."""
        offset = event.get_content_offset(self)
        if offset is None:
            return None
        place, line = divmod(offset.y + self.scroll_offset.y, self._bar_height)
        if not 0 <= place < len(self._bars) or line >= self._per_bar:
            return None
        bar = self._bars[place]
        x = offset.x - self._label - 1
        part = next((one.part for one in self._laid_out(bar)[0] if one.start <= x < one.start + one.count), None)
        return bar, part

    def on_click(self, event: events.Click) -> None:
        found = self._at(event)
        if found is not None and found[1] is not None and found[1].session_id != OTHERS:
            self.post_message(self.Chosen(self, found[1].session_id))

    def on_mouse_move(self, event: events.MouseMove) -> None:
        found = self._at(event)
        if found != self._pointed:
            self._pointed = found
            self._tell()

    def on_leave(self) -> None:
        self._pointed = None
        self._tell()

    def _tell(self) -> None:
        """Says below what the cells under the mouse are, else those of the selected session."""
        text = self._told(*self._pointed) if self._pointed is not None else self._told_of_selected()
        if str(self.border_subtitle or "") != text:
            self.border_subtitle = Content(text)

    def _told_of_selected(self) -> str:
        held = self._held.get(self._selected or "")
        if not held:
            return ""
        parts = [f"{bar.id} {_told(bar, part)}{self._share_used(bar, part)}" for bar, part in held]
        return f" {self._glyphs.dot} ".join([one_line(held[0][1].name), *parts])

    def _told(self, bar: MapBar, part: MapPart | None) -> str:
        dot = self._glyphs.dot
        if part is None:
            return f"{bar.id} {dot} {one_line(bar.note)} {dot} {bar.told}" if bar.note else f"{bar.id} {dot} {bar.told}"
        return f"{one_line(part.name)} {dot} {bar.id} {_told(bar, part)}{self._share_used(bar, part)}"

    def _share_used(self, bar: MapBar, part: MapPart) -> str:
        used = self._use_of(bar).parts.get(part.session_id)
        return "" if used is None else f", {used * 100:.0f} % used"

    # -- painting --------------------------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        self._refit()
        width, base = self.size.width, self.rich_style
        place, line = divmod(y + self.scroll_offset.y, self._bar_height)
        if not 0 <= place < len(self._bars) or line >= self._per_bar:
            return Strip.blank(width, base)
        bar = self._bars[place]
        if self._stacked:
            segments = [self._heading(bar), self._share_line(bar), self._used_line(bar)][line]
        else:
            use = self._use_of(bar)
            if line == 0:
                name = Segment(fit(" " + one_line(bar.id), self._label), self._style("lost" if bar.lost else "label"))
                told = Segment(" " + fit(bar.told, self._figures), self._style("lost" if bar.lost else "value"))
                segments = [name, *self._share_line(bar), told]
            else:
                note = fit(" " + one_line(bar.note), self._label - 1, ellipsis=self._glyphs.ellipsis) + " "
                told = Segment(" " + fit(use.told, self._figures), self._style("quiet"))
                segments = [Segment(note, self._style("quiet")), *self._used_line(bar), told]
        return Strip(segments).adjust_cell_length(width).apply_style(base)

    def _heading(self, bar: MapBar) -> list[Segment]:
        use = self._use_of(bar)
        return [
            Segment(f" {one_line(bar.id)} ", self._style("lost" if bar.lost else "label")),
            Segment(f"{bar.told} ", self._style("lost" if bar.lost else "value")),
            Segment(use.told, self._style("quiet")),
        ]

    def _share_line(self, bar: MapBar) -> list[Segment]:
        """What was given to whom: the name in the cells, or as much of it as has room."""
        cells, free = self._laid_out(bar)
        frame = self._style("free")
        segments = [Segment(self._glyphs.bar_left, frame)]
        for one in cells:
            if one.part.session_id == OTHERS:
                text = fit(self._glyphs.edge + one.part.name, min(one.count, len(one.part.name) + 1))
                segments.append(Segment(text.ljust(one.count, self._glyphs.asked), self._style("quiet")))
                continue
            chosen = one.part.session_id == self._selected
            mark = self._marks.of(one.part.session_id)
            segments.append(Segment(self._named(one, mark, chosen), self._part_style(mark, chosen)))
        fill = self._glyphs.failed if bar.lost else self._glyphs.bar_empty
        segments += [
            Segment(fill * free, self._style("lost") if bar.lost else frame),
            Segment(self._glyphs.bar_right, frame),
        ]
        return segments

    def _named(self, cells: _Cells, mark: Mark, chosen: bool) -> str:
        if cells.count == 1:
            return mark.letter
        edge = self._glyphs.cursor if chosen else self._glyphs.edge
        if cells.count < 5:
            return edge + fit(mark.letter, cells.count - 1)
        return edge + fit(one_line(cells.part.name), cells.count - 1, ellipsis=self._glyphs.ellipsis)

    def _used_line(self, bar: MapBar) -> list[Segment]:
        """What is really used: within each share from its left, beyond it all of it and a mark."""
        cells, free = self._laid_out(bar)
        use = self._use_of(bar)
        glyphs = self._glyphs
        segments = [Segment(" ")]
        for one in cells:
            part = use.parts.get(one.part.session_id, 0.0)
            if part > 1.0:
                text, style = glyphs.used * (one.count - 1) + glyphs.over, self._style("over")
            else:
                filled = lit(part, one.count)
                text = glyphs.used * filled + " " * (one.count - filled)
                style = self._used_style(self._marks.of(one.part.session_id))
            segments.append(Segment(text, style))
        others = min(free, lit(use.others, self._width))
        segments.append(Segment(glyphs.others * others + " " * (free - others + 1), self._style("free")))
        return segments

    def _style(self, name: str) -> Style:
        style = self._styles.get((name, False))
        if style is None:
            style = self._styles[name, False] = self.get_component_rich_style(f"map--{name}", partial=True)
        return style

    def _used_style(self, mark: Mark) -> Style:
        return Style(color=self._part_style(mark, True).bgcolor)

    def _part_style(self, mark: Mark, chosen: bool) -> Style:
        """The selected session has the full colour of its mark, the others a tint of it."""
        key = (f"part-{mark.colour}", chosen)
        style = self._styles.get(key)
        if style is None:
            own = self.get_component_styles(f"map--part-{mark.colour}")
            if chosen:
                style = Style(color=own.color.rich_color, bgcolor=own.background.rich_color, bold=True)
            elif (ground := self.background_colors[1]).ansi is not None:
                # a terminal's own colours cannot be mixed
                style = Style(color=own.background.rich_color)
            else:
                tint = ground.blend(own.background, TINT)
                style = Style(color=self.colors[3].rich_color, bgcolor=tint.rich_color)
            self._styles[key] = style
        return style


def _told(bar: MapBar, part: MapPart) -> str:
    """Returns how much a part is: `0.50`, `2c`, `4G`."""
    if bar.unit == "bytes":
        return size(part.amount)
    return f"{count(part.amount)}c" if bar.unit == "cores" else share(part.amount)
