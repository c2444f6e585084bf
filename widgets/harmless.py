"""The last gate before the terminal: whatever a widget paints, nothing in it steers the terminal or moves the text.

Widgets clean what they know to be foreign. This looks at every line once more, so that a title, a toast or a widget of
Textual's that was forgotten cannot do harm either.
"""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.filter import LineFilter

from .ansi import HALVES, HIDDEN

PIXELS: Final = "bai-pixels"
"""Meta data of segments that are sequences of ours."""
_HARM: Final = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f{HIDDEN}{HALVES}]")


def pixels() -> Style:
    """Returns the style of a segment that is to reach the terminal as it is."""
    return Style.from_meta({PIXELS: True})


def harmless(text: str) -> str:
    """Returns text in as many cells without what is not to reach a terminal."""
    if text.isprintable() or not _HARM.search(text):
        return text
    return set_cell_size(_HARM.sub("", text), cell_len(text))


class Harmless(LineFilter):
    """Takes out of each line that is painted what would steer the terminal."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(text.isprintable() for text, _, _ in segments):
            return segments
        return [
            segment
            if segment.control or (segment.style is not None and PIXELS in segment.style.meta)
            else Segment(harmless(segment.text), segment.style)
            for segment in segments
        ]
