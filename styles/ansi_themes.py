"""Themes of the terminal's own sixteen colours, for terminals that have no more, and for who has set them with care."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme


def _theme(
    name: str, *, dark: bool, accent: str, good: str, warning: str, bad: str, quiet: str, ground: str, other: str
) -> Theme:
    scrollbar = dict.fromkeys(("scrollbar", "scrollbar-hover"), "ansi_bright_black") | {"scrollbar-active": accent}
    grounds = (
        "scrollbar-background",
        "scrollbar-background-hover",
        "scrollbar-background-active",
        "scrollbar-corner-color",
        "footer-background",
        "footer-item-background",
        "footer-key-background",
    )
    parts = (accent, "ansi_yellow", "ansi_green", "ansi_magenta", "ansi_cyan", "ansi_white", "ansi_red", other)
    return Theme(
        name=name,
        ansi=True,
        dark=dark,
        primary=accent,
        secondary=quiet,
        accent=accent,
        foreground="ansi_default",
        background="ansi_default",
        surface="ansi_default",
        panel="ansi_default",
        boost="ansi_default",
        success=good,
        warning=warning,
        error=bad,
        variables={
            "ansi-background": ground,
            "ansi-foreground": "ansi_white" if dark else "ansi_black",
            "quiet": quiet,
            "faint": "ansi_bright_black",
            "line": "ansi_bright_black",
            "cursor-row": "ansi_default",
            "border": "ansi_bright_black",
            "border-blurred": "ansi_bright_black",
            **scrollbar,
            **dict.fromkeys(grounds, "ansi_default"),
            "footer-foreground": quiet,
            "footer-description-foreground": quiet,
            "footer-key-foreground": accent,
            "input-cursor-background": "ansi_white" if dark else "ansi_black",
            "input-cursor-foreground": "ansi_black" if dark else "ansi_white",
            "input-selection-background": accent,
            "input-selection-foreground": "ansi_black" if dark else "ansi_white",
            "screen-selection-background": accent,
            "screen-selection-foreground": "ansi_black" if dark else "ansi_white",
            "block-cursor-background": accent,
            "block-cursor-foreground": "ansi_black" if dark else "ansi_white",
            "block-cursor-text-style": "none",
            "code-keyword": accent,
            "code-string": good,
            "code-docstring": good,
            "code-number": "ansi_magenta",
            "code-comment": quiet,
            "code-name": warning,
            "code-builtin": accent,
            "code-constant": "ansi_magenta",
            "code-operator": "ansi_default",
            "code-escape": "ansi_magenta",
            **{f"map-{number}": colour for number, colour in enumerate(parts)},
            "map-text": "ansi_black",
        },
    )


SIXTEEN: Final = _theme(
    "bai-16", dark=True, accent="ansi_bright_cyan", good="ansi_bright_green", warning="ansi_bright_yellow",
    bad="ansi_bright_red", quiet="ansi_white", ground="ansi_black", other="ansi_bright_blue",
)  # fmt: skip
SIXTEEN_LIGHT: Final = _theme(
    "bai-16-light", dark=False, accent="ansi_blue", good="ansi_green", warning="ansi_magenta", bad="ansi_red",
    quiet="ansi_black", ground="ansi_white", other="ansi_bright_blue",
)  # fmt: skip
"""Yellow and cyan cannot be read on white: they only stand below black text."""
