"""The keys of the files of a session."""

from __future__ import annotations

from typing import Final

from .action import Action, help_and_leave

ROWS: Final = (
    Action(
        "files-open", "enter", "files", "open", "open", "Go into the folder, or open a copy of the file in the editor"
    ),
    Action("files-up", "backspace,h,left", "files", "parent", "up", "Go to the folder above", palette=False),
    Action(
        "files-upload", "u", "files", "upload", "upload", "Copy a file of this machine into the folder that is shown"
    ),
    Action(
        "files-download",
        "d",
        "files",
        "download",
        "download",
        "Copy the marked files, or the one under the cursor, into a folder of this machine",
    ),
    Action(
        "files-delete",
        "x,delete",
        "files",
        "delete",
        "delete",
        "Remove the marked files, or the one under the cursor, from the session after a question",
    ),
    Action("files-mark", "space", "files", "mark", "mark", "Mark the file and go to the next", palette=False),
    Action("files-sort", "s", "files", "sort", "sort", "Sort by name, by size or by time", show=False),
    Action(
        "files-refresh",
        "r",
        "files",
        "refresh",
        "refresh",
        "Look again at what is there",
        show=False,
        title="refresh the files",
    ),
    Action("files-down", "j,down", "files", "down", "down", "Go to the next file", show=False, palette=False),
    Action("files-previous", "k,up", "files", "up", "up", "Go to the file before", show=False, palette=False),
    Action(
        "files-page-down", "pagedown", "files", "page(1)", "page down", "Go down a screenful", show=False, palette=False
    ),
    Action("files-page-up", "b,pageup", "files", "page(-1)", "page up", "Go up a screenful", show=False, palette=False),
    Action("files-first", "g,home", "files", "first", "first", "Go to the first file", show=False, palette=False),
    Action("files-last", "G,end,shift+g", "files", "last", "last", "Go to the last file", show=False, palette=False),
    *help_and_leave("files"),
)
