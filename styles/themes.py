"""Our themes: quiet greys, one accent, and colours of states that differ in lightness as well as in hue.

Text has a contrast of at least 4.5:1 on its ground (tests/tui/test_themes.py). Good is a blue-green and bad an
orange-red, which stay apart for eyes that mix up red and green.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.terminal_theme import TerminalTheme
from textual.color import Color
from textual.theme import Theme

from .ansi_themes import SIXTEEN, SIXTEEN_LIGHT
from .more_themes import CONTRAST, SAFE

FOLDER: Final = Path(__file__).parent
_FIRST: Final = (FOLDER / "global.tcss", FOLDER / "main.tcss")
SHEETS: Final = [*_FIRST, *sorted(path for path in FOLDER.glob("*.tcss") if path not in _FIRST)]
"""What is for all comes first, then a sheet for each pane."""

DARK: Final = Theme(
    name="bai-dark",
    dark=True,
    primary="#5fb3d9",
    secondary="#8fa3b8",
    accent="#5fb3d9",
    foreground="#ccd3dc",
    background="#10141a",
    surface="#151a21",
    panel="#1c232c",
    boost="#222a35",
    success="#63c5ab",
    warning="#e9b45d",
    error="#ff8a73",
    variables={
        "quiet": "#8d9bab",
        "faint": "#4a5665",
        "line": "#303a47",
        "cursor-row": "#20303f",
        "border": "#303a47",
        "border-blurred": "#303a47",
        "scrollbar": "#2a3440",
        "scrollbar-hover": "#3b4856",
        "scrollbar-active": "#5fb3d9",
        "scrollbar-background": "#151a21",
        "scrollbar-background-hover": "#151a21",
        "scrollbar-background-active": "#151a21",
        "scrollbar-corner-color": "#151a21",
        "footer-background": "#10141a",
        "footer-foreground": "#8593a3",
        "footer-description-foreground": "#8593a3",
        "footer-key-foreground": "#5fb3d9",
        "footer-item-background": "#10141a",
        "footer-key-background": "#10141a",
        "input-cursor-background": "#ccd3dc",
        "input-cursor-foreground": "#10141a",
        "input-selection-background": "#2f4a63",
        "block-cursor-background": "#20303f",
        "block-cursor-foreground": "#e8edf3",
        "block-cursor-text-style": "none",
        "code-keyword": "#7fb7ea",
        "code-string": "#a5c98b",
        "code-docstring": "#7d9a80",
        "code-number": "#d9a871",
        "code-comment": "#808e9f",
        "code-name": "#d7c489",
        "code-builtin": "#67bfc4",
        "code-constant": "#d9a871",
        "code-operator": "#9aa7b6",
        "code-escape": "#d39fc4",
        "map-0": "#5fb3d9",
        "map-1": "#e9b45d",
        "map-2": "#63c5ab",
        "map-3": "#d39fc4",
        "map-4": "#a9b8ff",
        "map-5": "#c3cf7a",
        "map-6": "#ff9d85",
        "map-7": "#b5bcc6",
        "map-text": "#10141a",
    },
)

LIGHT: Final = Theme(
    name="bai-light",
    dark=False,
    primary="#0a6a97",
    secondary="#4f6072",
    accent="#0a6a97",
    foreground="#232b35",
    background="#eef1f4",
    surface="#f8f9fb",
    panel="#e4e8ed",
    boost="#dde3ea",
    success="#0f6f5c",
    warning="#855300",
    error="#b0204f",
    variables={
        "quiet": "#56636f",
        "faint": "#9aa5b1",
        "line": "#c5cdd6",
        "cursor-row": "#d9e7f1",
        "border": "#c5cdd6",
        "border-blurred": "#c5cdd6",
        "scrollbar": "#ccd4dc",
        "scrollbar-hover": "#b3bec9",
        "scrollbar-active": "#0a6a97",
        "scrollbar-background": "#f8f9fb",
        "scrollbar-background-hover": "#f8f9fb",
        "scrollbar-background-active": "#f8f9fb",
        "scrollbar-corner-color": "#f8f9fb",
        "footer-background": "#eef1f4",
        "footer-foreground": "#56636f",
        "footer-description-foreground": "#56636f",
        "footer-key-foreground": "#0a6a97",
        "footer-item-background": "#eef1f4",
        "footer-key-background": "#eef1f4",
        "input-cursor-background": "#232b35",
        "input-cursor-foreground": "#f8f9fb",
        "input-selection-background": "#bcd9ea",
        "block-cursor-background": "#d9e7f1",
        "block-cursor-foreground": "#131a22",
        "block-cursor-text-style": "none",
        "code-keyword": "#0b5cad",
        "code-string": "#3d6b1f",
        "code-docstring": "#526c4c",
        "code-number": "#8f4e00",
        "code-comment": "#5c6875",
        "code-name": "#73580a",
        "code-builtin": "#076e73",
        "code-constant": "#8f4e00",
        "code-operator": "#4f6072",
        "code-escape": "#8c3d78",
        "map-0": "#0a6a97",
        "map-1": "#855300",
        "map-2": "#0f6f5c",
        "map-3": "#8c3d78",
        "map-4": "#4a4fb0",
        "map-5": "#5a6410",
        "map-6": "#b3301a",
        "map-7": "#56636f",
        "map-text": "#f8f9fb",
    },
)

THEMES: Final = (DARK, LIGHT, SAFE, CONTRAST, SIXTEEN, SIXTEEN_LIGHT)
ABOUT_THEMES: Final = {
    "bai-dark": "dark",
    "bai-light": "light",
    "bai-safe": "colour-blind-safe",
    "bai-contrast": "high contrast",
    "bai-16": "the terminal's own colours",
    "bai-16-light": "its own, on light ground",
}
"""Themes that are offered first -> what they are for."""


def fallbacks(theme: Theme) -> dict[str, str]:
    """Returns our variables for a theme that is not ours and does not have them."""
    return dict((DARK if theme.dark else LIGHT).variables)


def _palette(background: str, foreground: str, normal: Sequence[str], bright: Sequence[str]) -> TerminalTheme:
    def rgb(colour: str) -> tuple[int, int, int]:
        return Color.parse(colour).rgb

    return TerminalTheme(
        rgb(background), rgb(foreground), [rgb(colour) for colour in normal], [rgb(colour) for colour in bright]
    )


DARK_PALETTE: Final = _palette(
    "#151a21",
    "#ccd3dc",
    ["#4a5665", "#f0836f", "#7fc08a", "#dfb15c", "#6fa8e0", "#c291d8", "#5cbfc4", "#ccd3dc"],
    ["#8d9bab", "#ff9d8a", "#9ad6a3", "#f0c97d", "#93c2f2", "#d8aeea", "#7fd6da", "#f0f4f8"],
)
"""What the 16 colours of programs look like in the console, in the dark theme."""
LIGHT_PALETTE: Final = _palette(
    "#f8f9fb",
    "#232b35",
    ["#232b35", "#b3301a", "#2f6b2a", "#7d5200", "#0b5cad", "#83359c", "#086b72", "#56636f"],
    ["#56636f", "#c2432c", "#3a7a34", "#8a5c00", "#1f6dc0", "#9345ad", "#12767d", "#131a22"],
)
