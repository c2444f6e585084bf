"""Keys that have a name and yet never come: a terminal sends something else for them, or nothing."""

from __future__ import annotations

from typing import Final

_SENT_AS: Final = {"ctrl+h": "backspace", "ctrl+i": "tab", "ctrl+m": "enter", "ctrl+left_square_bracket": "escape"}
_TWINS: Final = frozenset(("ctrl+enter", "shift+enter", "ctrl+tab", "shift+space", "ctrl+backspace", "shift+backspace"))
_SIGNS: Final = frozenset(("comma", "full_stop", "semicolon", "colon", "minus", "plus", "equals_sign", "apostrophe"))
_CTRL_SENT: Final = frozenset(
    ("@", "at", "space", "backslash", "right_square_bracket", "circumflex_accent", "underscore", "slash")
)
"""Beside letters, what ctrl makes a character of that terminals have always sent."""


def why_dead(key: str) -> str | None:
    """Returns why a key never comes, or comes in few terminals only; None when it comes in all."""
    if key in _SENT_AS:
        return f"terminals send it as {_SENT_AS[key]}"
    *modifiers, name = key.split("+")
    if set(modifiers) & {"super", "meta", "hyper"}:
        return "few terminals send it"
    if key in _TWINS:
        return f"most terminals send it as {name}"
    if len(name) == 1 and set(modifiers) == {"ctrl", "shift"}:
        return f"most terminals send it as ctrl+{name}"
    letter = len(name) == 1 and name.isalpha() and name.isascii()
    if "ctrl" in modifiers and (len(name) == 1 or name in _SIGNS) and not letter and name not in _CTRL_SENT:
        return "most terminals do not send it"
    return None
