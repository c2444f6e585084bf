"""Which pane something on the screen belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.dom import DOMNode


def pane_of(node: DOMNode | None) -> str:
    """Returns the name of the pane that a widget is in; empty = in none."""
    for one in () if node is None else node.ancestors_with_self:
        name = getattr(one, "pane_name", None)
        if isinstance(name, str):
            return name
    return ""
