"""What each pane is, in the words of help."""

from __future__ import annotations

from typing import Final

ABOUT: Final = {
    "sessions": (
        "Every session that you have, as they came. The shape and the word say its state: running, busy (it runs "
        "code), asks (a run waits for input), pending (with the reason), preparing, failed, ended. The filter takes "
        "words that must all be met: a regular expression, !what-not, -f for fuzzy letters, status:busy,pending, "
        "image: name: tag: owner: project: type:, gpu:>0 cpu:4 mem:<2g age:>1h prio:10, is:marked, is:pinned."
    ),
    "history": (
        "The sessions that ended, the newest first, why they did, and what they wrote. More are asked for as you go "
        "down. The filter is that of the session list; why: searches in the reasons."
    ),
    "images": (
        "What sessions can run in, and whether it is here: ready, to be built or pulled first, which a launch does by "
        "itself, or not to be had, with the reason. Type to look for a name, an alias, a language or a package."
    ),
    "map": (
        "A bar per GPU, one for all cores and one for all memory. Above, in the colour of each session, what it was "
        "given; below that what it really uses of it: up to the end of its cells is all of it, a triangle is more. "
        "A thin line below free cells is used by others. Click cells to select their session."
    ),
    "details": (
        "What is known of the selected session: why it waits and since when, what it uses of what it asked for, now "
        "and in the last minute, when idle checks end it, and what enforces its limits: hard cannot be passed, "
        "cooperative holds for code that does not work around it, detected is noticed afterwards, counted is only "
        "kept in the books."
    ),
    "editor": (
        "What is to run: the whole text, a cell (between lines like # %%), the selection or the statement under the "
        "cursor. Each open text is a tab; texts, cursors and what is not saved are kept when you leave. A click on a "
        "tab shows it, one with the middle button closes it. Escape leads to the session list. With vim's keys U is "
        "redo, since ^r runs, and : knows w q wq e s d bn bp set noh and line numbers."
    ),
    "console": (
        "What the selected session said, run by run. At the end it follows new output; scroll up and what you read "
        "stays where it is, whatever comes. A click on the line of a run puts its output away, a click on a place in a "
        "traceback opens it. Drag with the mouse or press v to select, y copies; with nothing selected, what the run "
        "said."
    ),
    "terminal": (
        "A shell in the selected session. While it runs every key is for it, but the one that leaves; the mouse is for "
        "the programs that ask for it."
    ),
    "files": "The files of the selected session: look at them, copy them here or there, delete them.",
    "events": (
        "What happened to sessions, newest last, and what this program did, each as the bai-tui command that does the "
        "same."
    ),
}
"""What a pane is, for help."""
