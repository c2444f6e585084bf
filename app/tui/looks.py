"""What the terminal can show: its colours and shapes, and which theme is worn at first."""

from __future__ import annotations

import os
from collections.abc import Container
from typing import TYPE_CHECKING, Final

from textual.scrollbar import ScrollBar, ScrollBarRender

from ...styles.ansi_themes import SIXTEEN, SIXTEEN_LIGHT
from ...styles.themes import DARK

if TYPE_CHECKING:
    from textual.app import App

FEW: Final = ("standard", "windows")
"""Rich's names of what has sixteen colours."""
_LIGHT_GROUNDS: Final = ("7", "15")


class PlainScrollBarRender(ScrollBarRender):
    """A scrollbar of whole cells: no shape that is not ASCII."""

    VERTICAL_BARS = [" "] * 8
    HORIZONTAL_BARS = [" "] * 8


def no_colour() -> bool:
    """Whether NO_COLOR asks for none. Textual takes it out of the environment: ask before there is an app."""
    return "NO_COLOR" in os.environ


def first_theme(configured: str, remembered: str, available: Container[str], *, few: bool) -> str:
    """Returns the name of the theme to begin with.

    Args:
        configured: What the configuration says; empty = nothing.
        remembered: What was worn last; empty = nothing. It is not for a terminal with fewer colours.
        few: The terminal has sixteen colours or none.
    """
    if configured in available:
        return configured
    if few and not remembered.startswith(("bai-16", "ansi-")):
        ground = os.environ.get("COLORFGBG", "").rpartition(";")[2]
        return (SIXTEEN_LIGHT if ground in _LIGHT_GROUNDS else SIXTEEN).name
    return remembered if remembered in available else DARK.name


def dress(app: App[int], *, ascii_only: bool, mono: bool) -> None:
    """Sets what style sheets and scrollbars go by."""
    app.set_class(ascii_only, "-ascii")
    app.set_class(mono, "-mono")
    ScrollBar.renderer = PlainScrollBarRender if ascii_only else ScrollBarRender
