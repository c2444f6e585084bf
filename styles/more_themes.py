"""Two themes for eyes and screens that need them: one for red-green blindness, one of the highest contrast."""

from __future__ import annotations

from typing import Final

from textual.theme import Theme


def _variables(
    *, quiet: str, faint: str, line: str, row: str, ground: str, text: str, accent: str, selection: str
) -> dict[str, str]:
    """Returns what follows from a few colours."""
    scrollbar = {
        "scrollbar": line,
        "scrollbar-hover": faint,
        "scrollbar-active": accent,
        "scrollbar-background": ground,
        "scrollbar-background-hover": ground,
        "scrollbar-background-active": ground,
        "scrollbar-corner-color": ground,
    }
    footer = {
        "footer-background": ground,
        "footer-foreground": quiet,
        "footer-description-foreground": quiet,
        "footer-key-foreground": accent,
        "footer-item-background": ground,
        "footer-key-background": ground,
    }
    return {
        "quiet": quiet,
        "faint": faint,
        "line": line,
        "cursor-row": row,
        "border": line,
        "border-blurred": line,
        "input-cursor-background": text,
        "input-cursor-foreground": ground,
        "input-selection-background": selection,
        "block-cursor-background": row,
        "block-cursor-foreground": text,
        "block-cursor-text-style": "none",
        **scrollbar,
        **footer,
    }


SAFE: Final = Theme(
    name="bai-safe",
    dark=True,
    primary="#5aa9ff",
    secondary="#939fae",
    accent="#5aa9ff",
    foreground="#d6dbe2",
    background="#0e1116",
    surface="#13171e",
    panel="#1b212a",
    boost="#222a35",
    success="#a9dcf5",
    warning="#f2d544",
    error="#f0843c",
    variables=_variables(
        quiet="#939fae", faint="#566170", line="#333d4a", row="#1d2c45", ground="#13171e", text="#eef2f7",
        accent="#5aa9ff", selection="#2c4770",
    )
    | {
        "code-keyword": "#5aa9ff",
        "code-string": "#f2d544",
        "code-docstring": "#b3a866",
        "code-number": "#f0a878",
        "code-comment": "#8693a3",
        "code-name": "#a9dcf5",
        "code-builtin": "#8fb8f5",
        "code-constant": "#f0a878",
        "code-operator": "#aab4c0",
        "code-escape": "#f0843c",
        "map-0": "#5aa9ff",
        "map-1": "#f2d544",
        "map-2": "#d0691a",
        "map-3": "#bfe3f7",
        "map-4": "#8c94d8",
        "map-5": "#fbf3c2",
        "map-6": "#a9a089",
        "map-7": "#4f93a8",
        "map-text": "#0e1116",
    },
)  # fmt: skip
"""States differ in lightness and between blue and yellow, which eyes that mix up red and green tell apart."""

CONTRAST: Final = Theme(
    name="bai-contrast",
    dark=True,
    primary="#66d9ff",
    secondary="#d0d0d0",
    accent="#ffe14d",
    foreground="#ffffff",
    background="#000000",
    surface="#000000",
    panel="#1a1a1a",
    boost="#262626",
    success="#5dff8f",
    warning="#ffe14d",
    error="#ff8f80",
    variables=_variables(
        quiet="#d0d0d0", faint="#909090", line="#a0a0a0", row="#003a70", ground="#000000", text="#ffffff",
        accent="#ffe14d", selection="#00559e",
    )
    | {
        "code-keyword": "#66d9ff",
        "code-string": "#b8ff9e",
        "code-docstring": "#b8e0a8",
        "code-number": "#ffc880",
        "code-comment": "#c4c4c4",
        "code-name": "#ffe14d",
        "code-builtin": "#8ff0f0",
        "code-constant": "#ffc880",
        "code-operator": "#e0e0e0",
        "code-escape": "#ffb3e6",
        "map-0": "#66d9ff",
        "map-1": "#ffe14d",
        "map-2": "#5dff8f",
        "map-3": "#ffb3e6",
        "map-4": "#b8bdff",
        "map-5": "#e0ffb0",
        "map-6": "#ff8f80",
        "map-7": "#d0d0d0",
        "map-text": "#000000",
    },
)  # fmt: skip
"""Text at 7:1 at least, on black; edges of panes that are seen well."""
