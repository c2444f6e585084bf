"""The tabs of the editor as a title: the current one, those beside it, and what does not fit as a number."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual.content import Content

from ....widgets.text import one_line

_LONGEST_NAME = 28


def tab_title(
    tabs: Sequence[tuple[int, str, bool]], current: int, width: int, *, changed: str, between: str, close: str
) -> Content:
    """Returns the title.

    Args:
        tabs: (key, name, whether it is changed) of each.
        current: Key of the one that is looked at.
        width: Cells that there are.
        changed: The mark of a changed text.
        between: What stands between two.
        close: What closes the current one when it is clicked.
    """
    words = [_word(name, changed if is_changed else "") for _, name, is_changed in tabs]
    at = next((number for number, (key, _, _) in enumerate(tabs) if key == current), 0)
    gap = cell_len(between)
    first = last = at
    room = width - cell_len(words[at]) - 2 * cell_len(close) - 12
    while True:
        # neighbours join while there is room: right, then left
        if last + 1 < len(words) and cell_len(words[last + 1]) + gap <= room:
            last += 1
            room -= cell_len(words[last]) + gap
        elif first > 0 and cell_len(words[first - 1]) + gap <= room:
            first -= 1
            room -= cell_len(words[first]) + gap
        else:
            break
    parts = [Content.styled(f"{first} more", "dim @click=screen.at('editor','previous_tab')")] if first else []
    for number in range(first, last + 1):
        key = tabs[number][0]
        if number != at:
            parts.append(Content.styled(words[number], f"dim @click=screen.at('editor','show_tab({key})')"))
            continue
        seen = Content.styled(words[number], f"@click=screen.at('editor','show_tab({key})')")
        if len(tabs) > 1:
            seen += Content(" ") + Content.styled(close, f"dim @click=screen.at('editor','close_tab({key})')")
        parts.append(seen)
    if last + 1 < len(words):
        more = len(words) - 1 - last
        parts.append(Content.styled(f"{more} more", "dim @click=screen.at('editor','next_tab')"))
    return Content(between).join(parts)


def _word(name: str, mark: str) -> str:
    name = one_line(name)
    if cell_len(name) > _LONGEST_NAME:
        name = name[: _LONGEST_NAME // 2 - 1] + "…" + name[-_LONGEST_NAME // 2 :]
    return f"{name} {mark}" if mark else name
