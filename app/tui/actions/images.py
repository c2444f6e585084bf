"""The keys of the images in the launch form, beside those of the form itself."""

from __future__ import annotations

from typing import Final

from .action import Action


def _row(id: str, key: str, action: str, word: str, sentence: str, *, changes: bool = False) -> Action:
    # before the search line hears of it, which has a use for some of these keys
    return Action(f"images-{id}", key, "images", action, word, sentence, priority=True, palette=False, changes=changes)


ROWS: Final = (
    _row(
        "build",
        "ctrl+b",
        "build",
        "build",
        "Build or pull the image now, without a session; asks before it does so once more",
        changes=True,
    ),
    _row(
        "stop",
        "ctrl+t",
        "stop",
        "stop",
        "Stop the building or pulling that was asked for here; nothing half-made is left",
        changes=True,
    ),
    _row("log", "ctrl+l", "log", "log", "Read the log of how the image was built or pulled"),
    _row(
        "remove",
        "ctrl+d",
        "remove",
        "remove",
        "Remove what was built or pulled, after a question; it can be had again",
        changes=True,
    ),
    _row("rescan", "alt+s", "rescan", "rescan", "Have the server look for images anew", changes=True),
    _row("about", "alt+i", "about", "about", "Show or hide all that is known of the image: packages, ports, slots"),
)
