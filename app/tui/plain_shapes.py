"""Shapes beyond ASCII, painted as what comes nearest: for terminals and fonts that cannot show them.

Our own shapes have an ASCII set (`widgets.glyphs`). This catches the rest: what Textual paints, and what programs
print.
"""

from __future__ import annotations

from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_NEAREST: Final = {
    "·•∙⋅●◆■▪": "*", "…": "~", "–—‒−─━═╌╍┄┅┈┉▔": "-", "▁": "_", "│┃║╎╏┆┇┊┋▏▎▍▌▐▕": "|", "░": "-", "▒": "+",
    "▀▄": "=", "○◌◯": "o", "✓✔": "+", "✕✖×✗✘": "x", "▾▼↓⌄": "v", "▸▶►→»": ">", "◂◀◄←«": "<", "▴▲↑": "^",
    "‘’": "'", "“”": '"', "\u00a0": " ",
}  # fmt: skip
_TABLE: Final = {
    **{ord(shape): "+" for shape in map(chr, range(0x2500, 0x2580))},
    **{ord(shape): "#" for shape in map(chr, range(0x2580, 0x25A0))},
    **{ord(shape): "*" for shape in map(chr, range(0x2801, 0x2900))},
    **{ord(shape): plain for shapes, plain in _NEAREST.items() for shape in shapes},
    0x2800: " ",
}
"""Each is a single cell, as what takes its place is."""


class PlainShapes(LineFilter):
    """Puts ASCII in place of lines, blocks, dots, arrows and typographic signs; letters of any language stay."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """Returns the line as it is to be painted."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(segment.text.translate(_TABLE), segment.style)
            for segment in segments
        ]
