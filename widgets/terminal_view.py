"""Draws the rows of a terminal. Rows of the screen and those that were scrolled off are drawn alike."""

from __future__ import annotations

from functools import lru_cache

from rich.cells import cell_len
from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from .terminal_cells import Colour, Pen, Piece


def _rich_colour(colour: Colour) -> Color | None:
    match colour:
        case None:
            return None
        case int(number):
            return Color.from_ansi(number)
        case (red, green, blue):
            return Color.from_rgb(red, green, blue)


@lru_cache(maxsize=2048)
def style_of(pen: Pen, base: Style, *, reverse_all: bool = False) -> Style:
    """Returns the style of a pen on a pane of style `base`."""
    fg, bg = _rich_colour(pen.fg) or base.color, _rich_colour(pen.bg) or base.bgcolor
    if pen.reverse != reverse_all:
        # both colours by name: where a terminal swaps them, it swaps its own
        fg, bg = bg, fg
    if pen.hidden:
        fg = bg
    return Style(
        color=fg,
        bgcolor=bg,
        bold=pen.bold,
        dim=pen.dim,
        italic=pen.italic,
        underline=pen.underline,
        strike=pen.strike,
    )


def strip_of(
    pieces: list[Piece],
    width: int,
    base: Style,
    *,
    selected: tuple[int, int] | None = None,
    cursor: int | None = None,
    reverse_all: bool = False,
) -> Strip:
    """Returns a row.

    Args:
        width: cells; of a longer row the rest is left out.
        base: style of the pane.
        selected: columns that are shown as selected, the last one not included.
        cursor: column that the cursor is on.
    """
    segments = [Segment(text, style_of(pen, base, reverse_all=reverse_all)) for text, pen in pieces]
    blank = style_of(Pen(), base, reverse_all=reverse_all)
    strip = Strip(segments).adjust_cell_length(width, blank)
    for begin, end in filter(None, (selected, None if cursor is None else (cursor, cursor + 1))):
        strip = _turned(strip, begin, min(end, width), width)
    return strip


def _turned(strip: Strip, begin: int, end: int, width: int) -> Strip:
    """Returns a row with the colours of some columns swapped."""
    if not 0 <= begin < end:
        return strip
    turned = [Segment(text, _swapped(style)) for text, style, _ in strip.crop(begin, end)]
    if sum(cell_len(segment.text) for segment in turned) != end - begin:  # the edge of a wide character
        turned = [Segment(" " * (end - begin), turned[0].style if turned else None)]
    return Strip.join([strip.crop(0, begin), Strip(turned), strip.crop(end, width)])


def _swapped(style: Style | None) -> Style:
    if style is None:
        return Style(reverse=True)
    return style + Style(color=style.bgcolor, bgcolor=style.color)


def text_of(pieces: list[Piece]) -> str:
    """Returns the text of a row."""
    return "".join(text for text, _ in pieces)
